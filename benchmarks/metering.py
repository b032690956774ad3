"""How many shapes are measured for a goal whose metric has no limit, and does it cost right answers to measure fewer?

``python benchmarks/metering.py TABLE…`` takes those of the random questions of ``shape-dnn bench`` whose goal is
another metric than size and accuracy, and asks them twice: with that metric measured only where it may decide, and of
all shapes.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.judging import judge
from shape_dnn.benchmarking.own import Own
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import draw
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry

CHEAP = {"size", "accuracy"}


def main() -> None:
    """Print, for each table, what was measured, trained, and right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--metrics", default="size,seconds", help="what is asked about")
    parser.add_argument("--questions", type=int, default=1000, help="drawn for each table; about a third fit")
    arguments = parser.parse_args()
    print(f"{'table':<20}{'questions':>10}{'shapes':>8}   measured, trained, right: where it may decide | everywhere")
    for path in arguments.tables:
        table = RecordedTable.read(TableFile(path), metrics=arguments.metrics.split(","))
        drawn = enumerate(draw(table, arguments.questions, seed=0))
        fitting = [(i, question) for i, question in drawn if question.goal and set(question.goal.metrics) - CHEAP]
        cells = []
        for measures_all in (False, True):
            method = Own("default", {}, Registry([]), measures_all=measures_all)
            found = [judge(table, question, ask(table, question, method, i)) for i, question in fitting]
            measured = statistics.fmean(outcome.measured for outcome in found)
            number = statistics.fmean(outcome.measured * outcome.candidates for outcome in found)
            trained = statistics.fmean(outcome.trainings for outcome in found)
            right = statistics.fmean(outcome.within for outcome in found)
            cells.append(f"{100 * measured:5.0f} % ({number:5.1f}) {trained:6.2f} {100 * right:6.1f} %")
        shapes = statistics.fmean(len(question.candidates) for _, question in fitting)
        print(f"{table.name:<20}{len(fitting):>10}{shapes:>8.1f}   " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
