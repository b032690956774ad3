"""What is known of a shape: measurements, trainings and predictions. Standard library only."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shape_dnn.quality import Quality
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Measurement:
    """One metric of one shape.

    Attributes:
        value: value in the unit of the metric; None if there is none, and ``status`` then says why.
        low: lower end of the 95 % confidence interval, if the meter gives one.
        high: upper end of it.
        status: ``ok``, or what went wrong (such as ``out of memory``).
        details: whatever else the meter wants to keep, as JSON values: samples, clocks, temperature.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    status: str = "ok"
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Epoch:
    """One point of a learning curve.

    Attributes:
        number: epochs trained so far, counted from 1.
        loss: mean training loss of the epoch; None if it was not reported.
        quality: quality on the split that the protocol selects on.
        more: other numbers that were reported, by name.
    """

    number: int
    loss: float | None
    quality: float
    more: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def accuracy(self) -> float:
        """The quality, as it was called before there were others; plugins of that time go on working."""
        return self.quality

    def numbers(self, quality: Quality) -> dict[str, float]:
        """Return all reported numbers by name; the loss is ``training_loss`` if the quality is called ``loss``.

        Args:
            quality: the quality that the training is judged by.
        """
        loss = {} if self.loss is None else {"training_loss" if quality.name == "loss" else "loss": self.loss}
        return {**self.more, **loss, quality.name: self.quality}


@dataclass(frozen=True)
class Stop:
    """Why a training was stopped early.

    Attributes:
        terminator: the plugin that stopped it, with its options, as canonical JSON; empty if that was not recorded.
        question: the question, in words, if the terminator decides by it.
    """

    terminator: str
    question: str = ""


@dataclass(frozen=True)
class Training:
    """The outcome of training one shape.

    Attributes:
        shape: the shape that was trained.
        quality: the quality that was reached, such as accuracy in percent; None if there is none, and ``reason`` then
            says why.
        reason: empty for a finished training.
        curve: one point per finished epoch.
        seconds: duration of the training.
        repetitions: qualities of trainings with different seeds, of which ``quality`` is the mean; empty if there was
            only one training.
        stop: why it was stopped early, if it was.
    """

    shape: Shape
    quality: float | None
    reason: str = ""
    curve: tuple[Epoch, ...] = ()
    seconds: float | None = None
    repetitions: tuple[float, ...] = ()
    stop: Stop | None = None

    @property
    def accuracy(self) -> float | None:
        """The quality, as it was called before there were others; plugins of that time go on working."""
        return self.quality

    @property
    def stopped(self) -> bool:
        """Whether it was stopped early, as opposed to having failed."""
        return self.stop is not None

    @property
    def qualities(self) -> tuple[float, ...]:
        """The quality of every single training that has one."""
        return self.repetitions or (() if self.quality is None else (self.quality,))

    def mean_until(self, epochs: int) -> float:
        """Return the mean quality of the first ``epochs`` epochs of its curve, which must have as many.

        The mean is kept, since early termination asks for it after every epoch of every other training.
        """
        if epochs not in self._means:
            self._means[epochs] = statistics.fmean(epoch.quality for epoch in self.curve[:epochs])
        return self._means[epochs]

    @cached_property
    def _means(self) -> dict[int, float]:
        return {}


@dataclass(frozen=True)
class Transferred:
    """The outcome of trainings that started from the weights of a smaller shape.

    Attributes:
        shapes: shapes that were trained in this way for the answer.
        bias: by how many points a shape came out better in this way than from scratch; None if none could be compared.
    """

    shapes: tuple[Shape, ...]
    bias: float | None


@dataclass(frozen=True)
class Failing:
    """A shape that fails to train: a smaller one came out far better.

    Attributes:
        shape: the shape that fails to train.
        quality: mean quality of its trainings.
        smaller: the best of the smaller shapes.
        smaller_quality: quality of that smaller shape.
    """

    shape: Shape
    quality: float
    smaller: Shape
    smaller_quality: float

    def tell(self, quality: Quality) -> str:
        """Say in words what quality the two shapes have."""
        own, other = (quality.phrase(value, 3) for value in (self.quality, self.smaller_quality))
        return f"{self.shape} has {own}, the smaller {self.smaller} has {other}"


@dataclass(frozen=True)
class Accident:
    """A training that came out badly because of an unlucky seed, so that another one counts.

    Attributes:
        shape: the shape that was trained.
        quality: what the training came out with.
        again: quality of the training with another seed.
    """

    shape: Shape
    quality: float
    again: float

    def tell(self, quality: Quality) -> str:
        """Say in words what quality the two trainings have."""
        first = f"{self.shape} came out with {quality.phrase(self.quality, 3)} by accident"
        return f"{first}; trained again with another seed it has {quality.phrase(self.again, 3)}"


@dataclass(frozen=True)
class Prediction:
    """What an accuracy model expects of training a shape.

    Attributes:
        mean: expected value, in the unit of the quality.
        std: standard deviation of the value that a training would reach, including the noise of the training; None if
            the model cannot tell it.
    """

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class Noise:
    """How much the quality of one shape varies from training to training.

    Attributes:
        points: two standard deviations, pooled over the shapes (paper, Section 4.3 and Table 1): in points if the
            quality is in percent, otherwise in the unit of the quality.
        shapes: number of shapes that were trained more than once.
        trainings: number of their trainings.
    """

    points: float
    shapes: int
    trainings: int

    @classmethod
    def estimate(cls, trainings: Sequence[Training]) -> Noise | None:
        """Estimate the noise; None if no shape was trained more than once."""
        repeated = [training.qualities for training in trainings if len(training.qualities) > 1]
        if not repeated:
            return None
        number = sum(map(len, repeated))
        squares = sum(statistics.variance(accuracies) * (len(accuracies) - 1) for accuracies in repeated)
        return cls(2 * math.sqrt(squares / (number - len(repeated))), len(repeated), number)
