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
    """A search began. This comes before anything else.

    Attributes:
        settings: the settings as JSON values.
        shapes: how many shapes its space has.
        quality: the quality that trainings are judged by.
    """

    settings: Mapping[str, object]
    shapes: int
    quality: Quality = ACCURACY


@dataclass(frozen=True)
class DatasetRead(Event):
    """``done`` of ``total`` images have been read, of a dataset that reports this.

    Told now and then, and at the end.
    """

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
    """A metric of a shape was measured, the ``done``-th of ``total``."""

    metric: str
    unit: str
    shape: Shape
    measurement: Measurement
    done: int
    total: int


@dataclass(frozen=True)
class MeasuringFinished(Event):
    """A metric was measured for some shapes; ``statuses`` says how many values have which status."""

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
    """The sampler took it: it tells much about all shapes, whatever the question is."""
    IMPROVES = "improves"
    """In relation to the cost of its training, it is expected to improve most on the best shape so far."""
    CLOSEST = "closest"
    """Nothing is likely to comply, and this shape is expected to come closest."""
    UNDECIDED = "undecided"
    """Without a goal: it is least clear on which side of a limit it lies."""
    UNCERTAIN = "uncertain"
    """Without a goal or a limit: its quality is known least."""
    BEYOND = "beyond"
    """In relation to the cost of its training, it is most likely to lie beyond the front so far."""
    VERIFY = "verify"
    """By the predictions it is the best, and it is trained before it is returned."""
    FRONT = "front"
    """By the predictions it lies on the front, and it is trained before it is returned."""
    AGAIN = "again"
    """It came out far worse than a smaller shape, and gets a second training with another seed."""


@dataclass(frozen=True)
class Chosen(Event):
    """A search decided to train a shape, unless the outcome is known already.

    What the search knew of the shape is given if it played a part in the decision, and is None otherwise.

    Attributes:
        shape: the shape.
        reason: why it was chosen.
        expected: its predicted quality.
        std: how uncertain the prediction was: the standard deviation of what is expected, without the noise of a
            training.
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
    """Some shapes were selected, each to be trained with ``seeds`` seeds.

    ``known`` of these trainings were made before, and ``failed`` of those failed.
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
    """It was determined what the missing trainings of a batch take.

    They compute in ``precision``. If that was decided now, ``reason`` says so, and why; otherwise it is empty. No
    training needs more than ``memory`` bytes of its device.
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
    """A training was lost with its machine. It is made again once the others have ended.

    Attributes:
        shape: the shape that was trained.
        machine: name of the machine; empty if it is not known.
        seed: seed of the training.
    """

    shape: Shape
    machine: str
    seed: int = 0


@dataclass(frozen=True)
class TrainingFinished(Event):
    """A training ended, with or without a result, the ``done``-th of ``total`` in its batch.

    If it failed, ``traceback`` says where. ``seed`` is the seed of the training.
    """

    training: Training
    done: int
    total: int
    traceback: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Converted(Event):
    """A trained network was converted into what ships, and judged in that form, the ``done``-th of ``total``.

    Attributes:
        shape: shape of the network.
        quality: quality of what ships.
        before: quality of the network as it was trained.
        loses_too_much: whether ``quality`` is worse by more than the user allows (``deploy.max_drop``).
        done: how many networks have been converted by now.
        total: how many there are to convert.
        seed: seed of the training.
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
    """A shape came out far worse than a smaller one, and was trained again with another seed.

    It had ``quality`` the first time, and ``again`` the second.
    """

    shape: Shape
    quality: float
    again: float


@dataclass(frozen=True)
class Judged(Event):
    """A search with a confidence judged what it knows after some trainings.

    Attributes:
        trained: number of trainings that the judgement rests on.
        doubt: the probability that further trainings would change the answer by more than the noise.
        best: the best of the shapes that were trained; None if none complies, or without a goal.
        tolerance: the noise, in points: the standard deviation of a training as far as it is known.
    """

    trained: int
    doubt: float
    best: Shape | None
    tolerance: float


@dataclass(frozen=True)
class Tested(Event):
    """The shape that is returned was evaluated on the test set, as trained with this seed."""

    shape: Shape
    quality: float
    seed: int = 0


@dataclass(frozen=True)
class SearchFinished(Event):
    """A search came to its end. This comes after everything else.

    A search that is interrupted, or fails, does not come to its end.

    Attributes:
        result: the object that ``--format json`` prints (:meth:`shape_dnn.Result.to_dict`).
        files: what it left that is worth keeping: the report, and if the best shape was trained, its weights, from the
            first seed that counts.
    """

    result: Mapping[str, object]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class SearchInterrupted(Event):
    """A search broke off before it came to its end.

    The journal of a study has this event; observers are closed instead.

    Attributes:
        reason: what went wrong, in a line; empty if somebody stopped the search.
    """

    reason: str


if TYPE_CHECKING:
    Notify = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Tell nobody."""
