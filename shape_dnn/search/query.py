"""What a search is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from shape_dnn.constraints import Constraint
from shape_dnn.kinds import AccuracyModel, Goal, Sampler, Strategy
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Accident, Failing, Noise, Prediction, Training
from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Query:
    """What the user wants.

    Attributes:
        constraints: limits on metrics.
        goal: orders the shapes that comply; without one, all are returned.
        costs: declared cost of obtaining each metric; the cheapest limit is applied first, and quality last.
        confidence: probability from which a shape that was not trained surely complies, and the answer is found; None
            to go by expected qualities alone, as the paper does.
        pareto: metrics whose trade-off is asked for instead of a best shape.
        quality: by which trainings are judged.
    """

    constraints: Sequence[Constraint] = ()
    goal: Goal | None = None
    costs: Mapping[str, float] = field(default_factory=dict)
    confidence: float | None = None
    pareto: Sequence[str] = ()
    quality: Quality = ACCURACY

    @property
    def non_functional(self) -> list[Constraint]:
        """The limits that need no training, in the order in which they are applied."""
        limits = [c for c in self.constraints if c.metric != self.quality.name]
        return sorted(limits, key=lambda c: (self.costs.get(c.metric, 0.0), c.metric != "size", c.metric))

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics on which the answer depends."""
        goal = () if self.goal is None else self.goal.metrics
        return frozenset({*(limit.metric for limit in self.constraints), *goal, *self.pareto})

    @property
    def metrics_of_goal(self) -> list[str]:
        """The metrics of the goal that are measured rather than trained."""
        return [] if self.goal is None else [metric for metric in self.goal.metrics if metric != self.quality.name]

    @property
    def functional(self) -> list[Constraint]:
        """The limits on quality."""
        return [c for c in self.constraints if c.metric == self.quality.name]

    def is_sure(self, candidate: Candidate) -> bool:
        """Tell whether a candidate was trained, or complies with the wanted probability as well as by expectation."""
        return all(candidate.complies(limit, self.confidence) for limit in self.functional)


@dataclass(frozen=True)
class Modelling:
    """How the quality of many shapes is found by training few.

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
    """A limit that was applied: ``after`` of ``before`` shapes are left.

    Attributes:
        nearest: if none is left, the shape that misses the limit by the least, with its value.
    """

    constraint: Constraint
    before: int
    after: int
    nearest: tuple[Shape, float] | None = None


@dataclass(frozen=True)
class Candidate:
    """A shape that complies.

    Attributes:
        shape: depth and width.
        quality: of its training; None if it was not trained.
        prediction: of the accuracy model.
    """

    shape: Shape
    quality: float | None
    prediction: Prediction | None

    @property
    def expected(self) -> float | None:
        """The trained quality or else the predicted one."""
        if self.quality is not None:
            return self.quality
        return None if self.prediction is None else self.prediction.mean

    def complies(self, limit: Constraint, confidence: float | None) -> bool:
        """Tell whether it meets a limit on quality.

        Args:
            limit: on quality.
            confidence: with which probability a training must meet it if there was none yet; None to go by the
                expected quality.
        """
        value, prediction = self.expected, self.prediction
        if self.quality is None and prediction is not None and prediction.std and confidence is not None:
            deviations = NormalDist().inv_cdf(confidence) * prediction.std
            value = prediction.mean + deviations if limit.upper else prediction.mean - deviations
        return limit.allows(value)

    def probability(self, limits: Sequence[Constraint]) -> float | None:
        """Return the probability that a training meets the limits on quality, 0 or 1 if there was one.

        None if the model does not say how sure it is.
        """
        if self.quality is not None:
            return float(all(limit.allows(self.quality) for limit in limits))
        if self.prediction is None or not self.prediction.std:
            return None
        trained = NormalDist(self.prediction.mean, self.prediction.std)
        above = max((trained.cdf(limit.limit) for limit in limits if not limit.upper), default=0.0)
        below = min((trained.cdf(limit.limit) for limit in limits if limit.upper), default=1.0)
        return max(0.0, below - above)


@dataclass(frozen=True)
class Certificate:
    """How sure an answer is.

    Attributes:
        confidence: what was asked for.
        doubt: with a goal, the probability that a shape that was not trained is better than the best by more than the
            tolerance (or complies at all, if none was found). Of a front, that one lies beyond it by more than the
            tolerance. Without either, the largest probability that one of the shapes is on the other side of a limit
            by more than the tolerance.
        tolerance: the standard deviation of a training's quality: what is within it no search can tell.
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
        survivors: the shapes left after the limits that need no training.
        trainings: every training the search used, in the order of asking, failed ones included.
        complying: shapes that meet all limits.
        best: the best of them by the goal; None without a goal, or if there is none.
        test_quality: of the best on the test set, if it was read.
        certificate: how sure it is, if a confidence was asked for.
        closest: if nothing complies for lack of quality, the shape that comes closest.
        budget: of a plan, the most trainings before verification; what is trained may depend on results.
        unknown: of a plan, the metrics of limits and of the goal that are not known yet of every shape.
        failing: the shapes that fail to train, by width and then depth, if a confidence was asked for.
        accidents: the shapes of which a second training counts, since the first came out badly by accident.
        repeated: number of shapes that were trained again to tell these apart.
        known_failed: of a question, for which nothing is trained, the trainings that are known to have failed.
    """

    space: int
    stages: tuple[Stage, ...]
    survivors: frozenset[Shape]
    trainings: tuple[Training, ...]
    complying: tuple[Candidate, ...]
    best: Candidate | None
    test_quality: float | None = None
    certificate: Certificate | None = None
    closest: Candidate | None = None
    budget: int | None = None
    unknown: tuple[str, ...] = ()
    failing: tuple[Failing, ...] = ()
    accidents: tuple[Accident, ...] = ()
    repeated: int = 0
    known_failed: tuple[Training, ...] = ()

    @property
    def failed(self) -> tuple[Training, ...]:
        """The trainings that came to nothing."""
        return tuple(training for training in (*self.trainings, *self.known_failed) if training.reason)

    @property
    def candidates(self) -> int:
        """The number of shapes left after the limits that need no training."""
        return len(self.survivors)

    @property
    def beyond(self) -> int:
        """The number of shapes that were trained although these limits drop them: for another question to the study."""
        return sum(training.shape not in self.survivors for training in self.trainings)

    @property
    def verified(self) -> bool:
        """Whether the best shape was trained, and so is known to comply."""
        return self.best is not None and self.best.quality is not None

    @property
    def noise(self) -> Noise | None:
        """How much qualities vary from training to training; None if no shape was trained more than once.

        Those that fail to train say nothing of the others.
        """
        failing = {each.shape for each in self.failing}
        return Noise.estimate([training for training in self.trainings if training.shape not in failing])

    @property
    def accidental(self) -> frozenset[Shape]:
        """The shapes of which a second training counts."""
        return frozenset(accident.shape for accident in self.accidents)
