"""Tasks for worker processes, in a module that they can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

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
