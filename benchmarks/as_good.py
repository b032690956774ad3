"""What the interval of ``as good at`` is worth, and a bootstrap in its place: ``python benchmarks/as_good.py``.

Some of many questions about a table are drawn again and again, and all of them are the truth: the number of trainings
from which random choice is as often right as the default search. Counted is how often an interval by the few questions
holds that number, the number being infinite where random choice does not get there. Wrong answers are added to those of
the default search to see the same beside one that is right less often.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from shape_dnn.assembly.replay import find_table
from shape_dnn.assembly.selection import Selection
from shape_dnn.benchmarking.comparison import judge_all
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.running import Task, run
from shape_dnn.benchmarking.statistics import crossing
from shape_dnn.plugins.registry import Registry
from shape_dnn.settings import Settings

RIGHT = (1.0, 0.97, 0.9, 0.8)
"""Part of the right answers of the default search that are left so."""
FEW = (20, 50, 200)
DRAWS, RESAMPLES = 300, 400


def first(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return the numbers of trainings from which the others are as often right; infinity where they are not."""
    enough = theirs >= ours[:, None] - 1e-12
    return np.where(enough.any(1), enough.argmax(1) + 1.0, np.inf)


def bootstrap(ours: np.ndarray, theirs: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """Return the interval of that number by drawing questions with replacement."""
    weights = generator.multinomial(len(ours), np.full(len(ours), 1 / len(ours)), RESAMPLES) / len(ours)
    low, high = np.percentile(first(weights @ ours, weights @ theirs), [2.5, 97.5], method="nearest")
    return float(low), float(high)


def tested(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return the interval that ``shape-dnn bench`` tells."""
    found = crossing(ours.tolist(), theirs.T.tolist())
    return found.low or np.inf, found.high or np.inf


def main() -> None:
    """Print a block for each part of right answers."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--table", default="wrn-digits")
    reader.add_argument("--questions", type=int, default=800)
    reader.add_argument("--results", type=Path, help="directory that keeps what was answered")
    given = reader.parse_args()
    table = RecordedTable.read(find_table(given.table, Selection(Settings.create({}), Registry())))
    task = Task([table], ["default", "random:60"], given.questions)
    runs = run(task, [(0, spec) for spec in task.specs], results=given.results)
    default, random = (judge_all(table, task.questions[0], task.methods[s], runs[0, s]) for s in task.specs)
    right = np.array([outcome.within for outcome in default.steps[0]])
    theirs = np.array([[outcome.within for outcome in step] for step in random.steps]).T
    generator = np.random.default_rng(0)
    for part in RIGHT:
        ours = right & (generator.random(len(right)) < part)
        truth = first(ours.mean(keepdims=True), theirs.mean(0)[None])[0]
        print(f"{table.name}: default right in {100 * ours.mean():.1f} % of {len(ours)}, random as good at {truth:.0f}")
        for few in FEW:
            drawn = [generator.integers(0, len(ours), few) for _ in range(DRAWS)]
            found = [first(ours[d].mean(keepdims=True), theirs[d].mean(0)[None])[0] for d in drawn]
            ends = {
                "bootstrap": [bootstrap(ours[d], theirs[d], generator) for d in drawn],
                "McNemar": [tested(ours[d], theirs[d]) for d in drawn],
            }
            held = ", ".join(
                f"{name} holds it in {np.mean([low <= truth <= high for low, high in own]):4.0%}"
                for name, own in ends.items()
            )
            print(f"  by {few:3} questions at {np.median(found):3.0f} in the median; {held}", flush=True)


if __name__ == "__main__":
    main()
