"""Right answers where the training that a search saw is no part of the truth: ``python benchmarks/held_out.py``.

``shape-dnn bench`` takes the mean of all trainings of a shape for the truth, and the one that was seen is among them.
Here it is left out, for tables with several trainings of each shape. The truth then rests on fewer, so even a search
that trains everything is right less often; beside it, the others are to be read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.judging import judge
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import draw
from shape_dnn.benchmarking.statistics import interval_of_part
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry

TABLES = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables"
NAMES = ("wrn-digits", "wrn-digits-thin", "wrn-fashion-mnist")
METHODS = ("exhaustive", "default", "paper", "optuna-tpe:{most}", "random:{most}")
QUESTIONS = 200


def held_out(table: RecordedTable, repetition: int) -> RecordedTable:
    """Return the table without one of the trainings of each shape."""
    return replace(table, qualities=np.delete(table.qualities, repetition, axis=1))


def percent(answers: list[bool]) -> str:
    """Return the part of right answers, with its 95 % interval."""
    low, high = interval_of_part(sum(answers), len(answers))
    return f"{100 * np.mean(answers):5.1f} ({100 * low:.0f}-{100 * high:.0f})"


def main() -> None:
    """Print the figures."""
    print(f"{QUESTIONS} questions each; right answers in percent, with 95 % intervals (Wilson)")
    print(f"{'table':<19}{'method':<13}{'trainings':>9}   {'by all trainings':<20}{'by those not seen':<20}")
    for name in NAMES:
        table = RecordedTable.read(TableFile(TABLES / f"{name}.csv"))
        questions, most = draw(table, QUESTIONS, seed=0), 1
        for spec in METHODS:
            method = parse(spec.format(most=most), Registry())
            runs = [ask(table, question, method, i) for i, question in enumerate(questions)]
            if method.never_stops:
                runs = [run.after(most, table, question) for run, question in zip(runs, questions, strict=True)]
            pairs = list(zip(questions, runs, strict=True))
            whole = [judge(table, question, run) for question, run in pairs]
            unseen = [judge(held_out(table, question.repetition), question, run).within for question, run in pairs]
            trainings = float(np.mean([outcome.trainings for outcome in whole]))
            if spec == "default":
                most = int(np.ceil(trainings))
            seen = percent([outcome.within for outcome in whole])
            print(f"{name:<19}{method.spec:<13}{trainings:>9.2f}   {seen:<20}{percent(unseen):<20}", flush=True)


if __name__ == "__main__":
    main()
