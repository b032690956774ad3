"""What is found out before trainings start: in which precision they compute, and what each of them takes."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence
from typing import cast

from shape_dnn.errors import ProcessDiedError
from shape_dnn.events import TrainingsPrepared
from shape_dnn.recipes import Precision
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAINING, TRAININGS
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.problem import Problem
from shape_dnn.study.runner import Conduct, Runner
from shape_dnn.training.classifier import Donor
from shape_dnn.training.precision import Decision
from shape_dnn.training.preparing import Preparation, PreparingTask, leaves_traces
from shape_dnn.training.sources import TrainerSource
from shape_dnn.work import Needs, Task


class Preparer:
    """Prepares trainings.

    Args:
        facts: what is known; its trainings have a name once it is definite how they are made.
        problem: what is to be solved.
        runner: gives tasks to the executor.
        conduct: how the work is done.
        donor: weights that trainings start from; None for random ones.

    Attributes:
        problem: the same, in a definite precision once that is decided.
        reason: why in this precision.
    """

    def __init__(
        self, facts: KnownFacts, problem: Problem, runner: Runner, conduct: Conduct, donor: Donor | None = None
    ) -> None:
        self.problem = problem
        self.reason = ""
        self._facts, self._runner, self._conduct, self._donor = facts, runner, conduct, donor
        self._needs: dict[Shape, Needs] = {}
        self._trainer: tuple[Problem, TrainerSource] | None = None

    def go_on(self) -> None:
        """Take over the precision of trainings that were made before."""
        self._settle(self.problem.going_on_from(self._facts.store.trained()))

    def _settle(self, problem: Problem) -> None:
        """Take over, once, how the problem is trained, if that is definite; only then do its trainings have a name."""
        if problem.precision != "auto" and TRAININGS not in self._facts.contexts:
            self.problem = problem
            self._facts.contexts[TRAININGS] = self._facts.store.context(TRAINING, problem.training_identity)
            self._facts.forget_trainings()

    def prepare(self, shapes: Sequence[Shape]) -> bool:
        """Find out what trainings take, and unless that is definite, in which precision; False after an interrupt."""
        if TRAININGS not in self._facts.contexts:  # another seed may have been trained meanwhile
            self.go_on()
        missing = [shape for shape in shapes if shape not in self._needs]
        if not missing:
            return True
        found = self._find_out(missing)
        if found is None:
            return False
        self._needs |= found.needs
        if found.decision is not None:
            self._settle(self.problem.in_precision(found.decision.precision))
            self.reason = str(found.decision)
        memory = max((needs.memory for needs in found.needs.values()), default=0)
        reason = "" if found.decision is None else self.reason
        self._conduct.notify(TrainingsPrepared(self.problem.precision, reason, memory))
        return True

    def take_over(self, other: Preparer) -> None:
        """Take over what was found out of trainings that differ from these by their seed alone."""
        if other is self:
            return
        self._needs |= other._needs
        self.reason = self.reason or other.reason
        self._settle(self.problem.in_precision(cast("Precision", other.problem.precision)))

    def _find_out(self, shapes: Sequence[Shape]) -> Preparation | None:
        """Run preparations until none ends its process; whatever shape did is left to its own training."""
        problem, decided, left = self.problem, None, list(shapes)
        standing = problem.largest if problem.precision == "auto" else None
        looked_at: list[Shape] = []

        def watch(_task: Task, shape: object) -> bool:
            looked_at.append(cast("Shape", shape))
            return True

        while left or standing is not None:  # a precision is needed even where no shape could be looked at
            looked_at.clear()
            attempt, patience = secrets.token_hex(8), self._conduct.patience
            task = PreparingTask(
                self.trainer, tuple(left), problem.device, problem.threads, standing, attempt, patience
            )
            outcomes = list(self._runner.run([task], 1, watch))
            if not outcomes:
                return None
            if outcomes[0].error is None:
                found = cast("Preparation", outcomes[0].result)
                return Preparation(found.decision or decided, found.needs)
            if not isinstance(outcomes[0].error, ProcessDiedError):
                raise outcomes[0].error
            if standing is not None and len(looked_at) <= 1:
                if standing in left:
                    left.remove(standing)
                why = f"the work of {standing} could not be counted ({outcomes[0].error})"
                decided, standing = Decision("float32", why), None
            else:
                left.remove(looked_at[-1] if looked_at else min(left))
        return Preparation(decided)

    @property
    def trainer(self) -> TrainerSource:
        """How shapes are trained; what workers need for it is written the first time."""
        if self._trainer is None or self._trainer[0] is not self.problem:
            self._trainer = self.problem, self.problem.trainer(self._facts.store.files, self._donor)
        return self._trainer[1]

    def trainer_of(self, shape: Shape) -> TrainerSource:
        """Return how one shape is trained."""
        return self.problem.trainer_of(self.trainer, shape)

    def needs_of(self, shapes: Sequence[Shape]) -> list[Needs]:
        """Return what each training takes; if that is not known, only the device, and how long it is expected to."""
        fresh, pace = leaves_traces(self.trainer), self._pace
        unknown = Needs(self.problem.device, cores=self.problem.threads, fresh=fresh)
        return [dataclasses.replace(self._needs.get(s, unknown), seconds=pace * work(s)) for s in shapes]

    @property
    def _pace(self) -> float:
        """Seconds for its work that the slowest training before took; 0 if there was none."""
        known = self._facts.trainings().values() if TRAININGS in self._facts.contexts else ()
        paces = (t.seconds / work(t.shape) for t in known if t.seconds and t.quality is not None)
        return max(paces, default=0.0)


def work(shape: Shape) -> float:
    """Estimate the duration of a training, in no particular unit."""
    return shape.depth * (1 + float(shape.width) ** 2)
