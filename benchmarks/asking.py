"""How long a question to a study takes, and its report: to write, to open in a browser, to follow a slider."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from recorded_study import record_study

SPACES = {28: ("10:29:6", "1/4:9/8:1/8"), 400: ("10:130:6", "1/4:21/4:1/4")}
QUESTION = ("--max-size", "2MB", "--min-accuracy", "97%", "--goal", "latency")
SLIDE = """async () => {
    const slider = document.querySelector("input[type=range]");
    const times = [];
    for (let i = 0; i < 20; i++) {
        const began = performance.now();
        slider.value = Math.floor(slider.max * i / 20);
        slider.dispatchEvent(new Event("input"));
        times.push(performance.now() - began);
        await new Promise((done) => setTimeout(done, 200));
    }
    return times;
}"""


def commands(study: str) -> dict[str, tuple[str, ...]]:
    """Return what is timed, and what it cannot be faster than."""
    return {
        "python -c pass": ("-c", "pass"),
        "python -c 'import numpy'": ("-c", "import numpy"),
        "shape-dnn ask": ("-m", "shape_dnn", "ask", study, *QUESTION),
        "shape-dnn report": ("-m", "shape_dnn", "report", study, *QUESTION),
    }


def time_commands(study: Path) -> None:
    """Print the time of each command; the runs alternate, so that a slow moment hits all alike."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {}
    for _ in range(12):
        for name, arguments in commands(str(study)).items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
            times.setdefault(name, []).append(time.perf_counter() - began)
    for name, values in times.items():
        print(f"  {name:<26} median {statistics.median(values[1:]):.3f} s, best {min(values):.3f} s")


def time_page(report: Path) -> None:
    """Print how long a browser takes until the controls work and all is drawn, and to answer when a slider moves."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("  no chromium: the page was not opened")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        ready: list[float] = []
        complete: list[float] = []
        moved: list[Any] = []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            began = time.perf_counter()
            page.goto(report.as_uri())
            page.wait_for_selector("body[data-state]")
            ready.append(time.perf_counter() - began)
            page.wait_for_selector("body[data-state=complete]")
            complete.append(time.perf_counter() - began)
            moved += page.evaluate(SLIDE)
            page.close()
        browser.close()
    print(f"  page answers               median {statistics.median(ready):.2f} s, longest {max(ready):.2f} s")
    print(f"  all its charts are drawn   median {statistics.median(complete):.2f} s, longest {max(complete):.2f} s")
    print(f"  answer after a slider      median {statistics.median(moved):.1f} ms, longest {max(moved):.1f} ms")


def main() -> None:
    """Print the figures for a small space and a large one."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        for number, (depth, width) in SPACES.items():
            study = Path(directory) / str(number)
            shapes = record_study(study, depth=depth, width=width, min_accuracy="97", goal="latency")
            print(f"{len(shapes)} shapes, a third of them trained, 4 metrics")
            time_commands(study)
            report = study / "report.html"
            print(f"  the page has {report.stat().st_size / 1e6:.2f} MB")
            time_page(report)


if __name__ == "__main__":
    main()
