"""Trainings and right answers with a prior and without, on recorded tables.

``python benchmarks/prior.py --tables DIRECTORY`` takes tables of the package ``shape-dnn-tables`` as priors for others;
for every family at every resolution of ``yolobench.csv`` in the directory, the same family at another resolution, and
another family at the same; and of each table what is no prior at all: its own accuracies mirrored, so that the worst
shape is the best, or permuted. Searches of one table of twelve detectors train much the same shapes whatever is asked,
so few questions are put to each of these, and they are summed up over the tables.

The truth of a shape is its mean accuracy; a search sees one training of each. An answer is right if no shape is better
whose accuracy exceeds the limit, or that of the answer, by one standard deviation of a training.
"""

from __future__ import annotations

import argparse
import csv
import math
import multiprocessing
import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.builtin.samplers.active import Active
from shape_dnn.builtin.strategies import standard
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal
from shape_dnn.search.modes import search
from shape_dnn.search.query import Modelling, Query
from shape_dnn.shape import Shape, exact
from shape_dnn.study.tables import Replay, Table
from shape_dnn_tables import __file__ as package

NETWORKS = (
    ("wrn-digits", "wrn-digits-paper-recipe"),
    ("wrn-digits", "wrn-digits-thin"),
    ("wrn-digits-thin", "wrn-digits"),
    ("wrn-fashion-mnist", "wrn-digits"),
    ("wrn-digits", "wrn-fashion-mnist"),
)
"""Table and prior."""
NONSENSE = ("mirrored", "permuted")
ASSUMED = 0.3
"""Standard deviation of a training, in points, where each shape was trained once."""
LEAST = 8
"""Shapes that a limit leaves."""
SHAPES, QUESTIONS = 12, 4
"""Of a family of detectors at one resolution, shapes that there must be, and questions about it."""


class Metric(Goal):
    """The least of a metric, or the most of accuracy."""

    def __init__(self, name: str) -> None:
        self.metrics = (name,)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the metric, or the negated accuracy."""
        (name,) = self.metrics
        return -values[name] if name == "accuracy" else values[name]


@dataclass(frozen=True)
class Recorded:
    """A table, the mean accuracy of each shape, and the standard deviation of a training in points."""

    table: Table
    truth: Mapping[Shape, float]
    noise: float
    metrics: Sequence[str]

    @classmethod
    def of(cls, table: Table, metrics: Sequence[str]) -> Recorded:
        """Take means and noise of a table."""
        accuracies = {shape: [float(row["accuracy"] or 0) for row in rows] for shape, rows in table.rows.items()}
        variances = [statistics.variance(values) for values in accuracies.values() if len(values) > 1]
        noise = math.sqrt(statistics.fmean(variances)) if variances else table.noise or ASSUMED
        return cls(table, {shape: statistics.fmean(accuracies[shape]) for shape in table.shapes}, noise, metrics)

    def value(self, metric: str, shape: Shape) -> float:
        """Return a metric of a shape, or its true accuracy."""
        return self.truth[shape] if metric == "accuracy" else float(self.table.rows[shape][0][metric] or 0)


@cache
def recorded(name: str, directory: Path) -> Recorded:
    """Read a table of the package, or a family at a resolution, with depth multipliers in percent."""
    own = Path(package).parent / f"{name}.csv"
    if own.is_file():
        return Recorded.of(Table.read(own), ("size", "multiply-adds"))
    family, resolution = name.rsplit("-", 1)
    rows: dict[Shape, list[Mapping[str, float | None]]] = {}
    with (directory / "yolobench.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if (row["family"], row["resolution"]) == (family, resolution):
                values = {name: float(row[name]) for name in ("accuracy", "latency")}
                rows[Shape(round(100 * float(row["depth"])), exact(row["width"]))] = [values]
    return Recorded.of(Table(directory, ("accuracy", "latency"), rows), ("latency",))


def prior_of(name: str, directory: Path) -> dict[Shape, float]:
    """Return accuracies by shape; of ``NAME mirrored`` and ``NAME permuted`` those of other shapes."""
    name, _, nonsense = name.partition(" ")
    truth = recorded(name, directory).truth
    if nonsense == "mirrored":
        return {shape: min(truth.values()) + max(truth.values()) - accuracy for shape, accuracy in truth.items()}
    if nonsense == "permuted":
        return dict(zip(truth, np.random.default_rng(0).permutation(list(truth.values())).tolist(), strict=True))
    return dict(truth)


def questions(known: Recorded, number: int) -> Iterator[Query]:
    """Draw limits on a metric, half of the time one on accuracy as well, and a goal."""
    rng, names = np.random.default_rng(0), [*known.metrics, "accuracy"]
    for i in range(number):
        limited = names[i % len(known.metrics)]
        values = sorted(known.value(limited, shape) for shape in known.truth)
        most = values[rng.integers(max(LEAST, len(values) // 4), len(values) + 1) - 1]
        limits, goal = [Constraint(limited, True, most, "")], "accuracy"
        if rng.random() < 0.5:
            left = [truth for shape, truth in known.truth.items() if known.value(limited, shape) <= most]
            limits.append(Constraint("accuracy", False, float(np.quantile(left, rng.uniform(0.1, 0.98))), "%"))
            goal = names[rng.integers(len(names))]
        yield Query(limits, Metric(goal), dict.fromkeys(known.metrics, 0.0), confidence=0.95)


def is_right(known: Recorded, query: Query, answer: Shape | None) -> bool:
    """Tell whether an answer is as good as the noise allows."""
    assert query.goal is not None
    (metric,) = query.goal.metrics
    clearly = [
        query.goal.score({metric: known.value(metric, shape)}) + (known.noise if metric == "accuracy" else 0.0)
        for shape in known.truth
        if all(limit.allows(known.value(limit.metric, shape)) for limit in query.non_functional)
        and all(limit.allows(known.truth[shape] - known.noise) for limit in query.functional)
    ]
    best = min(clearly, default=math.inf)
    return best == math.inf if answer is None else query.goal.score({metric: known.value(metric, answer)}) <= best


@dataclass(frozen=True)
class Job:
    """Questions about a table, given a prior or none; outcomes are summed up by ``label``."""

    label: tuple[str, str]
    table: str
    prior: str | None
    questions: int
    directory: Path


Outcome = tuple[int, bool, float | None]
"""Trainings, whether the answer is right, and the weight of the prior."""


def ask(job: Job) -> list[Outcome]:
    """Put the questions of a job."""
    known, model = recorded(job.table, job.directory), LogError()
    if job.prior is not None:
        accuracies = prior_of(job.prior, job.directory)
        model.learn_from(list(accuracies), list(accuracies.values()))
    outcomes = []
    for seed, query in enumerate(questions(known, job.questions)):
        modelling = Modelling(standard(), Active(), model)
        answer = search(known.table.shapes, query, modelling, Replay(known.table, seed))
        right = is_right(known, query, None if answer.best is None else answer.best.shape)
        outcomes.append((len(answer.trainings), right, model.prior_weight))
    return outcomes


def networks(number: int, directory: Path) -> Iterator[Job]:
    """Give the jobs about the tables of the package."""
    for name in dict.fromkeys(name for name, _ in NETWORKS):
        fitting = [prior for table, prior in NETWORKS if table == name]
        for prior in (None, *fitting, *(f"{name} {how}" for how in NONSENSE)):
            yield Job((name, prior or "-"), name, prior, number, directory)


def detectors(directory: Path) -> Iterator[Job]:
    """Give the jobs about all detectors, each with one other resolution and one other family for a prior."""
    with (directory / "yolobench.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        counts = Counter((row["family"], row["resolution"]) for row in rows)
    places = sorted(place for place, number in counts.items() if number >= SHAPES)
    rng = np.random.default_rng(1)
    for family, resolution in places:
        name = f"{family}-{resolution}"
        resolutions = [r for f, r in places if f == family and r != resolution]
        families = [f for f, r in places if f != family and r == resolution]
        priors = {
            "-": None,
            "another resolution": f"{family}-{rng.choice(resolutions)}",
            "another family": f"{rng.choice(families)}-{resolution}",
            **{how: f"{name} {how}" for how in NONSENSE},
        }
        for label, prior in priors.items():
            yield Job((f"{len(places)} tables of detectors", label), name, prior, QUESTIONS, directory)


def main() -> None:
    """Print a row for each table, or all detectors, and prior."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path)
    parser.add_argument("--questions", type=int, default=100)
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    directory = arguments.tables or Path()
    jobs = [*networks(arguments.questions, directory), *(detectors(directory) if arguments.tables else ())]
    found: dict[tuple[str, str], list[Outcome]] = {}
    with multiprocessing.get_context("spawn").Pool() as pool:
        for job, outcomes in zip(jobs, pool.imap(ask, jobs), strict=True):
            found.setdefault(job.label, []).extend(outcomes)
    print(f"{datetime.now(UTC):%Y-%m-%d}; shape-dnn {metadata.version('shape-dnn')}\n")
    print(f"{'table':<26}{'prior':<28}{'questions':>9}{'trained':>9}{'right':>10}{'weight':>9}")
    for (table, prior), outcomes in found.items():
        trainings, right, weights = zip(*outcomes, strict=True)
        weight = "" if None in weights else f"{statistics.fmean(weights):9.2f}"
        cells = f"{len(outcomes):9}{statistics.fmean(trainings):9.1f}{100 * statistics.fmean(right):8.1f} %{weight}"
        print(f"{table:<26}{prior:<28}{cells}")


if __name__ == "__main__":
    main()
