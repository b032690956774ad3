"""The shapes that were not trained, compared with the best of those that were by a goal."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.quality import Quality
from shape_dnn.search import guesses
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape

LEVELS, MANY_LEVELS = 9, 129
"""Qualities at which the score of a shape is computed: a few where it runs straight between them, and else many."""
STRAIGHT = 1e-9
"""Part of a score by which it may bend from one level to the next and still run straight; the rest is rounding."""
AT_ONCE = 128
"""Shapes whose scores are interpolated at a time, so that they stay in the caches of a processor."""
CLEARANCE, LEAST_CLEARANCE = 1e-3, 1e-8
"""Parts of the range of a quality that its levels keep from the far bound, and from each other; the latter also of a
value, where that is larger than the range of what was drawn."""
DEVIATIONS = 3.0
"""Standard deviations by which a metric may be lower or higher than guessed."""


def complies(limits: Sequence[Constraint], qualities: Floats, worse_by: float = 0.0) -> NDArray[np.bool_]:
    """Tell which qualities would meet all limits even if they were worse by so much."""
    inside = np.ones(qualities.shape, bool)
    for limit in limits:
        inside &= qualities + worse_by <= limit.limit if limit.upper else qualities - worse_by >= limit.limit
    return inside


def between(levels: Floats, scores: Floats, qualities: Floats) -> Floats:
    """Interpolate scores linearly between levels at even distances; beyond them they are those of the last.

    Args:
        levels: rising, of shape (LEVELS, number of shapes).
        scores: at the levels; infinite where there is none, and then there is none on either side.
        qualities: of shape (number of draws, number of shapes).
    """
    steps, shapes = len(levels) - 1, levels.shape[1]
    found: Floats = qualities - levels[0]
    found *= steps / (levels[-1] - levels[0])
    np.clip(found, 0.0, steps, out=found)
    below = np.minimum(found.astype(np.int32), steps - 1)
    found -= below
    below = below * shapes + np.arange(shapes, dtype=np.int32)
    with np.errstate(invalid="ignore"):  # between a score and none
        found *= np.diff(scores, axis=0).take(below, mode="clip")
        found += scores[:-1].take(below, mode="clip")
    found[np.isnan(found)] = np.inf
    return found


def nearest(levels: Floats, scores: Floats, qualities: Floats) -> Floats:
    """Return the scores at the levels that are nearest; arguments as of :func:`between`."""
    steps = len(levels) - 1
    places = np.rint((qualities - levels[0]) * (steps / (levels[-1] - levels[0])))
    return np.asarray(np.take_along_axis(scores, np.clip(places, 0, steps).astype(np.int64), axis=0))


def nearest_of_any(levels: Floats, scores: Floats, qualities: Floats) -> Floats:
    """Do the same for levels at any distances; those of a shape need only rise."""
    middles = (levels[1:] + levels[:-1]) / 2
    columns = [scores[np.searchsorted(middles[:, i], qualities[:, i]), i] for i in range(levels.shape[1])]
    return np.stack(columns, axis=1)


def run_straight(scores: Floats) -> bool:
    """Tell whether the scores of each shape lie on a line over its levels, so that they can be interpolated."""
    there = np.isfinite(scores)
    if (there.any(0) & ~there.all(0)).any():
        return False
    known = scores[:, there.all(0)]
    bends, sizes = (np.abs(values).max(0, initial=0.0) for values in (np.diff(known, 2, axis=0), known))
    return bool((bends <= STRAIGHT * sizes).all())


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
        quality: by which trainings are judged.
        draws: of their expected qualities, of shape (number of draws, number of shapes).
        tolerance: by how much worse a shape must still be better to count as such.
        trained: qualities of those that were trained.
        open: positions of those that were not.
        limits: on quality.
        goal: orders them.
        columns: by metric of the goal, except quality.
    """

    shapes: Sequence[Shape]
    quality: Quality
    draws: Floats
    tolerance: float
    trained: Mapping[Shape, float]
    open: NDArray[np.int64]
    limits: Sequence[Constraint]
    goal: Goal
    columns: Mapping[str, Column]

    @cached_property
    def incumbent(self) -> int | None:
        """The position of the best shape that was trained and complies."""
        metrics = self._likely_metrics
        scored = [
            (self._score(metrics, i, value), i)
            for i, shape in enumerate(self.shapes)
            if (value := self.trained.get(shape)) is not None and all(limit.allows(value) for limit in self.limits)
        ]
        score, place = min(scored, default=(math.inf, -1))
        return place if score < math.inf else None

    @cached_property
    def better(self) -> NDArray[np.bool_]:
        """Where an open shape may be better than the incumbent, of shape (number of draws, open shapes).

        That is where it would be with its quality worse by the tolerance, and its metrics as good as they may be. Where
        steps of quality count first, they say what is alike. Without an incumbent, where it complies and may have a
        score.
        """
        draws = self._open_draws
        if self.incumbent is None:
            return np.isfinite(self._scores(self._best, draws, self.open)) & complies(self.limits, draws)
        by = (0.0,) if self._is_stepped else (-self.tolerance, self.tolerance)
        worst = functools.reduce(np.maximum, (self._scores(self._best, draws + change, self.open) for change in by))
        better = worst < self._reference
        return np.asarray(better & complies(self.limits, draws, self.tolerance))

    @cached_property
    def gains(self) -> Floats:
        """How much each open shape improves on the incumbent, of shape (number of draws, open shapes).

        Where nothing complies yet, on a score somewhat worse than that of any shape.
        """
        scores = self._scores(self._likely, self._open_draws, self.open)
        with np.errstate(invalid="ignore"):  # no score less no score
            gains = np.where(np.isfinite(scores), np.maximum(self._reference - scores, 0.0), 0.0)
        return np.asarray(gains * complies(self.limits, self._open_draws))

    @cached_property
    def scores(self) -> Floats:
        """The scores of all shapes, of the shape of the draws; infinite where a shape does not comply or has none."""
        return np.where(complies(self.limits, self.draws), self._scores_of_all, np.inf)

    @property
    def _scores_of_all(self) -> Floats:
        return self._scores(self._likely, self.draws, np.arange(len(self.shapes)))

    @cached_property
    def _reference(self) -> Floats:
        """The score of the incumbent in each draw; without one, somewhat worse than any shape has in the mean.

        By a goal with steps it is that of its training, which tells on which side of a step it is as it tells that of a
        limit. What is expected of a shape near a step would never tell, whatever else is trained.
        """
        if self.incumbent is not None:
            places = np.array([self.incumbent])
            if not self._is_stepped:
                return self._scores(self._likely, self.draws[:, places], places)
            own = self.trained[self.shapes[self.incumbent]]
            return np.full((1, 1), self._score(self._likely_metrics, self.incumbent, own))
        typical = np.ma.masked_invalid(self._scores_of_all).mean(0).compressed()
        return np.full((1, 1), typical.max() + 0.3 * np.ptp(typical) if len(typical) else 0.0)

    @cached_property
    def _open_draws(self) -> Floats:
        return self.draws.take(self.open, axis=1)  # rows stay together in memory, unlike by indexing

    @cached_property
    def _by_quality(self) -> bool:
        return self.quality.name in self.goal.metrics

    @cached_property
    def _is_stepped(self) -> bool:
        return self.quality.name in self.goal.stepped

    @cached_property
    def _range(self) -> tuple[Floats, Floats]:
        """The least and the largest possible quality of each shape, apart from each other."""
        least, most = self.quality.minimum, self.quality.maximum
        low, high = self.draws.min(0) - self.tolerance, self.draws.max(0) + self.tolerance
        span = most - least if math.isfinite(most - least) else float(high.max() - low.min()) or 1.0
        clear = CLEARANCE * span
        high = np.maximum(high, low + LEAST_CLEARANCE * np.maximum(span, np.abs(low)))
        return np.clip(low, least, most - clear), np.clip(high, least + clear, most)

    def _spread(self, number: int) -> Floats:
        """Return so many possible qualities at even distances for each shape, of shape (number, number of shapes)."""
        return np.linspace(*self._range, number)

    @property
    def _likely_metrics(self) -> dict[str, Floats]:
        return {name: column.likely for name, column in self.columns.items()}

    @cached_property
    def _likely(self) -> Floats:
        """Scores at the levels by what is known, or else guessed: at a few, unless the goal has steps or bends."""
        few = self._tabulate(self._spread(LEVELS), self._likely_metrics)
        if not self._by_quality or run_straight(few):
            return few
        return self._tabulate(self._many_levels, self._likely_metrics)

    @cached_property
    def _levels(self) -> Floats:
        """Qualities at which scores are computed."""
        return self._spread(LEVELS) if len(self._likely) == LEVELS else self._many_levels

    @cached_property
    def _many_levels(self) -> Floats:
        """As many qualities as tell where scores bend.

        With steps these are some of the draws, and between two of them lie as many others as between any two: at even
        distances over draws that go far, few levels would lie where most draws do, and pass over steps there.
        """
        if not self._is_stepped:
            return self._spread(MANY_LEVELS)
        places = np.linspace(0, len(self.draws) - 1, MANY_LEVELS).round().astype(np.int64)
        return np.clip(np.sort(self.draws, axis=0)[places], *self._range)

    @cached_property
    def _best(self) -> Floats:
        """Scores at the levels for the best combination of low and high metrics."""
        if all(column.is_known for column in self.columns.values()):
            return self._likely
        ends = [((name, column.low), (name, column.high)) for name, column in self.columns.items()]
        tables = [self._tabulate(self._levels, dict(corner)) for corner in itertools.product(*ends)]
        return np.asarray(np.minimum.reduce(tables))

    def _tabulate(self, levels: Floats, metrics: Mapping[str, Floats]) -> Floats:
        """Return scores at some levels, of the same shape; infinite where there is none."""
        rows = levels if self._by_quality else levels[:1]
        # Where the goal fails, no shape may ever have this quality; those that have theirs are scored in earnest.
        scores = [checked.scores(self.goal, {**metrics, self.quality.name: row}) for row in rows]
        return np.broadcast_to(np.array(scores), levels.shape)

    def _score(self, metrics: Mapping[str, Floats], place: int, quality: float) -> float:
        """Return the score of a shape if it had this quality; infinite if it lacks a metric, or the goal a value."""
        values = {name: float(column[place]) for name, column in metrics.items() if not math.isnan(column[place])}
        score = checked.finite_score(self.goal, {**values, self.quality.name: quality})
        return math.inf if score is None else score

    def _scores(self, tabulated: Floats, qualities: Floats, places: NDArray[np.int64]) -> Floats:
        """Return the scores of some shapes at some qualities, by those at the levels.

        Args:
            tabulated: scores at the levels.
            qualities: of shape (number of draws, number of places).
            places: positions of the shapes.
        """
        if not self._by_quality:  # the scores of all levels are the same
            return np.broadcast_to(tabulated[0, places], qualities.shape)
        many = nearest_of_any if self._is_stepped else nearest
        look_up = between if len(self._levels) == LEVELS else many
        found = np.empty(qualities.shape)
        for begin in range(0, len(places), AT_ONCE):
            some = slice(begin, begin + AT_ONCE)
            found[:, some] = look_up(self._levels[:, places[some]], tabulated[:, places[some]], qualities[:, some])
        return found
