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
    """What a task takes of the machine it runs on.

    Attributes:
        device: where its networks run, as torch writes it, such as ``cpu`` or ``cuda:0``.
        memory: bytes that it needs at most on that device, its process included; 0 if that is not known.
        share: the same as a part of what was free there when nothing ran.
        exclusive: whether nothing else may run on the device, since it is measured.
        cores: of the processor, one for each thread of its operators.
        gpus: whole ones that it has for itself, where the device is a GPU; None for its part of one, by memory.
        fresh: whether it must have a process in which nothing ran before and that ends with it, children included,
            since it runs code that may leave anything behind.
        seconds: that it is expected to take, by others that have ended; 0 if that is not known.
        loaders: processes of its own that load data, each of which keeps a further core busy.
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
        """Number of GPUs that nothing else may use; none of them where the device is the processor."""
        return (self.gpus or 0) if self.device.startswith("cuda") else 0

    @property
    def shares_gpu(self) -> bool:
        """Whether it has a part of a GPU, beside others."""
        return self.device.startswith("cuda") and self.gpus is None and not self.exclusive


NOTHING_KNOWN = Needs()
"""What a task of the processor needs of which nothing is known."""


class Task(ABC):
    """Something to run elsewhere. Must be picklable and name the plugins it needs rather than hold them."""

    attempt: str = ""
    """Tells this task from every other one, an earlier try at the same work included."""
    patience: float | None = None
    """Seconds without a report after which the task hangs, and its executor ends it; None for no limit."""

    @property
    def needs(self) -> Needs:
        """What it takes of its machine, by which executors tell how many run at once."""
        return NOTHING_KNOWN

    @property
    def reads(self) -> tuple[Path, ...]:
        """Files and directories that must be there before it runs."""
        return ()

    @property
    def writes(self) -> tuple[Path, ...]:
        """Files and directories that are to be there once it has returned; some may be missing if it stopped early."""
        return ()

    @property
    def scratch(self) -> tuple[Path, ...]:
        """Directories that are of use to another attempt at the same work, and that it can do without."""
        return ()

    def moved(self, places: Mapping[Path, Path]) -> Self:
        """Return the same task with other paths, for a machine that does not share them with the one it comes from."""
        return cast("Self", _moved(self, places))

    @abstractmethod
    def run(self, report: Callable[[object], bool]) -> object:
        """Do the work and return a picklable result.

        Args:
            report: hands over something picklable while the work goes on, or None as a sign of life; False asks the
                task to stop early.
        """


@dataclass(frozen=True)
class Outcome:
    """How a task ended: ``result`` is what it returned unless ``error`` says why it did not return.

    ``error`` is what the task raised, or a ProcessDiedError that describes the death of its process.
    """

    task: Task
    result: object = None
    error: Exception | None = None


class Pulse:
    """Reports a sign of life, but not more often than needed.

    Args:
        report: of a task.
    """

    SECONDS = 5.0

    def __init__(self, report: Callable[[object], bool]) -> None:
        self._report = report
        self._last = time.monotonic()

    def __call__(self) -> bool:
        """Report if it is time to; return whether the task is to go on, as far as is known."""
        goes_on = True
        if time.monotonic() - self._last >= self.SECONDS:
            goes_on = self._report(None)
            self._last = time.monotonic()
        return goes_on


_PULSE: ContextVar[Callable[[], object]] = ContextVar("_PULSE", default=lambda: None)


@contextmanager
def showing_life(report: Callable[[object], bool]) -> Iterator[None]:
    """Have :func:`alive` report to whoever waits for a task."""
    token = _PULSE.set(Pulse(report))
    try:
        yield
    finally:
        _PULSE.reset(token)


def alive() -> None:
    """Show that work goes on which has nothing to hand over yet, so that it is not taken for hanging.

    May be called as often as is convenient: a sign of life is sent every few seconds at most, and none where nobody
    waits for one.
    """
    _PULSE.get()()


def sendable(error: Exception) -> Exception:
    """Return what a task raised, with its traceback as a note, in a form that can go to another process.

    Where CUDA failed it is of no use to the process any more, which has died as far as the task is concerned.
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
    """List an error and all that it came of, each once, though they may be each other's causes."""
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
