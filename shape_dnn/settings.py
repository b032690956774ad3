"""Every setting of a search, in one place: the flags of the command, the keys of a YAML file and of ``tune()``.

Standard library only: questions to a study are answered in less time than validation libraries take to be imported.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from shape_dnn.errors import UsageError
from shape_dnn.system.spelling import suggest

T = TypeVar("T")


@dataclass(frozen=True)
class ValueKind:
    """What values a setting takes.

    Attributes:
        read: makes a value of what the user gave, often text; raises a ValueError that says what it should be.
        metavar: what stands for a value in the help of the command.
    """

    read: Callable[[object], object]
    metavar: str = "NAME"


def _text(value: object) -> str:
    """Accept text, and numbers, fractions and ranges where their text is meant."""
    if value is None or isinstance(value, bool | list | tuple | Mapping):
        raise ValueError("text")
    text = str(value)
    if "\0" in text or not text.strip():
        raise ValueError("text, and is empty or has a NUL character")
    return text


def _texts(value: object) -> tuple[str, ...]:
    """Accept a list of texts, a single one, and a mapping for ``NAME=VALUE`` pairs."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_text, value))
    return (_text(value),)


def _names(value: object) -> tuple[str, ...]:
    """Accept names separated by commas, and lists of such texts."""
    return tuple(name.strip() for text in _texts(value) for name in text.split(","))


def _flag(value: object) -> bool:
    """Accept true and false, and words for them."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ValueError("true or false")
    return words[word]


def _whole(least: int, most: float = math.inf) -> ValueKind:
    """Accept whole numbers in a range."""

    def read(value: object) -> int:
        text = str(value).strip().removesuffix(".0")
        number = int(text) if re.fullmatch("[-+]?[0-9]{1,30}", text) else least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise ValueError(f"a whole number from {least}" + (f" to {most}" if most < math.inf else ""))
        return number

    return ValueKind(read, "N")


def _real(least: float, *, or_equal: bool) -> ValueKind:
    """Accept finite numbers above, or from, a least one."""

    def read(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (ValueError, TypeError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and (number > least or (or_equal and number == least))):
            raise ValueError(f"a number {'from' if or_equal else 'above'} {least:g}")
        return number

    return ValueKind(read, "X")


def _one_of(*words: str) -> ValueKind:
    """Accept one of some words."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(" or ".join(map(repr, words)))
        return str(value)

    return ValueKind(read, "|".join(words))


TEXT, TEXTS, NAMES, FLAG = ValueKind(_text), ValueKind(_texts), ValueKind(_names), ValueKind(_flag, "")


def _setting(default: T, description: str, kind: ValueKind = TEXT, metavar: str = "", *, asks: bool = False) -> T:
    """Declare a setting, with None for a default if it may be left open.

    Args:
        default: value unless the user gives one.
        description: a line for the help of the command.
        kind: what values it takes.
        metavar: what stands for a value in the help; by default that of the kind.
        asks: whether it is a part of the question, so that a question to a study may change it.
    """
    metadata = {"description": description, "kind": kind, "metavar": metavar or kind.metavar, "asks": asks}
    declared: T = dataclasses.field(default=default, metadata=metadata)
    return declared


@dataclass(frozen=True)
class Settings:
    """The settings of a search. Text is read when it is used, in the notation of the command line.

    ``given`` holds the names of those that the user gave.
    """

    trainer: str = _setting(
        "classifier",
        "How a shape comes to its quality: the classifier, of architecture, dataset and recipe; a plugin; or a file "
        "with train(shape, run) and, for what needs networks, build(shape).",
        metavar="NAME|FILE.py[:FUNCTION]",
    )
    arch: str = _setting("wrn", "Architecture.")
    dataset: str = _setting("digits", "Dataset.")
    data_dir: str | None = _setting(None, "Directory with the files of the dataset.", metavar="DIR")
    depth: str | None = _setting(None, "Range of depths, MIN:MAX:STEP with MAX excluded.", metavar="MIN:MAX:STEP")
    width: str | None = _setting(
        None, "Range of widths, MIN:MAX:STEP with MAX excluded; 1/16 is exact.", metavar="MIN:MAX:STEP"
    )
    max_size: str | None = _setting(
        None, "Largest size, for example 2MB (parameters and batch-norm buffers).", metavar="LIMIT", asks=True
    )
    max_latency: str | None = _setting(
        None, "Longest forward pass of a batch, for example 4ms.", metavar="LIMIT", asks=True
    )
    max_energy: str | None = _setting(None, "Most energy of a batch, for example 3J.", metavar="LIMIT", asks=True)
    min_accuracy: str | None = _setting(None, "Lowest accuracy, for example 95%.", metavar="LIMIT", asks=True)
    max: tuple[str, ...] = _setting(
        (), "METRIC=VALUE, an upper limit on any metric; repeatable.", TEXTS, metavar="METRIC=VALUE", asks=True
    )
    min: tuple[str, ...] = _setting(
        (), "METRIC=VALUE, a lower limit on any metric; repeatable.", TEXTS, metavar="METRIC=VALUE", asks=True
    )
    goal: str | None = _setting(
        None,
        "What makes the best shape: a metric, an expression such as 'latency + 0.2*energy', or several in "
        "order, accuracy:0.5,size; without it all that comply are returned.",
        asks=True,
    )
    pareto: tuple[str, ...] = _setting(
        (),
        "METRIC,METRIC, return the shapes that no other beats in all of them.",
        NAMES,
        metavar="METRIC,METRIC",
        asks=True,
    )
    strategy: str = _setting("standard", "How many shapes to train, by the size of the space.")
    train: str | None = _setting(None, "Number or percentage of shapes to train instead, 12 or 20%.", metavar="N|P%")
    sampler: str = _setting("active", "Which shapes to train.")
    model: str = _setting("log-error", "Accuracy model that predicts the others.", asks=True)
    prior: str | None = _setting(
        None,
        "What the same architecture achieved on other data or with another recipe, for the accuracy model to go by as "
        "far as it fits: the directory of a study, a table, or none.",
        metavar="STUDY|TABLE",
        asks=True,
    )
    confidence: str | None = _setting(
        None,
        "Train until the answer stands with this probability, and list what complies with it; "
        "by default 0.95 with the sampler active, and expected accuracies alone with others.",
        metavar="P",
        asks=True,
    )
    batch_size: int = _setting(1, "Images in a measured forward pass.", _whole(1, 2**31 - 1))
    device: str = _setting("auto", "Where to train and measure: cpu, cuda, cuda:1, or auto.")
    deploy: str = _setting("torch", "What ships: the runtime that networks are measured and judged in.")
    target: tuple[str, ...] = _setting(
        (),
        "Where it runs: local, or another machine by ssh; repeatable, and then limits name it: --max latency@pi=20ms.",
        TEXTS,
        metavar="[NAME=]local|ssh://[USER@]HOST[:PORT]",
    )
    recipe: Literal["short", "paper"] = _setting(
        "short", "Training recipe: quick, or that of the paper.", _one_of("short", "paper")
    )
    epochs: int | None = _setting(None, "Epochs of a training instead of the recipe's.", _whole(1))
    lr: float | None = _setting(None, "Highest learning rate instead of the recipe's.", _real(0, or_equal=False))
    seed: int = _setting(0, "Seed of everything random.", _whole(0, 2**63 - 1))
    seeds: int = _setting(1, "Trainings of each shape, with seeds from --seed on.", _whole(1, 1000))
    protocol: Literal["validation", "paper"] = _setting(
        "validation",
        "Judge epochs on held-out training images, or on the test set as in the paper.",
        _one_of("validation", "paper"),
    )
    transfer: str | None = _setting(
        None,
        "Verify by trainings that start from the weights of a smaller shape and take this part of the "
        "epochs, 1/4; by default from scratch.",
        metavar="PART",
    )
    executor: str = _setting("local", "Where trainings run.")
    workers: int | None = _setting(
        None, "Trainings at once; by default as many as there are cores, memory and GPUs for.", _whole(1)
    )
    together: int | None = _setting(
        None,
        "Trainings chosen before the first of them has a result; more keep more workers busy, and each is chosen "
        "knowing less. By default 2, and 1 for a replay.",
        _whole(1),
    )
    terminator: str = _setting("none", "Which trainings are stopped early.")
    observer: tuple[str, ...] = _setting((), "Who else is told what happens; repeatable.", TEXTS)
    meter: tuple[str, ...] = _setting(
        (), "METRIC=NAME, another meter for a metric; repeatable.", TEXTS, metavar="METRIC=NAME"
    )
    fit_depths: int | None = _setting(
        None,
        "Measure only this many depths of each width where a line in depth predicts the others within 3 %.",
        _whole(3),
    )
    option: tuple[str, ...] = _setting(
        (), "KIND.OPTION=VALUE, an option of a plugin or the recipe; repeatable.", TEXTS, metavar="KIND.OPTION=VALUE"
    )
    plugin: tuple[str, ...] = _setting((), "Python file that declares plugins; repeatable.", TEXTS, metavar="FILE.py")
    study: str = _setting("shape-dnn-study", "Directory that remembers everything measured and trained.", metavar="DIR")
    report: str | None = _setting(
        None,
        "HTML file that shows the outcome; by default report.html in the study, for a replay none.",
        metavar="FILE.html",
    )
    retry_failed: bool = _setting(False, "Train shapes again whose training failed before.", FLAG)
    checkpoint_minutes: float = _setting(
        1.0, "Least time between two checkpoints of a training; 0 for every epoch.", _real(0, or_equal=True)
    )
    hang_minutes: float = _setting(
        10.0,
        "Time without a sign of life after which a training or measurement is ended and tried once more, alone.",
        _real(0, or_equal=False),
    )
    remeasure: bool = _setting(False, "Measure again what was disturbed, imprecise or came to no value before.", FLAG)
    replay: str | None = _setting(
        None,
        "Recorded table whose accuracies are looked up instead of trained: a CSV file, or the name of one of a plugin.",
        metavar="TABLE",
    )
    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False, repr=False)

    @classmethod
    def create(cls, values: Mapping[str, Any]) -> Settings:
        """Check values and make settings of them.

        Raises:
            UsageError: names the first setting that is unknown or has an impossible value.
        """
        unknown = sorted(set(values) - set(SETTINGS))
        if unknown:
            raise UsageError(unknown_setting(unknown[0]), setting=unknown[0])
        read: dict[str, Any] = {}
        for name, setting in SETTINGS.items():
            if name in values and not (values[name] is None and setting.default is None):
                try:
                    read[name] = setting.kind.read(values[name])
                except ValueError as error:
                    message = f"{values[name]!r} is not accepted: it should be {error}"
                    raise UsageError(message, setting=name) from None
        return cls(**read, given=frozenset(values))

    def to_dict(self) -> dict[str, Any]:
        """Return every setting by name, as JSON values."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def changed(self) -> dict[str, Any]:
        """Return those settings that are not as they are by default, as JSON values."""
        return {name: value for name, value in self.to_dict().items() if getattr(self, name) != SETTINGS[name].default}


INCIDENTAL = frozenset({"workers", "executor", "observer", "study", "report", "checkpoint_minutes", "hang_minutes"})
"""Settings that change nothing of an answer: with others of these, an interrupted search goes on."""


@dataclass(frozen=True)
class Setting:
    """What is declared of a setting.

    Attributes:
        default: its value unless the user gives one.
        description: a line for the help of the command.
        kind: what values it takes.
        metavar: what stands for a value in the help.
        asks: whether it is a part of the question.
    """

    default: object
    description: str
    kind: ValueKind
    metavar: str
    asks: bool


SETTINGS: Mapping[str, Setting] = {
    field.name: Setting(field.default, **field.metadata) for field in dataclasses.fields(Settings) if field.metadata
}
"""Every setting by name, in the order of the help."""
QUESTION = tuple(name for name, setting in SETTINGS.items() if setting.asks)
"""The settings that a question about a study may change."""


def unknown_setting(name: str) -> str:
    """Say that there is no such setting, and which one may be meant."""
    return f"there is no setting {name!r}; {suggest(name, SETTINGS)}"
