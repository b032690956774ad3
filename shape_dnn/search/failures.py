"""Trainings that came to their end and yet failed: the network learnt next to nothing, for good or by accident.

Whatever a network can learn, a deeper or wider one of its family can learn about as well. Where it comes out far worse
than a smaller one, training has failed: deep networks without skip connections often cannot be trained, and now and
then the seed is to blame. So such a quality is not believed at once.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shape_dnn.events import Chosen, Event, Reason, TrainedAgain, ignore
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Accident, Failing, Noise, Training
from shape_dnn.search.facts import Facts, in_order
from shape_dnn.search.query import Query
from shape_dnn.shape import Shape

FACTOR = 3
"""How many times as large as that of a smaller network an error must be, at least, so that a shape fails to train."""
PERCENT = 20
"""By how much of the range of the quality it must be worse, at least: 20 points of accuracy.

Of about 800 shapes on 18 recorded tables of ResNets, transformers and detectors, both together mark one, which is an
accident of its seed; on four tables of plain networks without skip connections they mark the 40 to 55 % of the shapes
that are too deep to be trained.
"""
FACTOR_ALONE = 10
"""How many times as large the error must be of a quality of which only the best value is known.

Nothing then says what much of it is, and of small errors three times as much is nothing: larger networks that overfit
easily have three times the loss. An accuracy of 98 % is as far from one that fails to train. A perplexity that is ten
times as far from 1 is a loss that is worse by 2.3. Of a quality without a best value there is no error, and no shape
fails to train.
"""
DIGITS = 9
"""Digits after the point that are compared; the rest is rounding noise."""


@dataclass(frozen=True)
class Counted:
    """Trainings as they count.

    Attributes:
        trainings: in the order in which they were given.
        failing: the shapes that fail to train, by width and then depth.
        accidents: the shapes of which a second training counts, by width and then depth.
        repeated: number of shapes that were trained again.
    """

    trainings: tuple[Training, ...]
    failing: tuple[Failing, ...] = ()
    accidents: tuple[Accident, ...] = ()
    repeated: int = 0

    @property
    def accidental(self) -> frozenset[Shape]:
        """The shapes of which a second training counts."""
        return frozenset(accident.shape for accident in self.accidents)

    @property
    def noise(self) -> Noise | None:
        """How much qualities vary from training to training, where shapes do not fail to train."""
        failing = {each.shape for each in self.failing}
        return Noise.estimate([training for training in self.trainings if training.shape not in failing])


Count = Callable[[Sequence[Training]], Counted]


def as_they_are(trainings: Sequence[Training]) -> Counted:
    """Believe every quality, as the paper does."""
    return Counted(tuple(trainings))


def count(
    first: Sequence[Training], second: Mapping[Shape, Training] | None = None, quality: Quality = ACCURACY
) -> Counted:
    """Tell how trainings count, by the second trainings of those shapes that fail to train.

    A shape fails where a smaller one was trained that has at most a third of the error and is better by at least 20 %
    of the range of the quality; where that has no range, at most a tenth of the error. Smaller is a shape whose depth
    and width are at most as large, and not both equal.

    If the second training does not fail, the first was an accident, and the second counts. If both fail, their mean
    does, as where seeds repeat. A second training that came to no quality says nothing, nor does one of a shape that
    does not fail.

    Args:
        first: one training of each shape; of several the last counts.
        second: trainings with another seed, by shape.
        quality: by which they are judged.
    """

    def order(training: Training) -> float:
        return quality.sign * _value(training)

    counted: dict[Shape, Training] = {}
    best: dict[int, Training] = {}  # of each depth so far
    failures: list[Failing] = []
    accidents: list[Accident] = []
    repeated = 0
    for shape, training in {each.shape: each for each in in_order(first)}.items():  # whatever is smaller comes before
        counts = training
        smaller = max((best[d] for d in sorted(best) if d <= shape.depth), key=order, default=None)
        if smaller is not None and _fails(training, smaller, quality):
            again = (second or {}).get(shape)
            repeated += again is not None
            if again is not None and again.quality is not None:
                counts = _together(training, again) if _fails(again, smaller, quality) else again
            if counts is again:
                accidents.append(Accident(shape, _value(training), _value(again)))
            else:
                failures.append(Failing(shape, _value(counts), smaller.shape, _value(smaller)))
        counted[shape] = counts
        if counts.quality is not None:
            best[shape.depth] = max(best.get(shape.depth, counts), counts, key=order)
    return Counted(tuple(counted[training.shape] for training in first), tuple(failures), tuple(accidents), repeated)


class Recount:
    """Tells how the trainings of a search count, and has those shapes trained once more that newly fail to train.

    Which these are depends on what was trained, and not on what finished first: a shape that fails to train does so
    whatever else is trained.

    Args:
        facts: trains.
        notify: told what comes of it.
        quality: by which trainings are judged.
    """

    def __init__(self, facts: Facts, notify: Callable[[Event], None] = ignore, quality: Quality = ACCURACY) -> None:
        self._facts, self._notify, self._quality = facts, notify, quality
        self._asked: set[Shape] = set()
        self._second: dict[Shape, Training] = {}

    def __call__(self, trainings: Sequence[Training]) -> Counted:
        """Return all trainings as they count."""
        while True:
            counted = count(trainings, self._second, self._quality)
            suspects = [each for each in counted.failing if each.shape not in self._asked]
            if not suspects:
                return counted
            self._asked.update(each.shape for each in suspects)
            for each in suspects:
                self._notify(Chosen(each.shape, Reason.AGAIN))
            found = {training.shape: training for training in self._facts.again([each.shape for each in suspects])}
            self._second |= found
            for each in suspects:
                again = found.get(each.shape)
                if again is not None and again.quality is not None:
                    self._notify(TrainedAgain(each.shape, each.quality, again.quality))


def counting(query: Query, facts: Facts, notify: Callable[[Event], None] = ignore) -> Count:
    """Return how trainings count in a search: without a confidence, as they are."""
    return as_they_are if query.confidence is None else Recount(facts, notify, query.quality)


def _fails(training: Training, smaller: Training, quality: Quality) -> bool:
    """Tell whether a shape fails to train, by what became of a smaller one."""
    if training.quality is None or math.isinf(quality.best):
        return False
    error, other = quality.error(training.quality), quality.error(_value(smaller))
    percent = (quality.maximum - quality.minimum) / 100
    if math.isinf(percent):
        return error > 0 and other > 0 and round(error / other - FACTOR_ALONE, DIGITS) >= 0
    error, other = error / percent, other / percent
    return round(error - FACTOR * other, DIGITS) >= 0 and round(error - other - PERCENT, DIGITS) >= 0


def _together(first: Training, again: Training) -> Training:
    qualities = (*first.qualities, *again.qualities)
    return dataclasses.replace(first, quality=statistics.fmean(qualities), repetitions=qualities)


def _value(training: Training) -> float:
    assert training.quality is not None  # noqa: S101 - asked for only where there is one
    return training.quality
