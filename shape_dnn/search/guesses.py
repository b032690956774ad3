"""Guesses of a metric from the shapes of which it is known. They tell what to measure next, and are never shown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.search import rounding
from shape_dnn.search.kernel import distances, logarithms, matern
from shape_dnn.shape import Shape

LEAST = 3
"""Known values from which others are guessed."""
LEVEL = 10.0
"""Prior standard deviation of the plane at the middle of the shapes."""
SLOPES = 1.5
"""Prior standard deviation of the slopes of the plane, over logarithms that vary by one: few metrics grow faster."""
NOISE = 0.02
"""Standard deviation of a measurement, as a part of it."""
AMPLITUDES = (0.03, 0.1, 0.3)
LENGTHS = (0.5, 1.0, 2.0)


def guess(known: Mapping[Shape, float], shapes: Sequence[Shape]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Guess the logarithm of a positive metric: return means and standard deviations, one for each shape.

    The logarithm is a plane over log depth and log width, and a Gaussian process with a Matern 5/2 kernel for what the
    plane cannot follow (Rasmussen and Williams 2006, Sections 2.7 and 4.2). Amplitude and length of the process are
    averaged over a grid, each pair weighted by its marginal likelihood.
    """
    places = logarithms([*known, *shapes])
    places = (places - places.mean(0)) / rounding.spreads(places)
    target = np.log(list(known.values()))
    level = target.mean()
    target = target - level
    plane = LEVEL**2 + SLOPES**2 * places @ places.T
    apart = distances(places, places)
    number = len(known)
    evidences, means, variances = [], [], []
    for amplitude, length in itertools.product(AMPLITUDES, LENGTHS):
        covariance = plane + amplitude**2 * matern(apart / length)
        factor = np.linalg.cholesky(covariance[:number, :number] + NOISE**2 * np.eye(number))
        whitened = np.linalg.solve(factor, np.column_stack([target, covariance[:number, number:]]))
        explained, others = whitened[:, 0], whitened[:, 1:]
        evidences.append(-0.5 * explained @ explained - np.log(np.diag(factor)).sum())
        means.append(explained @ others)
        variances.append(np.maximum(np.diag(covariance)[number:] - (others**2).sum(0), 0.0))
    weights = np.exp(np.array(evidences) - max(evidences))
    weights /= weights.sum()
    mean = weights @ np.array(means)
    variance = weights @ (np.array(variances) + (np.array(means) - mean) ** 2)
    return level + rounding.rounded(mean), rounding.rounded(np.sqrt(variance))
