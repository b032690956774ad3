"""Random questions about a recorded table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shape_dnn.benchmarking.problems import LEAST, RecordedTable
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal
from shape_dnn.quality import ACCURACY, Quality
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
        limit: the worst quality that complies, if there is a limit.
        repetition: which of the repeated trainings a search sees.
        quality: by which trainings are judged.
    """

    candidates: NDArray[np.int64]
    goal: Weighted | None
    limit: float | None
    repetition: int
    quality: Quality = ACCURACY

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """The limit on quality."""
        if self.limit is None:
            return ()
        return (Constraint(self.quality.name, self.quality.better == "lower", self.limit, self.quality.unit),)

    @property
    def goal_is_quality(self) -> bool:
        """Whether the best quality is asked for; any other goal is known of every shape without training."""
        return self.goal is not None and self.goal.metrics == (self.quality.name,)

    def complies(self, qualities: Floats | float, by: float = 0.0) -> NDArray[np.bool_]:
        """Tell which qualities meet the limit by so much."""
        if self.limit is None:
            return np.ones(np.shape(qualities), bool)
        sign = self.quality.sign
        return np.asarray(sign * np.asarray(qualities) >= sign * self.limit + by)

    def scores(self, table: RecordedTable, qualities: Floats) -> Floats:
        """Score every shape of the table, given qualities for them."""
        assert self.goal is not None  # noqa: S101 - asked for only then
        columns = {**table.metrics, self.quality.name: qualities}
        return np.asarray(sum(weight * columns[name] for name, weight in self.goal.weights.items()))


def draw(table: RecordedTable, number: int, seed: int, ask: Ask = "best") -> list[Question]:
    """Draw questions; the first of many are those of few.

    Limits on some of the metrics each leave between a quarter and all of the shapes, together at least ``LEAST``. A
    limit on quality lies between the 10th and the 98th percentile of what is left, from the worst. If the best shape is
    asked for, about half of the questions have one; the goal is then a metric, quality, or a weighted sum of the
    metrics in which each contributes alike on average. Without one it is quality. If sets are asked for, all questions
    have one.

    Args:
        table: that is asked about.
        number: of questions.
        seed: of the random choices.
        ask: what is asked for.
    """
    rng = np.random.default_rng(seed)
    names, quality = list(table.metrics), table.quality
    drawn: list[Question] = []
    while len(drawn) < number:
        left = np.ones(len(table.shapes), bool)
        for name in rng.choice(names, size=rng.integers(0, len(names) + 1), replace=False):
            left &= table.metrics[name] <= np.quantile(table.metrics[name], rng.uniform(0.25, 1.0))
        candidates = np.flatnonzero(left)
        if len(candidates) < LEAST:
            continue
        repetition = len(drawn) % table.qualities.shape[1]
        if ask == "best" and rng.random() >= 0.5:
            drawn.append(Question(candidates, Weighted(_best(quality)), None, repetition, quality))
            continue
        upwards = quality.sign * table.truth[candidates]
        limit = quality.sign * float(np.quantile(upwards, rng.uniform(0.1, 0.98)))
        goal = _goal(table, rng) if ask == "best" else None
        drawn.append(Question(candidates, goal, limit, repetition, quality))
    return drawn


def _goal(table: RecordedTable, rng: np.random.Generator) -> Weighted:
    alike = {name: 1 / float(column.mean() or 1.0) for name, column in table.metrics.items()}
    kinds: list[Mapping[str, float]] = [*({name: 1.0} for name in table.metrics), _best(table.quality), alike]
    return Weighted(kinds[rng.integers(len(kinds))])


def _best(quality: Quality) -> dict[str, float]:
    """Return the weight of the goal that is the best quality."""
    return {quality.name: -float(quality.sign)}
