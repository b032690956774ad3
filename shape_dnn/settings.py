"""Every setting of a search, in one place: the flags of the command, the keys of a YAML file and of ``tune()``.

Standard library only: questions to a study are answered in less time than validation libraries take to be imported.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shape_dnn.declaring import FLAG, NAMES, TEXTS, Group, Setting, one_of, real, setting, whole
from shape_dnn.errors import UsageError
from shape_dnn.system.spelling import suggest


@dataclass(frozen=True)
class Settings:
    """The settings of a search. Text is read when it is used, in the notation of the command line.

    ``given`` holds the names of those that the user gave.
    """

    max_size: str | None = setting(
        Group.LIMITS,
        None,
        "Largest size, for example 2MB. Parameters and batch-norm buffers count.",
        metavar="LIMIT",
    )
    max_latency: str | None = setting(
        Group.LIMITS, None, "Longest forward pass of a batch, for example 4ms.", metavar="LIMIT"
    )
    max_energy: str | None = setting(
        Group.LIMITS, None, "Most energy for a forward pass of a batch, for example 3J.", metavar="LIMIT"
    )
    min_accuracy: str | None = setting(Group.LIMITS, None, "Lowest accuracy, for example 95%.", metavar="LIMIT")
    max: tuple[str, ...] = setting(
        Group.LIMITS,
        (),
        "Upper limit on any metric, for example memory=50MB; repeatable.",
        TEXTS,
        metavar="METRIC=VALUE",
    )
    min: tuple[str, ...] = setting(
        Group.LIMITS,
        (),
        "Lower limit on any metric, for example accuracy=95%; repeatable.",
        TEXTS,
        metavar="METRIC=VALUE",
    )
    goal: str | None = setting(
        Group.GOAL,
        None,
        "What the best shape is best in, for example size, latency or accuracy. Also an expression, "
        "'latency + 0.2*energy', or several metrics in order: accuracy:0.5,size compares accuracies in steps of 0.5, "
        "and equal ones by size. Without a goal all shapes within the limits are listed, and none is called the best.",
    )
    pareto: tuple[str, ...] = setting(
        Group.GOAL,
        (),
        "Instead of a goal: list the shapes that no other beats in all of these metrics (the Pareto front).",
        NAMES,
        metavar="METRIC,METRIC",
    )
    trainer: str = setting(
        Group.SPACE,
        "classifier",
        "What is trained: an image classifier, or a Python file of your own. Such a file has train(shape, run) and, so "
        "that its networks can be measured, build(shape). Trainers of plugins go by their names.",
        metavar="NAME|FILE.py[:FUNCTION]",
    )
    arch: str = setting(
        Group.SPACE,
        "wrn",
        "Architecture: the family of networks to choose from. 'shape-dnn plugins --kind arch' lists them.",
    )
    dataset: str = setting(Group.SPACE, "digits", "Dataset to train on. 'shape-dnn plugins --kind dataset' lists them.")
    data_dir: str | None = setting(Group.SPACE, None, "Directory with the files of the dataset.", metavar="DIR")
    depth: str | None = setting(
        Group.SPACE,
        None,
        "Depths to choose from, for example 10:29:6 for 10, 16, 22 and 28. MAX itself is left out. The default "
        "depends on the architecture.",
        metavar="MIN:MAX:STEP",
    )
    width: str | None = setting(
        Group.SPACE,
        None,
        "Widths to choose from, for example 1/4:5/4:1/4 for 1/4, 1/2, 3/4 and 1. MAX itself is left out. The default "
        "depends on the architecture.",
        metavar="MIN:MAX:STEP",
    )
    strategy: str = setting(
        Group.SEARCH,
        "standard",
        "How many shapes to train at most, depending on how many there are: thorough, standard, optimistic or "
        "exhaustive (all).",
    )
    train: str | None = setting(
        Group.SEARCH,
        None,
        "How many shapes to train before the answer is verified, instead of what the strategy says, for example 12 or "
        "20%.",
        metavar="N|P%",
    )
    sampler: str = setting(Group.SEARCH, "active", "How the shapes to train are chosen.")
    model: str = setting(
        Group.SEARCH, "log-error", "Accuracy model: predicts the accuracy of shapes that are not trained."
    )
    prior: str | None = setting(
        Group.SEARCH,
        None,
        "What the same architecture achieved on other data or with another recipe: the directory of a study, a table, "
        "or none. The accuracy model uses it as far as it fits.",
        metavar="STUDY|TABLE",
    )
    confidence: str | None = setting(
        Group.SEARCH,
        None,
        "Train until the answer is right with this probability, for example 0.95. That is the default with the sampler "
        "active; with other samplers expected accuracies decide alone.",
        metavar="P",
    )
    together: int | None = setting(
        Group.SEARCH,
        None,
        "Trainings that are chosen before the first of them has a result. More keep more workers busy, but each is "
        "chosen knowing less. By default 2, and 1 for a replay.",
        whole(1),
    )
    replay: str | None = setting(
        Group.SEARCH,
        None,
        "Train nothing: look accuracies up in a recorded table, a CSV file or the name of a plugin's table.",
        metavar="TABLE",
    )
    recipe: Literal["short", "paper"] = setting(
        Group.TRAINING,
        "short",
        "How each shape is trained: by a short recipe, or by the long one of the paper.",
        one_of("short", "paper"),
    )
    epochs: int | None = setting(Group.TRAINING, None, "Epochs of a training, instead of the recipe's.", whole(1))
    lr: float | None = setting(
        Group.TRAINING, None, "Highest learning rate, instead of the recipe's.", real(0, or_equal=False)
    )
    seed: int = setting(Group.TRAINING, 0, "Seed of everything random.", whole(0, 2**63 - 1))
    seeds: int = setting(
        Group.TRAINING, 1, "How often each shape is trained, with seeds from --seed on.", whole(1, 1000)
    )
    protocol: Literal["validation", "paper"] = setting(
        Group.TRAINING,
        "validation",
        "What accuracy is judged on: held-out training images (validation), or the test set (as in the paper).",
        one_of("validation", "paper"),
    )
    transfer: str | None = setting(
        Group.TRAINING,
        None,
        "Verify the answer by shorter trainings, which start from the weights of a smaller shape and take this part of "
        "the epochs, for example 1/4. By default they start from scratch.",
        metavar="PART",
    )
    executor: str = setting(
        Group.TRAINING, "local", "Where trainings run: on this machine (local), or what a plugin offers."
    )
    workers: int | None = setting(
        Group.TRAINING,
        None,
        "Trainings at once. By default as many as cores, memory and GPUs allow.",
        whole(1),
    )
    terminator: str = setting(Group.TRAINING, "none", "Which trainings are stopped early: none, asha, curve or median.")
    retry_failed: bool = setting(Group.TRAINING, False, "Train shapes again whose training failed.", FLAG)
    checkpoint_minutes: float = setting(
        Group.TRAINING,
        1.0,
        "Least time between two checkpoints of a training, in minutes; 0 for one after every epoch.",
        real(0, or_equal=True),
    )
    hang_minutes: float = setting(
        Group.TRAINING,
        10.0,
        "Minutes without a sign of life after which a training or measurement is ended and tried once more, alone.",
        real(0, or_equal=False),
    )
    device: str = setting(
        Group.MEASURING,
        "auto",
        "Where to train and measure: cpu, cuda, cuda:1, or auto (a GPU if there is one).",
    )
    batch_size: int = setting(Group.MEASURING, 1, "Images in a measured forward pass.", whole(1, 2**31 - 1))
    deploy: str = setting(
        Group.MEASURING,
        "torch",
        "What ships: the runtime that networks are measured and judged in, for example torch or onnxruntime.",
    )
    target: tuple[str, ...] = setting(
        Group.MEASURING,
        (),
        "Machine that runs it: local, or another one over ssh; repeatable. With several of them limits name one: "
        "--max latency@pi=20ms.",
        TEXTS,
        metavar="[NAME=]local|ssh://[USER@]HOST[:PORT]",
    )
    meter: tuple[str, ...] = setting(
        Group.MEASURING,
        (),
        "Measure a metric by another meter, for example energy=zeus; repeatable.",
        TEXTS,
        metavar="METRIC=NAME",
    )
    fit_depths: int | None = setting(
        Group.MEASURING,
        None,
        "Measure only this many depths of each width, and predict the others where a straight line in depth fits "
        "within 3 %.",
        whole(3),
    )
    remeasure: bool = setting(
        Group.MEASURING, False, "Measure again what was disturbed, imprecise or without a value.", FLAG
    )
    study: str = setting(
        Group.OUTPUT,
        "shape-dnn-study",
        "Directory that remembers everything measured and trained. The same command goes on from there.",
        metavar="DIR",
    )
    report: str | None = setting(
        Group.OUTPUT,
        None,
        "HTML file that shows the outcome. By default report.html in the study, for a replay none.",
        metavar="FILE.html",
    )
    observer: tuple[str, ...] = setting(
        Group.OUTPUT, (), "What else follows the search, for example jsonl or tensorboard; repeatable.", TEXTS
    )
    option: tuple[str, ...] = setting(
        Group.GENERAL,
        (),
        "Option of a plugin or of the training recipe, for example arch.stem=16 or recipe.momentum=0.8; repeatable.",
        TEXTS,
        metavar="KIND.OPTION=VALUE",
    )
    plugin: tuple[str, ...] = setting(
        Group.GENERAL, (), "Python file that declares plugins; repeatable.", TEXTS, metavar="FILE.py"
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
        for name, declared in SETTINGS.items():
            if name in values and not (values[name] is None and declared.default is None):
                try:
                    read[name] = declared.kind.read(values[name])
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


SETTINGS: Mapping[str, Setting] = {
    field.name: Setting(field.default, **field.metadata) for field in dataclasses.fields(Settings) if field.metadata
}
"""Every setting by name, in the order of the help."""
FIRST = (
    "max_size", "max_latency", "min_accuracy", "goal", "trainer", "arch", "dataset", "depth", "width", "study",
)  # fmt: skip
"""The settings that matter first: what help begins with."""
QUESTION = tuple(
    name
    for name, declared in SETTINGS.items()
    if declared.group in (Group.LIMITS, Group.GOAL) or name in ("model", "prior", "confidence")
)
"""The settings that a question about a study may change."""


def flag_of(setting: str) -> str:
    """Return the flag of a setting."""
    return "-o" if setting == "option" else f"--{setting.replace('_', '-')}"


def as_flags(values: Mapping[str, object]) -> Iterator[str]:
    """Write settings as flags of a command, with their values as a shell takes them; a flag for each of several."""
    for name, value in values.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            yield flag_of(name) if each is True else f"{flag_of(name)} {shlex.quote(str(each))}"


def unknown_setting(name: str) -> str:
    """Say that there is no such setting, and which one may be meant."""
    bound, _, metric = name.partition("_")
    is_limit = bound in ("max", "min") and metric
    limit = f"a limit on any metric is {bound} with {metric.replace('_', '-')}=VALUE; " if is_limit else ""
    return f"there is no setting {name!r}; {limit}{suggest(name, SETTINGS)}"
