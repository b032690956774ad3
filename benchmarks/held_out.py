"""Right answers by stricter judges than that of ``shape-dnn bench``: ``python benchmarks/held_out.py``.

``bench`` takes the mean of all trainings of a shape for the truth, and the one that was seen is among them. Here it is
left out, for tables with several trainings of each shape. The truth then rests on fewer, so even a search that trains
everything is right less often; beside it, the others are to be read.

``bench`` also lets pass what lies within the noise of the table, pooled over all shapes. Bad shapes may vary much more
than good ones, and are most of it. So answers are judged once more by the noise of the upper half of the shapes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from reliability import noise_of_upper_half, percent

from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.judging import judge
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import draw
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry

TABLES = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables"
NAMES = ("wrn-digits", "wrn-digits-thin", "wrn-fashion-mnist")
METHODS = ("exhaustive", "default", "paper", "optuna-tpe:{most}", "random:{most}")
QUESTIONS = 200


def held_out(table: RecordedTable, repetition: int) -> RecordedTable:
    """Return the table without one of the trainings of each shape."""
    return replace(table, qualities=np.delete(table.qualities, repetition, axis=1))


def main() -> None:
    """Print the figures."""
    print(f"{QUESTIONS} questions each; right answers in percent, with 95 % intervals (Wilson)")
    heads = ("by all trainings", "by those not seen", "by all, upper half's noise")
    print(f"{'table':<19}{'method':<13}{'trainings':>9}   " + "".join(f"{head:<20}" for head in heads))
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
            upper = replace(table, noise=noise_of_upper_half(table))
            strictly = [judge(upper, question, run).within for question, run in pairs]
            trainings = float(np.mean([outcome.trainings for outcome in whole]))
            if spec == "default":
                most = int(np.ceil(trainings))
            columns = ([outcome.within for outcome in whole], unseen, strictly)
            cells = "".join(f"{percent(answers):<20}" for answers in columns)
            print(f"{name:<19}{method.spec:<13}{trainings:>9.2f}   {cells}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
