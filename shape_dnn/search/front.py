"""Step 7 for a trade-off: the shapes that no other beats, each of them trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from shape_dnn.events import Event, Reason, ignore
from shape_dnn.records import Training
from shape_dnn.search.algorithm import apply_quality_limits, predict, predicted_to_be
from shape_dnn.search.contest import complies
from shape_dnn.search.facts import Facts
from shape_dnn.search.kernel import Floats
from shape_dnn.search.ordering import front, refused, values_of
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.search.query import Modelling, Query
from shape_dnn.shape import Shape


def verify_front(
    shapes: Sequence[Shape],
    trainings: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    notify: Callable[[Event], None] = ignore,
) -> list[Training]:
    """Train every shape on the front, fit anew, and look again, until all on it are trained.

    A shape that fell short of a limit on quality by the predictions before may meet it by those after.

    Args:
        shapes: that meet the limits that need no training.
        trainings: made before.
        query: limits, and what is traded off.
        modelling: predicts qualities, and says how many are trained together.
        facts: measures and trains.
        notify: told why each shape is trained.

    Returns:
        The trainings made.
    """
    made: list[Training] = []
    while True:
        candidates, _ = apply_quality_limits(predict(shapes, [*trainings, *made], modelling.model), query)
        untrained = [c for c in front(candidates, query, facts) if c.quality is None]
        if not untrained:
            return made
        batch = untrained[: modelling.together]
        dropped = refused([candidate.shape for candidate in batch], query, facts)
        shapes = [shape for shape in shapes if shape not in dropped]
        wanted = [candidate for candidate in batch if candidate.shape not in dropped]
        for candidate in wanted:
            notify(predicted_to_be(Reason.FRONT, candidate, query))
        made += facts.verify([candidate.shape for candidate in wanted])


def doubt(posterior: AnswerPosterior, query: Query, facts: Facts) -> float:
    """Return the probability that an untrained shape lies beyond the front of those that were trained.

    It does where it meets the limits, and none that was trained and is as cheap is as good, even if its quality is
    worse by the noise. Shapes that are expected to fall short of a limit have no part in it, as they have none in the
    front.
    """
    candidates, _ = apply_quality_limits(predict(posterior.shapes, posterior.observed, posterior.model), query)
    costs = [metric for metric in query.pareto if metric != query.quality.name]
    known = [
        (candidate, [value for metric in costs if (value := values[metric]) is not None])
        for candidate, values in zip(candidates, values_of(candidates, costs, facts, query.quality), strict=True)
    ]
    whole = [(candidate, paid) for candidate, paid in known if len(paid) == len(costs)]
    place = {shape: i for i, shape in enumerate(posterior.shapes)}
    trained, untrained = (
        [(place[each.shape], paid) for each, paid in whole if (each.quality is not None) is was_trained]
        for was_trained in (True, False)
    )
    if not untrained:
        return 0.0
    draws, sign, counts = posterior.draws, query.quality.sign, query.quality.name in query.pareto
    own, paid = draws[:, [i for i, _ in untrained]], np.array([paid for _, paid in untrained])
    reached: Floats = np.full(own.shape, -np.inf)
    for i, others in trained:
        as_cheap = (paid >= others).all(1)
        reached[:, as_cheap] = np.maximum(reached[:, as_cheap], sign * draws[:, [i]] if counts else np.inf)
    beyond = (sign * own - posterior.tolerance > reached) & complies(query.functional, own, posterior.tolerance)
    return float(beyond.any(1).mean())
