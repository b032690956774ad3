"""What a search knows half-way of the answer to its question, and which trainings would tell most about it.

Everything is a statement about joint draws from the accuracy model: surfaces of expected accuracy over all shapes, each
as likely as the next. What is asked (which shape is best, which shapes comply) has a definite answer on each of them,
so the probability of an answer is the part of the draws that give it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shape_dnn import durations, optimal_design, ordering, rules
from shape_dnn.constraints import Constraint
from shape_dnn.errors import ShapeDnnError
from shape_dnn.kinds import AccuracyModel, Goal
from shape_dnn.records import Training
from shape_dnn.shape import Shape

DRAWS = 512
LEAST = 3
"""Finished trainings from which the model is asked; before, any answer is open."""
LEVELS = 9
"""Accuracies at which the score of a shape is computed; between them it is interpolated."""
PLAUSIBLE = 0.5
"""Probability of meeting the limits on accuracy from which a shape is worth measuring."""
COST_EXPONENT = 0.5
"""How much cheapness counts against improvement: 0 not at all, 1 as improvement per second."""


def _nothing(metric: str, _shapes: Sequence[Shape]) -> Sequence[float | None]:
    raise KeyError(metric)


@dataclass(frozen=True)
class Outlook:
    """What a search knows half-way.

    A shape that was not trained counts as missed only where it would be better even if its accuracy were worse by one
    standard deviation of a training: what lies within the noise no search can tell.

    Attributes:
        shapes: all that meet the limits that need no training, sorted by width and then depth.
        observed: every training so far.
        model: predicts accuracies.
        limits: on accuracy.
        goal: orders the shapes that comply; without one, all that comply are asked for.
        measure: returns a metric of some shapes; asked for the metrics of the goal, and only of shapes that may still
            be the answer.
        confidence: probability from which an answer stands.
        noise: standard deviation of the accuracies of one shape's trainings, in points; None to have the model tell.
        together: trainings to choose before the first of them has a result.
        exact: whether the whole budget of trainings is to be spent, settled or not.
        plausible: probability of meeting the limits on accuracy from which the metrics of the goal are asked for. Any
            other shape counts as better than the best so far wherever it meets them. Where that alone leaves the answer
            open, the metrics of all are asked for.
    """

    shapes: Sequence[Shape]
    observed: Sequence[Training]
    model: AccuracyModel
    limits: Sequence[Constraint] = ()
    goal: Goal | None = None
    measure: Callable[[str, Sequence[Shape]], Sequence[float | None]] = _nothing
    confidence: float = 0.95
    noise: float | None = None
    together: int = 1
    exact: bool = False
    plausible: float = PLAUSIBLE

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
        for that, the most promising shape must have been trained. Without a goal, that the least certain shape is on
        the other side of a limit; without any limit, 1 until the expected accuracies of the shapes are known within
        the noise in the mean.
        """
        if not len(self._open):
            return 0.0
        if not self._is_known:
            return 1.0
        if self.goal is not None:
            if self._view is not self:
                return self._view.doubt
            if self._incumbent is None and self._most_promising in self._open:
                return 1.0
            return float(self._better.any(1).mean())
        if self.limits:
            return float(self._misjudged.max())
        return float(self._spread.mean() > self.tolerance)

    @property
    def tolerance(self) -> float:
        """The standard deviation of a training's accuracy about what is expected of its shape, in points."""
        return self._fitted[1] if self.noise is None else self.noise

    def choose(self, number: int) -> list[Shape]:
        """Return the untrained shapes whose training improves the answer most for its cost, at most ``number``.

        With a goal these are the shapes of the largest expected improvement over the best so far and over each other
        (Mockus 1978; Ginsbourger et al. 2010), where shapes that would not comply improve nothing.
        """
        if not self._is_known:
            return optimal_design.d_optimal(self.shapes, number, self.costs, {t.shape for t in self.observed})
        if self.goal is None:
            worth = self._misjudged if self.limits else self._spread
            return self._best_first((worth + 1e-9) / self._prices, number)
        if self._view is not self:
            return self._view.choose(number)
        if self._incumbent is None and not self._better.any() and self._most_promising in self._open:
            return [self.shapes[self._most_promising]]
        chosen: list[int] = []
        gains = self._gains + 1e-9 * self._better
        reached = np.zeros(len(gains))
        for _ in range(min(number, len(self._open))):
            worth = np.maximum(gains - reached[:, None], 0.0).mean(0) / self._prices
            worth[chosen] = -1.0
            chosen.append(ordering.first_largest(worth))
            reached = np.maximum(reached, gains[:, chosen[-1]])
        return [self.shapes[self._open[i]] for i in chosen]

    @cached_property
    def _view(self) -> Outlook:
        """This one, or if only metrics that it lacks leave the answer open, one that asks for those of every shape."""
        is_open = self._better.any(1).mean() > 1 - self.confidence
        is_known_to_be = self._better[:, self._plausible[self._open]].any(1).mean() > 1 - self.confidence
        if self.plausible == 0.0 or is_known_to_be or not is_open:
            return self
        return replace(self, plausible=0.0)

    def _best_first(self, worth: NDArray[np.float64], number: int) -> list[Shape]:
        return [self.shapes[self._open[i]] for i in ordering.largest_first(worth)[:number]]

    @cached_property
    def costs(self) -> NDArray[np.float64]:
        """The assumed duration of training each shape, in units of their mean."""
        return durations.assume(self.shapes)

    @cached_property
    def _prices(self) -> NDArray[np.float64]:
        return np.asarray(np.maximum(self.costs[self._open], 1e-6) ** COST_EXPONENT)

    @cached_property
    def _accuracies(self) -> dict[Shape, float]:
        return {t.shape: t.accuracy for t in self.observed if t.accuracy is not None}

    @property
    def _is_known(self) -> bool:
        return len(self._accuracies) >= min(LEAST, len(self.shapes))

    @cached_property
    def _open(self) -> NDArray[np.int64]:
        """The positions of the shapes that were not trained."""
        trained = {training.shape for training in self.observed}
        return np.array([i for i, shape in enumerate(self.shapes) if shape not in trained], np.int64)

    @cached_property
    def _fitted(self) -> tuple[NDArray[np.float64], float]:
        draws = rules.draw(self.model, self.observed, self.shapes, DRAWS)
        return draws, rules.noise(self.model)

    @property
    def _draws(self) -> NDArray[np.float64]:
        """Draws of the expected accuracies of all shapes, of shape (DRAWS, number of shapes)."""
        return self._fitted[0]

    def _complies(self, accuracies: NDArray[np.float64], worse_by: float = 0.0) -> NDArray[np.bool_]:
        complies = np.ones(accuracies.shape, bool)
        for limit in self.limits:
            inside = accuracies + worse_by <= limit.limit if limit.upper else accuracies - worse_by >= limit.limit
            complies &= inside
        return complies

    @cached_property
    def _levels(self) -> NDArray[np.float64]:
        """Accuracies at which scores are computed, of shape (LEVELS, number of shapes)."""
        low, high = self._draws.min(0) - self.tolerance, self._draws.max(0) + self.tolerance
        return np.linspace(np.clip(low, 0.0, 99.9), np.clip(np.maximum(high, low + 1e-6), 0.1, 100.0), LEVELS)

    @cached_property
    def _scores_at_levels(self) -> NDArray[np.float64]:
        """Scores at these accuracies, of the same shape; infinite where there is none."""

        def score(place: int, accuracy: float) -> float:
            try:
                return self._score(place, accuracy)
            except ShapeDnnError:  # no shape may ever have this accuracy; those that have theirs are scored in earnest
                return math.inf

        levels = self._levels if self._by_accuracy else self._levels[:1]
        scores = [[score(i, float(level)) for i, level in enumerate(row)] for row in levels]
        return np.broadcast_to(np.array(scores), self._levels.shape)

    def _score(self, place: int, accuracy: float) -> float:
        """Return the score of a shape if it had this accuracy; infinite if it lacks a metric."""
        assert self.goal is not None  # noqa: S101 - asked for only then
        values = {name: column[place] for name, column in self._values.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            return math.inf
        return rules.score(self.goal, {**known, "accuracy": accuracy} if self._by_accuracy else known)

    @cached_property
    def _by_accuracy(self) -> bool:
        return self.goal is not None and "accuracy" in self.goal.metrics

    @cached_property
    def _values(self) -> dict[str, Sequence[float | None]]:
        """The metrics of the goal but accuracy, for each shape; none for one that cannot be the answer."""
        metrics = () if self.goal is None else self.goal.metrics
        places = np.flatnonzero(self._plausible).tolist()
        columns: dict[str, Sequence[float | None]] = {}
        for name in metrics:
            if name != "accuracy":
                found = dict(zip(places, self.measure(name, [self.shapes[i] for i in places]), strict=True))
                columns[name] = [found.get(i) for i in range(len(self.shapes))]
        return columns

    @cached_property
    def _plausible(self) -> NDArray[np.bool_]:
        """Which shapes meet the limits on accuracy: by their training, or else on so many of the draws, if on any."""
        part = self._complies(self._draws).mean(0)
        plausible: NDArray[np.bool_] = np.asarray((part > 0) & (part >= self.plausible))
        for i, shape in enumerate(self.shapes):
            accuracy = self._accuracies.get(shape)
            if accuracy is not None:
                plausible[i] = all(limit.allows(accuracy) for limit in self.limits)
        return plausible

    def _scores(self, accuracies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores of all shapes at some accuracies, both of shape (number of draws, number of shapes)."""
        levels, scores = self._levels, self._scores_at_levels
        with np.errstate(invalid="ignore"):  # between a score and none
            columns = [np.interp(accuracies[:, i], levels[:, i], scores[:, i]) for i in range(len(self.shapes))]
        found = np.stack(columns, axis=1)
        return np.where(np.isnan(found), np.inf, found)

    @cached_property
    def _incumbent(self) -> int | None:
        """The position of the best shape that was trained and complies."""
        scored = [
            (self._score(i, accuracy), i)
            for i, shape in enumerate(self.shapes)
            if (accuracy := self._accuracies.get(shape)) is not None
            and all(limit.allows(accuracy) for limit in self.limits)
        ]
        score, place = min(scored, default=(math.inf, -1))
        return place if score < math.inf else None

    @cached_property
    def _most_promising(self) -> int:
        """The position of the shape that is expected to come closest to the limits."""
        expected = self._draws.mean(0)
        short = np.zeros(len(expected))
        for limit in self.limits:
            short = np.maximum(short, expected - limit.limit if limit.upper else limit.limit - expected)
        return ordering.first_largest(-short)

    @cached_property
    def _draw_scores(self) -> NDArray[np.float64]:
        return self._scores(self._draws)

    @cached_property
    def _better(self) -> NDArray[np.bool_]:
        """Where an open shape is better than the best so far by more than the noise, of shape (DRAWS, open shapes)."""
        draws, open_ = self._draws, self._open
        if self._incumbent is None:
            better, complies = np.isfinite(self._draw_scores), self._complies(draws)
        else:
            worst = np.maximum(self._scores(draws - self.tolerance), self._scores(draws + self.tolerance))
            better, complies = worst < self._draw_scores[:, [self._incumbent]], self._complies(draws, self.tolerance)
        return np.asarray(((better | ~self._plausible) & complies)[:, open_])

    @cached_property
    def _gains(self) -> NDArray[np.float64]:
        """How much each open shape improves on the best so far, of shape (DRAWS, open shapes).

        Where nothing complies yet, on a score somewhat worse than that of any shape.
        """
        scores = self._draw_scores
        if self._incumbent is not None:
            reference = scores[:, [self._incumbent]]
        else:
            typical = np.ma.masked_invalid(scores).mean(0).compressed()
            worse = typical.max() + 0.3 * np.ptp(typical) + 1e-9 if len(typical) else 0.0
            reference = np.full((1, 1), worse)
        with np.errstate(invalid="ignore"):  # no score less no score
            gains = np.where(np.isfinite(scores), np.maximum(reference - scores, 0.0), 0.0)
        return np.asarray((gains * self._complies(self._draws))[:, self._open])

    @cached_property
    def _misjudged(self) -> NDArray[np.float64]:
        """For each open shape, the probability that it is on the wrong side of a limit by more than the noise."""
        draws = self._draws[:, self._open]
        inside = self._complies(draws, self.tolerance).mean(0)
        outside = 1 - self._complies(draws, -self.tolerance).mean(0)
        return np.asarray(np.minimum(inside, outside))

    @cached_property
    def _spread(self) -> NDArray[np.float64]:
        """The standard deviation of the expected accuracy of each open shape."""
        return np.asarray(self._draws[:, self._open].std(0))
