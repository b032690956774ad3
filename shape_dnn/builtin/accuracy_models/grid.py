"""What a model averages over that trainings tell little about: points of a grid, and what is known at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from shape_dnn.search.kernel import Floats


@dataclass(frozen=True)
class Grid:
    """Points, each with a row.

    Attributes:
        trend: place of the trend among those that there are.
        amplitude: standard deviation of what that cannot follow.
        length: distance over which that is alike.
        noise: standard deviation of one training of the typical error, in percent.
        growth: power of the error with which the noise grows.
        variances: of the noise of each training, in log error.
    """

    trend: NDArray[np.int64]
    amplitude: Floats
    length: Floats
    noise: Floats
    growth: Floats
    variances: Floats

    def only(self, points: Sequence[int] | NDArray[np.int64]) -> Grid:
        """Return some points alone."""
        return Grid(*(getattr(self, field.name)[points] for field in fields(self)))

    @property
    def priors(self) -> list[tuple[int, float, float]]:
        """Trend, amplitude and length of every point."""
        return list(zip(self.trend.tolist(), self.amplitude.tolist(), self.length.tolist(), strict=True))


@dataclass(frozen=True)
class Evidence:
    """What trainings say at every point of a grid.

    Attributes:
        likelihoods: how likely the point is with no accident, and with each training as one, as logarithms.
        precisions: inverses of the covariances of the trainings.
        solved: these times the residuals.
    """

    likelihoods: Floats
    precisions: Floats
    solved: Floats

    @property
    def of_points(self) -> Floats:
        """How likely each point is, whichever training is an accident."""
        return np.asarray(np.logaddexp.reduce(self.likelihoods, 1))
