"""Trainings of some shapes, with one seed or several, that run side by side."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from typing import cast

from shape_dnn.errors import MachineLostError
from shape_dnn.events import TrainingFinished, TrainingLost, TrainingsPlanned
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.study.preparer import work
from shape_dnn.study.trainings import Trainings
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Task


def train(trainers: Sequence[Trainings], shapes: Sequence[Shape]) -> None:
    """Train some shapes with every seed, those that were not trained so before.

    Args:
        trainers: one for each seed.
        shapes: what.

    Raises:
        ShapeDnnError: the dataset or a plugin is gone, so no other training can succeed.
    """
    first = trainers[0]
    missing = [trainer.ask(shapes) for trainer in trainers]
    known = len(shapes) * len(trainers) - sum(map(len, missing))
    failed = sum(trainer.count_failed(shapes) for trainer in trainers)
    first.conduct.notify(TrainingsPlanned(tuple(shapes), known, failed, len(trainers)))
    if any(missing):
        with first.runner.stopping_well():
            _Batch(trainers).run(missing)


class _Batch:
    def __init__(self, trainers: Sequence[Trainings]) -> None:
        self._trainers = {trainer.problem.seed: trainer for trainer in trainers}
        self._first = trainers[0]
        self._runner, self._conduct = self._first.runner, self._first.conduct

    def run(self, missing: Sequence[Sequence[Shape]]) -> None:
        """Train, and record each training the moment it ends.

        Args:
            missing: what each trainer is to train.
        """
        wanted = sorted({shape for own in missing for shape in own})
        if not self._first.prepare_for(wanted):
            return
        for trainer in self._trainers.values():
            trainer.prepare_like(self._first)
        owners = zip(self._trainers.values(), missing, strict=True)
        tasks = [task for trainer, own in owners for task in trainer.begin(own)]
        # The longest first, so that none is left running alone at the end.
        tasks.sort(key=lambda task: (-work(task.shape), task.shape, task.seed))
        outcomes = self._runner.run_with_retries(tasks, self._conduct.workers, self._watch, self._again, self._lose)
        for done, outcome in enumerate(outcomes, start=1):
            task = cast("TrainingTask", outcome.task)
            ended = self._trainers[task.seed].end(outcome)
            if ended is None:
                continue  # interrupted: it goes on from its checkpoint another time
            self._warn_of_fractions(ended)
            where = "" if outcome.error is None else "".join(traceback.format_exception(outcome.error))
            self._conduct.notify(TrainingFinished(ended, done, len(tasks), where, task.seed))

    def _warn_of_fractions(self, first: Training) -> None:
        """Warn once, and before more is trained in vain for a limit in percent."""
        made = sum(trainer.new_trainings for trainer in self._trainers.values())
        if made == 1 and first.quality is not None:
            remark = self._first.problem.quality.fractions_remark([first.quality])
            if remark:
                warnings.warn(remark, stacklevel=2)

    def _watch(self, task: Task, report: object) -> bool:
        return self._trainers[cast("TrainingTask", task).seed].watch(task, report)

    def _again(self, task: Task, deaths: int) -> TrainingTask:
        training = cast("TrainingTask", task)
        return self._trainers[training.seed].begin_again(training.shape, deaths)

    def _lose(self, task: Task, error: MachineLostError) -> None:
        training = cast("TrainingTask", task)
        self._conduct.notify(TrainingLost(training.shape, error.machine, training.seed))
