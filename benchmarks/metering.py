"""How many shapes are measured for a goal whose metric has no limit, and does it cost right answers to measure fewer?

``python benchmarks/metering.py --tables DIRECTORY`` takes those of the random questions of ``search.py`` whose goal is
another metric than size and accuracy, and asks them twice: with that metric measured only where it may decide, and of
all shapes.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import contenders
from recorded import Recorded, questions, sources
from search import judge

CHEAP = {"size", "accuracy"}


def main() -> None:
    """Print, for each table, what was measured, trained, and right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("tables"), help="directory of other tables")
    parser.add_argument("--questions", type=int, default=1000, help="drawn for each table; about a third fit")
    arguments = parser.parse_args()
    print(f"{'table':<20}{'questions':>10}{'shapes':>8}   measured, trained, right: where it may decide | everywhere")
    for name, source in sources(arguments.tables).items():
        table = Recorded.load(name, source)
        drawn = enumerate(questions(table, arguments.questions, seed=0))
        fitting = [(i, question) for i, question in drawn if set(question.goal.metrics) - CHEAP]
        cells = []
        for measures_all in (False, True):
            run = contenders.ours(measures_all=measures_all)
            runs = [(question, run(table, question, i)) for i, question in fitting]
            measured = statistics.fmean(each.measured / len(question.candidates) for question, each in runs)
            number = statistics.fmean(each.measured for _, each in runs)
            trained = statistics.fmean(len(each.trained) for _, each in runs)
            right = statistics.fmean(judge(table, question, each).within for question, each in runs)
            cells.append(f"{100 * measured:5.0f} % ({number:5.1f}) {trained:6.2f} {100 * right:6.1f} %")
        shapes = statistics.fmean(len(question.candidates) for _, question in fitting)
        print(f"{name:<20}{len(fitting):>10}{shapes:>8.1f}   " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
