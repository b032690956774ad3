"""An answer from what is known: nothing is trained for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from shape_dnn.events import Event, ignore
from shape_dnn.search.algorithm import apply_limits, apply_quality_limits
from shape_dnn.search.facts import Facts
from shape_dnn.search.ordering import check_goal, closest, eligible, front, min_by_goal
from shape_dnn.search.query import Answer, Candidate, Query
from shape_dnn.shape import Shape


def recall(
    shapes: Sequence[Shape],
    query: Query,
    predicted: Sequence[Candidate],
    facts: Facts,
    notify: Callable[[Event], None] = ignore,
    *,
    verified: bool = False,
    again: Collection[Shape] = (),
) -> Answer:
    """Answer from trainings that were made before, without asking for more.

    Args:
        shapes: the design space.
        query: limits and goal.
        predicted: those of the shapes whose training did not fail, with their predictions.
        facts: what is known.
        notify: told after each limit on quality.
        verified: whether the question was searched, so that the best shape is one that was trained if any complies.
        again: shapes of which a second training counts.
    """
    survivors, stages = apply_limits(shapes, query, facts)
    left = frozenset(survivors)
    candidates = [candidate for candidate in predicted if candidate.shape in left]
    complying, more_stages = apply_quality_limits(candidates, query, notify)
    nearest = None
    if not complying:
        known = [candidate for candidate in candidates if candidate.quality is not None]
        # A search with a confidence has trained the most promising shape before it says that nothing complies.
        nearest = closest(known if verified and query.confidence is not None and known else candidates, query)
    best = min_by_goal(eligible(complying, query, verified=verified), query, facts)
    if best is None:
        check_goal(complying, query, facts)
    if query.pareto:
        complying = front(complying, query, facts)
    test_quality = None
    if best is not None and best.quality is not None:
        test_quality = facts.test(best.shape, again=best.shape in again)
    return Answer(
        len(shapes), (*stages, *more_stages), left, (), tuple(complying), best, test_quality,
        closest=nearest,
    )  # fmt: skip
