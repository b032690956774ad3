"""D-optimal design of experiments: which shapes tell most about a surface over depth and width."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.search import rounding
from shape_dnn.shape import Shape

PRIOR = 0.1
"""Precision of each coefficient before anything is trained, in trainings; makes designs of any number possible."""


def d_optimal(
    shapes: Sequence[Shape], number: int, costs: NDArray[np.float64] | None = None, chosen: Collection[Shape] = ()
) -> list[Shape]:
    """Choose shapes one by one, each of which adds most to the determinant of the information matrix.

    The information is that of a regression on an intercept, log d, log w, their squares and their product, with the
    logarithms standardised over ``shapes``; the shape that adds most is the one whose quality such a regression
    knows least (Fedorov 1972).

    Args:
        shapes: to choose from.
        number: of shapes to choose.
        costs: of each shape; what a shape adds to the logarithm of the determinant is divided by it.
        chosen: shapes that were chosen before, and are not chosen again.

    Returns:
        At most ``number`` shapes, in the order of choice.
    """
    features = _features(shapes)
    covariance = np.eye(features.shape[1]) / PRIOR
    free = np.array([shape not in chosen for shape in shapes])
    for row in features[~free]:
        covariance = _observe(covariance, row)
    picked = []
    for _ in range(min(number, int(free.sum()))):
        gains = np.log1p(np.einsum("ij,jk,ik->i", features, covariance, features))
        place = rounding.first_largest(np.where(free, gains / (1.0 if costs is None else costs), -np.inf))
        free[place] = False
        covariance = _observe(covariance, features[place])
        picked.append(shapes[place])
    return picked


def _features(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    logs = np.log(np.array([(shape.depth, float(shape.width)) for shape in shapes], float))
    d, w = ((logs - logs.mean(0)) / rounding.spreads(logs)).T
    return np.stack([np.ones(len(d)), d, w, d**2, d * w, w**2], axis=1)


def _observe(covariance: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of the coefficients after one more training, relative to its noise."""
    reach = covariance @ row
    return np.asarray(covariance - np.outer(reach, reach) / (1 + row @ reach))
