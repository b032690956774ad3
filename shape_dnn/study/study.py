"""The memo of a search: it answers from the study file what it knows, and has the rest measured and trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Executor, Terminator
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training, Transferred
from shape_dnn.search.facts import Facts
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAININGS
from shape_dnn.study import batch
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.measurer import Measurer
from shape_dnn.study.problem import Problem
from shape_dnn.study.runner import Conduct, Runner
from shape_dnn.study.trainings import Trainings
from shape_dnn.study.transfer import Transfer
from shape_dnn.training.classifier import Donor
from shape_dnn.training.sources import TrainerSource


class Memo(Facts, Protocol):
    """What remembers, and has done what is missing: for networks as they are trained, or for what ships."""

    facts: KnownFacts

    @property
    def second(self) -> Memo | None:
        """The study of second trainings, once there are any."""

    @property
    def trainer(self) -> Trainings:
        """The trainings from random weights."""

    @property
    def transfers(self) -> bool:
        """Whether shapes that may be the answer are trained from other weights."""

    def collect(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings that there are by now of these shapes, as they ship if something does."""

    def reseed(self) -> Memo | None:
        """Return the study of second trainings, which is made the first time; None if there are to be none."""

    @property
    def new_trainings(self) -> int:
        """Trainings made so far for this study."""

    @property
    def transferred(self) -> Transferred | None:
        """What came of trainings that started from other weights; None where there was none."""

    def prepare(self) -> None:
        """Find out what determines the facts, so that whatever is missing for a search shows before it starts."""

    def weights(self, shape: Shape, *, again: bool = False) -> Path | None:
        """Return where the weights of a shape lie, or those of its training again; None if it was not trained."""


class TrainsAgain:
    """Has shapes trained again, by a study of its own for that.

    Args:
        reseeded: makes that study, with the seed of second trainings; None if there are to be none.

    Attributes:
        second: the study of second trainings, once there are any.
    """

    def __init__(self, reseeded: Callable[[], Memo] | None) -> None:
        self.second: Memo | None = None
        self._reseeded = reseeded

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes with another seed, from random weights, unless they were."""
        second = self.reseed()
        return [] if second is None else second.train(shapes)

    def reseed(self) -> Memo | None:
        """Return the study of second trainings, which is made the first time; None if there are to be none."""
        if self.second is None and self._reseeded is not None:
            self.second = self._reseeded()
            self.second.prepare()
        return self.second


class Study(TrainsAgain):
    """What a search asks: what is known, and the rest measured, trained, and recorded the moment it arrives.

    Args:
        facts: what is known.
        problem: what the facts are about.
        executor: where the work is done.
        terminator: which trainings are stopped early.
        conduct: how the work is done.
        remeasure: whether shapes are measured again whose measurement was not ``ok``.
        transfer: part of the epochs that verification takes, starting from the weights of a smaller shape; None to
            train from scratch.
        reseeded: makes the same study with the seed of second trainings; None if there are to be none.

    Attributes:
        facts: what is known.
        second: the study of second trainings, once there are any.
        trainer: the trainings from random weights.
    """

    def __init__(
        self,
        facts: KnownFacts,
        problem: Problem,
        executor: Loaded[Executor],
        terminator: Loaded[Terminator],
        conduct: Conduct,
        *,
        remeasure: bool = False,
        transfer: Fraction | None = None,
        reseeded: Callable[[], Memo] | None = None,
    ) -> None:
        super().__init__(reseeded)
        self.facts = facts
        runner = Runner(executor)
        self._measurer = Measurer(facts, problem, runner, conduct, remeasure=remeasure)
        self.trainer = Trainings(facts, problem, runner, terminator, conduct)

        def grow(grown: Problem, donor: Donor, context: int) -> Trainings:
            own = dataclasses.replace(facts, contexts={TRAININGS: context})
            return Trainings(own, grown, runner, terminator, conduct, donor)

        self._transfer = None if transfer is None else Transfer(self.trainer, transfer, grow)

    def prepare(self) -> None:
        """Find out what determines the facts, so that whatever is missing for a search shows before it starts.

        Raises:
            MeterError: a metric cannot be measured here.
            DatasetError: the dataset cannot be read.
        """
        self.trainer.prepare()
        for metric in self.facts.meters:
            self._measurer.prepare(metric)
        if self._transfer is not None:
            self._transfer.prepare()

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of these shapes that were there when the search began."""
        return self.facts.known(shapes)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return the metric of each shape, None for one that could not be measured.

        Raises:
            MeterError: the metric cannot be measured here.
        """
        self._measurer.measure(metric, shapes)
        return self.facts.measure(metric, shapes)

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Measure some depths of each width, predict the others, and measure those whose interval holds the limit."""
        self._measurer.measure_enough(metric, shapes, limit)
        return self.facts.estimate(metric, shapes)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train those shapes that were not trained before; return the trainings of all, in order."""
        batch.train([self.trainer], shapes)
        return self.collect(shapes)

    def collect(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings that there are by now of these shapes."""
        return self.facts.train(shapes)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes that may be the answer, from the weights of a smaller one where that is wanted and possible."""
        return self.train(shapes) if self._transfer is None else self._transfer.verify(shapes)

    @property
    def transfers(self) -> bool:
        """Whether shapes that may be the answer are trained from other weights."""
        return self._transfer is not None

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Return the accuracy on the test set, reading it now if it was not read for this shape before."""
        if again:
            return None if self.second is None else self.second.test(shape)
        return self._trainer_of(shape).test(shape)

    def weights(self, shape: Shape, *, again: bool = False) -> Path | None:
        """Return where the weights of a shape lie, or those of its training again; None if it was not trained."""
        if again:
            return None if self.second is None else self.second.weights(shape)
        return self._trainer_of(shape).weights(shape)

    @property
    def source(self) -> TrainerSource:
        """How shapes are trained, for whatever else is done with what was trained."""
        return self.trainer.source

    def _trainer_of(self, shape: Shape) -> Trainings:
        grower = None if self._transfer is None else self._transfer.grown(shape)
        return self.trainer if grower is None else grower

    @property
    def new_trainings(self) -> int:
        """Trainings made so far for this study."""
        others = (self._transfer, self.second)
        return self.trainer.new_trainings + sum(other.new_trainings for other in others if other is not None)

    @property
    def transferred(self) -> Transferred | None:
        """What came of trainings that started from other weights; None where there was none."""
        return None if self._transfer is None else self._transfer.outcome
