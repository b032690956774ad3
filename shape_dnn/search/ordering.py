"""Which candidate is better: by a goal, on a front, or by coming closest to the limits."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from shape_dnn.errors import NoScoreError
from shape_dnn.plugins import checked
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.search.facts import Facts
from shape_dnn.search.query import Candidate, Query
from shape_dnn.shape import Shape, by_width_then_depth

Values = Mapping[str, float | None]
Costs = tuple[float, ...]


def values_of(
    candidates: Sequence[Candidate], metrics: Sequence[str], facts: Facts, quality: Quality = ACCURACY
) -> list[Values]:
    """Return what is known of each candidate: its metrics by name, and its expected quality."""
    shapes = [candidate.shape for candidate in candidates]
    columns = {metric: facts.estimate(metric, shapes) for metric in metrics if metric != quality.name}
    columns[quality.name] = [candidate.expected for candidate in candidates]
    return [{metric: column[i] for metric, column in columns.items()} for i in range(len(shapes))]


def min_by_goal(candidates: Sequence[Candidate], query: Query, facts: Facts) -> Candidate | None:
    """Return the best candidate by the goal, the smaller shape on a tie; None without a goal or a score."""
    return next(best_first(candidates, query, facts), None)


def eligible(complying: Sequence[Candidate], query: Query, *, verified: bool) -> list[Candidate]:
    """Return those of the shapes that comply of which one may be called the best.

    After a search that verified its answer these are the ones that were trained, if any complies; otherwise those that
    surely comply; and where none is sure, all that are likely to.
    """
    trained = [candidate for candidate in complying if candidate.quality is not None]
    if verified and trained:
        return trained
    return [candidate for candidate in complying if query.is_sure(candidate)] or list(complying)


def best_first(candidates: Sequence[Candidate], query: Query, facts: Facts) -> Iterator[Candidate]:
    """Give the candidates that have a score by the goal in its order, the smaller shape first on a tie.

    What was only estimated of one is measured before it is given, and its place found anew.
    """
    goal = query.goal
    if goal is None or not candidates:
        return

    def rank(some: Sequence[int]) -> Iterator[tuple[float, tuple[Fraction, int], int]]:
        known = values_of([candidates[i] for i in some], goal.metrics, facts, query.quality)
        for i, values in zip(some, known, strict=True):
            score = checked.finite_score(goal, values)
            if score is not None:
                yield score, by_width_then_depth(candidates[i].shape), i

    waiting = list(rank(range(len(candidates))))
    heapq.heapify(waiting)
    while waiting:
        first = heapq.heappop(waiting)
        place = first[-1]
        for metric in query.metrics_of_goal:
            facts.measure(metric, [candidates[place].shape])
        now = list(rank([place]))
        if now == [first]:
            yield candidates[place]
        elif now:
            heapq.heappush(waiting, now[0])


def check_goal(candidates: Sequence[Candidate], query: Query, facts: Facts) -> None:
    """Refuse a goal that has no value for any candidate, though all that it needs is known of some.

    Raises:
        NoScoreError: says for which values of the metrics it has none.
    """
    goal, errors = query.goal, []
    if goal is None:
        return
    for values in values_of(candidates, goal.metrics, facts, query.quality):
        try:
            if checked.score(goal, values) is not None:
                return
        except NoScoreError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def front(candidates: Sequence[Candidate], query: Query, facts: Facts) -> list[Candidate]:
    """Return the candidates that no other beats: one at least as good in every metric, and better in one.

    The lower value of a metric is the better one; of the quality, the better. A candidate that lacks one is left out.
    """
    values = values_of(candidates, query.pareto, facts, query.quality)
    known = [(costs, i) for i, each in enumerate(values) if (costs := traded_off(each, query)) is not None]
    optimal: list[tuple[Costs, int]] = []
    for costs, i in sorted(known):  # whoever beats another comes before it
        if not any(beats(better, costs) for better, _ in optimal):
            optimal.append((costs, i))
    return [candidates[i] for _, i in optimal]


def traded_off(values: Values, query: Query) -> Costs | None:
    """Return what a front trades off, lower being better; None if some of it is not known."""
    quality = query.quality
    costs = [
        None if (value := values[metric]) is None else -quality.sign * value if metric == quality.name else value
        for metric in query.pareto
    ]
    known = tuple(cost for cost in costs if cost is not None)
    return known if len(known) == len(costs) else None


def beats(one: Costs, other: Costs) -> bool:
    """Tell whether one shape is at least as good as another in everything, and better in something."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def closest(candidates: Sequence[Candidate], query: Query) -> Candidate | None:
    """Return the candidate that comes closest to the limits on quality, the smaller shape on a tie."""

    def shortfall(candidate: Candidate) -> tuple[float, tuple[Fraction, int]]:
        value = candidate.expected
        distances = [
            math.inf if value is None else value - c.limit if c.upper else c.limit - value for c in query.functional
        ]
        return max(distances, default=0.0), by_width_then_depth(candidate.shape)

    return min(candidates, key=shortfall, default=None)


def refused(shapes: Sequence[Shape], query: Query, facts: Facts) -> set[Shape]:
    """Measure what was only estimated of some shapes, and return those that do not meet a limit after all."""
    found: set[Shape] = set()
    for limit in query.non_functional:
        values = facts.measure(limit.metric, shapes)
        found |= {shape for shape, value in zip(shapes, values, strict=True) if not limit.allows(value)}
    return found
