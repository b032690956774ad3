"""What is lost when a search is killed: at every one of its events, and at random moments.

``python benchmarks/crashes.py [--kills 100]`` kills a small real search with SIGKILL again and again, its driver, one
of its workers, or the server that they are copied from, and starts it anew. It counts the facts that were lost or made
twice and the study files that could not be read, and compares the answer with that of a search that nobody disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SEARCH = (
    "--depth", "10:17:6", "--width", "1/4:3/4:1/4", "--device", "cpu", "--epochs", "3", "--max-latency", "10s",
    "--max", "memory=1GB", "--goal", "accuracy", "--checkpoint-minutes", "0", "-o", "meter.latency.seconds=0.02",
    "-o", "dataset.limit=400", "--retry-failed", "--format", "json",
)  # fmt: skip
KILLER = """
import os, signal
from pathlib import Path
from shape_dnn import Observer, Plugin, hookimpl

SEEN = Path(DIRECTORY) / "seen"

class Killer(Observer):
    def notify(self, event):
        seen = SEEN.read_text().splitlines() if SEEN.exists() else []
        meant = not KINDS or type(event).__name__ in KINDS
        if meant and repr(event) not in seen and len(seen) < MOST:
            with SEEN.open("a") as file:
                file.write(repr(event) + "\\n")
            os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def shape_dnn_observers():
    yield Plugin("killer", "kills the search at each event, the first time that it happens", Killer)
"""
Fact = tuple[Any, ...]


@dataclass
class Tally:
    """What was done, and what went wrong."""

    kills: int = 0
    lost: int = 0
    repeated: int = 0
    unreadable: int = 0
    known: set[Fact] = field(default_factory=set)

    def __str__(self) -> str:
        wrong = f"facts lost {self.lost}, facts repeated {self.repeated}, unreadable files {self.unreadable}"
        return f"{self.kills} kills: {wrong}"

    def look(self, study: Path) -> None:
        """Compare the facts of a study that was just killed with those of before."""
        self.kills += 1
        now = self._facts(study)
        self.lost += len(self.known - now)
        self.known |= now

    def close(self, study: Path) -> None:
        """Count the results that stand beside an earlier one of the same shape."""
        with closing(sqlite3.connect(study / "study.sqlite")) as connection:
            for table, value in (("measurement", "value"), ("training", "quality")):
                query = f"SELECT count({value}) - count(DISTINCT context || ' ' || depth || ' ' || width) FROM {table}"
                (more,) = connection.execute(f"{query} WHERE {value} IS NOT NULL").fetchone()
                self.repeated += more
        self.known = set()

    def _facts(self, study: Path) -> set[Fact]:
        file = study / "study.sqlite"
        if not file.exists() or not file.stat().st_size:  # killed before the first transaction
            return set()
        try:
            with closing(sqlite3.connect(file)) as connection:
                (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
                self.unreadable += integrity != "ok"
                measurements = "SELECT 'measurement', context, depth, width, attempt, value FROM measurement"
                trainings = "SELECT 'training', context, depth, width, attempt, quality FROM training"
                return set(connection.execute(f"{measurements} UNION ALL {trainings}"))
        except sqlite3.DatabaseError:
            self.unreadable += 1
            return set()


def start(study: Path, *more: str) -> subprocess.Popen[str]:
    """Start the search."""
    command = [sys.executable, "-m", "shape_dnn", *SEARCH, "--study", str(study), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def outcome(running: subprocess.Popen[str]) -> list[Any] | None:
    """Wait for the end; return what of the answer counts, or None if it was killed."""
    with running:
        output, _ = running.communicate()
    if running.returncode == -signal.SIGKILL:
        return None
    assert running.returncode == 0, f"the search ended with {running.returncode}"
    return what_counts(json.loads(output))


def what_counts(answer: dict[str, Any]) -> list[Any]:
    """Return what of an answer does not depend on timings."""
    shapes = sorted((row["depth"], row["width"], row["accuracy"]) for row in answer["trained"])
    return [shapes, answer["best"]["depth"], answer["best"]["width"], answer["best"]["test_accuracy"]]


def killer(directory: Path, most: int, kinds: tuple[str, ...] = ()) -> list[str]:
    """Return the flags that have a driver kill itself at its first ``most`` different events, of some kinds or all."""
    plugin = directory / "killer.py"
    code = KILLER.replace("DIRECTORY", repr(str(directory))).replace("MOST", str(most)).replace("KINDS", repr(kinds))
    plugin.write_text(code)
    return ["--plugin", str(plugin), "--observer", "killer"]


def kill_at_events(directory: Path, most: int) -> tuple[Tally, list[Any]]:
    """Kill the driver at each of its first ``most`` different events; return the tally and the answer."""
    tally, study, flags = Tally(), directory / "study", killer(directory, most)
    while (answer := outcome(start(study, *flags))) is None:
        tally.look(study)
    tally.close(study)
    return tally, answer


def kill_at_random(directory: Path, kills: int, seed: int, longest: float = 10.0) -> tuple[Tally, list[list[Any]]]:
    """Kill the driver, a worker or the server of the workers at random moments; return the tally and all answers."""
    generator, tally = random.Random(seed), Tally()
    answers: list[list[Any]] = []
    while tally.kills < kills:
        study = directory / str(len(answers))
        running = start(study)
        time.sleep(generator.uniform(0.0, longest))
        if running.poll() is None:
            victim = running.pid
            with contextlib.suppress(psutil.Error, IndexError):
                kind = generator.choice(["driver", "driver", "worker", "worker", "worker", "server"])
                if kind != "driver":
                    victim = generator.choice(_workers_and_server(running.pid)[kind == "server"]).pid
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                tally.kills += victim != running.pid
        answer = outcome(running)
        if answer is None:
            tally.look(study)
        else:
            answers.append(answer)
            tally.close(study)
    if not answers or (directory / str(len(answers))).exists():
        study = directory / str(len(answers))
        answer = outcome(start(study))
        assert answer is not None
        answers.append(answer)
        tally.close(study)
    return tally, answers


def _workers_and_server(driver: int) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Return the workers of a search, and the process that they are copied from, by which alone they are known."""
    servers = [each for each in psutil.Process(driver).children() if "multiprocessing.forkserver" in each.cmdline()[-1]]
    return [worker for server in servers for worker in server.children()], servers


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        undisturbed = outcome(start(directory / "undisturbed"))
        (directory / "events").mkdir()
        tally, answer = kill_at_events(directory / "events", most=1000)
        print(f"driver killed at every event, {tally}; answer unchanged: {answer == undisturbed}", flush=True)
        tally, answers = kill_at_random(directory / "random", arguments.kills, seed=0)
        same = sum(answer == undisturbed for answer in answers)
        print(f"driver, worker or server killed at random, {tally}; answers unchanged: {same} of {len(answers)}")


if __name__ == "__main__":
    main()
