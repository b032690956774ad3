"""What a search knows half-way of the answer to its question, and which trainings would tell most about it.

Everything is a statement about joint draws from the accuracy model: surfaces of expected quality over all shapes, each
as likely as the next. What is asked (which shape is best, which shapes comply) has a definite answer on each of them,
so the probability of an answer is the part of the draws that give it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shape_dnn.constraints import Constraint
from shape_dnn.events import Chosen, Judged, Reason
from shape_dnn.kinds import AccuracyModel, Goal
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Training
from shape_dnn.search import design, durations, fitting, rounding
from shape_dnn.search.contest import Column, Contest, complies
from shape_dnn.search.frontier import beyond
from shape_dnn.search.together import improving_most
from shape_dnn.shape import Shape

DRAWS = 512
LEAST = 3
"""Finished trainings before which any answer is open."""
MEASURED_TOGETHER = 4
"""Shapes to measure before the others are guessed anew."""
BY_GUESSES = 0.01
"""Doubt that may rest on metrics that were guessed; where it is more, they are measured."""
COST_EXPONENT = 0.5
"""How much cheapness counts against improvement: 0 not at all, 1 as improvement per second."""
TIE = 1e-9
"""What a shape without any worth counts, beside the largest worth: among such the cheapest is chosen."""


def _nothing(metric: str, _shapes: Sequence[Shape]) -> Sequence[float | None]:
    raise KeyError(metric)


def _relative(worths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return worths as parts of the largest, so that no choice depends on the unit of a quality or a score."""
    return worths / (float(worths[np.isfinite(worths)].max(initial=0.0)) or 1.0)


@dataclass(frozen=True)
class AnswerPosterior:
    """What a search knows half-way.

    A shape that was not trained counts as missed only where it would be better even if its quality were worse by one
    standard deviation of a training: what lies within the noise no search can tell.

    Attributes:
        shapes: all that meet the limits that need no training, sorted by width and then depth.
        observed: every training so far.
        model: predicts qualities.
        limits: on quality.
        goal: orders the shapes that comply; without one, all that comply are asked for.
        measure: returns a metric of some shapes.
        at_hand: metrics that are asked for of all shapes, since that costs nothing. Of any other metric of the goal
            only what may decide is measured: the shapes that were trained, those to be trained next, and those that
            may still be better than the best so far. The others are guessed from them.
        asked: the shapes that were measured so far for the sake of each such metric. Given on from one posterior to the
            next, so that a search that goes on decides as one that was never interrupted, whatever else was measured.
        confidence: probability from which an answer stands.
        noise: standard deviation of the qualities of one shape's trainings; None to have the model tell.
        together: trainings to choose before the first of them has a result.
        exact: whether the whole budget of trainings is to be spent, settled or not.
        pareto: metrics whose trade-off is asked for instead of a best shape.
        quality: by which trainings are judged.
        begun: which part of a training was made, of shapes whose trainings can go on from there.
        reasons: why each shape was chosen, as :meth:`choose` notes it.
    """

    shapes: Sequence[Shape]
    observed: Sequence[Training]
    model: AccuracyModel
    limits: Sequence[Constraint] = ()
    goal: Goal | None = None
    measure: Callable[[str, Sequence[Shape]], Sequence[float | None]] = _nothing
    at_hand: Collection[str] = ()
    asked: dict[str, set[Shape]] = field(default_factory=dict)
    confidence: float = 0.95
    noise: float | None = None
    together: int = 1
    exact: bool = False
    pareto: Sequence[str] = ()
    quality: Quality = ACCURACY
    begun: Mapping[Shape, float] = field(default_factory=dict)
    reasons: dict[Shape, Chosen] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def settled(self) -> bool:
        """Whether the answer stands with the wanted confidence, or every shape was trained."""
        if not len(self._open):
            return True
        return self._is_known and self.doubt <= 1 - self.confidence

    @property
    def doubt(self) -> float:
        """The probability that training more would change the answer by more than the noise.

        With a goal, that a shape was missed that is better than the best so far, or complies at all if none was found;
        for that, the most promising shape must have been trained. Of a front, that a shape beyond it was missed.
        Without either, that the least certain shape is on the other side of a limit; without any limit, 1 until the
        expected qualities of the shapes are known within the noise in the mean.
        """
        if not len(self._open):
            return 0.0
        if not self._is_known:
            return 1.0
        if self.goal is not None:
            if self._contest.incumbent is None and self._most_promising in self._open:
                return 1.0
            return float(self._contest.better.any(1).mean())
        if self.pareto:
            return float(self._beyond.any(1).mean())
        if self.limits:
            return float(self._misjudged.max())
        return float(self._spread.mean() > self.tolerance)

    @property
    def best(self) -> Shape | None:
        """The best of the shapes that were trained; None if none complies, or without a goal."""
        if self.goal is None or not self._is_known:
            return None
        incumbent = self._contest.incumbent
        return None if incumbent is None else self.shapes[incumbent]

    @property
    def judgement(self) -> Judged:
        """What is known, in short."""
        return Judged(len(self._trained), self.doubt, self.best, self.tolerance)

    @property
    def tolerance(self) -> float:
        """The standard deviation of a training's quality about what is expected of its shape, in its unit."""
        if self.noise is not None:
            return self.noise
        return self._fitted[1] if self._is_known else 0.0

    def choose(self, number: int) -> list[Shape]:
        """Return the untrained shapes whose training improves the answer most for its cost, at most ``number``.

        With a goal these are the shapes of the largest expected improvement over the best so far and over each other
        (Mockus 1978; Ginsbourger et al. 2010), where shapes that would not comply improve nothing. Of a front, they are
        those that most probably lie beyond it, where none that was chosen before does.
        """
        if len(self._trained) < min(LEAST, self.initial, len(self.shapes)):
            return design.d_optimal(self.shapes, number, self.costs, {t.shape for t in self.observed})
        if self.pareto and self._beyond.any():
            order = improving_most(self._beyond.astype(float), self._prices, number)
            reason = Reason.BEYOND
        elif self.goal is None:
            worth = self._misjudged if self.limits else self._spread
            order = rounding.largest_first((_relative(worth) + TIE) / self._prices)[:number]
            reason = Reason.UNDECIDED if self.limits else Reason.UNCERTAIN
        elif self._contest.incumbent is None and not self._contest.better.any() and self._most_promising in self._open:
            order = np.flatnonzero(self._open == self._most_promising)
            reason = Reason.CLOSEST
        else:
            order = self._improving_most(self._contest, number)
            reason = Reason.IMPROVES
        self.reasons.update((chosen.shape, chosen) for chosen in (self._chosen(i, reason) for i in order))
        return [self.shapes[self._open[i]] for i in order]

    def explain(self, shape: Shape) -> Chosen:
        """Return why a shape is trained that was chosen by this, or by the sampler alone."""
        return self.reasons.get(shape, Chosen(shape, Reason.SAMPLE))

    def _chosen(self, place: int, reason: Reason) -> Chosen:
        """Return why a shape was chosen, by its position among those that are open."""
        draws = self.draws[:, self._open[place]]
        better = None
        if self.goal is not None and self._contest.incumbent is not None:
            better = float(self._contest.better[:, place].mean())
        elif self.pareto:
            better = float(self._beyond[:, place].mean())
        return Chosen(
            self.shapes[self._open[place]],
            reason,
            float(draws.mean()),
            float(draws.std()),
            float(complies(self.limits, draws).mean()) if self.limits else None,
            better,
        )

    def _improving_most(self, contest: Contest, number: int) -> NDArray[np.int64]:
        """Return the positions, among the open shapes, of those that improve most on the best and on each other."""
        return improving_most(_relative(contest.gains) + TIE * contest.better, self._prices, number)

    @cached_property
    def _contest(self) -> Contest:
        """The open shapes beside the best so far, once what may decide between them is measured."""
        assert self.goal is not None  # noqa: S101 - asked for only then
        metrics = [metric for metric in self.goal.metrics if metric != self.quality.name]
        elsewhere = [metric for metric in metrics if metric not in self.at_hand]
        self._ask(elsewhere, [shape for shape in self.shapes if shape in self._trained])
        while True:
            contest = Contest(
                self.shapes, self.quality, self.draws, self.tolerance, self._trained, self._open, self.limits,
                self.goal, {metric: self._column(metric) for metric in metrics},
            )  # fmt: skip
            wanted = self._worth_measuring(contest, elsewhere)
            if not wanted:
                return contest
            self._ask(elsewhere, wanted)

    def _ask(self, metrics: Sequence[str], shapes: Sequence[Shape]) -> None:
        for metric in metrics:
            self.asked.setdefault(metric, set()).update(shapes)

    def _column(self, metric: str) -> Column:
        """Return a metric of all shapes: measured where it was asked for, and guessed elsewhere if that is possible."""
        if metric not in self.at_hand:
            asked = [shape for shape in self.shapes if shape in self.asked[metric]]
            column = Column.guessed(self.shapes, dict(zip(asked, self.measure(metric, asked), strict=True)))
            if column is not None:
                return column
            self._ask([metric], self.shapes)
        return Column.known(self.measure(metric, self.shapes))

    def _worth_measuring(self, contest: Contest, metrics: Sequence[str]) -> list[Shape]:
        """Return the shapes whose guessed metrics may decide whether the answer stands, or what is trained next."""
        guessed = np.array([any(self.shapes[i] not in self.asked[metric] for metric in metrics) for i in self._open])
        if not guessed.any():
            return []
        better, negligible = contest.better, 1 - self.confidence
        doubt, by_known = better.any(1).mean(), better[:, ~guessed].any(1).mean()
        if contest.incumbent is not None and by_known <= negligible and doubt - by_known > BY_GUESSES:
            probabilities = np.where(guessed, better.mean(0), 0.0)
            wanted = rounding.largest_first(probabilities)[:MEASURED_TOGETHER]
            wanted = wanted[probabilities[wanted] > 0]
        elif doubt > negligible:
            wanted = self._improving_most(contest, self.together)
            wanted = wanted[guessed[wanted]]
        else:
            return []
        return [self.shapes[self._open[i]] for i in wanted]

    @cached_property
    def initial(self) -> int:
        """Trainings to begin with before the accuracy model is asked, as it has it."""
        return fitting.initial(self.model)

    @cached_property
    def costs(self) -> NDArray[np.float64]:
        """The assumed duration of training each shape, or of what is left of it, in units of the mean of all."""
        return durations.assume(self.shapes) * [1.0 - self.begun.get(shape, 0.0) for shape in self.shapes]

    @cached_property
    def _prices(self) -> NDArray[np.float64]:
        return np.asarray(np.maximum(self.costs[self._open], 1e-6) ** COST_EXPONENT)

    @cached_property
    def _trained(self) -> dict[Shape, float]:
        return {t.shape: t.quality for t in self.observed if t.quality is not None}

    @property
    def _is_known(self) -> bool:
        return len(self._trained) >= min(LEAST, len(self.shapes))

    @cached_property
    def _open(self) -> NDArray[np.int64]:
        """The positions of the shapes that were not trained."""
        trained = {training.shape for training in self.observed}
        return np.array([i for i, shape in enumerate(self.shapes) if shape not in trained], np.int64)

    @cached_property
    def _fitted(self) -> tuple[NDArray[np.float64], float]:
        draws = fitting.draw(self.model, self.observed, self.shapes, DRAWS)
        return draws, fitting.noise(self.model)

    @property
    def draws(self) -> NDArray[np.float64]:
        """Draws of the expected qualities of all shapes, of shape (DRAWS, number of shapes).

        Raises:
            ValueError: no training succeeded yet.
        """
        if not self._trained:
            raise ValueError("there are no draws before a training has succeeded")
        return self._fitted[0]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The goal's scores of all shapes on each of the draws: the lowest is the best, infinite does not comply.

        A metric of the goal that need not be measured to tell the answer is guessed.

        Raises:
            ValueError: no training succeeded yet, or there is no goal.
        """
        if self.goal is None or not self._trained:
            raise ValueError("there are no scores without a goal, nor before a training has succeeded")
        return self._contest.scores

    @cached_property
    def _most_promising(self) -> int:
        """The position of the shape that is expected to come closest to the limits."""
        expected = self.draws.mean(0)
        short = np.zeros(len(expected))
        for limit in self.limits:
            short = np.maximum(short, expected - limit.limit if limit.upper else limit.limit - expected)
        return rounding.first_largest(-short)

    @cached_property
    def _misjudged(self) -> NDArray[np.float64]:
        """For each open shape, the probability that it is on the wrong side of a limit by more than the noise."""
        draws = self.draws[:, self._open]
        inside = complies(self.limits, draws, self.tolerance).mean(0)
        outside = 1 - complies(self.limits, draws, -self.tolerance).mean(0)
        return np.asarray(np.minimum(inside, outside))

    @cached_property
    def _beyond(self) -> NDArray[np.bool_]:
        """Which open shapes lie beyond the front of those that were trained, in each draw."""
        metrics = [metric for metric in self.pareto if metric != self.quality.name]
        costs = np.array([self.measure(metric, self.shapes) for metric in metrics], float).T
        trained = [
            place
            for place, shape in enumerate(self.shapes)
            if shape in self._trained and all(limit.allows(self._trained[shape]) for limit in self.limits)
        ]
        by_quality = self.quality.name in self.pareto
        return beyond(
            self.draws, costs, trained, self._open, self.quality, self.limits, self.tolerance, by_quality=by_quality
        )

    @cached_property
    def _spread(self) -> NDArray[np.float64]:
        """The standard deviation of the expected quality of each open shape."""
        return np.asarray(self.draws[:, self._open].std(0))
