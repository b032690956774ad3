"""The shapes that tell most about the accuracy of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shape_dnn.kinds import Sampler
from shape_dnn.records import Training
from shape_dnn.search import durations, rounding
from shape_dnn.search.design import d_optimal
from shape_dnn.shape import Shape, by_width_then_depth


class DOptimal(Sampler):
    """A D-optimal design for a quadratic surface in log depth and log width, whatever a training costs."""

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Answer once, with as many shapes as the budget allows."""
        return () if observed else d_optimal(shapes, budget)


class CheapDOptimal(Sampler):
    """A D-optimal design per cost: the four corners of the space, then what tells most for the time it takes."""

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Answer once, with as many shapes as the budget allows."""
        if observed:
            return ()
        first = corners(shapes)[:budget]
        return [*first, *d_optimal(shapes, budget - len(first), durations.assume(shapes), first)]


def corners(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes furthest out in the four diagonal directions of log depth and log width, without repeats.

    The two of which every range lies between, the smallest and the largest, come first.
    """
    logs = np.log(np.array([(shape.depth, float(shape.width)) for shape in shapes], float))
    low, high = logs.min(0), logs.max(0)
    places = (logs - low) / np.where(high > low, high - low, 1.0)
    signs = ((-1, -1), (1, 1), (1, -1), (-1, 1))
    found = [shapes[rounding.first_largest(places @ np.array(sign))] for sign in signs]
    return sorted(set(found), key=lambda shape: (found.index(shape), by_width_then_depth(shape)))
