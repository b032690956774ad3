"""The paper's samplers (Section 4). Each answers once, with as many shapes as the budget allows."""

from __future__ import annotations

import random
from collections.abc import Sequence

from shape_dnn.kinds import Sampler
from shape_dnn.records import Training
from shape_dnn.shape import Shape


class Interval(Sampler):
    """Evenly spaced through the list sorted by width and depth, from the first shape on.

    With 24 of 119 shapes this is every fifth one, as in the paper's space D.
    """

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Take the shapes at the positions i * n / m, rounded up."""
        if observed:
            return ()
        return [shapes[-(-i * len(shapes) // budget)] for i in range(budget)]


class Wider(Sampler):
    """The first shapes when sorted by depth and, within a depth, by width: small wide shapes train fast.

    The paper words this order loosely. This reading follows its reason: shallow networks of every width come first.
    """

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Take the first ``budget`` shapes by depth and width."""
        return () if observed else sorted(shapes)[:budget]


class Random(Sampler):
    """Uniformly at random without replacement.

    Args:
        seed: which random choice.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Draw ``budget`` shapes; the same for the same seed and shapes."""
        if observed:
            return ()
        positions = random.Random(self.seed).sample(range(len(shapes)), budget)
        return [shapes[i] for i in sorted(positions)]
