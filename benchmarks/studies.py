"""How long a search takes that was made before, by the number of facts in its study.

``python benchmarks/studies.py`` makes a study of 1,000 trained and measured shapes, and one that holds 100,000 facts of
other searches besides, and repeats a search on each. The time of a search for one shape in a study of its own is the
start-up.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

PLUGINS = """
from shape_dnn import Epoch, Executor, Instrument, Measurement, Outcome, Plugin, Training, hookimpl
from shape_dnn.measuring.task import MeasuringTask

class Instant(Executor):
    def run(self, tasks, workers, report):
        for task in tasks:
            if isinstance(task, MeasuringTask):
                yield Outcome(task, task.run(lambda what: report(task, what)))
            elif hasattr(task, "shape"):
                accuracy = 100 - 40 / task.shape.depth - 8 / float(task.shape.width)
                task.weights.parent.mkdir(parents=True, exist_ok=True)
                task.weights.touch()
                curve = tuple(Epoch(n, 1.0, accuracy * n / 10) for n in range(1, 11))
                yield Outcome(task, Training(task.shape, accuracy, "", curve, 1.0))
            else:
                yield Outcome(task, 50.0)

class Flops(Instrument):
    metric, unit, cost = "flops", "", 1.0
    def identity(self, workload):
        return {}
    def measure(self, workload, shapes):
        for shape in shapes:
            value = shape.depth * float(shape.width) ** 2
            yield shape, Measurement(value, value, value, details={"samples": [value] * 20})

@hookimpl
def shape_dnn_executors():
    yield Plugin("instant", "trains nothing", Instant)

@hookimpl
def shape_dnn_meters():
    yield Plugin("flops", "measures nothing", Flops)
"""
SPACE = ["--depth", "10:304:6", "--width", "1/10:11/5:1/10"]
ONE = ["--depth", "10:11:6", "--width", "1:2:1"]
OTHERS = 49
REPEATS = 5


def search(study: Path, *flags: str) -> float:
    """Search, and return the seconds it took."""
    command = [
        sys.executable, "-m", "shape_dnn", *flags, "--plugin", "plugins.py", "--executor", "instant", "--device", "cpu",
        "--strategy", "exhaustive", "--max", "flops=1e9", "--goal", "size", "--study", str(study), "--format", "json",
    ]  # fmt: skip
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=study.parent)
    return time.perf_counter() - start


def multiply(study: Path, others: int) -> int:
    """Add the facts of other searches, each as many as there are; return how many there are in the end."""
    with closing(sqlite3.connect(study / "study.sqlite", isolation_level=None)) as connection:
        execute = connection.execute
        execute("BEGIN")
        contexts = execute("SELECT id, kind, identity FROM context").fetchall()
        for other in range(others):
            for context, kind, identity in contexts:
                insert = "INSERT INTO context (kind, digest, identity) VALUES (?, ?, ?)"
                new = execute(insert, (kind, f"{other}-{context}", identity)).lastrowid
                columns = "depth, width, attempt, value, low, high, status, details, provenance, recorded"
                copy = f"INSERT INTO measurement (context, {columns}) SELECT ?, {columns} FROM measurement"
                execute(f"{copy} WHERE context = ?", (new, context))
                last = execute("SELECT max(id) FROM training").fetchone()[0]
                columns = "depth, width, attempt, quality, reason, seconds, provenance, recorded"
                copy = f"INSERT INTO training (id, context, {columns}) SELECT id + ?, ?, {columns} FROM training"
                execute(f"{copy} WHERE context = ?", (last, new, context))
                execute(
                    "INSERT INTO epoch SELECT training + ?, number, loss, epoch.quality, more FROM epoch"
                    " JOIN training ON training.id = training WHERE context = ?",
                    (last, context),
                )
        execute("COMMIT")
        (facts,) = execute("SELECT (SELECT count(*) FROM measurement) + (SELECT count(*) FROM training)").fetchone()
        return int(facts)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "plugins.py").write_text(PLUGINS)
        search(directory / "one", *ONE)
        search(directory / "small", *SPACE)
        shutil.copytree(directory / "small", directory / "large")
        counts = {"one": 2, "small": multiply(directory / "small", 0), "large": multiply(directory / "large", OTHERS)}
        times: dict[str, list[float]] = {study: [] for study in counts}
        for _ in range(REPEATS):
            for study in counts:
                times[study].append(search(directory / study, *(ONE if study == "one" else SPACE)))
        seconds = {study: min(values) for study, values in times.items()}  # the least disturbed
        megabytes = (directory / "large" / "study.sqlite").stat().st_size / 1e6
    print(f"start-up: {seconds['one']:.2f} s")
    print(f"repeated search of 1,029 shapes, {counts['small']} facts: {seconds['small'] - seconds['one']:+.2f} s")
    beyond = f"{seconds['large'] - seconds['one']:+.2f} s"
    print(f"the same in a study of {counts['large']} facts ({megabytes:.0f} MB): {beyond}")


if __name__ == "__main__":
    main()
