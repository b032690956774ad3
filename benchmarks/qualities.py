"""Losses searched as what they are, beside the same numbers called accuracies.

``python benchmarks/qualities.py openlm.csv gemstones_curves.csv``: tables with columns depth, width and loss, of which
the last row of each shape counts. As an accuracy a loss is 100 exp(-loss), the typical probability of the right token
in percent, or, as somebody might turn it, 100 less it.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shape_dnn import bench
from shape_dnn.kinds import AccuracyModel
from shape_dnn.plugins.registry import Registry
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Training
from shape_dnn.search import fitting
from shape_dnn.shape import Shape, exact
from shape_dnn.study.tables import quality_line

MODELS = ("log-error", "power-law", "ridge", "log-linear")
COUNTS, REPEATS = (4, 6, 8, 12), 30
DEVIATIONS = 1.645
NOISE = 0.02
"""Of a loss, in nats: what counts as equal in a search."""


@dataclass(frozen=True)
class Reading:
    """How losses are called.

    Attributes:
        name: for the rows.
        quality: what trainings are judged by.
        of: its value for a loss.
        back: the loss again.
    """

    name: str
    quality: Quality
    of: Callable[[float], float]
    back: Callable[[float], float]


READINGS = (
    Reading("100 exp(-loss)", ACCURACY, lambda loss: 100 * math.exp(-loss), lambda a: -math.log(max(a, 1e-9) / 100)),
    Reading("100 - loss", ACCURACY, lambda loss: 100 - loss, lambda a: 100 - a),
    Reading("loss lower 0:", Quality("loss", "nats", "lower", 0.0), lambda loss: loss, lambda loss: loss),
    Reading(
        "perplexity lower 1:", Quality("perplexity", "", "lower", 1.0), math.exp, lambda p: math.log(max(p, 1 + 1e-9))
    ),
    Reading("likelihood higher", Quality("log-likelihood"), lambda loss: -loss, lambda value: -value),
)


def read(path: Path) -> dict[Shape, float]:
    """Read the last loss of every shape."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = [row for row in csv.DictReader(lines) if row["loss"]]
    return {Shape(int(row["depth"]), exact(row["width"])): float(row["loss"]) for row in rows}


def predict(losses: Mapping[Shape, float], reading: Reading, name: str, count: int) -> tuple[float, float]:
    """Leave shapes out at random; return the mean absolute error in nats, and the coverage of 90 % intervals."""
    shapes = sorted(losses)
    model: AccuracyModel = Registry().load("accuracy_model", name).instance
    model.quality = reading.quality
    errors, covered = [], []
    for seed in range(REPEATS):
        order = np.random.default_rng(seed).permutation(len(shapes))
        known = [Training(shapes[i], reading.of(losses[shapes[i]])) for i in order[:count]]
        others = [shapes[i] for i in order[count:]]
        for shape, prediction in zip(others, fitting.predict(model, known, others), strict=True):
            errors.append(abs(reading.back(prediction.mean) - losses[shape]))
            distance = abs(prediction.mean - reading.of(losses[shape]))
            covered.append(prediction.std is not None and distance <= DEVIATIONS * prediction.std)
    return float(np.mean(errors)), float(np.mean(covered))


def search(losses: Mapping[Shape, float], reading: Reading, questions: int) -> tuple[float, float]:
    """Ask the default search random questions; return its mean trainings, and right answers in percent."""
    middle = statistics.median(losses.values())
    noise = abs(reading.of(middle + NOISE) - reading.of(middle - NOISE)) / 2
    rows = [f"{s.depth},{s.width},{reading.of(loss)!r},{float(s.depth * s.width**2)}" for s, loss in losses.items()]
    head = [f"# quality: {quality_line(reading.quality)}", f"# noise: {noise}"]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "table.csv")
        path.write_text("\n".join([*head, f"depth,width,{reading.quality.name},size", *rows]) + "\n")
        (row,) = bench(path, methods=["default"], questions=questions, workers=1)
    return row.trainings, row.within_percent


def main() -> None:
    """Print a row for every table, way of calling the losses, and model, and one for searches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for path in arguments.tables:
        losses = read(path)
        print(f"{path.name}: {len(losses)} shapes; error in nats and coverage of 90 % intervals by trainings; searches")
        for reading in READINGS:
            for model in MODELS:
                found = [predict(losses, reading, model, count) for count in COUNTS if count + 3 < len(losses)]
                cells = "".join(f"{error:>9.4f} {100 * part:>4.0f}%" for error, part in found)
                print(f"{reading.name:<22}{model:<12}{cells}", flush=True)
            trainings, right = search(losses, reading, arguments.questions)
            print(f"{reading.name:<22}{'search':<12}{trainings:>9.2f} trainings, {right:.1f} % right", flush=True)


if __name__ == "__main__":
    main()
