"""What is known half-way of a search, put together from its question and its trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shape_dnn.records import Noise, Training
from shape_dnn.search.facts import Facts, in_order
from shape_dnn.search.failures import Count, as_they_are
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.search.query import Modelling, Query
from shape_dnn.shape import Shape, by_width_then_depth


class PosteriorOf:
    """Puts together, as often as a search wants, what is known half-way.

    Args:
        query: limits and goal.
        modelling: predicts qualities.
        facts: what is known; asked for metrics of the goal where they may decide.
        count: tells how trainings count.
    """

    def __init__(self, query: Query, modelling: Modelling, facts: Facts, count: Count = as_they_are) -> None:
        self._query, self._modelling, self._facts, self._count = query, modelling, facts, count
        self._asked: dict[str, set[Shape]] = {}

    def __call__(self, shapes: Sequence[Shape], trainings: Sequence[Training]) -> AnswerPosterior:
        """Return what is known of some shapes by some trainings."""
        query, modelling, counted = self._query, self._modelling, self._count(trainings)
        limited = {limit.metric for limit in query.constraints}
        return AnswerPosterior(
            sorted(shapes, key=by_width_then_depth),
            in_order(counted.trainings),
            modelling.model,
            query.functional,
            query.goal,
            self._facts.estimate,
            limited | {metric for metric, cost in query.costs.items() if cost == 0},
            self._asked,
            0.5 if query.confidence is None else query.confidence,
            _deviation(counted.noise),
            together=modelling.together,
            exact=modelling.strategy.exact,
            pareto=query.pareto,
            quality=query.quality,
        )


def _deviation(noise: Noise | None) -> float | None:
    """Return the standard deviation of the quality of a shape, the mean over its trainings; None if none tells."""
    if noise is None:
        return None
    return noise.points / 2 / math.sqrt(noise.trainings / noise.shapes)
