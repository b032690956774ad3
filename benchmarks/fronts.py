"""What fronts cost, and how many shapes beyond them are missed: ``python benchmarks/fronts.py``.

Recorded tables are asked for the trade-off of size and accuracy among the smaller shapes, half of the time of those
above an accuracy. Missed is a front if a shape that was not trained lies beyond it by the means of the table: where it
complies, and no trained one of at most its size comes up to its mean accuracy less the noise of the table, or twice
that where each shape was trained once.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.problems import LEAST, RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry
from shape_dnn.search import modes
from shape_dnn.search.query import Query
from shape_dnn.settings import Settings

TABLES = sorted(
    path
    for path in (Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables").glob("*.csv")
    if not path.stem.endswith("curves")
)


class Outcome(NamedTuple):
    """What came of one question."""

    candidates: int
    on_front: int
    trained: int
    doubt: float
    is_missed: bool
    beyond: int


def questions(table: RecordedTable, number: int) -> list[Question]:
    """Draw questions about the smallest quarter of the shapes, or more of them."""
    generator, sizes = np.random.default_rng(0), table.metrics["size"]
    drawn: list[Question] = []
    while len(drawn) < number:
        candidates = np.flatnonzero(sizes <= np.quantile(sizes, generator.uniform(0.25, 1)))
        if len(candidates) < LEAST:
            continue
        limit = float(np.quantile(table.truth[candidates], generator.uniform(0.1, 0.9)))
        is_limited = len(drawn) % 2 == 1
        drawn.append(Question(candidates, None, limit if is_limited else None, len(drawn) % table.qualities.shape[1]))
    return drawn


def asked(path: Path, number: int, of: int) -> Outcome:
    """Ask one question about a table."""
    table = RecordedTable.read(TableFile(path), metrics=["size"])
    question = questions(table, of)[number]
    seen = Seen(table, question)
    parts = Assembly(dataclasses.replace(Settings.create({"together": 1}), seed=number), Registry([]))
    query = Query(question.limits, None, {"size": 0.0}, 0.95, ("size", "accuracy"))
    found = modes.search(seen.shapes, query, parts.modelling, seen)
    place = {shape: i for i, shape in enumerate(table.shapes)}
    trained = [place[shape] for shape in seen.parts]
    sizes, means = table.metrics["size"], table.truth
    up_to_it = [i for i in trained if question.complies(table.qualities[i, question.repetition])]
    margin = table.noise * (2 if table.qualities.shape[1] == 1 else 1)
    beyond = [
        i
        for i in sorted({*question.candidates} - {*trained})
        if question.complies(means[i], margin)
        and means[i] - margin > max((means[j] for j in up_to_it if sizes[j] <= sizes[i]), default=-np.inf)
    ]
    doubt = np.nan if found.certificate is None else found.certificate.doubt
    return Outcome(len(seen.shapes), len(found.complying), len(trained), doubt, bool(beyond), len(beyond))


def main() -> None:
    """Print means for each table."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--questions", type=int, default=40)
    number = reader.parse_args().questions
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    print(f"{number} questions each: the front of size and accuracy, 95 % confidence")
    print(f"{'table':<26}{'shapes':>8}{'front':>7}{'trained':>9}{'doubt':>8}{'missed':>8}{'beyond':>8}")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for path in TABLES:
            few = zip(*[(path, each, number) for each in range(number)], strict=True)
            shapes, front, trained, doubt, missed, beyond = np.array(list(pool.map(asked, *few)), float).T
            print(
                f"{path.stem:<26}{shapes.mean():>8.1f}{front.mean():>7.1f}{trained.mean():>9.1f}"
                f"{np.nanmean(doubt):>8.0%}{missed.mean():>8.0%}{beyond.mean():>8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
