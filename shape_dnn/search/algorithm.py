"""Algorithm 1 of the paper: filter by what is cheap to know, train a few shapes, predict the rest, verify the answer.

Steps are numbered as in the paper. Nothing here knows a plugin, a file or a device: facts come from whoever has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from shape_dnn.constraints import Constraint
from shape_dnn.events import Chosen, Event, Reason, StageFinished, ignore
from shape_dnn.kinds import AccuracyModel
from shape_dnn.plugins import checked
from shape_dnn.records import Training
from shape_dnn.search import fitting
from shape_dnn.search.facts import Facts, in_order
from shape_dnn.search.ordering import best_first, refused
from shape_dnn.search.query import Candidate, Modelling, Query, Stage
from shape_dnn.shape import Shape, by_width_then_depth


def apply_limits(
    shapes: Sequence[Shape], query: Query, facts: Facts, notify: Callable[[Event], None] = ignore
) -> tuple[list[Shape], list[Stage]]:
    """Steps 1 to 4: drop what exceeds a limit on size, latency, energy or any other metric, the cheapest first."""
    survivors = list(shapes)
    stages = []
    for constraint in query.non_functional:
        values = facts.estimate(constraint.metric, survivors, constraint)
        valued = list(zip(survivors, values, strict=True))
        survivors = [shape for shape, value in valued if constraint.allows(value)]
        stage = _finish_stage(constraint, len(valued), len(survivors), notify)
        stages.append(stage if survivors else dataclasses.replace(stage, nearest=_nearest(constraint, valued)))
    return survivors, stages


def train_sample(
    shapes: Sequence[Shape],
    modelling: Modelling,
    facts: Facts,
    consider: Callable[[Sequence[Training]], Sequence[Training]] = in_order,
    chosen: Callable[[Sequence[Shape]], None] = lambda _shapes: None,
) -> list[Training]:
    """Step 5, first part: train the shapes that the sampler chooses, as many as the strategy allows.

    Args:
        shapes: that meet the limits so far.
        modelling: strategy and sampler.
        facts: trains.
        consider: called with the results so far before the sampler chooses; returns what it is to know of them.
        chosen: told which shapes the sampler chose, before they are trained.

    Raises:
        PluginError: the strategy or the sampler breaks the rules of its kind.
    """
    shapes = tuple(sorted(shapes, key=by_width_then_depth))
    if not shapes:
        return []
    budget = checked.budget(modelling.strategy, len(shapes))
    asked: set[Shape] = set()
    trainings: list[Training] = []
    while batch := checked.choose(modelling.sampler, shapes, consider(trainings), budget, asked):
        asked.update(batch)
        chosen(batch)
        trainings += facts.train(batch)
    return trainings


def predict(shapes: Sequence[Shape], trainings: Sequence[Training], model: AccuracyModel) -> list[Candidate]:
    """Step 5, second part: fit the accuracy model, predict every shape; one whose training failed is left out."""
    trainings = in_order(trainings)
    qualities = {t.shape: t.quality for t in trainings if t.quality is not None}
    failed = {t.shape for t in trainings} - set(qualities)
    remaining = [shape for shape in shapes if shape not in failed]
    if not qualities or not remaining:
        return [Candidate(shape, None, None) for shape in remaining]
    predictions = fitting.predict(model, trainings, remaining)
    return [
        Candidate(shape, qualities.get(shape), prediction)
        for shape, prediction in zip(remaining, predictions, strict=True)
    ]


def apply_quality_limits(
    candidates: Sequence[Candidate], query: Query, notify: Callable[[Event], None] = ignore
) -> tuple[list[Candidate], list[Stage]]:
    """Step 6: drop the shapes whose trained, or else predicted, quality is beyond a limit."""
    complying = list(candidates)
    stages = []
    for constraint in query.functional:
        before = len(complying)
        complying = [candidate for candidate in complying if constraint.allows(candidate.expected)]
        stages.append(_finish_stage(constraint, before, len(complying), notify))
    return complying, stages


def verify(
    complying: Sequence[Candidate], query: Query, facts: Facts, notify: Callable[[Event], None] = ignore
) -> list[Training]:
    """Step 7: train the best by the goal; where it falls short, take the next best, until one holds.

    What was only estimated of a shape is measured before it is trained.

    Returns:
        The trainings made.
    """
    made: list[Training] = []
    for best in best_first(complying, query, facts):
        if refused([best.shape], query, facts):
            continue
        if best.quality is not None:
            return made
        notify(predicted_to_be(Reason.VERIFY, best, query))
        results = facts.verify([best.shape])
        made += results
        quality = results[0].quality if results else None
        if quality is not None and all(c.allows(quality) for c in query.functional):
            break
    # It may have come out worse than promised, and one that was trained before be better.
    refused([candidate.shape for candidate in complying if candidate.quality is not None], query, facts)
    return made


def predicted_to_be(reason: Reason, candidate: Candidate, query: Query) -> Chosen:
    """Return why a shape is trained that is part of the answer as far as its quality is predicted."""
    prediction = candidate.prediction
    mean, std = (None, None) if prediction is None else (prediction.mean, prediction.std)
    likely = candidate.probability(query.functional) if query.functional else None
    return Chosen(candidate.shape, reason, mean, std, likely)


def _nearest(constraint: Constraint, valued: Sequence[tuple[Shape, float | None]]) -> tuple[Shape, float] | None:
    """Return the shape that misses a limit by the least, the first on a tie; None if no value is known."""
    known = [(shape, value) for shape, value in valued if value is not None]
    return min(known, key=lambda of: of[1] if constraint.upper else -of[1], default=None)


def _finish_stage(constraint: Constraint, before: int, after: int, notify: Callable[[Event], None]) -> Stage:
    notify(StageFinished(constraint.metric, constraint.bound, constraint.unit, before, after))
    return Stage(constraint, before, after)
