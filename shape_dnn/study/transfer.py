"""Trainings that start from the weights of a smaller shape, in families of facts of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from shape_dnn.errors import blame
from shape_dnn.records import Training, Transferred
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.study import batch
from shape_dnn.study.classification import Classification
from shape_dnn.study.preparer import work
from shape_dnn.study.problem import Problem
from shape_dnn.study.trainings import Trainings
from shape_dnn.training.classifier import Donor


class Transfer:
    """Has shapes that may be the answer trained from other weights, where that is possible.

    Args:
        trainer: trains from scratch.
        part: of the epochs that trainings from other weights take.
        grow: makes a trainer for a problem, from weights.
    """

    def __init__(self, trainer: Trainings, part: Fraction, grow: Callable[[Problem, Donor, int], Trainings]) -> None:
        self._trainer, self._part, self._grow_from = trainer, part, grow
        self._growers: dict[Shape, Trainings] = {}

    @property
    def new_trainings(self) -> int:
        """Trainings made so far from other weights."""
        return sum(grower.new_trainings for grower in self._growers.values())

    def prepare(self) -> None:
        """Find the trainings that were made before."""
        for shape in list(self._trainer.facts.trainings()):
            self._grower(shape, create=False)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes, from the weights of a smaller one where that is possible, and else from scratch.

        The first time, the largest shape that was trained from scratch is also trained so, to see what that changes.
        """
        if not self._compared:
            self._compare()
        facts = self._trainer.facts
        found: dict[Shape, Training] = {}
        donors = {shape: self._donor(shape) for shape in shapes if not facts.is_made(facts.trainings().get(shape))}
        for donor in sorted({donor for donor in donors.values() if donor is not None}):
            own = [shape for shape in donors if donors[shape] == donor]
            found |= {training.shape: training for training in self._grow(own, donor)}
        rest = [shape for shape in shapes if shape not in found]
        batch.train([self._trainer], rest)
        found |= {training.shape: training for training in facts.train(rest)}
        return [found[shape] for shape in shapes if shape in found]

    def grown(self, shape: Shape) -> Trainings | None:
        """Return who trained a shape from other weights, if it was not trained from scratch."""
        found = self._trainer.facts.find(shape)
        return None if found is None or found[0].donor is None else self._growers[found[0].donor]

    @property
    def outcome(self) -> Transferred | None:
        """What came of trainings that started from other weights; None where there was none."""
        facts = self._trainer.facts
        scratch = {shape for shape, training in facts.trainings().items() if facts.is_made(training)}
        grown = {shape for grower in self._growers.values() for shape in grower.facts.trainings()} - scratch
        compared = self._compared
        return Transferred(tuple(sorted(grown)), compared[0] if compared else None) if grown else None

    @property
    def _compared(self) -> list[float]:
        """By how many points the shapes came out better from other weights that were trained in both ways."""
        scratch, found = self._trainer.facts.trainings(), []
        for grower in self._growers.values():
            for shape, training in grower.facts.trainings().items():
                before = scratch[shape].quality if shape in scratch else None
                if training.quality is not None and before is not None:
                    found.append((-work(shape), shape, training.quality - before))
        return [bias for _, _, bias in sorted(found)]

    def _donor(self, shape: Shape) -> Shape | None:
        """Return the largest shape trained from scratch that can grow into another one."""
        facts, architecture = self._trainer.facts, self._trainer.problem.architecture.instance
        with blame(architecture):
            donors = [
                training.shape
                for training in facts.trainings().values()
                if training.quality is not None
                and training.shape != shape
                and architecture.can_grow(training.shape, shape)
                and facts.store.files.weights(facts.contexts[TRAININGS], training.shape).is_file()
            ]
        return max(donors, key=lambda donor: (work(donor), donor), default=None)

    def _grow(self, shapes: Sequence[Shape], donor: Shape) -> list[Training]:
        """Train shapes from the weights of another."""
        grower = self._grower(donor)
        assert grower is not None  # noqa: S101 - made if it was not there
        batch.train([grower], shapes)
        self._trainer.facts.forget_trainings(Family(donor=donor))
        return grower.facts.train(shapes)

    def _grower(self, donor: Shape, *, create: bool = True) -> Trainings | None:
        """Return who trains from the weights of a shape; None if nobody has, and none is to be made."""
        if donor not in self._growers:
            facts = self._trainer.facts
            own = self._trainer.problem
            assert isinstance(own, Classification)  # noqa: S101 - with any other trainer --transfer is refused
            problem = own.grown_from(donor, self._part)
            identity = problem.training_identity
            if not create and facts.store.find_context(TRAINING, identity) is None:
                return None
            context = facts.store.context(TRAINING, identity)
            weights = facts.store.files.weights(facts.contexts[TRAININGS], donor)
            self._growers[donor] = self._grow_from(problem, Donor(donor, weights), context)
            facts.contexts[Family(donor=donor)] = context
        return self._growers[donor]

    def _compare(self) -> None:
        """Train one shape that was trained from scratch also from the weights of another."""
        scratch = [
            s for s, t in self._trainer.facts.trainings().items() if t.quality is not None and s in self._trainer.asked
        ]
        for shape in sorted(scratch, key=lambda shape: (-work(shape), shape)):
            donor = self._donor(shape)
            if donor is not None:
                self._grow([shape], donor)
                return
