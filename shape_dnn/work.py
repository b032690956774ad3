"""Units of work that an executor runs in another process. Standard library only."""

from __future__ import annotations

import dataclasses
import pickle
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from shape_dnn.errors import ProcessDiedError, TrainingError, describe


@dataclass(frozen=True)
class Needs:
    """What a task takes of the machine that it runs on.

    Attributes:
        device: where its networks run, as torch writes it, such as ``cpu`` or ``cuda:0``.
        memory: the most memory that it needs on that device, in bytes, including that of its process; 0 if that is not
            known.
        share: the same memory, as a fraction of what was free there when nothing ran.
        exclusive: whether nothing else may run on the device, since it is measured.
        cores: cores of the processor, one for each thread of its operators.
        gpus: how many whole GPUs it has to itself, if the device is a GPU; None if it shares one, by memory.
        fresh: whether it must have a process in which nothing ran before, since it runs code that may leave anything
            behind. The process ends with the task, and so do all processes that it has started.
        seconds: how long it is expected to take, judging by others that have ended; 0 if that is not known.
        loaders: number of processes of its own that load data, each of which keeps a further core busy.
    """

    device: str = "cpu"
    memory: int = 0
    share: float = 0.0
    exclusive: bool = False
    cores: int = 1
    gpus: int | None = None
    fresh: bool = False
    seconds: float = 0.0
    loaders: int = 0

    @property
    def whole_gpus(self) -> int:
        """Number of GPUs that nothing else may use; 0 if the device is the processor."""
        return (self.gpus or 0) if self.device.startswith("cuda") else 0

    @property
    def shares_gpu(self) -> bool:
        """Whether it has a part of a GPU, beside other tasks."""
        return self.device.startswith("cuda") and self.gpus is None and not self.exclusive


NOTHING_KNOWN = Needs()
"""The needs of a task on the processor of which nothing is known."""


class Task(ABC):
    """Something to run elsewhere. It must be picklable, and name the plugins that it needs rather than hold them."""

    attempt: str = ""
    """Distinguishes this task from every other one, including an earlier try at the same work."""
    patience: float | None = None
    """Seconds without a report after which the task counts as hanging, and its executor ends it; None for no limit."""

    @property
    def needs(self) -> Needs:
        """What the task takes of its machine, from which executors tell how many run at once."""
        return NOTHING_KNOWN

    @property
    def reads(self) -> tuple[Path, ...]:
        """Files and directories that must be there before it runs."""
        return ()

    @property
    def writes(self) -> tuple[Path, ...]:
        """Files and directories that exist once it has returned. Some may be missing if it stopped early."""
        return ()

    @property
    def scratch(self) -> tuple[Path, ...]:
        """Directories that are of use to another attempt at the same work, but that it can do without."""
        return ()

    def moved(self, places: Mapping[Path, Path]) -> Self:
        """Return the same task with other paths, for a machine that does not share those of the first."""
        return cast("Self", _moved(self, places))

    @abstractmethod
    def run(self, report: Callable[[object], bool]) -> object:
        """Do the work and return a picklable result.

        Args:
            report: takes something picklable while the work goes on, or None as a sign of life. If it returns False,
                the task is to stop early.
        """


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``result`` is what it returned, unless ``error`` says why it did not return.

    ``error`` is what the task raised, or a ProcessDiedError that describes the death of its process.
    """

    task: Task
    result: object = None
    error: Exception | None = None


class Pulse:
    """Reports a sign of life, but not more often than needed.

    Args:
        report: the ``report`` of a task.
    """

    SECONDS = 5.0

    def __init__(self, report: Callable[[object], bool]) -> None:
        self._report = report
        self._last = time.monotonic()

    def __call__(self) -> bool:
        """Report if it is time to; return whether, as far as is known, the task is to go on."""
        goes_on = True
        if time.monotonic() - self._last >= self.SECONDS:
            goes_on = self._report(None)
            self._last = time.monotonic()
        return goes_on


_PULSE: ContextVar[Callable[[], object]] = ContextVar("_PULSE", default=lambda: None)


@contextmanager
def showing_life(report: Callable[[object], bool]) -> Iterator[None]:
    """Have :func:`alive` report to whoever waits for a task, while this context lasts."""
    token = _PULSE.set(Pulse(report))
    try:
        yield
    finally:
        _PULSE.reset(token)


def alive() -> None:
    """Show that work goes on, though it has nothing to hand over yet, so that it is not taken for hanging.

    May be called as often as is convenient: a sign of life is sent every few seconds at most, and none if nobody waits
    for one.
    """
    _PULSE.get()()


def sendable(error: Exception) -> Exception:
    """Return the error that a task raised, with its traceback as a note, in a form that can be sent to another process.

    Once CUDA has failed, the process cannot use it any more. As far as the task is concerned, the process has died.
    """
    where = "".join(traceback.format_exception(error))
    cause = next((each for each in _origins(error) if type(each).__name__ == "AcceleratorError"), None)  # of torch
    if cause is not None and not isinstance(error, ProcessDiedError):
        error = ProcessDiedError(f"its GPU failed: {describe(cause)[:200]}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above
    except Exception:  # noqa: BLE001 - an exception can fail to pickle in any way
        error = TrainingError(describe(error))
    error.add_note(where)
    return error


def _origins(error: BaseException) -> list[BaseException]:
    """List an error and all errors that it came of, each once, even if they are each other's causes."""
    found = [error]
    for each in found:
        for origin in (each.__cause__, each.__context__):
            if origin is not None and not any(origin is other for other in found):
                found.append(origin)
    return found


def _moved(value: Any, places: Mapping[Path, Path]) -> Any:
    """Replace paths in a value, in tuples and in dataclasses, however deep."""
    if isinstance(value, Path):
        return places.get(value, value)
    if type(value) is tuple:
        return tuple(_moved(item, places) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {}
        for field in dataclasses.fields(value):
            before = getattr(value, field.name)
            after = _moved(before, places)
            if field.init and after is not before and after != before:
                changes[field.name] = after
        return dataclasses.replace(value, **changes) if changes else value
    return value
