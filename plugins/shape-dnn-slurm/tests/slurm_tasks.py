"""Tasks for jobs, in a module that they can import."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from shape_dnn.work import Needs, Task


@dataclass(frozen=True)
class Steps(Task):
    """Take steps that go on from a file of the directory that another attempt goes on from; return where they ran.

    Meanwhile processes that it has forked wait for work, as those that load data.
    """

    steps: int = 3
    seconds: float = 0.1
    home: Path | None = None
    output: Path | None = None
    demand: Needs = Needs()  # noqa: RUF009
    patience: float | None = None
    loaders: int = 0
    attempt: str = field(default_factory=lambda: token_hex(8))

    @property
    def needs(self) -> Needs:
        return self.demand

    @property
    def scratch(self) -> tuple[Path, ...]:
        return () if self.home is None else (self.home,)

    @property
    def writes(self) -> tuple[Path, ...]:
        return () if self.output is None else (self.output,)

    def run(self, report: Callable[[object], bool]) -> tuple[str, str, list[str]]:
        done = 0
        for _ in range(self.loaders):
            multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True).start()
        if self.home is not None:
            self.home.mkdir(parents=True, exist_ok=True)
            saved = self.home / "saved"
            done = int(saved.read_text()) if saved.exists() else 0
        goes_on = all(report(step) for step in range(1, done + 1))
        while done < self.steps and goes_on:
            time.sleep(self.seconds)
            done += 1
            if self.home is not None:
                with (self.home / "ledger").open("a") as file:
                    file.write(f"{done}\n")
                saved.write_text(str(done))
            goes_on = report(done)
        if self.output is not None:
            self.output.write_text("written there")
        place = os.environ["SLURMD_NODENAME"]
        return os.environ["SLURM_JOB_ID"], place, [str(done), os.environ.get("SLURM_CPUS_ON_NODE", "")]


@dataclass(frozen=True)
class Noticed(Task):
    """Save something in each of the first starts, report nothing, and be told that the time is over.

    What it has forked, as to load data, is told so before.
    """

    home: Path
    saves: int = 0
    forks: int = 0
    attempt: str = field(default_factory=lambda: token_hex(8))

    @property
    def scratch(self) -> tuple[Path, ...]:
        return (self.home,)

    def run(self, report: Callable[[object], bool]) -> None:
        (self.home / "an attempt").mkdir(parents=True, exist_ok=True)
        saved = self.home / "an attempt" / "saved"
        done = int(saved.read_text()) if saved.exists() else 0
        if done < self.saves:
            saved.write_text(str(done + 1))
        for _ in range(self.forks):
            if os.fork() == 0:
                os.kill(os.getpid(), signal.SIGUSR2)
                os._exit(0)
            os.wait()
        os.kill(os.getpid(), signal.SIGUSR2)


@dataclass(frozen=True)
class Greedy(Task):
    """Take memory, and hold it for a while."""

    size: int
    home: Path
    memory: int
    attempt: str = field(default_factory=lambda: token_hex(8))

    @property
    def needs(self) -> Needs:
        return Needs(memory=self.memory)

    @property
    def scratch(self) -> tuple[Path, ...]:
        return (self.home,)

    def run(self, report: Callable[[object], bool]) -> int:
        held = bytearray(self.size)
        for place in range(0, len(held), 4096):
            held[place] = 1
        time.sleep(6)
        return len(held)


@dataclass(frozen=True)
class Daemon(Task):
    """Start a process that goes its own way, and does not end when it is asked to; say its number, and take a time."""

    seconds: float
    attempt: str = field(default_factory=lambda: token_hex(8))

    def run(self, report: Callable[[object], bool]) -> None:
        loop = "trap '' TERM; echo $$; exec >&-; while :; do sleep 1; done"
        ran = subprocess.run(  # noqa: S603
            ["sh", "-c", 'setsid sh -c "$0" &', loop],  # noqa: S607
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        report(int(ran.stdout))
        time.sleep(self.seconds)


@dataclass(frozen=True)
class Missing(Task):
    """Can be read only where the environment is that it comes from."""

    attempt: str = field(default_factory=lambda: token_hex(8))

    def __reduce__(self) -> tuple[object, ...]:
        return _load, ("only_on_the_driver",)

    def run(self, report: Callable[[object], bool]) -> None:
        """Do nothing."""


def _load(name: str) -> Missing:
    __import__(name)
    return Missing()
