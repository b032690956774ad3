"""Tasks given to an executor, which is held to its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shape_dnn.errors import (
    MachineLostError,
    MemoryShortageError,
    PluginError,
    ProcessDiedError,
    ShapeDnnError,
    describe,
)
from shape_dnn.events import Event
from shape_dnn.kinds import Executor
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training
from shape_dnn.system import interrupts
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Outcome, Task

LOSSES = 3
"""How often tasks are started again together whose machines were lost."""


@dataclass(frozen=True)
class Conduct:
    """How work is done; nothing of this changes what comes of it.

    Attributes:
        notify: told what happens.
        workers: how many trainings at once; None for the executor's choice.
        checkpoint_minutes: least time between two checkpoints of a training.
        hang_minutes: time without a sign of life after which a training or a measurement is given up.
    """

    notify: Callable[[Event], None]
    workers: int | None = None
    checkpoint_minutes: float = 1.0
    hang_minutes: float = 10.0

    @property
    def patience(self) -> float:
        """Seconds without a sign of life after which a task is given up."""
        return 60 * self.hang_minutes


class Runner:
    """Has an executor run tasks.

    Args:
        executor: where the work is done.

    Attributes:
        interrupted: whether the user wants to stop; then some tasks have no outcome.
    """

    def __init__(self, executor: Loaded[Executor]) -> None:
        self.executor = executor
        self.interrupted = False

    @contextmanager
    def stopping_well(self) -> Iterator[None]:
        """Let an interrupt wait until what runs has come to a good point to stop, and is recorded."""

        def note() -> None:
            self.interrupted = True
            self.executor.instance.stop()

        with interrupts.postponed(note):
            yield

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Have the executor run tasks, and see that it does.

        After an interrupt some tasks have no outcome. What ``report`` raises is no fault of the executor.

        Raises:
            PluginError: the executor failed, or did not return an outcome for each task.
        """
        raised: list[Exception] = []

        def heed(task: Task, what: object) -> bool:
            try:
                return (what is None or report(task, what)) and not self.interrupted
            except Exception as error:
                raised.append(error)
                raise

        try:
            yield from self._outcomes(tasks, workers, heed)
        except PluginError as error:
            if error.__cause__ in raised:
                raise raised[0] from None
            raise

    def run_with_retries(
        self,
        tasks: Sequence[Task],
        workers: int | None,
        report: Callable[[Task, object], bool],
        again: Callable[[Task, int], Task],
        lose: Callable[[Task, MachineLostError], None] = lambda *_: None,
    ) -> Iterator[Outcome]:
        """Run tasks, and some of them again.

        Those whose machine was lost are tried with the others that were; one that ran out of memory, or whose process
        died for any reason, is tried alone.

        Args:
            tasks: as of :meth:`run`.
            workers: likewise.
            report: likewise.
            again: returns what does a task once more, given how often its process died of itself.
            lose: told of every task whose machine was lost.
        """
        died: list[Task] = []
        for attempt in range(1 + LOSSES):
            lost: list[Task] = []
            for outcome in self.run(tasks, workers, report):
                if isinstance(outcome.error, MachineLostError):
                    lose(outcome.task, outcome.error)
                if isinstance(outcome.error, MachineLostError) and attempt < LOSSES:
                    lost.append(outcome.task)
                elif isinstance(outcome.error, ProcessDiedError | MemoryShortageError):
                    died.append(outcome.task)
                else:
                    yield outcome
            if not lost or self.interrupted:
                break
            tasks = [again(task, 0) for task in lost]
        for task in died:
            if self.interrupted:
                return
            yield from self.run([again(task, 1)], 1, report)

    def _outcomes(
        self, tasks: Sequence[Task], workers: int | None, heed: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        name, ended = f"executor {self.executor.choice.name!r} of {self.executor.source}", 0
        for outcome in checked.run(self.executor.instance, tasks, workers, heed):
            if outcome.error is None and _is_wrong(outcome):
                made = type(outcome.result).__name__
                raise PluginError(f"{name} returned a {made} instead of an Outcome with what the task returned")
            ended += 1
            yield outcome
        if ended < len(tasks) and not self.interrupted:
            raise PluginError(f"{name} returned {ended} outcomes for {len(tasks)} tasks")


def _is_wrong(outcome: Outcome) -> bool:
    """Tell whether a task has come to anything but what it returns."""
    wanted: dict[type[Task], type] = {TrainingTask: Training, PreparingTask: Preparation}
    return not isinstance(outcome.result, wanted.get(type(outcome.task), object))


def reason(error: Exception) -> str:
    """Say in one line why a task came to nothing."""
    return " ".join(str(error).split()) if isinstance(error, ShapeDnnError) else describe(error)
