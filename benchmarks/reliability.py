"""How often searches are wrong that say how sure they are: ``python benchmarks/reliability.py TABLE…``.

Searches are asked the questions of ``shape-dnn bench`` at several confidences. Beside the doubt that they state when
they end stands the part that missed a shape better by more than some tolerance, in the mean of a table's trainings:

- what the search itself counted as equal;
- the noise of the table, pooled over all shapes as in Table 1 of the paper, which is what ``bench`` judges by. Bad
  shapes may vary much more than good ones, and are most of it;
- the noise of the upper half of the shapes, where the table has repeated trainings.

``right`` are the answers as good as the noise allows, by the noise of all shapes and by that of the upper half.

The second table has every decision of the default searches, by the doubt that was stated then, and the part that missed
a shape better by more than the noise of the upper half: what a result says of searches that were as sure
(:mod:`shape_dnn.answers.reliability`).
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from shape_dnn.answers.reliability import MISSED
from shape_dnn.assembly.replay import find_table
from shape_dnn.assembly.selection import Selection
from shape_dnn.benchmarking.judging import Decision, Outcome, Run, judge
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.benchmarking.running import Task, run
from shape_dnn.benchmarking.statistics import interval_of_part
from shape_dnn.plugins.registry import Registry
from shape_dnn.settings import Settings

SEARCHES = {"0.8": "confidence=0.8", "0.9": "confidence=0.9", "0.95": "default", "0.99": "confidence=0.99"}
"""Methods by how sure they are."""


def noise_of_upper_half(table: RecordedTable) -> float:
    """Return the standard deviation of a training of the upper half of the shapes; that of all if none is repeated."""
    if table.qualities.shape[1] == 1:
        return table.noise
    order = np.argsort(-table.quality.sign * table.truth)
    return float(np.sqrt(table.qualities.var(1, ddof=1)[order[: len(order) // 2]].mean()))


def by_stated_doubt(table: RecordedTable, pairs: Sequence[tuple[Question, Run]]) -> Iterator[tuple[float, bool]]:
    """Give every decision's doubt, and whether it missed a shape better by more than the noise of the upper half."""
    noise = noise_of_upper_half(table)
    for question, made in pairs:
        decisions = [dataclasses.replace(decision, tolerance=noise) for decision in made.decisions]
        yield from judge(table, question, dataclasses.replace(made, decisions=decisions)).doubts


def at_its_end(table: RecordedTable, question: Question, made: Run, tolerance: float | None) -> Outcome:
    """Judge a search by its last decision, where so much counts as equal; by itself if None."""
    last = made.decisions[-1]
    decision = Decision(last.doubt, last.best, last.tolerance if tolerance is None else tolerance)
    return judge(table, question, dataclasses.replace(made, decisions=[decision]))


def percent(parts: list[bool]) -> str:
    """Return a part in percent, with its 95 % interval."""
    low, high = interval_of_part(sum(parts), len(parts))
    return f"{100 * np.mean(parts):5.1f} ({100 * low:.0f}-{100 * high:.0f})"


def main() -> None:
    """Print a row for each confidence and table, and one for all tables together."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("tables", nargs="+")
    reader.add_argument("--noise", type=float, help="of tables that do not tell it")
    reader.add_argument("--questions", type=int, default=200)
    reader.add_argument("--results", type=Path, help="directory that keeps what was answered")
    given = reader.parse_args()
    selection = Selection(Settings.create({}), Registry())
    tables = [RecordedTable.read(find_table(name, selection), given.noise) for name in given.tables]
    task = Task(tables, list(SEARCHES.values()), given.questions)
    print(f"{given.questions} questions each; percent, with 95 % intervals (Wilson)")
    print(f"{'':42}{'missed by more than':<51}right by the noise of")
    heads = ("counts as equal", "noise of all", "upper half", "all", "upper half", "trainings")
    print(f"{'table (noise: all, upper half)':<30}{'sure':<6}{'doubt':<6}" + "".join(f"{head:<17}" for head in heads))
    told: list[tuple[float, bool]] = []
    for sure, spec in SEARCHES.items():
        runs = run(task, [(i, spec) for i in range(len(tables))], results=given.results)
        everything: list[list[float]] = []
        for i, table in enumerate(tables):
            pairs = list(zip(task.questions[i], runs[i, spec], strict=True))
            upper = dataclasses.replace(table, noise=noise_of_upper_half(table))
            rows = [
                [made.decisions[-1].doubt]
                + [at_its_end(table, question, made, by).doubts[0][1] for by in (None, table.noise, upper.noise)]
                + [judge(each, question, made).within for each in (table, upper)]
                + [judge(table, question, made).trainings]
                for question, made in pairs
            ]
            told += by_stated_doubt(table, pairs) if spec == "default" else ()
            show(f"{table.name} ({table.noise:.2f}, {upper.noise:.2f})", sure, rows)
            everything += rows
        show("all", sure, everything)
    print("\nstated doubt up to   decisions   stated   missed, in percent")
    least = -1.0
    for most, _ in MISSED:
        some = [(doubt, missed) for doubt, missed in told if least < doubt <= most]
        stated = f"{100 * np.mean([doubt for doubt, _ in some]):.1f}" if some else ""
        print(f"{most:<21}{len(some):<12}{stated:<9}{percent([missed for _, missed in some]) if some else ''}")
        least = most


def show(name: str, sure: str, rows: list[list[float]]) -> None:
    """Print a row."""
    doubts, *answers, trainings = zip(*rows, strict=True)
    cells = "".join(f"{percent(list(map(bool, column))):<17}" for column in answers)
    print(f"{name:<30}{sure:<6}{100 * np.mean(doubts):<6.1f}{cells}{np.mean(trainings):.1f}", flush=True)


if __name__ == "__main__":
    main()
