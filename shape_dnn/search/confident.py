"""Steps 5 to 7 as one loop: fit anew after every result, and train what matters until the answer stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shape_dnn.events import Event, ignore
from shape_dnn.records import Training
from shape_dnn.search.facts import Facts
from shape_dnn.search.ordering import refused
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.search.query import Certificate, Query
from shape_dnn.shape import Shape


def train_until_sure(
    shapes: Sequence[Shape],
    trainings: Sequence[Training],
    query: Query,
    facts: Facts,
    posterior_of: PosteriorOf,
    notify: Callable[[Event], None] = ignore,
) -> tuple[list[Training], Certificate | None]:
    """Train what matters to the question until the answer stands with the wanted confidence.

    What was only estimated of a shape is measured before it is trained.

    Args:
        shapes: that meet the limits that need no training.
        trainings: made before.
        query: limits, goal and confidence.
        facts: measures and trains.
        posterior_of: tells what is known of the answer, and which shapes to train next.
        notify: told what is known after every further training.

    Returns:
        All trainings, and how sure the answer is; None if no training succeeded, or no shape is within the limits.
    """
    assert query.confidence is not None  # noqa: S101 - asked for only then
    trainings, left, told = list(trainings), set(shapes), len(trainings)
    left -= refused([training.shape for training in trainings if training.shape in left], query, facts)
    while left and any(training.qualities for training in trainings):
        posterior = posterior_of([shape for shape in shapes if shape in left], trainings)
        if len(trainings) > told:
            notify(posterior.judgement)
        goes_on = query.goal is not None or query.pareto or (query.functional and not posterior.exact)
        if posterior.settled or not goes_on:
            return trainings, Certificate(query.confidence, posterior.doubt, posterior.tolerance)
        batch = posterior.choose(posterior.together)
        dropped = refused(batch, query, facts)
        left -= dropped
        wanted = [shape for shape in batch if shape not in dropped]
        for shape in wanted:
            notify(posterior.explain(shape))
        trainings += facts.verify(wanted)
    return trainings, None
