"""Where settings come from: a flag beats the environment, which beats the YAML file, which beats the default."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.help import Option
from shape_dnn.errors import ShapeDnnError, UsageError
from shape_dnn.settings import SETTINGS, Settings, flag_of, unknown_setting

PREFIX = "SHAPE_DNN_"
NOT_SETTINGS = ("SHAPE_DNN_PLUGINS", "SHAPE_DNN_CONFIG", "SHAPE_DNN_FORMAT", "SHAPE_DNN_QUIET", "SHAPE_DNN_VERBOSE")

OPTIONS = r",(?=[^,]*=|\s*$)"
"""Commas between options; a value such as that of ``recipe.milestones=0.3,0.6`` may have others."""


_LENGTH = {name: (f"recipe.{name}", f"trainer.{name}") for name in ("epochs", "lr")}
RIVALS: Mapping[str, tuple[str, ...]] = {
    "goal": ("pareto",),
    "pareto": ("goal",),
    **_LENGTH,
    **{option: (name,) for name, options in _LENGTH.items() for option in options},
}
"""Settings and options of which only one can be in force: it replaces those that are given where they count less."""
LIMITS: Mapping[str, tuple[str, str]] = {
    "max_size": ("max", "size"),
    "max_latency": ("max", "latency"),
    "max_energy": ("max", "energy"),
    "min_accuracy": ("min", "accuracy"),
}
"""Settings that are short for a limit on any metric."""


@dataclass
class Gathered:
    """Values of settings, and where each came from.

    Attributes:
        values: by setting.
        origins: by setting: a flag, an environment variable, or a file with line and column; also by option, such as
            ``recipe.lr``.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the origin of a setting in the errors about it."""
        try:
            yield
        except UsageError as error:
            if error.setting is None:
                raise
            where = self.origins.get(error.setting, flag_of(error.setting))
            raise UsageError(f"{where}: {error.message}") from error

    def supersede(self, given: Collection[str]) -> None:
        """Forget the rivals of settings and options that are given now, unless they are given now, too."""
        others = {other for name in given for other in RIVALS.get(name, ())}.difference(given)
        for other in others:
            self.values.pop(other, None)
            self.origins.pop(other, None)
        if "option" in self.values:
            self.values["option"] = [text for text in _texts(self.values["option"]) if _name(text) not in others]
        self._supersede_limits(given)

    def _supersede_limits(self, given: Collection[str]) -> None:
        limited = {LIMITS[name] for name in given if name in LIMITS}
        for bound in {"max", "min"}.intersection(given):
            limited |= {(bound, _name(text)) for text in _texts(self.values[bound])}
        for name, limit in LIMITS.items():
            if limit in limited and name not in given:
                self.values.pop(name, None)
                self.origins.pop(name, None)
        for bound in {"max", "min"}.intersection(self.values).difference(given):
            kept = [text for text in _texts(self.values[bound]) if (bound, _name(text)) not in limited]
            self.values[bound] = kept

    def settings(self) -> Settings:
        """Check the values.

        Raises:
            UsageError: names the origin of the first that cannot be used.
        """
        with self.named():
            return Settings.create(self.values)

    def as_yaml(self) -> str:
        """Write every setting as YAML, with its origin as a comment.

        Those that a replay, or a trainer of one's own, does without are written if they are given.
        """
        import yaml

        from shape_dnn.assembly.own_trainer import CLASSIFIER, OF_CLASSIFIER
        from shape_dnn.assembly.replay import DESCRIBING, UNUSED

        settings, lines = self.settings(), []
        of_no_use = {*UNUSED, *DESCRIBING, "trainer"} if settings.replay is not None else set()
        if settings.trainer != CLASSIFIER:
            of_no_use |= set(OF_CLASSIFIER)
        for name, value in settings.to_dict().items():
            if name in of_no_use - settings.given:
                continue
            text = yaml.safe_dump({name: value}, default_flow_style=True, width=10_000).strip()[1:-1]
            lines.append(f"{text}  # {self.origins.get(name, 'default')}")
        return "\n".join([*lines, *self._recipe_as_comments()])

    def _recipe_as_comments(self) -> list[str]:
        """Write each part of the recipe with who set it, or why it cannot be known."""
        from shape_dnn.answers.words import notation
        from shape_dnn.assembly.assembly import Assembly
        from shape_dnn.system.text import one_line

        settings = self.settings()
        if settings.replay is not None:
            return []
        try:
            with self.named():
                parts = Assembly(settings, origins=self.origins)
                if parts.executor.instance.elsewhere:
                    return [f"# recipe: depends on the device of executor {settings.executor!r}; --dry-run asks for it"]
                record = parts.recipe_record or {}
        except ShapeDnnError as error:
            return [f"# recipe: {one_line(str(error))}"]
        return [
            f"# recipe.{name}: {one_line(notation(part['value']))}  # {one_line(str(part['from']))}"
            for name, part in record.items()
        ]


def options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the flags of settings to a command, all of them by default."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names or tuple(SETTINGS)):
            function = _option(name)(function)
        return function

    return add


def _option(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    declared = SETTINGS[name]
    flags = [flag_of(name)] + (["--option"] if name == "option" else [])
    default = declared.default
    if isinstance(default, bool):  # a file or the environment may have said the other
        flags = [f"{flag_of(name)}/{flag_of(f'no_{name}')}"]
    help_text = declared.description
    if default not in (None, (), False):
        help_text += f" [default: {default}]"
    if isinstance(default, bool):
        given: dict[str, Any] = {"is_flag": True}
    else:
        given = {"multiple": isinstance(default, tuple), "metavar": declared.metavar}
    return click.option(*flags, name, cls=Option, group=declared.group, default=None, help=help_text, **given)


def gather(flags: Mapping[str, Any], config: str | None, environ: Mapping[str, str] | None = None) -> Gathered:
    """Collect settings from the YAML file, the environment and the flags.

    Args:
        flags: by setting; None and empty for those that were not given.
        config: path of the YAML file.
        environ: ``os.environ`` by default.

    Raises:
        UsageError: the file cannot be read or names an unknown setting; with line and column.
    """
    gathered = Gathered()
    if config is not None:
        from shape_dnn.cli.yaml_file import read

        gathered.values, gathered.origins = read(Path(config))
    by_variable: list[str] = []
    for variable, text in sorted((os.environ if environ is None else environ).items()):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or not text:
            continue
        if name not in SETTINGS:
            warnings.warn(f"environment variable {variable} is ignored: {unknown_setting(name)}", stacklevel=2)
            continue
        if isinstance(SETTINGS[name].default, tuple):
            between = OPTIONS if name == "option" else ","
            gathered.values[name] = [part.strip() for part in re.split(between, text)]
        else:
            gathered.values[name] = text
        gathered.origins[name] = variable
        by_variable.append(name)
        if name == "option":
            gathered.origins |= {_name(text): variable for text in gathered.values[name]}
            by_variable += map(_name, gathered.values[name])
    gathered.supersede(by_variable)
    by_flag: list[str] = []
    for name, value in flags.items():
        if value in (None, ()):
            continue
        by_flag.append(name)
        gathered.origins[name] = flag_of(f"no_{name}" if value is False else name)
        if name == "option":  # one that is given by a flag replaces the same one of a file, and no other
            given = {_name(text): f"-o {_name(text)}" for text in value}
            kept = [text for text in _texts(gathered.values.get(name, ())) if _name(text) not in given]
            gathered.values[name] = [*kept, *value]
            gathered.origins |= given
            by_flag += given
        else:
            gathered.values[name] = value
    gathered.supersede(by_flag)
    return gathered


def _texts(options: Mapping[str, str] | Iterable[str]) -> Iterable[str]:
    """Return options as flags have them, whether they are a mapping, a list or a single one."""
    if isinstance(options, Mapping):
        return [f"{name}={value}" for name, value in options.items()]
    return (options,) if isinstance(options, str) else options


def _name(option: str) -> str:
    return option.partition("=")[0].strip()
