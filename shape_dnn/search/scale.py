"""The scale on which a quality is nearly linear in the logarithms of depth and width: the logarithm of an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shape_dnn.quality import Quality
from shape_dnn.search.kernel import Floats

USUAL = 20.0
"""Typical error of the trained shapes, in percent, where a quality does not say what a percent of it is."""
SPREAD = 0.3
"""Standard deviation, over the trained shapes, of the logarithm of the error that stands for a quality without a best
value. That of errors on nine recorded tables is 0.04 to 0.9."""
FAINTEST = 1e-4
"""Least error, as a part of the largest, that has a part in what is typical."""
NOTHING = 1e-9
"""Standard deviation, as a part of the mean, below which values are alike but for rounding."""
LARGEST_EXPONENT = 700.0
"""Of which there is an exponential."""
FURTHEST = 5.0
"""Errors that may be expected, in units of the largest one trained, where nothing bounds them."""


@dataclass(frozen=True)
class Scale:
    """Turns values of a quality into errors in percent, which shrink by factors, and back.

    The error is the distance from the best possible value. Of a quality that has both bounds it is in percent of their
    distance, so that of an accuracy is 100 less it. Where there is only a best value, as for a loss, a percent is such
    that the typical error of the trained shapes (their geometric mean) is 20 %: what is known of the noise of
    accuracies in points then holds as a part of the error. Where there is no best value, as for a log-likelihood, the
    values themselves are linear: an error stands for them whose logarithm is so many of their standard deviations.

    Attributes:
        quality: whose.
        zero: the value that has no error; where there is no best value, the typical one.
        unit: how much of the quality is one percent of error; where there is no best value, at the typical one.
        worst: the largest error that is expected of any shape, in percent.
    """

    quality: Quality
    zero: float
    unit: float
    worst: float

    @classmethod
    def of(cls, quality: Quality, values: Sequence[float], margin: float = 0.0) -> Scale:
        """Make the scale for some trainings.

        Args:
            quality: by which they are judged.
            values: what they came to; at least one.
            margin: percent added to every error, so that one of none has a logarithm.
        """
        known = np.asarray(values, float)
        if math.isinf(quality.best):
            return cls._linear(quality, float(known.mean()), float(known.std()))
        if math.isfinite(quality.maximum - quality.minimum):
            unit, worst = (quality.maximum - quality.minimum) / 100, 100.0
        else:
            errors = quality.sign * (quality.best - known)
            largest = float(errors.max()) or 1.0
            unit = float(np.exp(np.log(np.maximum(errors, FAINTEST * largest)).mean())) / USUAL
            worst = FURTHEST * largest / unit
        return cls(quality, quality.best + quality.sign * margin * unit, unit, worst)

    @classmethod
    def _linear(cls, quality: Quality, mean: float, spread: float) -> Scale:
        """Make that of a quality without a best value."""
        if spread <= NOTHING * abs(mean):  # no two that differ: any of the size of the values themselves is as likely
            spread = abs(mean) or 1.0
        unit = spread / (SPREAD * USUAL)
        bound = quality.minimum if quality.sign > 0 else quality.maximum
        exponent = quality.sign * (mean - bound) / (unit * USUAL)
        return cls(quality, mean, unit, USUAL * math.exp(min(exponent, LARGEST_EXPONENT)))

    def shortfalls(self, values: Sequence[float] | Floats) -> Floats:
        """Return by how many units values are worse than :attr:`zero`."""
        return np.asarray(self.quality.sign * (self.zero - np.asarray(values, float)) / self.unit)

    def reached(self, shortfalls: Floats) -> Floats:
        """Return what is so many units worse than :attr:`zero`."""
        return np.asarray(self.zero - self.quality.sign * self.unit * shortfalls)

    def errors(self, values: Sequence[float] | Floats) -> Floats:
        """Return errors in percent."""
        short = self.shortfalls(values)
        return short if self._is_bounded else np.asarray(USUAL * np.exp(np.minimum(short / USUAL, LARGEST_EXPONENT)))

    def values(self, errors: Floats) -> Floats:
        """Return what has such errors in percent, above 0."""
        return self.reached(errors if self._is_bounded else USUAL * np.log(errors / USUAL))

    def slopes(self, errors: Floats) -> Floats:
        """Return how much of the quality one percent is, at some errors: what turns deviations in percent back."""
        return np.asarray(self.unit if self._is_bounded else self.unit * USUAL / errors)

    @property
    def has_range(self) -> bool:
        """Whether the quality itself says how much a percent is."""
        return math.isfinite(self.quality.maximum - self.quality.minimum)

    @property
    def _is_bounded(self) -> bool:
        """Whether there is a best value."""
        return math.isfinite(self.quality.best)
