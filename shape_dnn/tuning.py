"""Algorithm 1 of the paper: filter by what is cheap to know, train a few shapes, predict the rest, verify the answer.

Nothing here knows a plugin, a file or a device. Facts come from a study, or from a recorded table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shape_dnn import rules
from shape_dnn.constraints import Constraint
from shape_dnn.errors import PluginError, label
from shape_dnn.events import Event, StageFinished, ignore
from shape_dnn.kinds import AccuracyModel, Goal, Sampler, Strategy
from shape_dnn.records import Prediction, Training
from shape_dnn.shape import Shape, by_width_then_depth


class Facts(Protocol):
    """What the search asks. Asking twice costs nothing: whoever answers remembers."""

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return a metric of each shape; None for one that has no value."""

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return a metric of each shape, or what is known well enough to tell on which side of a limit it lies."""

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the training of each shape, in order; those that cannot be had are left out."""

    def test(self, shape: Shape) -> float | None:
        """Return the accuracy of a trained shape on the test set; None if there is none."""


@dataclass(frozen=True)
class Query:
    """What the user wants.

    Attributes:
        constraints: limits on metrics.
        goal: orders the shapes that comply; without one, all are returned.
        costs: declared cost of obtaining each metric; the cheapest limit is applied first, and accuracy last.
    """

    constraints: Sequence[Constraint] = ()
    goal: Goal | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

    @property
    def non_functional(self) -> list[Constraint]:
        """The limits that need no training, in the order in which they are applied."""
        limits = [c for c in self.constraints if c.metric != "accuracy"]
        return sorted(limits, key=lambda c: (self.costs.get(c.metric, 0.0), c.metric != "size", c.metric))

    @property
    def functional(self) -> list[Constraint]:
        """The limits on accuracy."""
        return [c for c in self.constraints if c.metric == "accuracy"]


@dataclass(frozen=True)
class Modelling:
    """How the accuracy of many shapes is found by training few.

    Attributes:
        strategy: how many shapes to train.
        sampler: which.
        model: predicts the others.
    """

    strategy: Strategy
    sampler: Sampler
    model: AccuracyModel


@dataclass(frozen=True)
class Stage:
    """A limit that was applied: ``after`` of ``before`` shapes are left."""

    constraint: Constraint
    before: int
    after: int


@dataclass(frozen=True)
class Candidate:
    """A shape that complies.

    Attributes:
        shape: depth and width.
        accuracy: percent, of its training; None if it was not trained.
        prediction: of the accuracy model.
    """

    shape: Shape
    accuracy: float | None
    prediction: Prediction | None

    @property
    def expected_accuracy(self) -> float | None:
        """The trained accuracy or else the predicted one."""
        if self.accuracy is not None:
            return self.accuracy
        return None if self.prediction is None else self.prediction.mean


@dataclass(frozen=True)
class Answer:
    """The outcome of a search.

    Attributes:
        space: number of shapes in the design space.
        stages: what each limit dropped.
        candidates: number of shapes left after the limits that need no training.
        trainings: every training the search used, in the order of asking, failed ones included.
        complying: shapes that meet all limits.
        best: the best of them by the goal; None without a goal, or if there is none.
        test_accuracy: of the best on the test set, if it was read.
    """

    space: int
    stages: tuple[Stage, ...]
    candidates: int
    trainings: tuple[Training, ...]
    complying: tuple[Candidate, ...]
    best: Candidate | None
    test_accuracy: float | None = None

    @property
    def verified(self) -> bool:
        """Whether the best shape was trained, and so is known to comply."""
        return self.best is not None and self.best.accuracy is not None


def search(
    shapes: Sequence[Shape],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    notify: Callable[[Event], None] = ignore,
) -> Answer:
    """Find the shapes that comply and, given a goal, the best of them (Algorithm 1).

    Args:
        shapes: the design space.
        query: limits and goal.
        modelling: which shapes to train, and how to predict the others.
        facts: measures and trains.
        notify: told after each stage.
    """
    survivors, stages = apply_limits(shapes, query, facts, notify)
    trainings = train_sample(survivors, modelling, facts)
    succeeded = any(training.accuracy is not None for training in trainings)
    candidates = assess(survivors, trainings, modelling.model) if succeeded else []
    complying, more_stages = apply_accuracy_limits(candidates, query, notify)
    best = None
    if query.goal is not None:
        complying, best, verifications = verify(complying, query, facts)
        trainings += verifications
    test_accuracy = facts.test(best.shape) if best is not None and best.accuracy is not None else None
    return Answer(
        len(shapes), (*stages, *more_stages), len(survivors), tuple(trainings), tuple(complying), best, test_accuracy
    )


def recall(shapes: Sequence[Shape], query: Query, model: AccuracyModel, facts: Facts) -> Answer:
    """Answer from trainings that were made before, without asking for more.

    Args:
        shapes: the design space.
        query: limits and goal.
        model: predicts the shapes that were not trained.
        facts: what is known; must not measure or train.
    """
    survivors, stages = apply_limits(shapes, query, facts, ignore)
    candidates = assess(survivors, facts.train(shapes), model)
    complying, more_stages = apply_accuracy_limits(candidates, query, ignore)
    best = min_by_goal(complying, query, facts)
    test_accuracy = None if best is None else facts.test(best.shape)
    return Answer(len(shapes), (*stages, *more_stages), len(survivors), (), tuple(complying), best, test_accuracy)


def plan(shapes: Sequence[Shape], query: Query, modelling: Modelling, facts: Facts) -> Answer:
    """Tell what a search would train first, as far as can be told without measuring or training.

    A shape whose metric is not known yet counts as complying.

    Args:
        shapes: the design space.
        query: limits and goal.
        modelling: which shapes to train.
        facts: what is known; must not measure or train.
    """
    survivors = list(shapes)
    stages = []
    for constraint in query.non_functional:
        values = facts.measure(constraint.metric, survivors)
        before = len(survivors)
        survivors = [s for s, v in zip(survivors, values, strict=True) if v is None or constraint.allows(v)]
        stages.append(Stage(constraint, before, len(survivors)))
    chosen: Sequence[Shape] = ()
    if survivors:
        survivors.sort(key=by_width_then_depth)
        budget = rules.budget(modelling.strategy, len(survivors))
        chosen = rules.choose(modelling.sampler, tuple(survivors), (), budget, set())
    trainings = tuple(Training(shape, None) for shape in chosen)
    complying = tuple(Candidate(shape, None, None) for shape in survivors)
    return Answer(len(shapes), tuple(stages), len(survivors), trainings, complying, None)


def apply_limits(
    shapes: Sequence[Shape], query: Query, facts: Facts, notify: Callable[[Event], None]
) -> tuple[list[Shape], list[Stage]]:
    """Steps 1 to 4: drop what exceeds a limit on size, latency, energy or any other metric, the cheapest first."""
    survivors = list(shapes)
    stages = []
    for constraint in query.non_functional:
        values = facts.estimate(constraint.metric, survivors, constraint)
        before = len(survivors)
        survivors = [shape for shape, value in zip(survivors, values, strict=True) if constraint.allows(value)]
        stages.append(_finish_stage(constraint, before, len(survivors), notify))
    return survivors, stages


def train_sample(shapes: Sequence[Shape], modelling: Modelling, facts: Facts) -> list[Training]:
    """Step 5, first half: train the shapes that the sampler chooses, as many as the strategy allows.

    Raises:
        PluginError: the strategy or the sampler breaks the rules of its kind.
    """
    if not shapes:
        return []
    shapes = tuple(sorted(shapes, key=by_width_then_depth))
    budget = rules.budget(modelling.strategy, len(shapes))
    asked: set[Shape] = set()
    trainings: list[Training] = []
    while batch := rules.choose(modelling.sampler, shapes, _in_order(trainings), budget, asked):
        asked.update(batch)
        trainings += facts.train(batch)
    if not trainings:
        raise PluginError(f"{label(modelling.sampler)} chose none of {len(shapes)} shapes to train")
    return trainings


def assess(shapes: Sequence[Shape], trainings: Sequence[Training], model: AccuracyModel) -> list[Candidate]:
    """Step 5, second half: fit the accuracy model, predict every shape; one whose training failed is left out."""
    if not shapes:
        return []
    accuracies = {t.shape: t.accuracy for t in _in_order(trainings) if t.accuracy is not None}
    failed = {t.shape for t in trainings} - set(accuracies)
    remaining = [shape for shape in shapes if shape not in failed]
    if not accuracies:
        return [Candidate(shape, None, None) for shape in remaining]
    predictions = rules.predict(model, accuracies, remaining)
    return [
        Candidate(shape, accuracies.get(shape), prediction)
        for shape, prediction in zip(remaining, predictions, strict=True)
    ]


def apply_accuracy_limits(
    candidates: Sequence[Candidate], query: Query, notify: Callable[[Event], None]
) -> tuple[list[Candidate], list[Stage]]:
    """Step 6: drop the shapes whose trained, or else predicted, accuracy is beyond a limit."""
    complying = list(candidates)
    stages = []
    for constraint in query.functional:
        before = len(complying)
        complying = [c for c in complying if constraint.allows(c.expected_accuracy)]
        stages.append(_finish_stage(constraint, before, len(complying), notify))
    return complying, stages


def verify(
    complying: Sequence[Candidate], query: Query, facts: Facts
) -> tuple[list[Candidate], Candidate | None, list[Training]]:
    """Step 7: train the best by the goal; where it falls short, take the next best, until one holds.

    What was only estimated of a shape is measured before it is trained.

    Returns:
        The shapes that comply now, the best of them, and the trainings made.
    """
    remaining = list(complying)
    trainings: list[Training] = []
    eligible = remaining
    while (best := min_by_goal(eligible, query, facts)) is not None:
        place = remaining.index(best)
        if not all(c.allows(facts.measure(c.metric, [best.shape])[0]) for c in query.non_functional):
            del remaining[place]
        elif best.accuracy is not None:
            break
        else:
            results = facts.train([best.shape])
            trainings += results
            accuracy = results[0].accuracy if results else None
            if accuracy is not None and all(c.allows(accuracy) for c in query.functional):
                remaining[place] = replace(best, accuracy=accuracy)
                # It may turn out worse than promised, and an earlier one better: the best is one that was trained.
                eligible = [candidate for candidate in remaining if candidate.accuracy is not None]
                continue
            del remaining[place]
        eligible = [candidate for candidate in eligible if candidate in remaining]
    return remaining, best, trainings


def min_by_goal(candidates: Sequence[Candidate], query: Query, facts: Facts) -> Candidate | None:
    """Return the best candidate by the goal, the smaller shape on a tie; None without a goal or a score.

    What was only estimated of it is measured, and the choice made again until it stands.
    """
    goal = query.goal
    if goal is None or not candidates:
        return None
    shapes = [candidate.shape for candidate in candidates]
    metrics = [metric for metric in goal.metrics if metric != "accuracy"]
    while True:
        columns = {metric: facts.estimate(metric, shapes) for metric in metrics}
        columns["accuracy"] = [candidate.expected_accuracy for candidate in candidates]
        scored = []
        for i, candidate in enumerate(candidates):
            values = {metric: value for metric in goal.metrics if (value := columns[metric][i]) is not None}
            if len(values) == len(goal.metrics):
                scored.append((rules.score(goal, values), by_width_then_depth(candidate.shape), i))
        if not scored:
            return None
        best = min(scored)[-1]
        if all(facts.measure(metric, [shapes[best]]) == [columns[metric][best]] for metric in metrics):
            return candidates[best]


def _finish_stage(constraint: Constraint, before: int, after: int, notify: Callable[[Event], None]) -> Stage:
    notify(StageFinished(constraint.metric, constraint.bound, constraint.unit, before, after))
    return Stage(constraint, before, after)


def _in_order(trainings: Sequence[Training]) -> list[Training]:
    """Sort trainings by shape, so that nothing depends on which one finished first."""
    return sorted(trainings, key=lambda training: by_width_then_depth(training.shape))
