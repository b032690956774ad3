"""How long the report of a study takes, its answers and its tables, as the space grows."""

from __future__ import annotations

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
from shape_dnn.report.overview import Overview

SPACES = {900: ("10:185:6", "1/4:15/2:1/4"), 3600: ("10:370:6", "1/4:15:1/4"), 10000: ("10:610:6", "1/4:25:1/4")}
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a study of so many facts takes minutes to write to a disk
QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "a best shape": {"goal": "latency", "min_accuracy": "97"},
    "a front": {"pareto": ["size", "accuracy"]},
}


def clock(what: str, work: Callable[[], object]) -> None:
    """Print how long something takes."""
    began = time.perf_counter()
    work()
    print(f"  {what:<34} {time.perf_counter() - began:6.2f} s", flush=True)


def answer(study: Path, question: Mapping[str, Any]) -> str:
    """Ask, and show the answer as notebooks do."""
    return ask(study, **question)._repr_html_()


def main() -> None:
    """Print the figures for spaces of several sizes; 330 shapes of each are trained."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as directory:
        for number, (depth, width) in SPACES.items():
            study = Path(directory) / str(number)
            shapes = record_study(study, depth=depth, width=width, goal="latency", sampler="interval")
            print(f"{len(shapes)} shapes")
            with StudyQuestion.open(study, {}, as_searched=True) as known:
                clock("predicting every shape", partial(getattr, known, "candidates"))
                overview = Overview.of_study(known)
                clock("the rows and scores of the report", overview.to_dict)
                clock("the whole page", partial(page.render, overview))
            for name, question in QUESTIONS.items():
                clock(f"asking for {name}, as a table", partial(answer, study, question))


if __name__ == "__main__":
    main()
