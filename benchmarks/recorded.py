"""Recorded tables as problems for searches: the truth, what a search may see of it, and random questions."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.study.tables import Table

HERE = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Where a table lies, and what it does not say itself.

    Attributes:
        path: of the table.
        curves: of the table of its learning curves, if there is one.
        network: input shape and classes, where the shapes are Wide ResNets.
        sigma: standard deviation of the accuracies of one shape's trainings, in points, where each has only one.
    """

    path: Path
    curves: Path | None = None
    network: tuple[tuple[int, int, int], int] | None = None
    sigma: float | None = None


def sources(others: Path) -> dict[str, Source]:
    """Return the tables of this repository, and those of a directory of others that are there."""
    given = {
        "wrn-digits": Source(HERE / "wrn-digits.csv", HERE / "wrn-digits-curves.csv", ((1, 8, 8), 10)),
        "wrn-digits-thin": Source(HERE / "wrn-digits-thin.csv", HERE / "wrn-digits-thin-curves.csv", ((1, 8, 8), 10)),
        "wrn-fashion-mnist": Source(
            HERE / "wrn-fashion-mnist.csv", HERE / "wrn-fashion-mnist-curves.csv", ((1, 14, 14), 10)
        ),
        # Shape (46, 6) occurs twice in the paper's Table 4, with 58.94 and 59.11: 0.17 over the root of 2.
        "imagenet32_d1": Source(others / "imagenet32_d1.csv", None, ((3, 32, 32), 1000), sigma=0.12),
        # From the second differences of the last ten checkpoints of each curve.
        "gemstones": Source(others / "gemstones.csv", others / "gemstones_curves.csv", sigma=0.28),
    }
    return {name: source for name, source in given.items() if source.path.is_file()}


@dataclass(frozen=True)
class Recorded:
    """A recorded table.

    Attributes:
        name: of the table.
        shapes: sorted by width and depth; every array has one row for each.
        accuracies: of repeated trainings, of shape (number of shapes, repetitions).
        curves: accuracy after each epoch, of shape (number of shapes, repetitions, epochs); None if not recorded.
        metrics: known without training.
        seconds: of a training; only ratios matter.
        sigma: standard deviation of the accuracies of one shape's trainings, in points.
    """

    name: str
    shapes: Sequence[Shape]
    accuracies: Floats
    curves: Floats | None
    metrics: Mapping[str, Floats]
    seconds: Floats
    sigma: float

    @property
    def truth(self) -> Floats:
        """The mean accuracy of each shape."""
        return np.asarray(self.accuracies.mean(1))

    @classmethod
    def load(cls, name: str, source: Source) -> Recorded:
        """Read a table; multiply-adds of Wide ResNets stand for their latency, and for seconds where none are known."""
        table = Table.read(source.path)
        shapes = table.shapes
        repetitions = min(len(table.rows[shape]) for shape in shapes)
        rows = [table.rows[shape][:repetitions] for shape in shapes]
        accuracies = np.array([[row["accuracy"] for row in group] for group in rows], float)
        metrics = {}
        if source.network is not None:
            metrics["size"] = np.array([_size(shape, *source.network) for shape in shapes])
            metrics["multiply-adds"] = np.array([_multiply_adds(shape, *source.network) for shape in shapes])
        else:
            metrics["size"] = np.array([group[0]["params"] for group in rows], float) * 4e-6
        if "seconds" in table.columns:
            # Other work on the machine can only add to a duration.
            seconds = np.array([min(row["seconds"] or np.inf for row in group) for group in rows], float)
            metrics.setdefault("seconds of a step", seconds)
        else:
            seconds = metrics["multiply-adds"]
        sigma = source.sigma or math.sqrt(float(accuracies.var(1, ddof=1).mean()))
        curves = None if source.curves is None else _curves(source.curves, shapes, repetitions)
        return cls(name, shapes, accuracies, curves, metrics, seconds, sigma)


def _size(shape: Shape, input_shape: tuple[int, int, int], classes: int) -> float:
    return WideResNet().count_values(shape, input_shape, classes) * 4e-6


def _multiply_adds(shape: Shape, input_shape: tuple[int, int, int], classes: int) -> float:
    """Count those of the convolutions and the linear layer for one image, without computing them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = WideResNet().build(shape, input_shape, classes).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, *input_shape))
    return float(counter.get_total_flops() / 2)


def _curves(path: Path, shapes: Sequence[Shape], repetitions: int) -> Floats:
    found: dict[tuple[Shape, int], list[float]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            from fractions import Fraction

            shape = Shape(int(row["depth"]), Fraction(row["width"]))
            found.setdefault((shape, int(row.get("seed") or 0)), []).append(float(row["accuracy"]))
    return np.array([[found[shape, seed] for seed in range(repetitions)] for shape in shapes])


class Metric(Goal):
    """The least of a metric, or the most of accuracy."""

    def __init__(self, name: str) -> None:
        self.metrics = (name,)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the metric, or the negated accuracy."""
        (name,) = self.metrics
        return -values[name] if name == "accuracy" else values[name]


class Weighted(Goal):
    """A weighted sum of metrics."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.metrics = tuple(weights)
        self.weights = dict(weights)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the sum."""
        return sum(weight * values[name] for name, weight in self.weights.items())


@dataclass(frozen=True)
class Question:
    """A random question about a table.

    Attributes:
        candidates: positions of the shapes that the limits leave that need no training.
        goal: what makes the best shape.
        least_accuracy: the limit on accuracy, if there is one.
        repetition: which of the repeated trainings a search sees.
    """

    candidates: NDArray[np.int64]
    goal: Goal
    least_accuracy: float | None
    repetition: int

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """The limit on accuracy as the search takes it."""
        if self.least_accuracy is None:
            return ()
        return (Constraint("accuracy", False, self.least_accuracy, "%"),)

    def complies(self, accuracy: Floats | float, by: float = 0.0) -> NDArray[np.bool_]:
        """Tell whether accuracies meet the limit by so many points."""
        limit = -math.inf if self.least_accuracy is None else self.least_accuracy
        return np.asarray(accuracy) >= limit + by

    def scores(self, table: Recorded, accuracies: Floats) -> Floats:
        """Score every shape of the table, given accuracies for them."""
        columns = {**table.metrics, "accuracy": accuracies}
        return np.array(
            [
                self.goal.score({name: float(columns[name][i]) for name in self.goal.metrics})
                for i in range(len(table.shapes))
            ]
        )


def questions(table: Recorded, number: int, seed: int) -> list[Question]:
    """Draw questions: limits on one metric or two, about half with one on accuracy, and a goal.

    A limit on a metric leaves between a quarter and all of the shapes; the limit on accuracy lies between the 10th and
    the 98th percentile of what is left. Without it accuracy is the goal. With it the goal is a metric, accuracy, or a
    weighted sum of two metrics in which each contributes alike on average.
    """
    rng = np.random.default_rng(seed)
    names = list(table.metrics)
    drawn: list[Question] = []
    while len(drawn) < number:
        left = np.ones(len(table.shapes), bool)
        for name in rng.choice(names, size=rng.integers(0, len(names) + 1), replace=False):
            left &= table.metrics[name] <= np.quantile(table.metrics[name], rng.uniform(0.25, 1.0))
        candidates = np.flatnonzero(left)
        if len(candidates) < 8:
            continue
        least: float | None = None
        goal: Goal = Metric("accuracy")
        if rng.random() < 0.5:
            least = float(np.quantile(table.truth[candidates], rng.uniform(0.1, 0.98)))
            kinds: list[Goal] = [Metric(name) for name in (*names, "accuracy")]
            kinds.append(Weighted({name: 1 / float(table.metrics[name].mean()) for name in names}))
            goal = kinds[rng.integers(len(kinds))]
        drawn.append(Question(candidates, goal, least, len(drawn) % table.accuracies.shape[1]))
    return drawn


class Seen:
    """The facts of one question: one training of each shape.

    Args:
        table: what was recorded.
        question: which repetition is seen.
    """

    def __init__(self, table: Recorded, question: Question) -> None:
        self._table = table
        self._position = {shape: i for i, shape in enumerate(table.shapes)}
        self._accuracies = table.accuracies[:, question.repetition]
        self._next = table.accuracies[:, (question.repetition + 1) % table.accuracies.shape[1]]
        self.measured: set[Shape] = set()
        self.repeated: list[Shape] = []

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Begin with nothing."""
        return []

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Look a metric up."""
        if metric != "size":
            self.measured.update(shapes)
        return [float(self._table.metrics[metric][self._position[shape]]) for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Look a metric up."""
        return self.measure(metric, shapes)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look accuracies up."""
        return self._trainings(shapes, self._accuracies)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look accuracies up."""
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look the next repetitions up, if there are any."""
        if self._table.accuracies.shape[1] < 2:
            return []
        self.repeated += shapes
        return self._trainings(shapes, self._next)

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """There is none."""
        return None

    def _trainings(self, shapes: Sequence[Shape], accuracies: Floats) -> list[Training]:
        places = [self._position[shape] for shape in shapes]
        return [
            Training(shape, float(accuracies[i]), seconds=float(self._table.seconds[i]))
            for shape, i in zip(shapes, places, strict=True)
        ]
