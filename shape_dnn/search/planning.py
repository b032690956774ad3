"""What a search would train first, as far as can be told without measuring or training."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn.plugins import checked
from shape_dnn.records import Training
from shape_dnn.search.facts import Facts
from shape_dnn.search.failures import counting
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.search.query import Answer, Candidate, Modelling, Query, Stage
from shape_dnn.shape import Shape, by_width_then_depth


def plan(shapes: Sequence[Shape], query: Query, modelling: Modelling, facts: Facts) -> Answer:
    """Tell what a search would train first.

    A shape whose metric is not known yet counts as complying.

    Args:
        shapes: the design space.
        query: limits and goal.
        modelling: which shapes to train.
        facts: what is known; must not measure or train.
    """
    survivors = list(shapes)
    stages = []
    unknown = set()
    for constraint in query.non_functional:
        values = facts.measure(constraint.metric, survivors)
        if None in values:
            unknown.add(constraint.metric)
        before = len(survivors)
        survivors = [s for s, v in zip(survivors, values, strict=True) if v is None or constraint.allows(v)]
        stages.append(Stage(constraint, before, len(survivors)))
    chosen: Sequence[Shape] = ()
    budget = 0
    if survivors:
        survivors.sort(key=by_width_then_depth)
        budget = checked.budget(modelling.strategy, len(survivors))
        posterior = PosteriorOf(query, modelling, facts, counting(query, facts))(survivors, facts.known(shapes))
        checked.consider(modelling.sampler, posterior)
        chosen = checked.choose(modelling.sampler, tuple(survivors), (), budget, set())
        unknown |= {metric for metric in query.metrics_of_goal if None in facts.estimate(metric, survivors)}
    trainings = tuple(Training(shape, None) for shape in chosen)
    trained = {training.shape: training.quality for training in facts.known(survivors)}
    complying = tuple(Candidate(shape, trained.get(shape), None) for shape in survivors)
    return Answer(
        len(shapes), tuple(stages), frozenset(survivors), trainings, complying, None, budget=budget,
        unknown=tuple(sorted(unknown)),
    )  # fmt: skip
