"""How sure figures are, and differences between methods that were asked the same questions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
LEVEL = 0.05
"""From which probability on a difference may as well be chance."""
BINS = 10
"""Bins of stated doubt, of equal width."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of a mean by the bootstrap, always with the same resamples (Efron 1979)."""
    given = np.asarray(values, float)
    chosen = np.random.default_rng(0).integers(0, len(given), (RESAMPLES, len(given)))
    low, high = np.percentile(given[chosen].mean(1), [2.5, 97.5])
    return float(low), float(high)


def interval_of_part(number: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a part by the counts (Wilson 1927), which also knows how little few of them tell.

    Where all or none were seen, as of right answers, the bootstrap has nothing to vary.
    """
    found = stats.binomtest(number, of).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def p_of_parts(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Return the probability of such a difference in right answers to the same questions by chance alone.

    That is the exact test of McNemar (1947): of the questions that one of the two got right, either is as likely.
    """
    one = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    other = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    return float(stats.binomtest(one, one + other).pvalue) if one + other else 1.0


@dataclass(frozen=True)
class Crossing:
    """The number of trainings from which one method is right as often as another.

    Attributes:
        after: the first number after which it is; None if none was enough.
        low: lower end of the 95 % interval of that; None if it is right less often after every number.
        high: upper end; None if no number is surely enough.
        most: the largest number that was looked at.
    """

    after: int | None
    low: int | None
    high: int | None
    most: int


def crossing(ours: Sequence[bool], theirs: Sequence[Sequence[bool]]) -> Crossing:
    """Find the number of trainings from which another method is right as often, with its 95 % interval.

    The interval is made of the numbers after which the two may be equally often right: it begins where McNemar's exact
    test no longer tells that the other is right less often, and ends where it tells from there on that it is right more
    often. So it holds the number whatever the course of right answers is. The bootstrap does not: where nearly all
    answers of ours are right, it has nothing to vary, and the number found is mostly that of questions asked.

    Args:
        ours: whether each question was answered rightly.
        theirs: the same for the other method after 1 training, after 2, and so on.
    """
    more = [sum(right) - sum(ours) for right in theirs]
    surely = [p_of_parts(ours, right) < LEVEL for right in theirs]
    numbers = range(1, len(theirs) + 1)
    enough = max((n for n in numbers if more[n - 1] <= 0 or not surely[n - 1]), default=0) + 1
    return Crossing(
        next((n for n in numbers if more[n - 1] >= 0), None),
        next((n for n in numbers if more[n - 1] >= 0 or not surely[n - 1]), None),
        enough if enough <= len(theirs) else None,
        len(theirs),
    )


def p_of_costs(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the same for trainings made for the same questions, by the signed ranks of Wilcoxon (1945).

    Questions that cost both the same tell nothing. They are left out before scipy sees them: with them it takes few
    differences for many, and a normal distribution instead of the exact one.
    """
    differences = np.asarray(ours, float) - np.asarray(theirs, float)
    told = differences[differences != 0]
    return float(stats.wilcoxon(told).pvalue) if len(told) else 1.0


@dataclass(frozen=True)
class Bin:
    """Decisions whose stated doubt was alike.

    Attributes:
        low: least doubt of the bin.
        high: the most.
        doubt: the mean of what was stated.
        decisions: how many there were.
        missed: how many missed a better shape.
    """

    low: float
    high: float
    doubt: float
    decisions: int
    missed: int

    @property
    def part(self) -> float:
        """The part of the decisions that missed a better shape."""
        return self.missed / self.decisions

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that part, as if no two decisions were about the same question: it is too short."""
        return interval_of_part(self.missed, self.decisions)


def reliability(doubts: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Sort decisions into bins of stated doubt; bins without decisions are left out."""
    edges = [i / BINS for i in range(BINS + 1)]
    bins = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = [(doubt, missed) for doubt, missed in doubts if min(int(doubt * BINS), BINS - 1) == i]
        if inside:
            mean = float(np.mean([doubt for doubt, _ in inside]))
            bins.append(Bin(low, high, mean, len(inside), sum(missed for _, missed in inside)))
    return bins


def doubt_error(bins: Sequence[Bin]) -> float | None:
    """Return the expected calibration error (Naeini et al. 2015): how far doubt is from what came of it, on average."""
    decisions = sum(each.decisions for each in bins)
    if not decisions:
        return None
    return sum(abs(each.doubt - each.part) * each.decisions for each in bins) / decisions
