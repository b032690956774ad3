"""A trainer of one's own: that of a plugin, or the functions in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shape_dnn.assembly.selection import Selection
from shape_dnn.constraints import base_of
from shape_dnn.errors import UsageError
from shape_dnn.kinds import Architecture, Conditions, OptionValue, Trainer
from shape_dnn.plugins import options
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sending import FromPlugin
from shape_dnn.plugins.sources import Choice, Loaded, Source
from shape_dnn.quality import Quality
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.study.own_training import OwnTraining
from shape_dnn.training import functions, reading
from shape_dnn.training.networks import BuiltByTrainer
from shape_dnn.training.sources import OwnTrainer, TrainerSource

CLASSIFIER = "classifier"
"""The name of the built-in trainer, which is put together from architecture, dataset and recipe."""
OF_CLASSIFIER = ("arch", "dataset", "data_dir", "recipe", "protocol", "transfer")
"""Settings that no other trainer has a use for."""
NO_IMAGES = (0, 0, 0)
"""Stands for the shape of an image where a trainer has inputs of its own."""
OF_NETWORKS = frozenset({"size", "file-size", "latency", "graph-latency", "energy", "memory"})
"""Metrics of networks; the meter of another one may get by without."""
OPTIONS = ("epochs", "lr")
"""Settings that are options of those trainers that have one of this name."""
SUFFIXES = frozenset({".py", reading.PICKLED})
"""How the names of files end that hold a trainer."""


@dataclass(frozen=True)
class Own:
    """A trainer of one's own.

    Attributes:
        loaded: the trainer.
        source: where a worker finds it.
    """

    loaded: Loaded[Trainer]
    source: TrainerSource

    @property
    def title(self) -> str:
        """What messages call it."""
        trainer = self.loaded.instance
        if isinstance(trainer, functions.FunctionTrainer):
            return trainer.functions.where
        return f"trainer {self.loaded.choice.name!r}"

    @property
    def builds(self) -> bool:
        """Whether it has networks, of which more can be known than what trainings come to."""
        return functions.has(self.loaded.instance, "build")

    def check(self, metrics: Iterable[str]) -> None:
        """See that it has what is needed to know these metrics, before hours of training.

        Raises:
            UsageError: it has not.
        """
        for metric in sorted(metrics):
            base = base_of(metric)
            if base in OF_NETWORKS and not self.builds:
                raise UsageError(f"{self.title} has no build(shape), without which no {metric} is known", "trainer")
            if base in OF_NETWORKS - {"size"} and not functions.has(self.loaded.instance, "example"):
                problem = f"{self.title} has no example(batch_size), without which no {metric} is known"
                raise UsageError(f"{problem}; or EXAMPLE, a batch of inputs", setting="trainer")

    @property
    def architecture(self) -> Loaded[Architecture]:
        """The family of the networks that it builds.

        Options of its training alone are no part of it, so that nothing is measured again where one is changed.
        """
        loaded = self.loaded
        trainer, choice = loaded.instance, loaded.choice
        networks = BuiltByTrainer(self.source, self.title, trainer.default_depths, trainer.default_widths)
        options = functions.options_of_networks(trainer, choice.options)
        return Loaded(Choice(choice.kind, choice.name, options), loaded.source, networks, loaded.content)

    def problem(self, selection: Selection, device: str, largest: Shape, threads: int) -> OwnTraining:
        """Put the problem together."""
        settings = selection.settings
        conditions = Conditions(NO_IMAGES, 0, settings.batch_size, device)
        return OwnTraining(
            architecture=self.architecture,
            conditions=conditions,
            seed=settings.seed,
            largest=largest,
            threads=threads,
            plugin_files=selection.registry.files,
            own=self.loaded,
            source=self.source,
        )


def find_trainer(selection: Selection) -> Own | None:
    """Return the trainer that the settings name; None for the built-in classifier.

    Raises:
        UsageError: there is none, it cannot be used, or a setting or an option is not for it.
        PluginError: its plugin cannot be used.
    """
    settings = selection.settings
    name = settings.trainer
    if name == CLASSIFIER:
        return None
    of_no_use = next((setting for setting in OF_CLASSIFIER if setting in settings.given), None)
    if of_no_use is not None:
        raise UsageError(f"is for the trainer {CLASSIFIER}, and {name!r} has its own; leave it out", of_no_use)
    for flag in OF_CLASSIFIER:
        if selection.options(flag):
            option = f"{flag}.{next(iter(selection.options(flag)))}"
            raise UsageError(f"{option} is for the trainer {CLASSIFIER}, and this is {name!r}; leave it out", "option")
    given = selection.options("trainer")
    also = {option: str(value) for option in OPTIONS if (value := getattr(settings, option)) is not None}
    twice = next((option for option in also if option in given), None)
    if twice is not None:
        raise UsageError(f"trainer.{twice} contradicts --{twice}; give one of them", setting="option")
    if not is_file(name):
        also = _declared(also, selection.registry.options("trainer", name), name)
        loaded = selection.load("trainer", name, {**given, **also})
        return Own(loaded, FromPlugin[Trainer](loaded.choice, selection.registry.files))
    path, function = split_name(name)
    found = reading.read(path, function)
    values = _values(found, {**given, **_declared(also, found.options, path.name)})
    loaded = Loaded(Choice("trainer", name_of(name), values), _origin(path), found.trainer(values))
    return Own(selection.note(loaded), OwnTrainer(path.resolve(), reading.digest(path), function, values))


def _origin(path: Path) -> Source:
    version = path.stem.rpartition("-")[2] if path.suffix == reading.PICKLED else reading.digest(path)
    return Source(str(path), version, is_file=True)


def origin(name: str) -> Loaded[None] | None:
    """Return where the trainer of a file comes from, without running it; None for a plugin, or if there is no file."""
    path, _ = split_name(name)
    if not is_file(name) or not path.is_file():
        return None
    return Loaded(Choice("trainer", name_of(name)), _origin(path), None)


def again(name: str, options: Mapping[str, str], plugins: Sequence[str]) -> Own:
    """Return a trainer that is named again, with options that it had before.

    Args:
        name: of the plugin, or its file.
        options: all of them as text.
        plugins: files that may declare it.

    Raises:
        UsageError: there is none, or it cannot be used.
        PluginError: its plugin cannot be used.
    """
    given = [f"trainer.{option}={value}" for option, value in options.items()]
    settings = Settings.create({"trainer": name, "option": given, "plugin": list(plugins)})
    own = find_trainer(Selection(settings, Registry([Path(file) for file in plugins])))
    if own is None:
        raise UsageError(f"{CLASSIFIER!r} is not the one that trained the network", setting="trainer")
    return own


def is_file(name: str) -> bool:
    """Tell whether a trainer is named by its file rather than as a plugin."""
    return split_name(name)[0].suffix in SUFFIXES


def split_name(name: str) -> tuple[Path, str]:
    """Split ``FILE.py:FUNCTION``; the function is ``train`` unless it is named."""
    path, colon, function = name.rpartition(":")
    if colon and Path(path).suffix in SUFFIXES:
        return Path(path), function
    return Path(name), "train"


def name_of(setting: str) -> str:
    """Return what a trainer is called, given how the user names it."""
    if not is_file(setting):
        return setting
    path, function = split_name(setting)
    if path.suffix == reading.PICKLED:
        return path.stem.rpartition("-")[0]
    return path.stem if function == "train" else f"{path.stem}:{function}"


def recorded(record: Mapping[str, Any]) -> tuple[Loaded[Architecture], Quality]:
    """Return the networks and the quality of a trainer that a study remembers, none of whose code is run.

    Args:
        record: what a run keeps of its problem.

    Raises:
        ValueError: it makes no sense.
    """
    identity = record["trainer"]
    name = str(identity["name"])
    choice = Choice("trainer", name, dict(identity["options"]))
    networks = BuiltByTrainer(_Forgotten(name), f"trainer {name!r}", *record["usual_ranges"])
    return Loaded(choice, Source(name, ""), networks), Quality.of_record(record["quality"])


@dataclass(frozen=True)
class _Forgotten:
    """A trainer of which a study remembers no more than the name."""

    name: str

    @property
    def files(self) -> tuple[Path, ...]:
        return ()

    def load(self) -> Trainer:
        raise UsageError(f"the study remembers what trainer {self.name!r} has done, and not how; search again with it")


def _declared(wanted: Mapping[str, str], declared: Mapping[str, object], name: str) -> dict[str, str]:
    missing = next((option for option in wanted if option not in declared), None)
    if missing is not None:
        problem = f"{name} takes no {missing}"
        raise UsageError(f"{problem}; train(shape, run, {missing}=…) would, with a default", setting=missing)
    return dict(wanted)


def _values(found: functions.Functions, given: Mapping[str, str]) -> dict[str, OptionValue]:
    values = {name: option.default for name, option in found.options.items() if option.default is not None}
    for name, text in given.items():
        if name not in found.options:
            accepted = ", ".join(f"trainer.{known}" for known in sorted(found.options)) or "none"
            message = f"trainer.{name} is not an option of {found.where}; its options: {accepted}"
            raise UsageError(message, setting="option")
        values[name] = options.parse(f"trainer.{name}", found.options[name], text)
    return values
