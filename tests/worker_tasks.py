"""Tasks for worker processes, in a module that they can import."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from shape_dnn import Task


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
    def run(self, report: Callable[[object], bool]) -> tuple[int, str]:
        return os.getpid(), os.environ["OMP_NUM_THREADS"]


@dataclass(frozen=True)
class Environment(Task):
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
