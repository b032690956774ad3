"""Shapes to train together: each is chosen for what it adds to the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shape_dnn.search import rounding
from shape_dnn.search.kernel import Floats

AT_ONCE = 64
"""Shapes of which is found out at a time what they still add."""


def improving_most(gains: Floats, prices: Floats, number: int) -> NDArray[np.int64]:
    """Choose the shapes of the largest expected improvement for their price, over the best so far and over each other.

    One after the other (Ginsbourger et al. 2010). What a shape adds only falls as others are chosen, so what it added
    before is a bound, and only those are looked at again whose bound may still be the largest (Minoux 1978).

    Args:
        gains: how much each shape improves on the best so far, of shape (number of draws, number of shapes).
        prices: of the shapes.
        number: how many to choose, at most.

    Returns:
        Positions of shapes, in the order in which they were chosen.
    """
    of_shapes = np.ascontiguousarray(gains.T)
    worth = of_shapes.mean(1) / prices
    reached, is_exact = np.zeros(of_shapes.shape[1]), np.ones(len(worth), bool)
    chosen: list[int] = []
    while len(chosen) < min(number, len(worth)):
        place = rounding.first_largest(worth)
        if is_exact[place]:
            chosen.append(place)
            reached = np.maximum(reached, of_shapes[place])
            worth[place] = -np.inf
            is_exact = worth <= 0  # and no less
        else:
            some = np.flatnonzero(~is_exact)
            some = some[np.argsort(-worth[some], kind="stable")[:AT_ONCE]]
            worth[some] = np.maximum(of_shapes[some] - reached, 0.0).mean(1) / prices[some]
            is_exact[some] = True
    return np.array(chosen, np.int64)
