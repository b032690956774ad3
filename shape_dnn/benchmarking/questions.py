"""Random questions about a recorded table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shape_dnn.benchmarking.problems import LEAST, RecordedTable
from shape_dnn.constraints import ACCURACY, Constraint
from shape_dnn.kinds import Goal
from shape_dnn.search.kernel import Floats

Ask = Literal["best", "sets"]
"""Whether the best shape is asked for, or the set of those that comply."""


class Weighted(Goal):
    """The least of a weighted sum of metrics.

    Args:
        weights: by metric; a negative one asks for the most.
    """

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
        goal: what makes the best shape; None if all that comply are asked for.
        least_accuracy: the limit on accuracy, if there is one.
        repetition: which of the repeated trainings a search sees.
    """

    candidates: NDArray[np.int64]
    goal: Weighted | None
    least_accuracy: float | None
    repetition: int

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """The limit on accuracy."""
        if self.least_accuracy is None:
            return ()
        return (Constraint("accuracy", False, self.least_accuracy, ACCURACY.unit),)

    def complies(self, accuracies: Floats | float, by: float = 0.0) -> NDArray[np.bool_]:
        """Tell which accuracies meet the limit by so many points."""
        limit = -math.inf if self.least_accuracy is None else self.least_accuracy
        return np.asarray(np.asarray(accuracies) >= limit + by)

    def scores(self, table: RecordedTable, accuracies: Floats) -> Floats:
        """Score every shape of the table, given accuracies for them."""
        assert self.goal is not None  # noqa: S101 - asked for only then
        columns = {**table.metrics, "accuracy": accuracies}
        return np.asarray(sum(weight * columns[name] for name, weight in self.goal.weights.items()))


def draw(table: RecordedTable, number: int, seed: int, ask: Ask = "best") -> list[Question]:
    """Draw questions; the first of many are those of few.

    Limits on some of the metrics each leave between a quarter and all of the shapes, together at least ``LEAST``. A
    limit on accuracy lies between the 10th and the 98th percentile of what is left. If the best shape is asked for,
    about half of the questions have one; the goal is then a metric, accuracy, or a weighted sum of the metrics in which
    each contributes alike on average. Without one it is accuracy. If sets are asked for, all questions have one.

    Args:
        table: that is asked about.
        number: of questions.
        seed: of the random choices.
        ask: what is asked for.
    """
    rng = np.random.default_rng(seed)
    names = list(table.metrics)
    drawn: list[Question] = []
    while len(drawn) < number:
        left = np.ones(len(table.shapes), bool)
        for name in rng.choice(names, size=rng.integers(0, len(names) + 1), replace=False):
            left &= table.metrics[name] <= np.quantile(table.metrics[name], rng.uniform(0.25, 1.0))
        candidates = np.flatnonzero(left)
        if len(candidates) < LEAST:
            continue
        repetition = len(drawn) % table.accuracies.shape[1]
        if ask == "best" and rng.random() >= 0.5:
            drawn.append(Question(candidates, Weighted({"accuracy": -1.0}), None, repetition))
            continue
        least = float(np.quantile(table.truth[candidates], rng.uniform(0.1, 0.98)))
        goal = _goal(table, rng) if ask == "best" else None
        drawn.append(Question(candidates, goal, least, repetition))
    return drawn


def _goal(table: RecordedTable, rng: np.random.Generator) -> Weighted:
    alike = {name: 1 / float(column.mean() or 1.0) for name, column in table.metrics.items()}
    kinds: list[Mapping[str, float]] = [*({name: 1.0} for name in table.metrics), {"accuracy": -1.0}, alike]
    return Weighted(kinds[rng.integers(len(kinds))])
