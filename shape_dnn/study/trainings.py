"""The trainings with one seed: what there are, how further ones are made, and what comes of them."""

from __future__ import annotations

import dataclasses
import secrets
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from shape_dnn.errors import ShapeDnnError, describe
from shape_dnn.events import Tested
from shape_dnn.kinds import Terminator
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAININGS
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.preparer import Preparer
from shape_dnn.study.problem import Problem, provenance
from shape_dnn.study.runner import Conduct, Runner, reason
from shape_dnn.study.watcher import Watcher
from shape_dnn.system import durable
from shape_dnn.training import checkpoints
from shape_dnn.training.classifier import Donor
from shape_dnn.training.sources import TrainerSource
from shape_dnn.training.task import EvaluationTask, TrainingTask
from shape_dnn.work import Needs, Outcome, Task


class Trainings:
    """Knows which shapes were trained with one seed, and how others are; :mod:`shape_dnn.study.batch` has it done.

    Args:
        facts: what is known; what is trained is added to it.
        problem: what is to be solved.
        runner: gives tasks to the executor.
        terminator: which trainings are stopped early.
        conduct: how the work is done.
        donor: weights that trainings start from; None for random ones.

    Attributes:
        facts: what is known.
        new_trainings: trainings made so far.
        asked: shapes that were asked for so far.
        runner: gives tasks to the executor.
        conduct: how the work is done.
    """

    def __init__(
        self,
        facts: KnownFacts,
        problem: Problem,
        runner: Runner,
        terminator: Loaded[Terminator],
        conduct: Conduct,
        donor: Donor | None = None,
    ) -> None:
        self.facts = facts
        self.new_trainings = 0
        self.asked: set[Shape] = set()
        self.runner, self.conduct, self._terminator = runner, conduct, terminator
        self._is_tidy = False
        self._preparer = Preparer(facts, problem, runner, conduct, donor)

    @property
    def problem(self) -> Problem:
        """What is to be solved, in a definite precision once that is decided."""
        return self._preparer.problem

    @property
    def source(self) -> TrainerSource:
        """How shapes are trained."""
        return self._preparer.trainer

    def prepare(self) -> None:
        """Take over how trainings were made before, so that it is known which they are.

        Raises:
            DatasetError: the dataset cannot be read.
        """
        self._preparer.go_on()

    def ask(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Take note that these shapes are asked for; return those that are still to be trained."""
        known = self.facts.trainings()
        self.asked.update(shapes)
        return [shape for shape in shapes if not self.facts.is_made(known.get(shape))]

    def count_failed(self, shapes: Sequence[Shape]) -> int:
        """Count those of the shapes whose training failed, and is not made again."""
        known = [training for shape in shapes if (training := self.facts.trainings().get(shape)) is not None]
        return sum(t.quality is None and not t.stopped and self.facts.is_made(t) for t in known)

    def prepare_for(self, shapes: Sequence[Shape]) -> bool:
        """Find out what trainings of these shapes take; False after an interrupt."""
        return self._preparer.prepare(shapes)

    def prepare_like(self, other: Trainings) -> None:
        """Take over what was found out of trainings that differ from these by their seed alone."""
        self._preparer.take_over(other._preparer)

    def begin(self, shapes: Sequence[Shape]) -> list[TrainingTask]:
        """Return what trains each shape, and follow these trainings from now on."""
        self._tidy()
        known = self.facts.trainings()
        finished = {shape: known[shape] for shape in known.keys() & self.asked}
        self._watcher = Watcher(finished, self._terminator.instance, self.problem.steps, self.conduct.notify)
        self._origin = provenance(self.problem, self.runner.executor, self._terminator)
        if self._preparer.reason:
            self._origin["precision"] = self._preparer.reason
        needs = self._preparer.needs_of(shapes)
        return [self._task(shape, taken) for shape, taken in zip(shapes, needs, strict=True)]

    def begin_again(self, shape: Shape, deaths: int) -> TrainingTask:
        """Return what trains a shape once more; it reports its epochs again from the last checkpoint."""
        self._is_tidy = False
        self._watcher.forget([shape])
        (needs,) = self._preparer.needs_of([shape])
        return self._task(shape, needs, deaths)

    def watch(self, task: Task, report: object) -> bool:
        """Take note of an epoch; tell whether the training is to go on."""
        return self._watcher.watch(task, report)

    def end(self, outcome: Outcome) -> Training | None:
        """Record what came of a training, and return it; None if it was interrupted.

        Raises:
            ShapeDnnError: the dataset or a plugin is gone, so no other training can succeed.
        """
        self._is_tidy &= outcome.error is None
        ended = self._training_of(outcome)
        if ended is None:
            return None
        context = self.facts.contexts[TRAININGS]
        self.facts.store.add_training(context, ended, self._origin)
        checkpoints.discard(self.facts.store.files.checkpoints(context, ended.shape))
        self.facts.trainings()[ended.shape] = ended
        self._watcher.end(ended)
        self.new_trainings += 1
        return ended

    def _training_of(self, outcome: Outcome) -> Training | None:
        task = cast("TrainingTask", outcome.task)
        if isinstance(outcome.error, ShapeDnnError) and outcome.error.exit_status != 1:
            raise outcome.error
        if outcome.error is not None:
            return Training(task.shape, None, reason(outcome.error), tuple(self._watcher.curves.get(task.shape, ())))
        training = cast("Training", outcome.result)
        if training.quality is not None:
            if task.weights.is_file():  # a trainer need not save any
                self._publish(task)
            return training
        if task.shape not in self._watcher.stopped:
            return None
        why = f"stopped by {self._stopper} after epoch {len(training.curve)}"
        return dataclasses.replace(training, reason=why, stop=self.facts.stop)

    @property
    def _stopper(self) -> str:
        """Name the terminator, with the question if it decides by that."""
        name = self._terminator.choice.name
        return f"{name} for {self.facts.stop.question!r}" if self.facts.stop.question else name

    def _publish(self, task: TrainingTask) -> None:
        """Give the weights of a finished training their final name, before the fact that there are any is recorded."""
        path = self.facts.store.files.weights(self.facts.contexts[TRAININGS], task.shape)
        with durable.naming_errors(path):
            durable.rename(task.weights, path)

    def _tidy(self) -> None:
        """Remove what attempts that were killed, or given up, have left behind: once, and again where some were."""
        if self._is_tidy:
            return
        self._is_tidy = True
        context, files = self.facts.contexts[TRAININGS], self.facts.store.files
        is_there = files.checkpointed(context)
        for shape, training in self.facts.trainings().items():
            if is_there(shape) and self.facts.is_made(training):
                checkpoints.discard(files.checkpoints(context, shape))
        for partial in files.weights_of(context).glob("*.partial"):
            partial.unlink(missing_ok=True)

    def test(self, shape: Shape) -> float | None:
        """Return the quality on data that was kept for the end, judged now if it was not for this shape before."""
        known = self.facts.test(shape)
        if known is not None:
            return known
        weights = self.facts.store.files.weights(self.facts.contexts[TRAININGS], shape)
        if not self.problem.has_test:
            return None
        if not weights.is_file():
            why = f"there are no weights {str(weights)!r}, which a trainer of one's own saves by run.save()"
            warnings.warn(f"the test set could not be read for {shape}: {why}", stacklevel=2)
            return None
        (needs,), attempt, seed = self._preparer.needs_of([shape]), secrets.token_hex(8), self.problem.seed
        task = EvaluationTask(self._preparer.trainer, shape, seed, weights, attempt, self.conduct.patience, needs)
        with self.runner.stopping_well():
            for outcome in self.runner.run([task], 1, lambda *_: True):
                if outcome.error is not None:
                    why = f"{describe(outcome.error)}; its weights are {str(weights)!r}"
                    warnings.warn(f"the test set could not be read for {shape}: {why}", stacklevel=2)
                    return None
                if outcome.result is not None:
                    quality = cast("float", outcome.result)
                    self.facts.store.add_test(self.facts.contexts[TRAININGS], shape, quality)
                    self.conduct.notify(Tested(shape, quality, seed))
        return self.facts.test(shape)

    def weights(self, shape: Shape) -> Path | None:
        """Return where the weights of a shape lie; None if it was not trained."""
        if TRAININGS not in self.facts.contexts:
            return None
        path = self.facts.store.files.weights(self.facts.contexts[TRAININGS], shape)
        return path if path.is_file() else None

    def _task(self, shape: Shape, needs: Needs, deaths: int = 0) -> TrainingTask:
        context, attempt = self.facts.contexts[TRAININGS], secrets.token_hex(8)
        files = self.facts.store.files
        weights, home = files.weights(context, shape), files.checkpoints(context, shape)
        checkpoints.keep_last(home)
        return TrainingTask(
            self._preparer.trainer_of(shape),
            shape,
            self.problem.seed,
            weights.with_suffix(f".{attempt}.partial"),
            home,
            60 * self.conduct.checkpoint_minutes,
            attempt,
            self.conduct.patience,
            needs,
            deaths,
        )
