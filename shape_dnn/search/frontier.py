"""The shapes that were not trained, compared with the front of those that were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.constraints import Constraint
from shape_dnn.quality import Quality
from shape_dnn.search.contest import complies
from shape_dnn.search.kernel import Floats


def beyond(
    draws: Floats,
    costs: Floats,
    trained: Sequence[int],
    untrained: NDArray[np.int64],
    quality: Quality,
    limits: Sequence[Constraint] = (),
    tolerance: float = 0.0,
    *,
    by_quality: bool = True,
) -> NDArray[np.bool_]:
    """Tell which untrained shapes lie beyond the front of the trained ones, in each draw.

    One does where it meets the limits and no trained one that costs no more is as good, even if its quality is worse by
    the tolerance. A shape of which a cost is not known has no place on a front.

    Args:
        draws: surfaces of expected quality, of shape (number of draws, number of shapes).
        costs: what is traded off but for the quality, lower being better, of shape (number of shapes, number of
            metrics); NaN where it is not known.
        trained: positions of those of the trained shapes that meet the limits.
        untrained: positions of the others.
        quality: what is drawn.
        limits: on the quality.
        tolerance: what no search can tell, as a difference of qualities.
        by_quality: whether the quality is traded off, too.

    Returns:
        Of shape (number of draws, number of untrained shapes).
    """
    own, paid = draws[:, untrained], costs[untrained]
    reached: Floats = np.full(own.shape, -np.inf)
    for place in trained:
        as_cheap = (costs[place] <= paid).all(1)
        best = quality.sign * draws[:, [place]] if by_quality else np.inf
        reached[:, as_cheap] = np.maximum(reached[:, as_cheap], best)
    ahead = quality.sign * own - tolerance > reached
    return np.asarray(ahead & complies(limits, own, tolerance) & ~np.isnan(paid).any(1))
