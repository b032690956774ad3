"""What is found out before trainings start: in which precision they compute, and what each of them takes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

from shape_dnn.data import images
from shape_dnn.errors import ProcessDiedError
from shape_dnn.events import TrainingsPrepared
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAINING, TRAININGS
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.problem import Problem
from shape_dnn.study.runner import Conduct, Runner
from shape_dnn.training.precision import Decision
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.setup import Donor, Setup
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

    def go_on(self) -> None:
        """Take over the precision of trainings that were made before."""
        self._take_over(self.problem.going_on_from(self._facts.store.trained()))

    def _take_over(self, problem: Problem) -> None:
        """Take over, once, how the problem is trained, if that is definite; only then do its trainings have a name."""
        if problem.recipe.precision != "auto" and TRAININGS not in self._facts.contexts:
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
        found = self._find_out({shape: self.setup(shape) for shape in missing})
        if found is None:
            return False
        self._needs |= found.needs
        if found.decision is not None:
            self._take_over(self.problem.in_precision(found.decision.precision))
            self.reason = str(found.decision)
        memory = max((needs.memory for needs in found.needs.values()), default=0)
        reason = "" if found.decision is None else self.reason
        self._conduct.notify(TrainingsPrepared(self.problem.recipe.precision, reason, memory))
        return True

    def _find_out(self, setups: dict[Shape, Setup]) -> Preparation | None:
        """Run preparations until none ends its process; whatever shape did is left to its own training."""
        decided = None
        standing = self.setup(self.problem.largest) if self.problem.recipe.precision == "auto" else None
        looked_at: list[Shape] = []

        def watch(_task: Task, shape: object) -> bool:
            looked_at.append(cast("Shape", shape))
            return True

        while setups:
            looked_at.clear()
            task = PreparingTask(tuple(setups.values()), standing, secrets.token_hex(8), self._conduct.patience)
            outcomes = list(self._runner.run([task], 1, watch))
            if not outcomes:
                return None
            if outcomes[0].error is None:
                found = cast("Preparation", outcomes[0].result)
                return Preparation(found.decision or decided, found.needs)
            if not isinstance(outcomes[0].error, ProcessDiedError):
                raise outcomes[0].error
            if standing is not None and len(looked_at) <= 1:
                setups.pop(standing.shape, None)
                why = f"the work of {standing.shape} could not be counted ({outcomes[0].error})"
                decided, standing = Decision("float32", why), None
            else:
                del setups[looked_at[-1] if looked_at else min(setups)]
        return Preparation(decided)

    def setup(self, shape: Shape) -> Setup:
        """Return all that a training needs to know."""
        problem = self.problem
        return Setup(
            problem.architecture.choice,
            problem.plugin_files,
            self._images,
            problem.classes,
            problem.dataset.instance.validation_fraction,
            shape,
            problem.recipe,
            problem.device,
            problem.seed,
            problem.protocol,
            self._donor,
            problem.threads,
            None if problem.pretrained is None else problem.pretrained[shape],
        )

    def needs_of(self, shape: Shape) -> Needs:
        """Return what a training takes; if that is not known, only the device."""
        return self._needs.get(shape, Needs(self.problem.device))

    @cached_property
    def _images(self) -> Path:
        """Where workers find the images; written the first time something is trained."""
        directory = self._facts.store.files.images(self.problem.fingerprint)
        images.save(*self.problem.images, directory)
        return directory
