"""Several trainings of each shape, with different seeds, taken together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.study import batch

if TYPE_CHECKING:
    from shape_dnn.constraints import Constraint
    from shape_dnn.search.facts import Facts
    from shape_dnn.study.study import Memo


@dataclass(frozen=True)
class Repetitions:
    """The facts of several seeds as those of one search: the accuracy of a shape is the mean over the seeds.

    Attributes:
        facts: of each seed; metrics are those of the first.
    """

    facts: Sequence[Facts]

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings that were there for every seed."""
        return _everywhere(shapes, [facts.known(shapes) for facts in self.facts])

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return a metric of each shape, which no seed changes."""
        return self.facts[0].measure(metric, shapes)

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return a metric of each shape, or what is known well enough."""
        return self.facts[0].estimate(metric, shapes, limit)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape with every seed."""
        return _everywhere(shapes, [facts.train(shapes) for facts in self.facts])

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape that may be the answer with every seed."""
        return _everywhere(shapes, [facts.verify(shapes) for facts in self.facts])

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape as many times again; those that cannot be trained so often are left out."""
        return _everywhere(shapes, [facts.again(shapes) for facts in self.facts])

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Return the mean accuracy on the test set; None if there is none for some seed."""
        accuracies = [accuracy for facts in self.facts if (accuracy := facts.test(shape, again=again)) is not None]
        return statistics.fmean(accuracies) if len(accuracies) == len(self.facts) else None


@dataclass(frozen=True)
class RepeatedStudy(Repetitions):
    """Studies of several seeds as one: all trainings that are missing of a shape run side by side.

    Attributes:
        facts: the study of each seed.
    """

    facts: Sequence[Memo]

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape with every seed."""
        return _side_by_side(self.facts, shapes)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape that may be the answer with every seed; from other weights one seed after the other."""
        if any(study.transfers for study in self.facts):
            return super().verify(shapes)
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train each shape as many times again; those that cannot be trained so often are left out."""
        second = [again for study in self.facts if (again := study.reseed()) is not None]
        return _side_by_side(second, shapes) if len(second) == len(self.facts) else []


def of_every_seed(studies: Sequence[Memo], shapes: Sequence[Shape]) -> list[list[Training]]:
    """Train each shape with every seed, side by side; return the trainings of each seed, in order."""
    batch.train([study.trainer for study in studies], shapes)
    return [study.collect(shapes) for study in studies]


def _side_by_side(studies: Sequence[Memo], shapes: Sequence[Shape]) -> list[Training]:
    return _everywhere(shapes, of_every_seed(studies, shapes))


def one_study(studies: Sequence[Memo]) -> Facts:
    """Take the studies of several seeds together."""
    return studies[0] if len(studies) == 1 else RepeatedStudy(studies)


def mean_over_seeds(facts: Sequence[Facts]) -> Facts:
    """Take the facts of several seeds together."""
    return facts[0] if len(facts) == 1 else Repetitions(facts)


def _everywhere(shapes: Sequence[Shape], trainings_of_seeds: Sequence[Sequence[Training]]) -> list[Training]:
    """Put those shapes together that were trained with every seed: a mean over fewer would be another quality."""
    parts = [{training.shape: training for training in trainings} for trainings in trainings_of_seeds]
    return [_together([part[shape] for part in parts]) for shape in shapes if all(shape in part for part in parts)]


def _together(trainings: Sequence[Training]) -> Training:
    """Make one record of several; it has an accuracy if all of them have, since those that failed may be the worst."""
    for training in trainings:
        if training.quality is None:
            return training
    accuracies = tuple(training.quality for training in trainings if training.quality is not None)
    seconds = [training.seconds for training in trainings if training.seconds is not None]
    return Training(
        trainings[0].shape,
        statistics.fmean(accuracies),
        curve=trainings[0].curve,
        seconds=sum(seconds) if len(seconds) == len(trainings) else None,
        repetitions=accuracies,
    )
