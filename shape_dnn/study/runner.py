"""Tasks given to an executor, which is held to its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shape_dnn.errors import PluginError, ShapeDnnError, describe
from shape_dnn.events import Event
from shape_dnn.kinds import Executor
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training
from shape_dnn.system import interrupts
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Outcome, Task


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
