"""What happens during a search, told to observers the moment it happens. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shape_dnn.quality import ACCURACY, Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from shape_dnn.records import Epoch, Measurement, Training
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class SearchStarted(Event):
    """A search began, before anything else.

    Attributes:
        settings: as JSON values.
        shapes: how many its space has.
        quality: by which trainings are judged.
    """

    settings: Mapping[str, object]
    shapes: int
    quality: Quality = ACCURACY


@dataclass(frozen=True)
class DatasetRead(Event):
    """Images of a dataset that says so have been read, ``done`` of ``total``; told now and then, and at the end."""

    dataset: str
    done: int
    total: int


@dataclass(frozen=True)
class StageFinished(Event):
    """A constraint was applied: ``after`` of ``before`` shapes are left."""

    metric: str
    limit: str
    unit: str
    before: int
    after: int


@dataclass(frozen=True)
class Remarked(Event):
    """A metric is about to be measured, and ``text`` says what makes its values worse than they need be."""

    metric: str
    text: str


@dataclass(frozen=True)
class Measured(Event):
    """A shape's metric was measured, the ``done``-th of ``total``."""

    metric: str
    unit: str
    shape: Shape
    measurement: Measurement
    done: int
    total: int


@dataclass(frozen=True)
class MeasuringFinished(Event):
    """A metric of some shapes was measured: how many values have which status."""

    metric: str
    statuses: Mapping[str, int]


@dataclass(frozen=True)
class Fitted(Event):
    """A metric was measured for some shapes and predicted for the others by lines in depth."""

    metric: str
    measured: int
    predicted: int


class Reason(StrEnum):
    """Why a search trains a shape."""

    SAMPLE = "sample"
    """The sampler took it: it tells much about all shapes, whatever is asked."""
    IMPROVES = "improves"
    """For what its training costs, it is expected to improve most on the best shape so far."""
    CLOSEST = "closest"
    """Nothing is likely to comply, and this shape is expected to come closest."""
    UNDECIDED = "undecided"
    """Without a goal: it is least clear on which side of a limit it lies."""
    UNCERTAIN = "uncertain"
    """Without a goal and a limit: its quality is least known."""
    BEYOND = "beyond"
    """For what its training costs, it is most likely to lie beyond the front so far."""
    VERIFY = "verify"
    """It is the best by what is predicted, and is trained before it is returned."""
    FRONT = "front"
    """It lies on the front by what is predicted, and is trained before it is returned."""
    AGAIN = "again"
    """It came out far worse than a smaller shape, and gets a second training with another seed."""


@dataclass(frozen=True)
class Chosen(Event):
    """A search decided to train a shape, unless it is known already what comes of that.

    What it knew of the shape is there where it had a part in the decision, and None elsewhere.

    Attributes:
        shape: what.
        reason: why.
        expected: its quality as it was predicted.
        std: how sure that was: the standard deviation of what is expected, without the noise of a training.
        complies: the probability that it meets the limits on quality.
        better: the probability that it is better than the best shape so far by more than the noise.
    """

    shape: Shape
    reason: Reason
    expected: float | None = None
    std: float | None = None
    complies: float | None = None
    better: float | None = None


@dataclass(frozen=True)
class TrainingsPlanned(Event):
    """Some shapes were selected, each to be trained with so many seeds.

    ``known`` of these trainings were made before, and ``failed`` of these failed.
    """

    shapes: tuple[Shape, ...]
    known: int
    failed: int
    seeds: int = 1

    @property
    def missing(self) -> int:
        """How many trainings are made now."""
        return len(self.shapes) * self.seeds - self.known


@dataclass(frozen=True)
class TrainingsPrepared(Event):
    """What the missing trainings of a batch take was found out.

    They compute in ``precision``; if that was decided now, ``reason`` says so and why, and otherwise it is empty. None
    needs more than ``memory`` bytes of its device.
    """

    precision: str
    reason: str
    memory: int


@dataclass(frozen=True)
class EpochFinished(Event):
    """A training finished an epoch, of ``epochs`` in all if that is known.

    Trainings of one shape with several seeds run side by side; ``seed`` tells them apart.
    """

    shape: Shape
    epoch: Epoch
    epochs: int | None
    seed: int = 0


@dataclass(frozen=True)
class TrainingLost(Event):
    """The machine of a training is gone, and the training with it, which is made again once the others have ended.

    Attributes:
        shape: what was trained.
        machine: its name; empty if it is not known.
        seed: of the training.
    """

    shape: Shape
    machine: str
    seed: int = 0


@dataclass(frozen=True)
class TrainingFinished(Event):
    """A training ended, with or without result, the ``done``-th of ``total`` in its batch.

    For one that failed, ``traceback`` says where; ``seed`` is that of the training.
    """

    training: Training
    done: int
    total: int
    traceback: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Converted(Event):
    """What was trained was turned into what ships, and judged there, the ``done``-th of ``total``.

    Attributes:
        shape: what.
        quality: of what ships.
        before: of the network as it was trained.
        loses_too_much: whether it is worse by more than the user allows (``deploy.max_drop``).
        done: how many are by now.
        total: of them.
        seed: of the training.
    """

    shape: Shape
    quality: float
    before: float
    loses_too_much: bool
    done: int
    total: int
    seed: int = 0


@dataclass(frozen=True)
class TrainedAgain(Event):
    """A shape that came out far worse than a smaller one was trained again with another seed: its qualities."""

    shape: Shape
    quality: float
    again: float


@dataclass(frozen=True)
class Judged(Event):
    """A search with a confidence considered what it knows after so many trainings.

    Attributes:
        trained: number of trainings that it went by.
        doubt: the probability that training more would change the answer by more than the noise.
        best: the best of the shapes that were trained; None if none complies, or without a goal.
        tolerance: the noise, in points: the standard deviation of a training as far as it is known.
    """

    trained: int
    doubt: float
    best: Shape | None
    tolerance: float


@dataclass(frozen=True)
class Tested(Event):
    """The test set was read for the shape that is returned, and its training with this seed."""

    shape: Shape
    quality: float
    seed: int = 0


@dataclass(frozen=True)
class SearchFinished(Event):
    """A search came to its end, after everything else.

    One that is interrupted, or fails, does not.

    Attributes:
        result: the object that ``--format json`` prints (:meth:`shape_dnn.Result.to_dict`).
        files: what it left that is worth keeping: the weights of the best shape, of the first seed that counts, if it
            was trained, and the report.
    """

    result: Mapping[str, object]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class SearchInterrupted(Event):
    """A search ended before it came to its end. The journal of a study has it; observers are closed instead.

    Attributes:
        reason: what went wrong, in a line; empty if somebody stopped it.
    """

    reason: str


if TYPE_CHECKING:
    Notify = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Tell nobody."""
