"""The accuracy models on detectors and language models that other people trained.

``python benchmarks/further.py --tables DIRECTORY`` asks random questions about ``openlm.csv`` and about every family of
``yolobench.csv`` at two resolutions. Of each shape one training is known, so the noise is assumed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import contenders
import numpy as np
from recorded import Recorded, questions
from search import judge

from shape_dnn import Shape

MODELS = ("log-linear", "log-error")
RESOLUTIONS = ("160", "320")
LEAST = 12
"""Shapes that a family must have."""


def tables(directory: Path) -> Iterator[Recorded]:
    """Give the tables."""
    yield _table("openlm", _rows(directory / "openlm.csv"), "size", 0.05)
    detectors = _rows(directory / "yolobench.csv")
    for family in sorted({row["family"] for row in detectors}):
        for resolution in RESOLUTIONS:
            rows = [row for row in detectors if (row["family"], row["resolution"]) == (family, resolution)]
            if len(rows) >= LEAST:
                yield _table(f"{family}-{resolution}", rows, "latency", 0.3, scale=100)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def _table(name: str, rows: Sequence[Mapping[str, str]], metric: str, sigma: float, scale: int = 1) -> Recorded:
    rows = sorted(rows, key=lambda row: (float(row["width"]), float(row["depth"])))
    shapes = [Shape(round(float(row["depth"]) * scale), Fraction(row["width"])) for row in rows]
    values = np.array([float(row[metric]) for row in rows])
    accuracies = np.array([[float(row["accuracy"])] for row in rows])
    return Recorded(name, shapes, accuracies, None, {metric: values}, values, sigma)


def main() -> None:
    """Print a row for each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("tables"))
    parser.add_argument("--questions", type=int, default=40)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    means: dict[str, list[tuple[float, float]]] = {model: [] for model in MODELS}
    for table in tables(arguments.tables):
        cells = []
        for model in MODELS:
            run = contenders.ours(model)
            found = [
                judge(table, question, run(table, question, i))
                for i, question in enumerate(questions(table, arguments.questions, seed=1))
            ]
            trained = statistics.fmean(outcome.trainings for outcome in found)
            right = 100 * statistics.fmean(outcome.within for outcome in found)
            covered = statistics.fmean([o.covered for o in found if o.covered is not None] or [0.0])
            means[model].append((trained, right))
            cells.append(f"{model} {trained:5.1f} {right:6.1f} % {100 * covered:5.0f} %")
        print(f"{table.name:<14}{len(table.shapes):>4}   " + "   ".join(cells), flush=True)
    for model, pairs in means.items():
        trained, right = (statistics.fmean(column) for column in zip(*pairs, strict=True))
        print(f"{model}: {trained:.1f} trainings, right in {right:.1f} %, worst table {min(r for _, r in pairs):.1f} %")


if __name__ == "__main__":
    main()
