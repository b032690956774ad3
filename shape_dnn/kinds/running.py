"""Plugins that do the work, end it early, and are told of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from shape_dnn import devices
from shape_dnn.quality import ACCURACY, Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shape_dnn.constraints import Constraint
    from shape_dnn.events import Event
    from shape_dnn.kinds.choosing import Goal
    from shape_dnn.records import Epoch, Training
    from shape_dnn.work import Outcome, Task


class Executor(ABC):
    """Runs tasks somewhere: in processes of this machine, or on other machines.

    Tasks can be pickled and compared, but not hashed. Their ``attempt`` distinguishes them from each other.
    """

    elsewhere: ClassVar[bool] = False
    """Whether tasks run on other machines, so that this machine says nothing about the device that is measured."""
    threads: int = 1
    """Number of threads of each training on a processor, which is part of what determines its accuracy. The training
    itself sets this number; how many trainings run at once has to suit it."""
    directory: Path | None = None
    """Where the executor may keep what outlives a search, for example to take over work that went on without it. It
    lies below the directory of the study, is named after the executor, and is made by whoever needs it. Set before
    anything is asked of the executor."""

    def device(self, wanted: str) -> str:
        """Return the device that networks run on, as torch writes it there.

        Args:
            wanted: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.

        Raises:
            UsageError: there is no such device; the message lists the devices that exist.
        """
        return devices.resolve(wanted)

    @abstractmethod
    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Run every task once, and yield each outcome as it arrives, in any order.

        A task that raises an error, or whose process dies, has an outcome like any other, and does not disturb the
        rest. A task that shows no sign of life for longer than its ``patience`` is ended, and its outcome is a
        ProcessDiedError. No more tasks run at once than their ``needs`` allow. A task that needs GPUs that there will
        never be is not waited for, and its outcome is an UnavailableError. Tasks may start processes, but these do not
        outlive the task.

        Args:
            tasks: the tasks, in the order in which they should start.
            workers: how many tasks to run at once; None for the executor's own choice.
            report: is called with whatever a task reports while it runs, in the thread that asks for outcomes and
                before the outcome of that task. It returns False to ask the task to stop.
        """

    def stop(self) -> None:  # noqa: B027 - those that run are asked to stop anyway
        """Start no further task; :meth:`run` yields the outcomes of the tasks that are running, and ends.

        This is called by a signal handler, in the middle of anything else: set a flag, and do no more.
        """

    def close(self) -> None:  # noqa: B027 - there may be nothing to release
        """Release whatever was started; called once, also after an error."""

    def abandon(self) -> None:  # noqa: B027 - most leave nothing that goes on
        """End the work that goes on without a search, and wait until it has ended: the study will be deleted.

        This is called only if there is a :attr:`directory`, and on an executor that is asked for nothing else.

        Raises:
            UnavailableError: the work cannot be ended; the study is then kept.
        """


class Terminator(ABC):
    """Decides whether a training is worth continuing."""

    quality: Quality = ACCURACY
    """The quality that trainings are judged by; set before the terminator is first asked."""

    by_question: ClassVar[bool] = False
    """Whether it decides by the question, so that another question may continue trainings that it stopped."""

    def consider(self, limits: Sequence[Constraint], goal: Goal | None) -> None:  # noqa: B027 - most do not care
        """Take note of the question, before the first training: the limits on quality, and the goal if there is one."""

    @abstractmethod
    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Return True to stop the training, or False to continue it. Called after each epoch.

        Args:
            curve: the epochs of the training so far.
            epochs: how many epochs the training would have in all.
            others: the other trainings of the same search: those that finished, those that were stopped, and those that
                run at the same time, each with its curve so far. Only finished ones have a quality.
        """


class Observer(ABC):
    """Is told what happens during a search, for example to log it."""

    @abstractmethod
    def notify(self, event: Event) -> None:
        """Take note of an event (:mod:`shape_dnn.events`)."""

    def close(self) -> None:  # noqa: B027 - there may be nothing open
        """Flush whatever is open; called once, also after an error."""
