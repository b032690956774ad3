"""What is expected of errors over depth and width before anything was trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shape_dnn.search.kernel import Floats

LEVEL, SLOPES = 3.0, 1.0
"""Prior standard deviations of the plane: at the middle of the trained shapes, and of its slopes over the spread."""
AMPLITUDES = (0.03, 0.1, 0.3, 0.9)
"""Standard deviations of what the plane cannot follow."""
SCALE = 0.3
"""Prior standard deviation of the factor, about 1, by which log errors run as they do in a prior."""
SLOPES_BESIDE, AMPLITUDES_BESIDE = 0.25, (0.03, 0.1, 0.3, 0.6)
"""Of slopes, and of what those cannot follow, beside a prior: in standard deviations of its log errors. There are as
many amplitudes as without one, so that either is as likely before anything was trained."""


@dataclass(frozen=True)
class Trend:
    """What is expected of the trend before anything was trained: a level, and coefficients that vary independently.

    Attributes:
        means: of the coefficients of log depth, of log width and, where that is known, of log error elsewhere.
        spreads: their standard deviations.
        amplitudes: standard deviations that the process beside it may have.
    """

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    amplitudes: tuple[float, ...]

    def covariance(self, one: Floats, other: Floats) -> Floats:
        """Return the covariance of the trend at some shapes with that at others, given by their features."""
        return np.asarray(LEVEL**2 + np.square(self.spreads) * one @ other.T)

    def variance(self, features: Floats) -> Floats:
        """Return the variance of the trend at each shape."""
        return np.asarray(LEVEL**2 + features**2 @ np.square(self.spreads))

    def draw(self, normal: Floats, features: Floats) -> Floats:
        """Make a trend of each row of standard normal numbers, one for the level and one for each coefficient."""
        coefficients = normal * [LEVEL, *self.spreads] + [0.0, *self.means]
        return np.asarray(coefficients @ np.column_stack([np.ones(len(features)), features]).T)


ALONE = (Trend((0.0, 0.0), (SLOPES, SLOPES), AMPLITUDES),)
"""A plane of which nothing is known."""


def with_prior(spread: float) -> tuple[Trend, Trend]:
    """Return the same plane, and a trend as that of a prior whose log errors have this standard deviation."""
    plane = Trend((0.0, 0.0, 0.0), (SLOPES, SLOPES, 0.0), AMPLITUDES)
    slopes, amplitudes = SLOPES_BESIDE * spread, tuple(part * spread for part in AMPLITUDES_BESIDE)
    return plane, Trend((0.0, 0.0, 1.0), (slopes, slopes, SCALE), amplitudes)
