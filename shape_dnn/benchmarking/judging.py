"""Compares what a way of searching came to with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Question

ENOUGH_RECALL, ENOUGH_PRECISION = 0.95, 0.97
"""From which a set of complying shapes counts as right."""


@dataclass(frozen=True)
class Decision:
    """What a search said half-way.

    Attributes:
        doubt: the probability, by what it knew, that a better shape was missed.
        best: position of the best shape so far; None if none complied.
        tolerance: what counts as equal to it, in the unit of the quality.
    """

    doubt: float
    best: int | None
    tolerance: float


@dataclass(frozen=True)
class Run:
    """What came of asking one question. Shapes are positions in the table.

    Attributes:
        trained: in the order of training.
        parts: which part of a whole training each of them took.
        answer: the shape that was returned; None if none complied.
        returned: the shapes that were returned, if all that comply were asked for.
        covered: part of the candidates not trained whose training lies within the 90 % interval of its prediction; None
            for a method that predicts nothing.
        measured: number of shapes of which a metric was asked that is no closed form.
        decisions: by number of trainings; empty for a method that states no doubt.
    """

    trained: Sequence[int]
    parts: Sequence[float]
    answer: int | None = None
    returned: Sequence[int] | None = None
    covered: float | None = None
    measured: int = 0
    decisions: Sequence[Decision] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        decisions = [[each.doubt, each.best, each.tolerance] for each in self.decisions]
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "decisions": decisions}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Run:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**values, "decisions": [Decision(*each) for each in values["decisions"]]})

    def after(self, number: int, table: RecordedTable, question: Question) -> Run:
        """Return what it had come to after so many trainings, for one that answers with the best of what it trained."""
        trained = self.trained[:number]
        seen = table.qualities[:, question.repetition]
        complying = [i for i in trained if question.complies(seen[i])]
        if question.goal is None:
            return replace(self, trained=trained, parts=self.parts[:number], returned=complying)
        scores = question.scores(table, seen)
        best = min(complying, key=lambda i: float(scores[i]), default=None)
        return replace(self, trained=trained, parts=self.parts[:number], answer=best)


@dataclass(frozen=True)
class Outcome:
    """How one search did.

    Attributes:
        candidates: number of shapes that the limits left.
        trainings: whole trainings made; parts count as such.
        seconds: of training, as a part of those of all candidates.
        within: whether the answer is as good as the noise allows: no shape is better that meets the limit, or exceeds
            the quality of the answer, by one standard deviation of a training, and it does not violate the limit. A
            set is if its recall and precision are.
        answered: whether a shape was returned, or rightly none.
        points: regret in the unit of the quality, where that is the goal.
        percent: regret in percent of the goal, elsewhere; None where the best shape has none of it.
        violates: whether what was returned falls short of the limit by more than two standard deviations (the noise of
            the paper's Table 1).
        recall: part of the shapes that clearly comply that were returned, if all were asked for.
        precision: part of those returned that comply; what lies within the noise of the limit counts neither way.
        covered: part of the trainings not made within the 90 % interval of their prediction.
        measured: part of the candidates of which a metric was asked that is no closed form.
        doubts: of every decision the stated doubt, and whether it missed a shape that is better by more than what it
            said counts as equal; none where all that comply are asked for, since that doubt is of a single shape.
    """

    candidates: int
    trainings: float
    seconds: float
    within: bool
    answered: bool = True
    points: float | None = None
    percent: float | None = None
    violates: bool = False
    recall: float | None = None
    precision: float | None = None
    covered: float | None = None
    measured: float = 0.0
    doubts: Sequence[tuple[float, bool]] = ()


def judge(table: RecordedTable, question: Question, run: Run) -> Outcome:
    """Compare what a search came to with the truth, the mean quality of each shape over its trainings."""
    left = question.candidates
    trained = list(run.trained)
    cost = Outcome(
        len(left),
        float(sum(run.parts)),
        float(table.seconds[trained] @ np.array(run.parts)) / float(table.seconds[left].sum()),
        within=False,
        covered=run.covered,
        measured=run.measured / len(left),
    )
    if question.goal is None:
        return _judge_set(table, question, run, cost)
    judged = _judge_best(table, question, run.answer, cost)
    return replace(judged, doubts=[(d.doubt, _misses(table, question, d.best, d.tolerance)) for d in run.decisions])


def _misses(table: RecordedTable, question: Question, answer: int | None, tolerance: float) -> bool:
    """Tell whether a shape is better than the answer even if its quality were worse by the tolerance."""
    left, truth = question.candidates, table.truth
    clearly = left[question.complies(truth[left], tolerance)]
    if answer is None or not len(clearly):
        return answer is None and len(clearly) > 0
    own = float(question.scores(table, truth)[answer])
    best = float(question.scores(table, truth - question.quality.sign * tolerance)[clearly].min())
    return best < own - 1e-9 * abs(own)  # a score may be negative, as that of an accuracy is


def _judge_best(table: RecordedTable, question: Question, answer: int | None, cost: Outcome) -> Outcome:
    left, truth = question.candidates, table.truth
    complying, clearly = left[question.complies(truth[left])], left[question.complies(truth[left], table.noise)]
    if answer is None:
        rightly = not len(clearly)
        return replace(cost, within=rightly, answered=rightly)
    violates = not question.complies(float(truth[answer]), -2 * table.noise)
    assert question.goal is not None  # noqa: S101 - otherwise a set is judged
    if question.goal_is_quality:
        upwards = question.quality.sign * truth
        points = max(0.0, float(upwards[left].max() - upwards[answer]))
        return replace(cost, within=points <= table.noise and not violates, points=points, violates=violates)
    scores = question.scores(table, truth)
    best = float(scores[complying].min()) if len(complying) else np.inf
    within = bool(scores[answer] <= scores[clearly].min(initial=np.inf) * (1 + 1e-9)) and not violates
    percent = 100 * max(0.0, float(scores[answer]) / best - 1) if best else None  # of nothing there is no part
    return replace(cost, within=within, percent=percent, violates=violates)


def _judge_set(table: RecordedTable, question: Question, run: Run, cost: Outcome) -> Outcome:
    left, returned = question.candidates, np.array(run.returned or [], np.int64)
    inside, outside = (
        left[question.complies(table.truth[left], table.noise)],
        left[~question.complies(table.truth[left], -table.noise)],
    )
    found, wrong = len(np.intersect1d(returned, inside)), len(np.intersect1d(returned, outside))
    recall = found / len(inside) if len(inside) else 1.0
    precision = found / (found + wrong) if found + wrong else 1.0
    return replace(
        cost,
        within=recall >= ENOUGH_RECALL and precision >= ENOUGH_PRECISION,
        answered=bool(len(returned)) or not len(inside),
        violates=not bool(question.complies(table.truth[returned], -2 * table.noise).all()),
        recall=recall,
        precision=precision,
    )
