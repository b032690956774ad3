"""Tasks for worker processes, in a module that they can import."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from shape_dnn import Task, TrainingError
from shape_dnn.work import Needs


def end_at_once(*_: object) -> None:
    """Be what a worker process runs where it cannot begin."""
    os._exit(7)


@dataclass(frozen=True)
class Square(Task):
    number: int

    def run(self, report: Callable[[object], bool]) -> int:
        report(self.number)
        return self.number**2


@dataclass(frozen=True)
class Die(Task):
    how: str

    def run(self, report: Callable[[object], bool]) -> object:
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            os._exit(3)
        if self.how == "unpicklable error":

            class Local(Exception):
                pass

            raise Local("no way home")
        raise ValueError("as usual")


@dataclass(frozen=True)
class FailOn(Task):
    """Say which process this is, and fail on a device."""

    device: str

    @property
    def needs(self) -> Needs:
        return Needs(self.device)

    def run(self, report: Callable[[object], bool]) -> object:
        report(os.getpid())
        raise RuntimeError("as usual")


class Held:
    """What leaves a file when it goes."""

    def __init__(self, path: Path) -> None:
        weakref.finalize(self, path.touch).atexit = False


@dataclass(frozen=True)
class FailHolding(Task):
    """Fail with something in hand, of which a file tells when it goes."""

    path: Path
    wrapped: bool

    def run(self, report: Callable[[object], bool]) -> object:
        try:
            self._fail()
        except ValueError as error:
            if self.wrapped:
                raise TrainingError("it failed") from error
            raise

    def _fail(self) -> None:
        held = Held(self.path)
        raise ValueError(f"as usual, with {type(held).__name__} in hand")


@dataclass(frozen=True)
class Exists(Task):
    """Tell which process this is, and whether a file is there."""

    path: Path

    def run(self, report: Callable[[object], bool]) -> tuple[int, bool]:
        return os.getpid(), self.path.exists()


@dataclass(frozen=True)
class Obedient(Task):
    def run(self, report: Callable[[object], bool]) -> int:
        rounds = 0
        while report(rounds):
            rounds += 1
        return rounds


@dataclass(frozen=True)
class Sleep(Task):
    seconds: float
    pulse: float = 1000
    patience: float | None = None

    def run(self, report: Callable[[object], bool]) -> None:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(min(self.pulse, self.seconds))
            report(None)


@dataclass(frozen=True)
class Where(Task):
    demand: Needs = Needs()  # noqa: RUF009

    @property
    def needs(self) -> Needs:
        return self.demand

    def run(self, report: Callable[[object], bool]) -> tuple[int, str]:
        return os.getpid(), os.environ["OMP_NUM_THREADS"]


@dataclass(frozen=True)
class Environment(Task):
    demand: Needs = Needs()  # noqa: RUF009

    @property
    def needs(self) -> Needs:
        return self.demand

    def run(self, report: Callable[[object], bool]) -> dict[str, str]:
        return dict(os.environ)


@dataclass(frozen=True)
class Imported(Task):
    """Tell which modules are there already, or with a name, where one comes from."""

    name: str = ""

    def run(self, report: Callable[[object], bool]) -> object:
        return importlib.import_module(self.name).__file__ if self.name else set(sys.modules)


def deaf(process: int | str = "self", how: tuple[str, ...] = ("SigBlk", "SigIgn")) -> bool:
    """Tell whether a process does not hear interrupts, since it blocks or ignores them."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(how)]
    return any(mask >> (signal.SIGINT - 1) & 1 for mask in masks)


def describe_process(connection: Connection) -> None:
    """Tell which modules a process of Python's own forkserver has, whether it hears interrupts, and its parent."""
    connection.send((set(sys.modules), deaf(), os.environ.get("PYTHONSAFEPATH")))


@dataclass(frozen=True)
class Family(Task):
    """Start processes of several kinds, report their numbers, and then do nothing for ever."""

    patience: float | None = None
    sessions: bool = True

    def run(self, report: Callable[[object], bool]) -> None:
        forked = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        forked.start()
        sleeper = "import time; time.sleep(1000)"
        started = subprocess.Popen([sys.executable, "-S", "-c", sleeper])
        orphan = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-S', '-c', {!r}], stdout=2).pid)"
        told = subprocess.run([sys.executable, "-S", "-c", orphan.format(sleeper)], stdout=subprocess.PIPE, check=True)
        numbers = [forked.pid, started.pid, int(told.stdout)]
        if self.sessions:
            numbers.append(subprocess.Popen([sys.executable, "-S", "-c", sleeper], start_new_session=True).pid)
        report([os.getpid(), *numbers])
        time.sleep(1000)


@dataclass(frozen=True)
class Demanding(Task):
    """Report in which process it runs and which GPUs it sees, until told to stop; return that, and what it found."""

    demand: Needs
    attempt: str = ""

    @property
    def needs(self) -> Needs:
        return self.demand

    def run(self, report: Callable[[object], bool]) -> tuple[int, str | None, list[str]]:
        place = os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")
        found = list(MARKS)
        MARKS.append(self.attempt)
        while report(place):
            time.sleep(0.01)
        return *place, found


MARKS: list[str] = []
"""What tasks leave behind."""
