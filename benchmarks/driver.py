"""What the driver of a large search takes for each training, on a simulated cluster where nodes join and leave.

``python benchmarks/driver.py`` searches 10,000 shapes with 1,000 trainings at once: 3,000 as the paper does, and some
by the default search. Times are those of the driver alone, as passed and of its processor; the study lies in memory
unless ``--directory`` names a disk, which every training waits for. ``--beside CHECKOUT`` has the times of another
version of the package as well.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPACE = {"depth": "10:610:6", "width": "1/10:101/10:1/10"}
PAPER = {"sampler": "interval", "model": "paper"}
SEARCHES: dict[str, dict[str, Any]] = {
    "paper": {**PAPER, "train": 3000},
    "paper, nodes stay": {**PAPER, "train": 3000, "option": ["executor.stay=0"]},
    "paper, median": {**PAPER, "train": 3000, "terminator": "median"},
    "paper, median, a third": {**PAPER, "train": 1000, "terminator": "median"},
    "paper, few": {**PAPER, "train": 400},
    "paper, half as many": {**PAPER, "train": 1500},
    "default": {},
    "default, 16 together": {"together": 16, "train": 160},
    "default, 100 together": {"together": 100, "train": 1000},
    "default, 1000 together": {"together": 1000, "train": 3000},
}
"""Searches by name."""
USUAL = ("paper", "paper, half as many", "default", "default, 16 together")
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where there is such a thing
PARTS = ("deciding", "preparing", "recording", "progress", "other")
"""What the driver does while it trains."""
NOT_COUNTED = ("executor", "ends")
"""The simulation, and what happens once for each search."""


@dataclass
class Stopwatch:
    """Tells how long each part takes by itself, without those that it calls; of one thread."""

    passed: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)
    _since: tuple[float, float] = (0.0, 0.0)

    def _switch(self) -> None:
        now = time.perf_counter(), time.thread_time()
        if self._stack:
            part = self._stack[-1]
            self.passed[part] = self.passed.get(part, 0.0) + now[0] - self._since[0]
            self.processor[part] = self.processor.get(part, 0.0) + now[1] - self._since[1]
        self._since = now

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Count what happens inside as a part."""
        self._switch()
        self._stack.append(part)
        try:
            yield
        finally:
            self._switch()
            self._stack.pop()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Count calls of a function as a part."""
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.within(part):
                return function(*arguments, **named)

        setattr(owner, name, timed)

    def watch_items(self, owner: Any, name: str, part: str) -> None:
        """Count what a generator does as a part."""
        function: Callable[..., Iterator[Any]] = getattr(owner, name)

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Iterator[Any]:
            items = function(*arguments, **named)
            while True:
                with self.within(part):
                    item = next(items, None)
                if item is None:
                    return
                yield item

        setattr(owner, name, timed)


def watch_all(stopwatch: Stopwatch) -> list[float]:
    """Have every part watched; return where the times of drawings are noted."""
    from rich.live import Live

    from shape_dnn.api import tune as module
    from shape_dnn.display.progress import Progress
    from shape_dnn.plugins import checked
    from shape_dnn.store.facts import Store
    from shape_dnn.store.journal import Journal
    from shape_dnn.store.runs import Runs
    from shape_dnn.study import trainings
    from shape_dnn.study.preparer import Preparer
    from shape_dnn.study.study import Study
    from shape_dnn.study.trainings import Trainings
    from shape_dnn.training import checkpoints

    watcher = vars(trainings)["Watcher"]  # which lies elsewhere in other versions
    for owner, name, part in (
        (module, "search", "deciding"), (checked, "should_stop", "deciding"), (checked, "choose", "deciding"),
        (Study, "train", "other"), (Study, "verify", "other"), (watcher, "watch", "other"),
        (Preparer, "prepare", "preparing"), (Trainings, "_task", "preparing"),
        (Store, "add_training", "recording"), (Trainings, "_publish", "recording"), (Trainings, "_tidy", "recording"),
        (checkpoints, "discard", "recording"), (Journal, "append", "recording"), (Runs, "know", "recording"),
        (Progress, "__call__", "progress"),
    ):  # fmt: skip
        stopwatch.watch(owner, name, part)
    stopwatch.watch_items(checked, "run", "executor")
    drawings: list[float] = []
    refresh = Live.refresh

    def refreshed(live: Live) -> None:
        began = time.thread_time()
        refresh(live)
        if threading.current_thread() is not threading.main_thread():
            drawings.append(time.thread_time() - began)

    Live.refresh = refreshed  # type: ignore[method-assign, assignment]
    return drawings


@contextmanager
def terminal() -> Iterator[list[int]]:
    """Have standard error be a terminal; count the bytes that it is sent."""
    mine, theirs = pty.openpty()
    received = [0]

    def drain() -> None:
        try:
            while part := os.read(mine, 1 << 16):
                received[0] += len(part)
        except OSError:  # the other end was closed
            return

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    before = sys.stderr
    os.environ |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    try:
        with os.fdopen(theirs, "w") as sys.stderr:
            yield received
    finally:
        sys.stderr = before
        thread.join(timeout=5)


def measure(name: str, place: Path | None, *, plain: bool) -> dict[str, Any]:
    """Search once, and return what it took."""
    from shape_dnn import tune
    from shape_dnn.display.progress import Progress

    stopwatch = Stopwatch()
    drawings = watch_all(stopwatch)
    settings = {**SPACE, **SEARCHES[name], "goal": "accuracy", "max_size": "2000MB", "device": "cpu"}
    settings["option"] = ["recipe.precision=float32", "recipe.epochs=12", *settings.get("option", ())]
    settings |= {"plugin": [str(Path(__file__).with_name("simulated_cluster.py"))], "executor": "simulated"}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=place) as directory:
        if plain:
            with Path(os.devnull).open("w") as sys.stderr, Progress() as progress, stopwatch.within("ends"):
                result = tune(**settings, study=directory, notify=progress)
            sys.stderr = sys.__stderr__
            received = [0]
        else:
            with terminal() as received, Progress() as progress, stopwatch.within("ends"):
                result = tune(**settings, study=directory, notify=progress)
        journal = (Path(directory) / "journal.jsonl").stat().st_size
    answer = result.to_dict()
    return {
        "trainings": len(answer["trained"]), "best": answer["best"], "passed": stopwatch.passed,
        "processor": stopwatch.processor, "drawings": drawings, "bytes": received[0], "journal": journal,
    }  # fmt: skip


def measured(checkout: Path, name: str, further: list[str]) -> dict[str, Any]:
    """Measure in a process of its own, with the package of a checkout."""
    command = [sys.executable, __file__, "--measure", name, *further]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def show(version: str, found: dict[str, Any]) -> float:
    """Print the figures of a search; return the milliseconds of the processor for each training."""
    number = found["trainings"]
    both = [
        (1e3 * found["passed"].get(part, 0.0) / number, 1e3 * found["processor"].get(part, 0.0) / number)
        for part in PARTS
    ]
    total, processor = (float(sum(column)) for column in zip(*both, strict=True))
    cells = "".join(f"{passed:>10.2f} ({own:.2f})".ljust(19) for passed, own in (*both, (total, processor)))
    drawn = found["drawings"]
    drawing = f"{1e3 * sum(drawn) / len(drawn):.1f} ms a drawing" if drawn else "nothing drawn"
    print(f"  {version:<8}{number:>6}{cells}{drawing}, {found['bytes'] / 1e3:.0f} kB shown", flush=True)
    return processor


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("searches", nargs="*", default=USUAL, help=f"some of: {'; '.join(SEARCHES)}")
    parser.add_argument("--beside", type=Path, help="a checkout of another version")
    parser.add_argument("--plain", action="store_true", help="show lines, as where there is no terminal")
    parser.add_argument("--directory", type=Path, default=IN_MEMORY if IN_MEMORY.is_dir() else None)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.directory, plain=arguments.plain)))
        return
    further = ["--plain"] * arguments.plain + (["--directory", str(arguments.directory)] if arguments.directory else [])
    checkouts = {"before": arguments.beside.resolve()} if arguments.beside else {}
    checkouts["now"] = Path(__file__).resolve().parents[1]
    print("milliseconds of the driver for each training as passed, and in brackets of its processor")
    print(f"{'':<10}{'':>6}" + "".join(f"{part:>10}".ljust(19) for part in (*PARTS, "together")))
    for name in arguments.searches:
        print(name)
        found = {version: measured(path, name, further) for version, path in checkouts.items()}
        totals = [show(version, each) for version, each in found.items()]
        if len(totals) == 2:
            same = "the same" if len({json.dumps(each["best"]) for each in found.values()}) == 1 else "ANOTHER"
            print(f"  ratio of the processor {totals[1] / totals[0]:.3f}, {same} answer")


if __name__ == "__main__":
    main()
