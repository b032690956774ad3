"""Trains what is missing, and records each training the moment it ends."""

from __future__ import annotations

import dataclasses
import secrets
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from shape_dnn.errors import MachineLostError, MemoryShortageError, ProcessDiedError, ShapeDnnError, describe
from shape_dnn.events import Tested, TrainingFinished, TrainingLost, TrainingsPlanned
from shape_dnn.kinds import Terminator
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAININGS
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.preparer import Preparer, work
from shape_dnn.study.problem import Problem, provenance
from shape_dnn.study.runner import Conduct, Runner, reason
from shape_dnn.study.watcher import Watcher
from shape_dnn.system import durable
from shape_dnn.training import checkpoints
from shape_dnn.training.classifier import Donor
from shape_dnn.training.sources import TrainerSource
from shape_dnn.training.task import EvaluationTask, TrainingTask
from shape_dnn.work import Needs, Outcome, Task

LOSSES = 3
"""How often trainings are started again together whose machines were lost."""


class Trainings:
    """Has shapes trained that were not.

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
        self._runner, self._terminator, self._conduct = runner, terminator, conduct
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

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train those shapes that were not trained before; return the trainings of all, in order."""
        known = self.facts.trainings()
        self.asked.update(shapes)
        missing = [shape for shape in shapes if not self.facts.is_made(known.get(shape))]
        made = set(shapes).difference(missing)
        failed = [s for s in shapes if s in made and known[s].quality is None and not known[s].stopped]
        self._conduct.notify(TrainingsPlanned(tuple(shapes), len(shapes) - len(missing), len(failed)))
        if missing:
            with self._runner.stopping_well():
                self._run_trainings(missing)
        return self.facts.train(shapes)

    def _run_trainings(self, shapes: Sequence[Shape]) -> None:
        if not self._preparer.prepare(shapes):
            return
        self._tidy()
        # The longest first, so that none is left running alone at the end.
        tasks = self._tasks(sorted(shapes, key=lambda shape: (-work(shape), shape)))
        known = self.facts.trainings()
        watcher = Watcher(
            {shape: known[shape] for shape in known.keys() & self.asked},
            self._terminator.instance,
            self.problem.steps,
            self._conduct.notify,
        )
        origin = provenance(self.problem, self._runner.executor, self._terminator)
        if self._preparer.reason:
            origin["precision"] = self._preparer.reason
        for done, outcome in enumerate(self._run_with_retries(tasks, watcher), start=1):
            ended = self._training_of(outcome, watcher)
            if ended is None:
                continue  # interrupted: it goes on from its checkpoint another time
            context = self.facts.contexts[TRAININGS]
            self.facts.store.add_training(context, ended, origin)
            checkpoints.discard(self.facts.store.files.checkpoints(context, ended.shape))
            known[ended.shape] = ended
            watcher.end(ended)
            self.new_trainings += 1
            self._warn_of_fractions(ended)
            where = "" if outcome.error is None else "".join(traceback.format_exception(outcome.error))
            self._conduct.notify(TrainingFinished(ended, done, len(tasks), where))

    def _warn_of_fractions(self, first: Training) -> None:
        """Warn once, and before more is trained in vain for a limit in percent."""
        if self.new_trainings == 1 and first.quality is not None:
            remark = self.problem.quality.fractions_remark([first.quality])
            if remark:
                warnings.warn(remark, stacklevel=2)

    def _training_of(self, outcome: Outcome, watcher: Watcher) -> Training | None:
        """Return what came of a training; None if it was interrupted.

        Raises:
            ShapeDnnError: the dataset or a plugin is gone, so no other training can succeed.
        """
        task = cast("TrainingTask", outcome.task)
        if isinstance(outcome.error, ShapeDnnError) and outcome.error.exit_status != 1:
            raise outcome.error
        if outcome.error is not None:
            return Training(task.shape, None, reason(outcome.error), tuple(watcher.curves.get(task.shape, ())))
        training = cast("Training", outcome.result)
        if training.quality is not None:
            if task.weights.is_file():  # a trainer need not save any
                self._publish(task)
            return training
        if task.shape not in watcher.stopped:
            return None
        why = f"stopped by {self._stopper} after epoch {len(training.curve)}"
        return dataclasses.replace(training, reason=why, stop=self.facts.stop)

    @property
    def _stopper(self) -> str:
        """Name the terminator, with the question if it decides by that."""
        name = self._terminator.choice.name
        return f"{name} for {self.facts.stop.question!r}" if self.facts.stop.question else name

    def _run_with_retries(self, tasks: Sequence[Task], watcher: Watcher) -> Iterator[Outcome]:
        """Run trainings, and some of them again.

        Those whose machine was lost are tried with the others that were; one that ran out of memory, or whose process
        died for any reason, is tried alone.
        """
        died: list[Shape] = []
        for again in range(1 + LOSSES):
            lost: list[Shape] = []
            for outcome in self._runner.run(tasks, self._conduct.workers, watcher.watch):
                shape = cast("TrainingTask", outcome.task).shape
                self._is_tidy &= outcome.error is None
                if isinstance(outcome.error, MachineLostError):
                    self._conduct.notify(TrainingLost(shape, outcome.error.machine))
                if isinstance(outcome.error, MachineLostError) and again < LOSSES:
                    lost.append(shape)
                elif isinstance(outcome.error, ProcessDiedError | MemoryShortageError):
                    died.append(shape)
                else:
                    yield outcome
            if not lost or self._runner.interrupted:
                break
            tasks = self._again(lost, watcher)
        for task in [] if self._runner.interrupted else self._again(sorted(died), watcher, deaths=1):
            yield from self._runner.run([task], 1, watcher.watch)

    def _again(self, shapes: Sequence[Shape], watcher: Watcher, deaths: int = 0) -> list[TrainingTask]:
        watcher.forget(shapes)  # they report their epochs again from the last checkpoint
        return self._tasks(shapes, deaths)

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
        task = EvaluationTask(self._preparer.trainer, shape, seed, weights, attempt, self._conduct.patience, needs)
        with self._runner.stopping_well():
            for outcome in self._runner.run([task], 1, lambda *_: True):
                if outcome.error is not None:
                    why = f"{describe(outcome.error)}; its weights are {str(weights)!r}"
                    warnings.warn(f"the test set could not be read for {shape}: {why}", stacklevel=2)
                    return None
                if outcome.result is not None:
                    quality = cast("float", outcome.result)
                    self.facts.store.add_test(self.facts.contexts[TRAININGS], shape, quality)
                    self._conduct.notify(Tested(shape, quality))
        return self.facts.test(shape)

    def weights(self, shape: Shape) -> Path | None:
        """Return where the weights of a shape lie; None if it was not trained."""
        if TRAININGS not in self.facts.contexts:
            return None
        path = self.facts.store.files.weights(self.facts.contexts[TRAININGS], shape)
        return path if path.is_file() else None

    def _tasks(self, shapes: Sequence[Shape], deaths: int = 0) -> list[TrainingTask]:
        """Return what trains each shape."""
        return [
            self._task(shape, needs, deaths)
            for shape, needs in zip(shapes, self._preparer.needs_of(shapes), strict=True)
        ]

    def _task(self, shape: Shape, needs: Needs, deaths: int) -> TrainingTask:
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
            60 * self._conduct.checkpoint_minutes,
            attempt,
            self._conduct.patience,
            needs,
            deaths,
        )
