"""What is lost when the disk fails: every write, sync, rename and removal of a small search fails once.

``python benchmarks/faults.py`` lets the first call that changes a file of the study fail, then the second, and so on
until a search comes through, with an input/output error and with a full disk, once and from then on. Each time the
search must end with one line that names the cause, the study must open and hold every fact that was there, and the
same search on a disk that works again must come to the answer of one that nobody disturbed.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("faulty_disk.c")
CAUSES = {
    errno.EIO: ("disk I/O error", "Input/output error"),
    errno.ENOSPC: ("full", "disk I/O error", "No space left on device"),
}
SETTINGS: dict[str, Any] = {
    "depth": "10:11:6", "width": "1/4:3/4:1/4", "device": "cpu", "epochs": 2, "max": {"memory": "1GB"},
    "goal": "accuracy",
    "checkpoint_minutes": 0, "option": {"dataset.limit": 100}, "plugin": "here.py",
    "executor": "here", "retry_failed": True,
}  # fmt: skip
HERE = """
from shape_dnn import Executor, Outcome, Plugin, hookimpl

class Here(Executor):
    def run(self, tasks, workers, report):
        for task in tasks:
            try:
                yield Outcome(task, task.run(lambda what: report(task, what)))
            except Exception as error:
                yield Outcome(task, error=error)

@hookimpl
def shape_dnn_executors():
    yield Plugin("here", "in this process, whose disk fails", Here)
"""


@dataclass(frozen=True)
class Fault:
    """Which call fails, how, and whether all later ones do too; 0 for none."""

    number: int
    error: int = errno.EIO
    forever: bool = False

    def __str__(self) -> str:
        return f"call {self.number}{' and all later ones' if self.forever else ''}: {errno.errorcode[self.error]}"


class Disk:
    """The disk as this process sees it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)

    def run(self, study: Path, fault: Fault) -> tuple[list[Any] | None, str, int]:
        """Search with a fault; return the answer, or else the error, and the number of calls."""
        from shape_dnn import ShapeDnnError, tune

        self._library.faulty_disk_arm(str(study.resolve()).encode(), fault.number, fault.error, fault.forever)
        answer, message = None, ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = tune(**SETTINGS, study=str(study)).to_dict()
            answer = [[(t["depth"], t["width"], t["accuracy"]) for t in result["trained"]], result["best"]["width"]]
        except ShapeDnnError as error:
            message = str(error)
        finally:
            calls = self._library.faulty_disk_disarm()
        return answer, message, calls


def facts(study: Path) -> tuple[set[tuple[Any, ...]], str]:
    """Return the facts of a study with the number of epochs of each training, and what is wrong with the file."""
    path = study / "study.sqlite"
    if not path.exists() or not path.stat().st_size:
        return set(), ""
    try:
        with closing(sqlite3.connect(path)) as connection:
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return set(), ""
            measured = "SELECT 'measurement', context, depth, width, attempt, value, 0 FROM measurement"
            trained = (
                "SELECT 'training', context, depth, width, attempt, quality,"
                " (SELECT count(*) FROM epoch WHERE training = training.id) FROM training"
            )
            return set(connection.execute(f"{measured} UNION ALL {trained}")), "" if integrity == "ok" else integrity
    except sqlite3.DatabaseError as error:
        return set(), str(error)


def sweep(
    disk: Disk, undisturbed: list[Any], faults: Iterator[Fault], directory: Path
) -> Iterator[tuple[Fault, str, int]]:
    """Search with each fault; yield what was wrong, and the number of calls that changed a file."""
    for fault in faults:
        study = directory / "study"
        answer, message, calls = disk.run(study, fault)
        struck = fault.number <= calls
        before, wrong = facts(study)
        if answer is None and not any(cause in message for cause in CAUSES[fault.error]):
            wrong = wrong or f"the message does not name the cause: {message!r}"
        if any(kind == "training" and value is not None and epochs != 2 for kind, *_, value, epochs in before):
            wrong = wrong or "half a training"
        again, message, _ = disk.run(study, Fault(0))
        after, _ = facts(study)
        wrong = wrong or ("" if before <= after else "facts were lost")
        wrong = wrong or ("" if again == undisturbed else f"another answer: {message or again}")
        shutil.rmtree(study)
        yield fault, wrong, calls if struck else 0


def library(directory: Path) -> Path:
    """Compile the disk that fails."""
    path = directory / "libfaultydisk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True)
    return path


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start this file with the disk that fails, in a directory."""
    environment = {**os.environ, "LD_PRELOAD": str(library(directory)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--preloaded", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, text=True, stdout=subprocess.PIPE, check=False)


def preloaded(sample: int, seed: int) -> None:
    """Sweep and print one line of JSON for each kind of fault."""
    Path("here.py").write_text(HERE)
    kinds = [(error, forever) for error in CAUSES for forever in (False, True)]
    disk = Disk()
    disk.run(Path("first"), Fault(0))  # imports, and whatever else happens once
    undisturbed, message, calls = disk.run(Path("undisturbed"), Fault(0))
    assert undisturbed is not None, message
    generator = random.Random(seed)
    for error, forever in kinds:
        numbers = range(1, calls + 20) if not sample else sorted(generator.sample(range(1, calls + 1), sample))
        tally: Counter[str] = Counter()
        wrongs = []
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
            faults = (Fault(number, error, forever) for number in numbers)
            for fault, wrong, struck in sweep(disk, undisturbed, faults, Path(name)):
                tally["struck" if struck else "clean"] += 1
                if wrong:
                    wrongs.append(f"{fault}: {wrong}")
                if not struck and not sample:
                    break
        print(json.dumps({"error": errno.errorcode[error], "forever": forever, **tally, "wrong": wrongs}), flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="try only so many calls of each kind, chosen at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preloaded", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.preloaded:
        preloaded(arguments.sample, arguments.seed)
        return
    with tempfile.TemporaryDirectory() as name:
        ran = run(Path(name), "--sample", str(arguments.sample), "--seed", str(arguments.seed))
        print(ran.stdout, end="")
        sys.exit(ran.returncode)


if __name__ == "__main__":
    main()
