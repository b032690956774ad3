"""The paper's strategies: which part of the candidates is trained, in steps as their number grows (Section 4).

The paper prints no thresholds. The fractions here reproduce every count in its tables; between the sizes that occur
there the thresholds are our reading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from shape_dnn.kinds import Strategy


class Share(Strategy):
    """One shape out of so many.

    Args:
        steps: pairs of a number of candidates and of the divisor that holds up to it, ascending.
        beyond: the divisor that holds for more candidates.
    """

    def __init__(self, steps: Sequence[tuple[int, int]], beyond: int) -> None:
        self.steps = tuple(steps)
        self.beyond = beyond

    def count(self, candidates: int) -> int:
        """Divide and round up."""
        divisor = next((divisor for most, divisor in self.steps if candidates <= most), self.beyond)
        return math.ceil(candidates / divisor)


def thorough() -> Strategy:
    """All up to 20, a half up to 60, then a third. Seen: 13/13, 19/19, 13/26, 23/46, 45/135."""
    return Share(((20, 1), (60, 2)), 3)


def standard() -> Strategy:
    """All up to 20, a half up to 40, a third up to 135, then a quarter. Seen: 6/6, 9/9, 13/26, 15/30, 15/45, 45/180."""
    return Share(((20, 1), (40, 2), (135, 3)), 4)


def optimistic() -> Strategy:
    """All up to 10, a half up to 20, a third up to 40, a quarter up to 100, then a fifth. Seen: 24/119."""
    return Share(((10, 1), (20, 2), (40, 3), (100, 4)), 5)


class Exhaustive(Strategy):
    """All, as a baseline."""

    exact = True

    def count(self, candidates: int) -> int:
        """Return all."""
        return candidates
