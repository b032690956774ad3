"""The shapes that were not trained, compared with the best of those that were by a goal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shape_dnn.constraints import Constraint
from shape_dnn.errors import ShapeDnnError
from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.search import guesses
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape

LEVELS = 9
"""Accuracies at which the score of a shape is computed; between them it is interpolated."""
DEVIATIONS = 3.0
"""Standard deviations by which a metric may be lower or higher than guessed."""


def complies(limits: Sequence[Constraint], accuracies: Floats, worse_by: float = 0.0) -> NDArray[np.bool_]:
    """Tell which accuracies would meet all limits even if they were worse by so many points."""
    inside = np.ones(accuracies.shape, bool)
    for limit in limits:
        inside &= accuracies + worse_by <= limit.limit if limit.upper else accuracies - worse_by >= limit.limit
    return inside


@dataclass(frozen=True)
class Column:
    """A metric of each shape; not a number for one that has none.

    Attributes:
        likely: what is known, or else guessed.
        low: the least that it may be; what is known is the same in all three.
        high: the most.
    """

    likely: Floats
    low: Floats
    high: Floats

    @property
    def is_known(self) -> bool:
        """Whether nothing of it is guessed."""
        return self.low is self.high

    @classmethod
    def known(cls, values: Sequence[float | None]) -> Column:
        """Make a column of what is known of every shape."""
        column = np.array([math.nan if value is None else value for value in values])
        return cls(column, column, column)

    @classmethod
    def guessed(cls, shapes: Sequence[Shape], known: Mapping[Shape, float | None]) -> Column | None:
        """Guess what is not known; return None if too little is known for that."""
        column = cls.known([known.get(shape) for shape in shapes])
        unknown = np.array([shape not in known for shape in shapes])
        if not unknown.any():
            return column
        found = {shape: value for shape, value in known.items() if value is not None and value > 0}
        if len(found) < guesses.LEAST:
            return None
        mean, deviation = guesses.guess(found, [shape for shape in shapes if shape not in known])
        likely, low, high = (column.likely.copy() for _ in range(3))
        likely[unknown] = np.exp(mean)
        low[unknown], high[unknown] = np.exp(mean - DEVIATIONS * deviation), np.exp(mean + DEVIATIONS * deviation)
        return cls(likely, low, high)


@dataclass(frozen=True)
class Contest:
    """Who may be better than the best shape so far.

    Attributes:
        shapes: all of them.
        draws: of their expected accuracies, of shape (number of draws, number of shapes).
        tolerance: by how many points worse a shape must still be better to count as such.
        accuracies: of those that were trained.
        open: positions of those that were not.
        limits: on accuracy.
        goal: orders them.
        columns: by metric of the goal, except accuracy.
    """

    shapes: Sequence[Shape]
    draws: Floats
    tolerance: float
    accuracies: Mapping[Shape, float]
    open: NDArray[np.int64]
    limits: Sequence[Constraint]
    goal: Goal
    columns: Mapping[str, Column]

    @cached_property
    def incumbent(self) -> int | None:
        """The position of the best shape that was trained and complies."""
        likely = {name: column.likely for name, column in self.columns.items()}
        scored = [
            (self._score(likely, i, accuracy), i)
            for i, shape in enumerate(self.shapes)
            if (accuracy := self.accuracies.get(shape)) is not None
            and all(limit.allows(accuracy) for limit in self.limits)
        ]
        score, place = min(scored, default=(math.inf, -1))
        return place if score < math.inf else None

    @cached_property
    def better(self) -> NDArray[np.bool_]:
        """Where an open shape may be better than the incumbent, of shape (number of draws, open shapes).

        That is where it would be with its accuracy worse by the tolerance, and its metrics as good as they may be.
        Without an incumbent, where it complies and may have a score.
        """
        if self.incumbent is None:
            return np.asarray(
                (np.isfinite(self._best_scores(self.draws)) & complies(self.limits, self.draws))[:, self.open]
            )
        lower, upper = (self._best_scores(self.draws + by) for by in (-self.tolerance, self.tolerance))
        better = np.maximum(lower, upper) < self._likely_scores(self.draws)[:, [self.incumbent]]
        return np.asarray((better & complies(self.limits, self.draws, self.tolerance))[:, self.open])

    @cached_property
    def gains(self) -> Floats:
        """How much each open shape improves on the incumbent, of shape (number of draws, open shapes).

        Where nothing complies yet, on a score somewhat worse than that of any shape.
        """
        scores = self._likely_scores(self.draws)
        if self.incumbent is not None:
            reference = scores[:, [self.incumbent]]
        else:
            typical = np.ma.masked_invalid(scores).mean(0).compressed()
            worse = typical.max() + 0.3 * np.ptp(typical) + 1e-9 if len(typical) else 0.0
            reference = np.full((1, 1), worse)
        with np.errstate(invalid="ignore"):  # no score less no score
            gains = np.where(np.isfinite(scores), np.maximum(reference - scores, 0.0), 0.0)
        return np.asarray((gains * complies(self.limits, self.draws))[:, self.open])

    @cached_property
    def _by_accuracy(self) -> bool:
        return "accuracy" in self.goal.metrics

    @cached_property
    def _levels(self) -> Floats:
        """Accuracies at which scores are computed, of shape (LEVELS, number of shapes)."""
        low, high = self.draws.min(0) - self.tolerance, self.draws.max(0) + self.tolerance
        return np.linspace(np.clip(low, 0.0, 99.9), np.clip(np.maximum(high, low + 1e-6), 0.1, 100.0), LEVELS)

    def _likely_scores(self, accuracies: Floats) -> Floats:
        """Return the scores of all shapes at some accuracies, both of shape (number of draws, number of shapes)."""
        return self._interpolate(accuracies, self._likely)

    def _best_scores(self, accuracies: Floats) -> Floats:
        """Return what they are if what was guessed is as good as it may be."""
        return self._interpolate(accuracies, self._best)

    @cached_property
    def _likely(self) -> Floats:
        return self._tabulate({name: column.likely for name, column in self.columns.items()})

    @cached_property
    def _best(self) -> Floats:
        """Scores at the levels for the best combination of low and high metrics."""
        if all(column.is_known for column in self.columns.values()):
            return self._likely
        ends = [((name, column.low), (name, column.high)) for name, column in self.columns.items()]
        tables = [self._tabulate(dict(corner)) for corner in itertools.product(*ends)]
        return np.asarray(np.minimum.reduce(tables))

    def _tabulate(self, metrics: Mapping[str, Floats]) -> Floats:
        """Return scores at the levels, of the same shape; infinite where there is none."""

        def score(place: int, accuracy: float) -> float:
            try:
                return self._score(metrics, place, accuracy)
            except ShapeDnnError:  # no shape may ever have this accuracy; those that have theirs are scored in earnest
                return math.inf

        levels = self._levels if self._by_accuracy else self._levels[:1]
        scores = [[score(i, float(level)) for i, level in enumerate(row)] for row in levels]
        return np.broadcast_to(np.array(scores), self._levels.shape)

    def _score(self, metrics: Mapping[str, Floats], place: int, accuracy: float) -> float:
        """Return the score of a shape if it had this accuracy; infinite if it lacks a metric."""
        values = {name: float(column[place]) for name, column in metrics.items() if not math.isnan(column[place])}
        score = checked.score(self.goal, {**values, "accuracy": accuracy})
        return math.inf if score is None else score

    def _interpolate(self, accuracies: Floats, scores: Floats) -> Floats:
        levels = self._levels
        with np.errstate(invalid="ignore"):  # between a score and none
            columns = [np.interp(accuracies[:, i], levels[:, i], scores[:, i]) for i in range(len(self.shapes))]
        found = np.stack(columns, axis=1)
        return np.where(np.isnan(found), np.inf, found)
