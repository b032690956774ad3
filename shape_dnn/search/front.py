"""Step 7 for a trade-off: the shapes that no other beats, each of them trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shape_dnn.events import Event, Reason, ignore
from shape_dnn.records import Training
from shape_dnn.search.algorithm import apply_quality_limits, predict, predicted_to_be
from shape_dnn.search.facts import Facts
from shape_dnn.search.ordering import front, refused
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
