"""How long the report of a study takes, its page in a browser, its answers and its tables, as the space grows.

`--pages` has the pages alone; `--beside CHECKOUT` has those of another version of the package as well, in turn.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from recorded_study import record_study

from shape_dnn import ask
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.report import page
from shape_dnn.report.encoding import encode
from shape_dnn.report.overview import Overview

SPACES = {
    400: ("10:130:6", "1/4:21/4:1/4"),
    900: ("10:185:6", "1/4:15/2:1/4"),
    3600: ("10:370:6", "1/4:15:1/4"),
    10000: ("10:610:6", "1/4:25:1/4"),
}
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a study of so many facts takes minutes to write to a disk
QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "a best shape": {"goal": "latency", "min_accuracy": "97"},
    "a front": {"pareto": ["size", "accuracy"]},
}


SLIDE = """async () => {
    const slider = document.querySelector("input[type=range]");
    const times = [];
    for (let i = 0; i < 10; i++) {
        const began = performance.now();
        slider.value = Math.floor(slider.max * i / 10);
        slider.dispatchEvent(new Event("input"));
        const answered = performance.now() - began;
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        times.push([answered, performance.now() - began]);
        await new Promise((done) => setTimeout(done, 600));
    }
    return times;
}"""
OPENED = 3
"""Times that each page is opened."""


def clock(what: str, work: Callable[[], object]) -> None:
    """Print how long something takes."""
    began = time.perf_counter()
    work()
    print(f"  {what:<34} {time.perf_counter() - began:6.2f} s", flush=True)


def answer(study: Path, question: Mapping[str, Any]) -> str:
    """Ask, and show the answer as notebooks do."""
    return ask(study, **question)._repr_html_()


def time_pages(pages: Mapping[str, Path]) -> None:
    """Print how long a browser takes until the controls work, and until what a slider asks is answered and painted."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    ready: dict[str, list[float]] = {name: [] for name in pages}
    moved: dict[str, list[list[float]]] = {name: [] for name in pages}
    computed: dict[str, list[float]] = {name: [] for name in pages}
    sliding: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for place in range(OPENED):
            for name, path in pages.items():
                page = browser.new_page(viewport={"width": 1200, "height": 900})
                page.set_default_timeout(300_000)
                computing = processor_time(page)
                began = time.perf_counter()
                page.goto(path.as_uri(), wait_until="commit")
                page.wait_for_selector("body[data-state]")
                ready[name].append(time.perf_counter() - began)
                computed[name].append(computing())
                page.wait_for_selector("body[data-state=complete]")
                if place == 0:
                    before = computing()
                    moved[name] += page.evaluate(SLIDE)
                    sliding[name] = 1000 * (computing() - before) / len(moved[name])
                page.close()
        browser.close()
    for name, path in pages.items():
        answered, painted = (sorted(times) for times in zip(*moved[name], strict=True))
        print(f"  {name}: the page has {path.stat().st_size / 1e6:.2f} MB")
        print(
            f"    first view        median {statistics.median(ready[name]):.2f} s, longest {max(ready[name]):.2f} s, "
            f"{statistics.median(computed[name]):.2f} s of a processor"
        )
        print(f"    a move takes {sliding[name]:.0f} ms of a processor, charts included")
        for what, times in (("answer in words", answered), ("painted as well", painted)):
            print(f"    {what}   median {statistics.median(times):.0f} ms, longest {times[-1]:.0f} ms", flush=True)


def processor_time(page: Any) -> Callable[[], float]:
    """Have a page tell how many seconds of a processor it took so far, for all that it does to be drawn."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def tell() -> float:
        told = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in told if each["name"] == "TaskDuration"))

    return tell


def written_by(name: str, checkout: Path, study: Path) -> Path:
    """Have a version of the package write a report, and print how long that takes."""
    path = study / f"{name}.html"
    command = [sys.executable, "-m", "shape_dnn", "report", str(study.resolve()), "--output", str(path.resolve())]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=checkout)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    print(f"  {name}: written in {time.perf_counter() - began:.1f} s, {spent:.1f} s of processors", flush=True)
    return path


def main() -> None:
    """Print the figures for spaces of several sizes; 330 shapes of each are trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", action="store_true", help="the pages alone, of 400 and of 10,000 shapes")
    parser.add_argument("--beside", type=Path, help="a checkout of another version")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.beside.resolve()} if arguments.beside else {}
    checkouts["now"] = Path(__file__).resolve().parents[1]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as directory:
        for number, (depth, width) in SPACES.items():
            if arguments.pages and number not in (400, 10000):
                continue
            study = Path(directory) / str(number)
            shapes = record_study(study, depth=depth, width=width, goal="latency", sampler="interval")
            print(f"{len(shapes)} shapes")
            written = {name: written_by(name, checkout, study) for name, checkout in checkouts.items()}
            if number in (400, 10000):
                time_pages(written)
            if arguments.pages:
                continue
            with StudyQuestion.open(study, {}, as_searched=True) as known:
                clock("predicting every shape", partial(getattr, known, "candidates"))
                overview = Overview.of_study(known)
                clock("the rows and scores of the report", partial(encode, overview))
                clock("the whole page", partial(page.render, overview))
            for name, question in QUESTIONS.items():
                clock(f"asking for {name}, as a table", partial(answer, study, question))


if __name__ == "__main__":
    main()
