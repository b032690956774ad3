"""Where work is done, what ends it early, and who is told."""

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
    """Runs tasks somewhere: in processes of this machine, or on others.

    Tasks can be pickled and compared, and are told apart by their ``attempt``; they cannot be hashed.
    """

    elsewhere: ClassVar[bool] = False
    """Whether tasks run on other machines, so that this one says nothing about the device that is measured."""
    threads: int = 1
    """Threads of each training on a processor, which are part of what determines its accuracy. The training itself sees
    to it that it has so many; how many run at once has to suit."""
    directory: Path | None = None
    """Where it may keep what outlives a search, as to take work over that went on without it; below that of the study,
    by the name of the executor, and made by whoever needs it. Set before anything is asked of it."""

    def device(self, wanted: str) -> str:
        """Return where networks run, as torch writes it there.

        Args:
            wanted: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.

        Raises:
            UsageError: there is no such device; the message lists those there are.
        """
        return devices.resolve(wanted)

    @abstractmethod
    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Run every task once and hand over each outcome as it arrives, in any order.

        A task that raises, or whose process dies, is an outcome like any other and does not disturb the rest. One that
        shows no sign of life for longer than its ``patience`` is ended, with a ProcessDiedError for an outcome. No more
        run at once than their ``needs`` allow; one that needs GPUs that there will never be is not waited for, and has
        an UnavailableError for an outcome. Tasks may start processes, which do not outlive them.

        Args:
            tasks: in the order in which they should start.
            workers: how many to run at once; None for the executor's own choice.
            report: to be called with whatever a task reports while it runs, by the thread that asks for outcomes and
                before the outcome of that task; returns False to ask the task to stop.
        """

    def stop(self) -> None:  # noqa: B027 - those that run are asked to stop anyway
        """Start no further task; :meth:`run` hands over the outcomes of those that run, and ends.

        Called by a signal handler, in the middle of anything else: set a flag and no more.
        """

    def close(self) -> None:  # noqa: B027 - there may be nothing to release
        """Release whatever was started; called once, also after an error."""

    def abandon(self) -> None:  # noqa: B027 - most leave nothing that goes on
        """End what goes on without a search, and wait until it has: the study will be deleted.

        Asked where there is a :attr:`directory`, and of an executor that nothing else is asked of.

        Raises:
            UnavailableError: it cannot be ended; then the study stays.
        """


class Terminator(ABC):
    """Decides whether a training is worth continuing."""

    quality: Quality = ACCURACY
    """What trainings are judged by; set before the terminator is first asked."""

    by_question: ClassVar[bool] = False
    """Whether it decides by what is asked, so that another question may continue what it stopped."""

    def consider(self, limits: Sequence[Constraint], goal: Goal | None) -> None:  # noqa: B027 - most do not care
        """Be told what is asked, before the first training: the limits on quality, and the goal if there is one."""

    @abstractmethod
    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Decide after each epoch, with True or False.

        Args:
            curve: the training's epochs so far.
            epochs: how many it would have in all.
            others: the other trainings of the same search: finished, stopped, and those that run at the same time,
                each with its curve so far. Only finished ones have a quality.
        """


class Observer(ABC):
    """Is told what happens during a search, for example to log it."""

    @abstractmethod
    def notify(self, event: Event) -> None:
        """Take note of an event (:mod:`shape_dnn.events`)."""

    def close(self) -> None:  # noqa: B027 - there may be nothing open
        """Flush whatever is open; called once, also after an error."""
