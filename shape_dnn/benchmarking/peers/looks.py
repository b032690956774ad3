"""What the first part of a training tells of its end, judged by trainings of which both are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.search.kernel import Floats
from shape_dnn.search.learning_curves import FLOOR
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape

LEAST = 3
"""Pairs of an early and a last error from which a line has a misfit."""
DEVIATIONS = 1.96
"""Standard deviations on either side that hold 95 % of a normal distribution."""
EXACT = 1e-6
"""Least misfit that is assumed, so that pairs on a line do not promise certainty."""


@dataclass(frozen=True)
class Calibration:
    """The early log error as an affine function of the last one, by pairs of both, read backwards.

    Read backwards since the accuracy model has its own opinion of every shape. A regression of the last error on the
    early one draws towards the mean of the pairs also where early errors tell nothing, and the model would take that
    for news. What an early error says by itself is its likelihood: which last errors would lead to it. Its 95 %
    interval is that of Fieller (1954); unless the slope is above zero with that confidence, it says nothing. Few pairs
    make it wide.

    Attributes:
        early: log errors of the pairs when they were looked at.
        last: at their end.
    """

    early: Floats
    last: Floats

    def infer(self, early: float) -> tuple[float, float] | None:
        """Return what an early log error says of the last one.

        Returns:
            Mean and standard deviation; None if it says nothing.
        """
        number, spread = len(self.last), self.last - self.last.mean()
        squares = float(spread @ spread)
        if number < LEAST or squares == 0:
            return None
        slope = float(spread @ self.early) / squares
        misfit = self.early - self.early.mean() - slope * spread
        reach = _quantile(number - 2) * max(math.sqrt(float(misfit @ misfit) / (number - 2)), EXACT)
        if slope <= 0 or (unsure := (reach / slope) ** 2 / squares) >= 1:
            return None
        distance = (early - float(self.early.mean())) / slope
        width = reach / slope * math.sqrt((1 - unsure) * (1 + 1 / number) + distance**2 / squares) / (1 - unsure)
        return float(self.last.mean()) + distance / (1 - unsure), width / DEVIATIONS


class Looks(AccuracyModel):
    """An accuracy model that is also told of trainings that were begun and not finished.

    What the finished ones say of these enters as uncertain values (``fit_uncertain``).

    Args:
        model: learns from both.

    Attributes:
        begun: quality after each epoch so far, by shape.
        finished: the same of whole trainings, and what they came to.
    """

    def __init__(self, model: AccuracyModel) -> None:
        self.begun: dict[Shape, Sequence[float]] = {}
        self.finished: dict[Shape, tuple[Sequence[float], float]] = {}
        self._model, self.quality = model, model.quality

    def finish(self, shape: Shape, curve: Sequence[float], quality: float) -> None:
        """Note what a training came to."""
        self.begun.pop(shape, None)
        self.finished[shape] = curve, quality

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Learn from finished trainings, and from those that were begun."""
        told = {shape: promise for shape in sorted(self.begun) if (promise := self._promise(shape)) is not None}
        if not told:
            self._model.fit(shapes, accuracies)
            return
        means, stds = zip(*told.values(), strict=True)
        self._model.fit_uncertain([*shapes, *told], [*accuracies, *means], [*[0.0] * len(shapes), *stds])

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict by both."""
        return self._model.predict(shapes)

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64] | None:
        """Draw by both."""
        return self._model.draw(shapes, number, seed)

    @property
    def initial(self) -> int:
        """As many as without looks."""
        return self._model.initial

    @property
    def noise(self) -> float:
        """As the model has it."""
        return self._model.noise

    def _promise(self, shape: Shape) -> tuple[float, float] | None:
        """Return what a training that was begun would come to: mean and standard deviation."""
        epochs, quality = len(self.begun[shape]), self.quality
        pairs = [self.finished[each] for each in sorted(self.finished)]
        if not pairs:
            return None
        scale = Scale.of(quality, [value for _, value in pairs], FLOOR)

        def log_errors(values: Sequence[float]) -> Floats:
            return np.asarray(np.log(scale.errors(values)))

        def best(curve: Sequence[float]) -> float:
            return max(curve, key=lambda value: quality.sign * value)

        early = log_errors([best(curve[:epochs]) for curve, _ in pairs])
        last = log_errors([value for _, value in pairs])
        found = Calibration(early, last).infer(float(log_errors([best(self.begun[shape])])[0]))
        if found is None:
            return None
        mean, std = found
        # Below an error of one percent the model takes a standard deviation in points as if the error were one.
        error = np.exp(np.minimum([mean], math.log(scale.worst + FLOOR)))
        value = float(scale.values(error)[0])
        spread = std * float((np.maximum(error, 1.0) * scale.slopes(np.maximum(error, 1.0)))[0])
        return quality.best if quality.is_better(value, quality.best) else value, spread


@lru_cache
def _quantile(freedom: int) -> float:
    return float(stats.t.ppf(0.975, freedom))
