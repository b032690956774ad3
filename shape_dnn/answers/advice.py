"""Which one further training or measurement would most likely change an answer."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

from shape_dnn.plugins import checked
from shape_dnn.search import fitting
from shape_dnn.search.ordering import Costs, Values, beats, traded_off, values_of
from shape_dnn.shape import Shape, by_width_then_depth

if TYPE_CHECKING:
    from shape_dnn.kinds import AccuracyModel
    from shape_dnn.records import Training
    from shape_dnn.search.facts import Facts
    from shape_dnn.search.query import Candidate, Query
    from shape_dnn.study.known import KnownFacts

OUTCOMES = 32
"""How many equally likely outcomes of a fact are looked at."""
DEVIATIONS = 1.96
"""Half the width of a 95 % interval, in standard deviations."""
Standing = tuple[int, float, tuple[object, ...]]
"""How a shape that complies stands: how well it is known to comply (0 is best), its score (infinite if it has none),
and how large it is. The shape with the lowest standing is the best, if it has a score."""


@dataclass(frozen=True)
class Advice:
    """A fact that is missing or uncertain.

    Attributes:
        metric: name of the metric; for a training, that of the quality.
        shape: the shape that the fact is about.
        probability: probability that the answer would be another one if the fact were known.
    """

    metric: str
    shape: Shape
    probability: float


def most_telling(
    query: Query,
    candidates: Sequence[Candidate],
    facts: Facts,
    known: KnownFacts,
    model: AccuracyModel,
    *,
    verified: bool = False,
) -> Advice | None:
    """Return the training or measurement that most likely changes the answer; None if none is likely to.

    A training is assumed to come out as the model predicts, and another measurement to lie within the interval of the
    first. Without a goal, the answer changes if the shape itself enters or leaves it. Shapes with an unknown metric are
    left out.

    Args:
        query: what is asked.
        candidates: every shape, with its prediction.
        facts: what is known.
        known: measurements with their intervals.
        model: the model that made the predictions.
        verified: whether the question was searched, so that the best shape is one that was trained, if any of these
            complies.
    """
    what_if = WhatIf(query, candidates, facts, verified)
    trainings = facts.verify([candidate.shape for candidate in candidates])
    best: Advice | None = None
    for metric, place, values in _uncertain(what_if, known, model, trainings):
        changes = sum(what_if.changes(place, metric, value) for value in values) / len(values)
        if changes > (best.probability if best else 0.0):
            best = Advice(metric, candidates[place].shape, changes)
    return best


def _uncertain(
    what_if: WhatIf, known: KnownFacts, model: AccuracyModel, trainings: Sequence[Training]
) -> Iterator[tuple[str, int, list[float]]]:
    """Yield what is not known for sure: metric, place of the shape, and likely values."""
    shapes = [candidate.shape for candidate in what_if.candidates]
    quality = what_if.query.quality
    asks = quality.name in what_if.query.metrics
    unsure = any(c.prediction is not None and c.prediction.std is None for c in what_if.candidates)
    error = fitting.left_out_error(model, trainings) if unsure and asks else 0.0
    for place, candidate in enumerate(what_if.candidates):
        prediction = candidate.prediction
        if candidate.quality is None and prediction is not None and asks:
            std = error if prediction.std is None else prediction.std
            outcomes = _outcomes(prediction.mean, std)
            yield quality.name, place, [min(max(value, quality.minimum), quality.maximum) for value in outcomes]
    for metric in what_if.metrics:
        estimates = known.estimates(metric, shapes)
        for place, shape in enumerate(shapes):
            m = estimates.get(shape)
            if m is not None and m.value is not None and m.low is not None and m.high is not None and m.status != "ok":
                yield metric, place, _outcomes(m.value, (m.high - m.low) / (2 * DEVIATIONS))


def _outcomes(mean: float, std: float) -> list[float]:
    if not std:
        return [mean]
    return [NormalDist(mean, std).inv_cdf((i + 0.5) / OUTCOMES) for i in range(OUTCOMES)]


def _wins(own: Standing, rival: Standing | None = None) -> bool:
    """Tell whether a shape is the best, given the best of the others as its rival."""
    return own[1] < math.inf and (rival is None or own < rival)


@dataclass
class WhatIf:
    """A question, and what its answer would be if something else were known of a shape.

    Attributes:
        query: what is asked.
        candidates: every shape, with its prediction.
        facts: what is known.
        verified: whether the question was searched.
    """

    query: Query
    candidates: Sequence[Candidate]
    facts: Facts
    verified: bool = False

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics on which the answer depends, without the quality."""
        return sorted(self.query.metrics - {self.query.quality.name})

    def changes(self, place: int, metric: str, value: float) -> bool:
        """Tell whether the answer would be another one if a shape had this value of a metric."""
        values = {**self._values[place], metric: value}
        complies = self._complies(values)
        if self.query.pareto:
            return (complies and self._is_on_front(place, values)) != self._on_front[place]
        if self.query.goal is None:
            return complies != self._complying[place]
        candidate = self.candidates[place]
        if metric == self.query.quality.name:
            candidate = replace(candidate, quality=value)
        rival = next((standing for standing, other in self._ranking if other != place), None)
        wins = complies and _wins(self._standing(candidate, values), rival)
        return wins != (self._best == place)

    @cached_property
    def _values(self) -> list[Values]:
        return values_of(self.candidates, self.metrics, self.facts, self.query.quality)

    def _complies(self, values: Values) -> bool:
        """Tell whether a shape with these values is within the limits."""
        return all(limit.allows(values[limit.metric]) for limit in self.query.constraints)

    @cached_property
    def _complying(self) -> list[bool]:
        return [self._complies(values) for values in self._values]

    def _standing(self, candidate: Candidate, values: Values) -> Standing:
        """Return where a shape that complies stands among the others (:func:`shape_dnn.search.ordering.eligible`)."""
        goal = self.query.goal
        score = None if goal is None else checked.score_of(goal, values)
        unsure = 2 * (not self.query.is_sure(candidate)) + (self.verified and candidate.quality is None)
        return unsure, math.inf if score is None else score, by_width_then_depth(candidate.shape)

    @cached_property
    def _ranking(self) -> list[tuple[Standing, int]]:
        """The shapes that comply, in the order in which they may be called the best."""
        places = [i for i, complies in enumerate(self._complying) if complies]
        return sorted((self._standing(self.candidates[i], self._values[i]), i) for i in places)

    @cached_property
    def _best(self) -> int | None:
        """The place of the best shape."""
        return next((place for standing, place in self._ranking[:1] if _wins(standing)), None)

    @cached_property
    def _on_front(self) -> list[bool]:
        return [ok and self._is_on_front(i, self._values[i]) for i, ok in enumerate(self._complying)]

    def _is_on_front(self, place: int, values: Values) -> bool:
        own = traded_off(values, self.query)
        if own is None:
            return False
        # Whoever beats another comes before it, mostly just so.
        before = bisect.bisect_right(self._rivals, (own, place))
        others = (costs for costs, other in reversed(self._rivals[:before]) if other != place)
        return not any(beats(costs, own) for costs in others)

    @cached_property
    def _rivals(self) -> list[tuple[Costs, int]]:
        """The shapes that can beat any other, in order: the front, and what would be the front without it.

        Whatever beats a shape is on the front, or is beaten by a shape of the front. If the latter is the shape in
        question itself, the same holds for the second front.
        """
        known = [
            (costs, i)
            for i, values in enumerate(self._values)
            if self._complying[i] and (costs := traded_off(values, self.query)) is not None
        ]
        left = sorted(known)
        rivals: list[tuple[Costs, int]] = []
        for _ in range(2):
            front: list[tuple[Costs, int]] = []
            beaten: list[tuple[Costs, int]] = []
            for costs, i in left:
                is_beaten = any(beats(better, costs) for better, _ in reversed(front))
                (beaten if is_beaten else front).append((costs, i))
            rivals += front
            left = beaten
        return sorted(rivals)
