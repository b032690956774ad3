"""How far two latencies order shapes alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_DRAWN = 200
"""Pairs of shapes that a chart draws."""


@dataclass(frozen=True)
class Order:
    """How far two measurements of shapes order them alike.

    Attributes:
        pairs: how many pairs of shapes there are of which both are known.
        changed: how many of them the one orders the other way round than the other, beyond the intervals of both.
        shapes: those in such pairs.
        drawn: the pairs that change most, at most :data:`MOST_DRAWN`.
        correlation: of the ranks, by Spearman; None where one of the two tells no shapes apart.
    """

    pairs: int
    changed: int
    shapes: frozenset[Shape]
    drawn: Sequence[tuple[Shape, Shape]]
    correlation: float | None

    def __str__(self) -> str:
        """Say it in words."""
        what = f"In {self.changed:,} of {self.pairs:,} pairs of shapes the order changes beyond the intervals"
        ranks = "" if self.correlation is None else f"; the rank correlation is {self.correlation:.2f}"
        some = f" The {len(self.drawn):,} pairs that change most are drawn." if len(self.drawn) < self.changed else ""
        return f"{what}{ranks}.{some}"


def compare(first: Mapping[Shape, Measurement], second: Mapping[Shape, Measurement]) -> Order:
    """Compare how two measurements order the shapes of which both are known. Values are positive."""
    import numpy as np

    shapes = sorted(shape for shape in first if _is_known(first[shape]) and _is_known(second.get(shape)))
    a, b = (np.array([_interval(values[shape]) for shape in shapes]).reshape(-1, 3) for values in (first, second))
    logarithms = np.log(a[:, 0]), np.log(b[:, 0])
    changed, moved = 0, set()
    pairs: list[tuple[float, int, int]] = []
    for place in range(len(shapes)):  # as a table of all pairs it would not fit where spaces are large
        lower = np.flatnonzero((a[place, 2] < a[:, 1]) & (b[place, 1] > b[:, 2]))
        if lower.size:
            by = np.minimum(*(np.abs(values[lower] - values[place]) for values in logarithms))
            most = np.argsort(-by, kind="stable")[:MOST_DRAWN]
            pairs += [(float(by[i]), place, int(lower[i])) for i in most]
            changed += lower.size
            moved |= {place, *lower.tolist()}
    pairs.sort(key=lambda pair: (-pair[0], *pair[1:]))
    return Order(
        len(shapes) * (len(shapes) - 1) // 2,
        changed,
        frozenset(shapes[place] for place in moved),
        [(shapes[one], shapes[other]) for _, one, other in pairs[:MOST_DRAWN]],
        _correlation(a[:, 0], b[:, 0]),
    )


def _is_known(measurement: Measurement | None) -> bool:
    return measurement is not None and measurement.value is not None and measurement.value > 0


def _interval(measurement: Measurement) -> tuple[float, float, float]:
    """Return a value with the ends of its interval, which it is itself where there is none."""
    value, low, high = measurement.value or 0.0, measurement.low, measurement.high
    return value, value if low is None else low, value if high is None else high


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(set(a)) < 2 or len(set(b)) < 2:
        return None
    from scipy import stats

    return float(stats.spearmanr(a, b).statistic)
