"""Algorithm 1 of the paper: filter by what is cheap to know, train a few shapes, predict the rest, verify the answer.

Nothing here knows a plugin, a file or a device. Facts come from a study, or from a recorded table.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, Protocol

from shape_dnn.constraints import Constraint
from shape_dnn.errors import PluginError, label
from shape_dnn.events import Event, StageFinished, ignore
from shape_dnn.kinds import AccuracyModel, Goal, Sampler, Strategy
from shape_dnn.plugins import checked
from shape_dnn.records import Prediction, Training
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.study.seeds import Noise

if TYPE_CHECKING:
    from shape_dnn.search.posterior import Outlook


class Facts(Protocol):
    """What the search asks. Asking twice costs nothing: whoever answers remembers."""

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of these shapes that were there when the search began, failed ones included."""

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return a metric of each shape; None for one that has no value."""

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return a metric of each shape, or what is known well enough to tell on which side of a limit it lies."""

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the training of each shape, in order; those that cannot be had are left out."""

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the training of each shape that may be the answer; these may start from what was learnt before."""

    def test(self, shape: Shape) -> float | None:
        """Return the accuracy of a trained shape on the test set; None if there is none."""


@dataclass(frozen=True)
class Query:
    """What the user wants.

    Attributes:
        constraints: limits on metrics.
        goal: orders the shapes that comply; without one, all are returned.
        costs: declared cost of obtaining each metric; the cheapest limit is applied first, and accuracy last.
        confidence: probability from which a shape that was not trained counts as complying, and the answer as found;
            None to go by expected accuracies alone, as the paper does.
        pareto: metrics whose trade-off is asked for instead of a best shape.
    """

    constraints: Sequence[Constraint] = ()
    goal: Goal | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    pareto: Sequence[str] = ()

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
        together: how many are chosen before the first of them has a result.
    """

    strategy: Strategy
    sampler: Sampler
    model: AccuracyModel
    together: int = 1


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

    def complies(self, limit: Constraint, confidence: float | None) -> bool:
        """Tell whether it meets a limit on accuracy.

        Args:
            limit: on accuracy.
            confidence: with which probability a training must meet it if there was none yet; None to go by the
                expected accuracy.
        """
        accuracy, prediction = self.expected_accuracy, self.prediction
        if self.accuracy is None and prediction is not None and prediction.std and confidence is not None:
            deviations = NormalDist().inv_cdf(confidence) * prediction.std
            accuracy = prediction.mean + deviations if limit.upper else prediction.mean - deviations
        return limit.allows(accuracy)


@dataclass(frozen=True)
class Certificate:
    """How sure an answer is.

    Attributes:
        confidence: what was asked for.
        doubt: with a goal, the probability that a shape that was not trained is better than the best by more than the
            tolerance (or complies at all, if none was found). Without one, the largest probability that one of the
            shapes is on the other side of a limit by more than the tolerance.
        tolerance: the standard deviation of a training's accuracy, in points: what is within it no search can tell.
    """

    confidence: float
    doubt: float
    tolerance: float


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
        certificate: how sure it is, if a confidence was asked for.
        closest: if nothing complies for lack of accuracy, the shape that comes closest.
        budget: of a plan, the most trainings before verification; what is trained may depend on results.
        unknown: of a plan, the metrics of the goal that are not known yet of every shape.
    """

    space: int
    stages: tuple[Stage, ...]
    candidates: int
    trainings: tuple[Training, ...]
    complying: tuple[Candidate, ...]
    best: Candidate | None
    test_accuracy: float | None = None
    certificate: Certificate | None = None
    closest: Candidate | None = None
    budget: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether the best shape was trained, and so is known to comply."""
        return self.best is not None and self.best.accuracy is not None

    @property
    def noise(self) -> Noise | None:
        """How much accuracies vary from training to training; None if no shape was trained more than once."""
        return Noise.estimate(self.trainings)


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
        facts: measures and trains. What is known from before has a part in the answer; only with a confidence it has
            one also in what is trained, which otherwise is what the paper would train.
        notify: told after each stage.
    """
    survivors, _ = apply_limits(shapes, query, facts, notify)
    known = facts.known(shapes)
    asked: dict[str, set[Shape]] = {}
    trainings = train_sample(survivors, known, query, modelling, facts, asked)
    certificate = None
    if query.confidence is not None and survivors:
        trainings, certificate = settle(survivors, _together(trainings, known), query, modelling, facts, asked)
    if any(training.accuracy is not None for training in trainings):
        candidates, _ = apply_accuracy_limits(assess(survivors, trainings, modelling.model), query, ignore)
        if query.goal is not None:
            trained = [candidate for candidate in candidates if candidate.accuracy is not None]
            trainings += verify(trained if query.confidence is not None and trained else candidates, query, facts)
        if query.pareto:
            trainings += verify_front(candidates, trainings, query, modelling, facts)
    trainings = _together(trainings, known)
    succeeded = any(training.accuracy is not None for training in trainings)
    candidates = assess(survivors, trainings, modelling.model) if succeeded else []
    answer = recall(shapes, query, candidates, facts, notify, verified=True)
    return replace(answer, trainings=tuple(trainings), certificate=certificate)


def recall(
    shapes: Sequence[Shape],
    query: Query,
    assessed: Sequence[Candidate],
    facts: Facts,
    notify: Callable[[Event], None] = ignore,
    *,
    verified: bool = False,
) -> Answer:
    """Answer from trainings that were made before, without asking for more.

    Args:
        shapes: the design space.
        query: limits and goal.
        assessed: those of the shapes whose training did not fail, with their predictions.
        facts: what is known.
        notify: told after each limit on accuracy.
        verified: whether the question was searched, so that the best shape is one that was trained if any complies.
    """
    survivors, stages = apply_limits(shapes, query, facts, ignore)
    left = set(survivors)
    candidates = [candidate for candidate in assessed if candidate.shape in left]
    complying, more_stages = apply_accuracy_limits(candidates, query, notify)
    nearest = None if complying else closest(candidates, query)
    trained = [candidate for candidate in complying if candidate.accuracy is not None]
    best = min_by_goal(trained if verified and trained else complying, query, facts)
    if query.pareto:
        complying = front(complying, query, facts)
    test_accuracy = facts.test(best.shape) if best is not None and best.accuracy is not None else None
    return Answer(
        len(shapes), (*stages, *more_stages), len(survivors), (), tuple(complying), best, test_accuracy,
        closest=nearest,
    )  # fmt: skip


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
    budget, unknown = 0, []
    if survivors:
        survivors.sort(key=by_width_then_depth)
        budget = checked.budget(modelling.strategy, len(survivors))
        checked.consider(modelling.sampler, look(survivors, facts.known(shapes), query, modelling, facts, {}))
        chosen = checked.choose(modelling.sampler, tuple(survivors), (), budget, set())
        unknown = [m for m in _metrics(query) if None in facts.estimate(m, survivors)]
    trainings = tuple(Training(shape, None) for shape in chosen)
    complying = tuple(Candidate(shape, None, None) for shape in survivors)
    return Answer(
        len(shapes), tuple(stages), len(survivors), trainings, complying, None, budget=budget, unknown=tuple(unknown)
    )


def _metrics(query: Query) -> list[str]:
    """Return the metrics of the goal that are measured rather than trained."""
    return [] if query.goal is None else [metric for metric in query.goal.metrics if metric != "accuracy"]


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


def train_sample(
    shapes: Sequence[Shape],
    known: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    asked: dict[str, set[Shape]],
) -> list[Training]:
    """Step 5, first half: train the shapes that the sampler chooses, as many as the strategy allows.

    ``asked`` takes note of what is measured for the sake of the goal.

    Raises:
        PluginError: the strategy or the sampler breaks the rules of its kind.
    """
    if not shapes:
        return []
    shapes = tuple(sorted(shapes, key=by_width_then_depth))
    budget = checked.budget(modelling.strategy, len(shapes))
    chosen: set[Shape] = set()
    trainings: list[Training] = []
    while True:
        checked.consider(modelling.sampler, look(shapes, _together(trainings, known), query, modelling, facts, asked))
        batch = checked.choose(modelling.sampler, shapes, _in_order(trainings), budget, chosen)
        if not batch:
            break
        chosen.update(batch)
        trainings += facts.train(batch)
    if not trainings and not known:
        raise PluginError(f"{label(modelling.sampler)} chose none of {len(shapes)} shapes to train")
    return trainings


def _together(trainings: Sequence[Training], known: Sequence[Training]) -> list[Training]:
    """Return trainings that were asked for, and after them those others that were known before."""
    asked = {training.shape for training in trainings}
    return [*trainings, *(training for training in known if training.shape not in asked)]


def look(
    shapes: Sequence[Shape],
    trainings: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    asked: dict[str, set[Shape]],
) -> Outlook:
    """Put together what is known of the answer half-way."""
    from shape_dnn.search.posterior import Outlook  # imports numpy, for which whoever only shows results need not wait

    shapes = sorted(shapes, key=by_width_then_depth)
    return Outlook(
        shapes,
        _in_order(trainings),
        modelling.model,
        query.functional,
        query.goal,
        facts.estimate,
        {limit.metric for limit in query.constraints} | {metric for metric, cost in query.costs.items() if cost == 0},
        asked,
        0.5 if query.confidence is None else query.confidence,
        _deviation(trainings),
        together=modelling.together,
        exact=modelling.strategy.exact,
    )


def _deviation(trainings: Sequence[Training]) -> float | None:
    """Return the standard deviation of the accuracy of a shape, the mean over its trainings; None if none tells."""
    noise = Noise.estimate(trainings)
    if noise is None:
        return None
    return noise.points / 2 / math.sqrt(noise.trainings / noise.shapes)


def settle(
    shapes: Sequence[Shape],
    trainings: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    asked: dict[str, set[Shape]],
) -> tuple[list[Training], Certificate | None]:
    """Steps 5 to 7 with a confidence: fit anew after every result, and train what matters until the answer stands.

    What was only estimated of a shape is measured before it is trained.

    Returns:
        All trainings, and how sure the answer is; None if no training succeeded.
    """
    assert query.confidence is not None  # noqa: S101 - asked for only then
    trainings, left = list(trainings), set(shapes)
    left -= _refused([training.shape for training in trainings if training.shape in left], query, facts)
    while True:
        if not any(training.accuracies for training in trainings):
            return trainings, None
        outlook = look([shape for shape in shapes if shape in left], trainings, query, modelling, facts, asked)
        if outlook.settled or query.goal is None:  # without a goal there is nothing to verify
            return trainings, Certificate(query.confidence, outlook.doubt, outlook.tolerance)
        batch = outlook.choose(modelling.together)
        refused = _refused(batch, query, facts)
        left -= refused
        trainings += facts.verify([shape for shape in batch if shape not in refused])


def _refused(shapes: Sequence[Shape], query: Query, facts: Facts) -> set[Shape]:
    """Measure what was only estimated of some shapes, and return those that do not meet a limit after all."""
    refused: set[Shape] = set()
    for limit in query.non_functional:
        values = facts.measure(limit.metric, shapes)
        refused |= {shape for shape, value in zip(shapes, values, strict=True) if not limit.allows(value)}
    return refused


def assess(shapes: Sequence[Shape], trainings: Sequence[Training], model: AccuracyModel) -> list[Candidate]:
    """Step 5, second half: fit the accuracy model, predict every shape; one whose training failed is left out."""
    if not shapes:
        return []
    trainings = _in_order(trainings)
    accuracies = {t.shape: t.accuracy for t in trainings if t.accuracy is not None}
    failed = {t.shape for t in trainings} - set(accuracies)
    remaining = [shape for shape in shapes if shape not in failed]
    if not accuracies:
        return [Candidate(shape, None, None) for shape in remaining]
    predictions = checked.predict(model, trainings, remaining)
    return [
        Candidate(shape, accuracies.get(shape), prediction)
        for shape, prediction in zip(remaining, predictions, strict=True)
    ]


def apply_accuracy_limits(
    candidates: Sequence[Candidate], query: Query, notify: Callable[[Event], None]
) -> tuple[list[Candidate], list[Stage]]:
    """Step 6: drop the shapes whose trained, or else predicted, accuracy is beyond a limit.

    With a confidence, those that were not trained and comply with less than that probability.
    """
    complying = list(candidates)
    stages = []
    for constraint in query.functional:
        before = len(complying)
        complying = [candidate for candidate in complying if candidate.complies(constraint, query.confidence)]
        stages.append(_finish_stage(constraint, before, len(complying), notify))
    return complying, stages


def closest(candidates: Sequence[Candidate], query: Query) -> Candidate | None:
    """Return the candidate that comes closest to the limits on accuracy, the smaller shape on a tie."""

    def shortfall(candidate: Candidate) -> tuple[float, tuple[Fraction, int]]:
        accuracy = candidate.expected_accuracy or 0.0
        distances = [accuracy - c.limit if c.upper else c.limit - accuracy for c in query.functional]
        return max(distances, default=0.0), by_width_then_depth(candidate.shape)

    return min(candidates, key=shortfall, default=None)


def verify(complying: Sequence[Candidate], query: Query, facts: Facts) -> list[Training]:
    """Step 7: train the best by the goal; where it falls short, take the next best, until one holds.

    What was only estimated of a shape is measured before it is trained.

    Returns:
        The trainings made.
    """
    made: list[Training] = []
    for best in best_first(complying, query, facts):
        if _refused([best.shape], query, facts):
            continue
        if best.accuracy is not None:
            return made
        results = facts.verify([best.shape])
        made += results
        accuracy = results[0].accuracy if results else None
        if accuracy is not None and all(c.allows(accuracy) for c in query.functional):
            break
    # It may have come out worse than promised, and one that was trained before be better.
    _refused([candidate.shape for candidate in complying if candidate.accuracy is not None], query, facts)
    return made


def verify_front(
    complying: Sequence[Candidate],
    trainings: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
) -> list[Training]:
    """Step 7 for a trade-off: train every shape on the front, fit anew, and look again, until all on it are trained.

    Returns:
        The trainings made.
    """
    shapes = [candidate.shape for candidate in complying]
    made: list[Training] = []
    while True:
        assessed = assess(shapes, [*trainings, *made], modelling.model) if shapes else []
        candidates, _ = apply_accuracy_limits(assessed, query, ignore)
        untrained = [c.shape for c in front(candidates, query, facts) if c.accuracy is None]
        if not untrained:
            return made
        batch = untrained[: modelling.together]
        refused = _refused(batch, query, facts)
        shapes = [shape for shape in shapes if shape not in refused]
        made += facts.verify([shape for shape in batch if shape not in refused])


def front(candidates: Sequence[Candidate], query: Query, facts: Facts) -> list[Candidate]:
    """Return the candidates that no other beats: one at least as good in every metric, and better in one.

    The lower value is the better one, and for accuracy the higher. A candidate that lacks a metric is left out.
    """
    shapes = [candidate.shape for candidate in candidates]
    columns = [
        [None if c.expected_accuracy is None else -c.expected_accuracy for c in candidates]
        if metric == "accuracy"
        else facts.estimate(metric, shapes)
        for metric in query.pareto
    ]
    rows = [
        (tuple(value for value in row if value is not None), candidate)
        for row, candidate in zip(zip(*columns, strict=True), candidates, strict=True)
        if None not in row
    ]
    optimal: list[tuple[tuple[float, ...], Candidate]] = []
    for values, candidate in sorted(rows, key=lambda row: row[0]):  # whoever beats another comes before it
        if not any(_beats(better, values) for better, _ in optimal):
            optimal.append((values, candidate))
    return [candidate for _, candidate in optimal]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def min_by_goal(candidates: Sequence[Candidate], query: Query, facts: Facts) -> Candidate | None:
    """Return the best candidate by the goal, the smaller shape on a tie; None without a goal or a score."""
    return next(best_first(candidates, query, facts), None)


def best_first(candidates: Sequence[Candidate], query: Query, facts: Facts) -> Iterator[Candidate]:
    """Give the candidates that have a score by the goal in its order, the smaller shape first on a tie.

    What was only estimated of one is measured before it is given, and its place found anew.
    """
    goal = query.goal
    if goal is None or not candidates:
        return
    metrics = _metrics(query)

    def rank(some: Sequence[int]) -> Iterator[tuple[float, tuple[Fraction, int], int]]:
        shapes = [candidates[i].shape for i in some]
        columns = {metric: facts.estimate(metric, shapes) for metric in metrics}
        columns["accuracy"] = [candidates[i].expected_accuracy for i in some]
        for place, i in enumerate(some):
            values = {metric: value for metric in goal.metrics if (value := columns[metric][place]) is not None}
            if len(values) == len(goal.metrics):
                yield checked.score(goal, values), by_width_then_depth(candidates[i].shape), i

    waiting = list(rank(range(len(candidates))))
    heapq.heapify(waiting)
    while waiting:
        first = heapq.heappop(waiting)
        place = first[-1]
        for metric in metrics:
            facts.measure(metric, [candidates[place].shape])
        now = list(rank([place]))
        if now == [first]:
            yield candidates[place]
        elif now:
            heapq.heappush(waiting, now[0])


def _finish_stage(constraint: Constraint, before: int, after: int, notify: Callable[[Event], None]) -> Stage:
    notify(StageFinished(constraint.metric, constraint.bound, constraint.unit, before, after))
    return Stage(constraint, before, after)


def _in_order(trainings: Sequence[Training]) -> list[Training]:
    """Sort trainings by shape, so that nothing depends on which one finished first."""
    return sorted(trainings, key=lambda training: by_width_then_depth(training.shape))
