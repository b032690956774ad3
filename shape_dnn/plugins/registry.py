"""Discover plugins, keep the broken ones from harming the rest, and look them up by name.

Built-in plugins come in by the same entry point as those of other packages.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import json
import math
import multiprocessing
import os
import re
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from shape_dnn import hookspecs, kinds
from shape_dnn.errors import PluginError, ShapeDnnError, UsageError, describe
from shape_dnn.kinds import Plugin
from shape_dnn.shape import exact

if TYPE_CHECKING:
    from shape_dnn.kinds import OptionValue

GROUP = "shape_dnn"
"""Entry-point group of plugin packages, and the name of the pluggy project."""
ALLOW_LIST = "SHAPE_DNN_PLUGINS"
"""Environment variable with the third-party distributions to allow, separated by commas; all if it is not set."""
OWN_DISTRIBUTION = "shape-dnn"


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: what its objects are, and the flag that selects one."""

    name: str
    hook: str
    base: type
    flag: str


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("architecture", "shape_dnn_architectures", kinds.Architecture, "arch"),
        Kind("dataset", "shape_dnn_datasets", kinds.Dataset, "dataset"),
        Kind("meter", "shape_dnn_meters", kinds.Meter, "meter"),
        Kind("sampler", "shape_dnn_samplers", kinds.Sampler, "sampler"),
        Kind("strategy", "shape_dnn_strategies", kinds.Strategy, "strategy"),
        Kind("accuracy_model", "shape_dnn_accuracy_models", kinds.AccuracyModel, "model"),
        Kind("goal", "shape_dnn_goals", kinds.Goal, "goal"),
        Kind("executor", "shape_dnn_executors", kinds.Executor, "executor"),
        Kind("terminator", "shape_dnn_terminators", kinds.Terminator, "terminator"),
        Kind("observer", "shape_dnn_observers", kinds.Observer, "observer"),
    )
}

IN_REPOSITORY: Mapping[tuple[str, str], str] = {
    ("architecture", "convnext"): "plugins/shape-dnn-timm",
    ("architecture", "densenet"): "plugins/shape-dnn-densenet",
    ("architecture", "nasnet"): "plugins/shape-dnn-nasnet",
    ("architecture", "resnet"): "plugins/shape-dnn-timm",
    ("sampler", "sobol"): "plugins/shape-dnn-sobol",
    ("meter", "zeus"): "plugins/shape-dnn-zeus",
    ("executor", "ray"): "plugins/shape-dnn-ray",
    ("observer", "mlflow"): "plugins/shape-dnn-mlflow",
}
"""Packages kept beside this one but installed on their own: (kind, name) to folder."""


SLOW = 1.0
"""Seconds that loading a plugin may take before the user is told."""


@dataclass(frozen=True)
class Source:
    """Where plugins come from: a distribution, or a single file.

    Attributes:
        distribution: name of the distribution, or path of the file.
        version: of the distribution; for a file a hash of its content.
        is_file: whether it is a file.
    """

    distribution: str
    version: str
    is_file: bool = False

    def __str__(self) -> str:
        return self.distribution if self.is_file else f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Entry:
    """A line of the list of plugins.

    Attributes:
        name: of the plugin; of the entry point if its plugins could not be read.
        kind: None if it could not be read.
        source: where it comes from.
        state: ``ok``, ``failed``, ``blocked`` or ``collision``.
        reason: why it is not ok.
        plugin: its declaration, if it could be read.
    """

    name: str
    kind: str | None
    source: Source
    state: str
    reason: str = ""
    plugin: Plugin | None = None


@dataclass(frozen=True)
class Choice:
    """A plugin by name with its options: what a worker process needs to create it anew.

    Attributes:
        kind: one of :data:`KINDS`.
        name: of the plugin.
        options: all of them, by name.
        version: of the plugin where it was chosen.
    """

    kind: str
    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    version: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """The object a plugin's factory made, and where it came from.

    Attributes:
        choice: its name and options.
        source: of its declaration.
        instance: the object.
        content: digest of the files of a package that is installed for editing.
    """

    choice: Choice
    source: Source
    instance: T
    content: str = ""

    @property
    def identity(self) -> dict[str, object]:
        """What determines the behaviour of the object, as JSON values.

        The version of a distribution does not count, since an upgrade must not discard what was measured and trained;
        the content of a plugin file, or of a package installed for editing, does, since it is being worked on.
        """
        origin = f"file {self.source.version}" if self.source.is_file else self.source.distribution
        if self.content:
            origin += f" with content {self.content}"
        options = {name: str(value) for name, value in sorted(self.choice.options.items())}
        return {"name": self.choice.name, "from": origin, "options": options}

    @property
    def provenance(self) -> dict[str, str]:
        """Kind, name, distribution and version, for results."""
        return {
            "kind": self.choice.kind,
            "name": self.choice.name,
            "distribution": self.source.distribution,
            "version": self.source.version,
        }


class Registry:
    """All plugins that were found.

    Args:
        files: plugin files given by path, beside the installed distributions.
        environ: read for the allow-list; ``os.environ`` by default.

    Raises:
        PluginError: a plugin file cannot be loaded. An installed distribution that cannot be is listed as failed.
    """

    def __init__(self, files: Iterable[Path] = (), environ: Mapping[str, str] | None = None) -> None:
        self.files = tuple(dict.fromkeys(files))
        self._entries: list[Entry] = []
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._read_distributions(os.environ if environ is None else environ)
        for path in self.files:
            self._read_file(path)
        self._mark_collisions()

    def entries(self) -> list[Entry]:
        """List every plugin, sorted by kind, name and distribution, whatever the order of discovery."""
        return sorted(self._entries, key=lambda e: (e.kind or "", e.name, e.source.distribution, e.reason))

    def names(self, kind: str) -> list[str]:
        """List the names of the usable plugins of a kind, sorted."""
        return sorted({entry.name for entry in self._entries if entry.kind == kind and entry.state == "ok"})

    def is_declared(self, kind: str, name: str) -> bool:
        """Tell whether a plugin of a kind is called so, whether it can be used or not."""
        return any(entry.kind == kind and entry.name == name for entry in self._entries)

    def load(self, kind: str, name: str, options: Mapping[str, object] | None = None) -> Loaded[Any]:
        """Create the object of a plugin.

        Args:
            kind: one of :data:`KINDS`.
            name: of the plugin.
            options: by name; text is converted to the type of the option.

        Raises:
            UsageError: no such plugin or option, or not a value of the option.
            PluginError: the plugin failed to load, collides with another, or is not installed.
        """
        entry, plugin = self._find(kind, name), self.declaration(kind, name)
        values = self.check_options(kind, name, options or {})
        try:
            instance = _resolve(plugin.factory)(**values)
        except ShapeDnnError:
            raise
        except Exception as error:
            raise PluginError(f"{kind} {name!r} of {entry.source} failed to start: {describe(error)}") from error
        if not isinstance(instance, KINDS[kind].base):
            made, wanted = type(instance).__name__, KINDS[kind].base.__name__
            raise PluginError(f"{kind} {name!r} of {entry.source} made a {made}, which is not a shape_dnn.{wanted}")
        with contextlib.suppress(AttributeError):  # an object with slots is blamed by its class
            object.__setattr__(instance, "_plugin_label", f"{_words(kind)} {name!r} of {entry.source}")
        content = "" if entry.source.is_file else _edited(entry.source.distribution, type(instance).__module__)
        return Loaded(Choice(kind, name, values, entry.source.version), entry.source, instance, content)

    def load_again(self, choice: Choice) -> Any:
        """Create the object of a plugin that was chosen in another process.

        Raises:
            PluginError: the plugin is of another version here, or cannot be used.
        """
        loaded = self.load(choice.kind, choice.name, choice.options)
        if choice.version not in ("", loaded.source.version):
            raise PluginError(
                f"{_words(choice.kind)} {choice.name!r} was {choice.version} when the search started and is "
                f"{loaded.source.version} in {loaded.source.distribution} where it is to be used; start again"
            )
        return loaded.instance

    def declaration(self, kind: str, name: str) -> Plugin:
        """Return what a plugin declared.

        Raises:
            UsageError: no such plugin.
            PluginError: the plugin cannot be used.
        """
        plugin = self._find(kind, name).plugin
        assert plugin is not None  # noqa: S101 - every entry of a kind has its declaration
        return plugin

    # Discovery

    def _read_distributions(self, environ: Mapping[str, str]) -> None:
        allowed = environ.get(ALLOW_LIST)
        allow = None if allowed is None else {_normalise(name) for name in allowed.split(",") if name.strip()}
        known = set()
        # Not pluggy's load_setuptools_entrypoints: it drops a second distribution with the same entry-point name.
        for point in metadata.entry_points(group=GROUP):
            distribution, version = ("unknown", "") if point.dist is None else (point.dist.name, point.dist.version)
            source = Source(distribution, version)
            names = {_normalise(distribution), _normalise(point.name)}
            known |= names
            own = _normalise(distribution) == OWN_DISTRIBUTION
            if not own and allow is not None and not names & allow:
                reason = f"{ALLOW_LIST} does not name it"
                self._entries.append(Entry(point.name, None, source, "blocked", reason))
            else:
                self._read(point.name, source, point.load)
        for name in sorted((allow or set()) - known):
            warnings.warn(f"{ALLOW_LIST} names {name!r}, and no such plugin package is installed", stacklevel=2)

    def _read_file(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", setting="plugin") from None
        digest = hashlib.sha256(content).hexdigest()[:12]
        source = Source(str(path), digest, is_file=True)
        entries = self._read(path.stem, source, lambda: _import_file(path, content, digest))
        failed = next((entry for entry in entries if entry.state == "failed"), None)
        if failed is not None:
            raise PluginError(f"plugin file {path} failed to load: {failed.reason}")
        if not entries:
            raise PluginError(f"plugin file {path} declares no plugin; is @hookimpl missing above its hook?")

    def _read(self, name: str, source: Source, load: Any) -> list[Entry]:
        """Import a plugin module and collect its declarations; a failure becomes an entry instead of an exception."""
        entries: list[Entry] = []
        started = time.perf_counter()
        try:
            module = load()
            self._manager.register(module, name=f"{source.distribution}:{name}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a stranger's import raises
            entries.append(Entry(name, None, source, "failed", describe(error)))
        else:
            try:
                self._manager.check_pending()
            except pluggy.PluginValidationError as error:
                self._manager.unregister(module)
                entries.append(Entry(name, None, source, "failed", _misspelt(error)))
            else:
                for kind in KINDS.values():
                    entries += self._collect(name, kind, source, module)
        seconds = time.perf_counter() - started
        if seconds > SLOW and multiprocessing.parent_process() is None:  # once, and not by every worker
            remedy = "" if source.is_file else f"; {ALLOW_LIST} can leave it out"
            warnings.warn(f"loading {source} took {seconds:.1f} s of every start{remedy}", stacklevel=2)
        self._entries += entries
        return entries

    def _collect(self, name: str, kind: Kind, source: Source, module: object) -> list[Entry]:
        caller = getattr(self._manager.hook, kind.hook)
        entries: list[Entry] = []
        for implementation in caller.get_hookimpls():
            if implementation.plugin is not module:
                continue
            try:
                _refuse_wrapper(implementation)
                plugins = [_check_declaration(record) for record in implementation.function()]
            except (Exception, SystemExit) as error:  # noqa: BLE001
                entries.append(Entry(name, kind.name, source, "failed", f"{kind.hook}: {describe(error)}"))
            else:
                entries += [Entry(plugin.name, kind.name, source, "ok", plugin=plugin) for plugin in plugins]
        return entries

    def _mark_collisions(self) -> None:
        sources: dict[tuple[str | None, str], list[Source]] = {}
        for entry in self._entries:
            if entry.plugin is not None:
                sources.setdefault((entry.kind, entry.name), []).append(entry.source)
        for i, entry in enumerate(self._entries):
            rivals = sources.get((entry.kind, entry.name), [])
            if entry.plugin is not None and len(rivals) > 1:
                both = " and ".join(sorted(str(source) for source in rivals))
                reason = f"{both} both declare {entry.kind} {entry.name!r}"
                self._entries[i] = Entry(entry.name, entry.kind, entry.source, "collision", reason, entry.plugin)

    # Look-up

    def _find(self, kind: str, name: str) -> Entry:
        matches = [e for e in self._entries if e.kind == kind and e.name == name and e.plugin is not None]
        if not matches:
            raise self._unknown(kind, name)
        entry = matches[0]
        if entry.state == "collision":
            in_file = any(e.source.is_file for e in matches)
            remedy = "rename the one in the file" if in_file else f"uninstall one, or name the other in {ALLOW_LIST}"
            raise PluginError(f"{entry.reason}; {remedy}")
        return entry

    def _unknown(self, kind: str, name: str) -> ShapeDnnError:
        flag = KINDS[kind].flag
        folder = IN_REPOSITORY.get((kind, name))
        if folder is not None:
            return PluginError(f"{_words(kind)} {name!r} is not installed; from a checkout: pip install ./{folder}")
        for entry in self._entries:
            if entry.state == "blocked" and name in {entry.name, entry.source.distribution}:
                return PluginError(f"{kind} {name!r} of {entry.source} is blocked: {entry.reason}")
        known = self.names(kind)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        message = f"no {_words(kind)} is called {name!r}{hint}; known are: {', '.join(known) or 'none'}"
        failed = next((e for e in self._entries if e.state == "failed" and e.kind in {kind, None}), None)
        if failed is not None and not close:
            return PluginError(f"{message}; it may be one of {failed.source}, which failed to load: {failed.reason}")
        blocked = sorted({str(e.source) for e in self._entries if e.state == "blocked"})
        if blocked:
            message += f"; {ALLOW_LIST} blocks {', '.join(blocked)}"
        return UsageError(message, setting=flag)

    def check_options(self, kind: str, name: str, given: Mapping[str, object]) -> dict[str, OptionValue]:
        """Return the value of every option of a plugin, the default for those that are not given.

        Raises:
            UsageError: no such plugin or option, or not a value of the option.
            PluginError: the plugin cannot be used.
        """
        plugin, flag = self.declaration(kind, name), KINDS[kind].flag
        values = {option: declared.default for option, declared in plugin.options.items()}
        for option, value in given.items():
            if option not in plugin.options:
                accepted = ", ".join(f"{flag}.{known}" for known in sorted(plugin.options)) or "none"
                message = f"{flag}.{option} is not an option of {_words(kind)} {name!r}; its options: {accepted}"
                raise UsageError(message, setting="option")
            values[option] = parse_option(f"{flag}.{option}", plugin.options[option], value)
        return values


def parse_option(label: str, option: kinds.Option, value: object) -> OptionValue:
    """Convert a value, often text, to the type of the option.

    Raises:
        UsageError: names the option, the value and what is accepted.
    """
    wanted = type(option.default)
    text = str(value).strip()
    parsed: OptionValue
    try:
        if wanted is bool:
            parsed = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        elif wanted is str:
            parsed = str(value)
        elif wanted is Fraction:
            parsed = exact(text)
        elif wanted is int:
            parsed = int(text)
        else:
            parsed = _finite(text)
    except (KeyError, ValueError):
        names = {bool: "true or false", int: "a whole number", float: "a number", Fraction: "a number or a fraction"}
        raise UsageError(f"{label}={value}: expected {names.get(wanted, wanted.__name__)}", setting="option") from None
    if option.choices and parsed not in option.choices:
        accepted = ", ".join(str(choice) for choice in option.choices)
        raise UsageError(f"{label}={value}: accepted are {accepted}", setting="option")
    if option.minimum is not None and not isinstance(parsed, str) and parsed < option.minimum:
        raise UsageError(f"{label}={value}: accepted are numbers from {option.minimum:g}", setting="option")
    return parsed


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def _refuse_wrapper(implementation: pluggy.HookImpl) -> None:
    if implementation.wrapper or implementation.hookwrapper:
        raise TypeError("hook wrappers are not accepted")


def _check_declaration(record: object) -> Plugin:
    if not isinstance(record, Plugin):
        raise TypeError(f"yielded {record!r:.60}, which is not a shape_dnn.Plugin")
    if not (isinstance(record.name, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", record.name)):
        raise ValueError(f"plugin name {record.name!r} is not made of lower-case letters, digits and hyphens")
    if not (callable(record.factory) or isinstance(record.factory, str)):
        raise TypeError(f"the factory of {record.name!r} is neither callable nor an import path")
    if not (isinstance(record.summary, str) and "\n" not in record.summary):
        raise TypeError(f"the summary of {record.name!r} is {record.summary!r:.40} instead of a line of text")
    if isinstance(record.factory, str) and not re.fullmatch(r"[\w.]+:\w+", record.factory):
        raise ValueError(f"the factory of {record.name!r} is {record.factory!r}; expected 'package.module:name'")
    for name, option in dict(record.options).items():
        wrong = _fault_of(name, option)
        if wrong:
            raise TypeError(f"option {name!r} of {record.name!r} {wrong}")
    return record


def _fault_of(name: object, option: object) -> str:
    """Say what is wrong with the declaration of an option; nothing if it is right."""
    if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        return "has a name that is not made of lower-case letters, digits and underscores, a letter first"
    if not isinstance(option, kinds.Option):
        return f"is a {type(option).__name__} instead of a shape_dnn.Option"
    default: Any = option.default
    if not isinstance(default, str | int | float | Fraction):
        return f"has the default {default!r:.40}; accepted are text, numbers, fractions, true and false"
    if isinstance(default, float) and not math.isfinite(default):
        return f"has the default {default}, which is not finite"
    if option.choices and default not in option.choices:
        return f"has the default {default!r}, which is none of its choices"
    if option.minimum is not None and (isinstance(default, str) or default < option.minimum):
        return f"has the default {default!r} and the minimum {option.minimum:g}"
    return ""


def _resolve(factory: Any) -> Any:
    if not isinstance(factory, str):
        return factory
    module, _, attribute = factory.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _edited(distribution: str, module: str) -> str:
    """Digest the package of a module if its distribution is installed for editing (PEP 610); nothing if it is not."""
    if _normalise(distribution) == OWN_DISTRIBUTION:
        return ""
    try:
        record = json.loads(metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if not record.get("dir_info", {}).get("editable") or file is None:
        return ""
    is_package = Path(file).name == "__init__.py"
    digest = hashlib.sha256()
    for path in sorted(Path(file).parent.rglob("*.py")) if is_package else [Path(file)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _import_file(path: Path, content: bytes, digest: str) -> ModuleType:
    # The digest in the name keeps files of one name apart, and a changed file from its former self.
    name = f"shape_dnn_plugin_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        # Not Python's importer: it may run bytecode of a former content, and the digest would name what was not run.
        exec(compile(content, path, "exec"), vars(module))  # noqa: S102 - a plugin is code that the user chose to run
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _misspelt(error: pluggy.PluginValidationError) -> str:
    match = re.search(r"unknown hook '(\w+)'", str(error))
    if match is None:
        return describe(error)
    hooks = [kind.hook for kind in KINDS.values()]
    close = difflib.get_close_matches(match[1], hooks, n=1)
    return f"unknown hook {match[1]!r}" + (
        f" (did you mean {close[0]}?)" if close else f"; known are {', '.join(hooks)}"
    )
