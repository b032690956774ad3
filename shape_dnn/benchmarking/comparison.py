"""Figures of every method on every table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from shape_dnn.benchmarking import statistics
from shape_dnn.benchmarking.judging import Outcome, Run, judge
from shape_dnn.benchmarking.method import Method
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.benchmarking.statistics import Bin, Crossing

REFERENCE = "default"
"""The method whose number of trainings those are given that never stop; where it is not asked, the first that stops."""


@dataclass(frozen=True)
class Row:
    """Figures of one method on one table, as means over the questions. None stands for what does not apply.

    Attributes:
        method: how it was named.
        table: the stem of its file.
        questions: how many were asked.
        trainings: whole trainings for a question; parts count as such. Of a method that never stops, those of the
            reference, rounded up.
        seconds_percent: training seconds, in percent of those of all candidates.
        within_percent: answers that are as good as the noise allows.
        violations_percent: answers that fall short of the limit on quality by more than the noise.
        regret_points: where quality is the goal, by how much the answer is worse than the best, in its unit.
        regret_percent: elsewhere, by how many percent of the goal.
        coverage: part of the trainings not made within the 90 % intervals of their predictions.
        doubt_error: expected calibration error of stated doubt.
        unanswered_percent: questions without an answer though there is one.
        recall: part of the shapes that clearly comply that were returned, if all were asked for.
        precision: part of those returned that comply.
        as_good_after: of a method that never stops, trainings from which it is as often within the noise as the
            reference; None if that is more than ``most_trainings``.
        measured_percent: candidates of which a metric was asked that is no closed form.
        trainings_low: lower end of the 95 % interval of the trainings.
        trainings_high: upper end.
        within_low: lower end of the 95 % interval of the answers within the noise.
        within_high: upper end.
        violations_low: lower end of the 95 % interval of the answers that fall short of the limit.
        violations_high: upper end.
        p_trainings: probability of such a difference in trainings to the first method by chance; None for the first,
            and where one of the two never stops, since it is told how many to make.
        p_within: the same for answers within the noise; None for the first.
        as_good_low: lower end of the 95 % interval of ``as_good_after``; None if that is more than ``most_trainings``.
        as_good_high: upper end; None if no number of trainings is surely enough.
        most_trainings: of a method that never stops, the most trainings after which it was judged.
    """

    method: str
    table: str
    questions: int
    trainings: float
    seconds_percent: float
    within_percent: float
    violations_percent: float
    regret_points: float | None
    regret_percent: float | None
    coverage: float | None
    doubt_error: float | None
    unanswered_percent: float
    recall: float | None
    precision: float | None
    as_good_after: int | None
    measured_percent: float
    trainings_low: float
    trainings_high: float
    within_low: float
    within_high: float
    violations_low: float
    violations_high: float
    p_trainings: float | None
    p_within: float | None
    as_good_low: int | None
    as_good_high: int | None
    most_trainings: int | None

    @property
    def as_good(self) -> str | None:
        """For people, trainings from which it is as good and their interval, such as ``21 (8 to …)`` or ``>25``."""
        if self.most_trainings is None:
            return None
        after = f">{self.most_trainings}" if self.as_good_after is None else f"{self.as_good_after}"
        high = "…" if self.as_good_high is None else f"{self.as_good_high}"
        return after if self.as_good_low is None else f"{after} ({self.as_good_low} to {high})"


@dataclass(frozen=True)
class Performance:
    """How one method did on one table.

    Attributes:
        method: that was asked.
        table: that was asked about.
        steps: the outcomes of all questions; of a method that never stops, after each number of trainings from 1 on.
    """

    method: Method
    table: RecordedTable
    steps: Sequence[Sequence[Outcome]]

    def after(self, number: int) -> Sequence[Outcome]:
        """Return the outcomes after so many trainings, or after the most that there were; the only ones if it stops."""
        return self.steps[min(max(number, 1), len(self.steps)) - 1] if self.method.never_stops else self.steps[0]


Reported = tuple[Performance, Sequence[Outcome]]
"""How a method did, and the outcomes that its figures are of."""


def judge_all(table: RecordedTable, asked: Sequence[Question], method: Method, runs: Sequence[Run]) -> Performance:
    """Judge the runs of a method on a table."""
    if not method.never_stops:
        return Performance(method, table, [[judge(table, q, r) for q, r in zip(asked, runs, strict=True)]])
    longest = max(len(run.trained) for run in runs)
    by_question = [
        [judge(table, q, run.after(number, table, q)) for number in range(1, len(run.trained) + 1)]
        for q, run in zip(asked, runs, strict=True)
    ]
    return Performance(method, table, [[own[min(n, len(own) - 1)] for own in by_question] for n in range(longest)])


def by_table(found: Sequence[Performance]) -> dict[str, list[Performance]]:
    """Group by table."""
    groups: dict[str, list[Performance]] = {}
    for each in found:
        groups.setdefault(each.table.name, []).append(each)
    return groups


def rows(found: Sequence[Performance]) -> list[Row]:
    """Make the figures, table by table and method by method."""
    return [row for own in by_table(found).values() for row in _rows_of_table(own)]


def reported(found: Sequence[Performance]) -> list[Reported]:
    """Return the outcomes of each method on one table that its figures are of."""
    number = budget(found)
    return [(each, each.after(number)) for each in found]


def budget(found: Sequence[Performance]) -> int:
    """Return the number of trainings of the methods that never stop on one table: no fewer than the reference makes."""
    reference = reference_of(found)
    if reference is None:
        return max(len(each.steps) for each in found)
    return math.ceil(fmean(outcome.trainings for outcome in reference.steps[0]))


def reference_of(found: Sequence[Performance]) -> Performance | None:
    """Return what others are held against on one table; None if every method goes on and on."""
    stopping = [each for each in found if not each.method.never_stops]
    return next((each for each in stopping if each.method.spec == REFERENCE), stopping[0] if stopping else None)


def _rows_of_table(found: Sequence[Performance]) -> list[Row]:
    reference, everything = reference_of(found), reported(found)
    return [
        _row(each, outcomes, as_good(each, reference), _by_chance(everything[0], (each, outcomes)))
        for each, outcomes in everything
    ]


def _by_chance(first: Reported, other: Reported) -> tuple[float | None, float | None]:
    """Return how probable such a difference in trainings, and in answers within the noise, is by chance alone."""
    (beginning, ours), (each, theirs) = first, other
    if each is beginning:
        return None, None
    told = beginning.method.never_stops or each.method.never_stops
    return (
        None if told else statistics.p_of_costs([o.trainings for o in ours], [o.trainings for o in theirs]),
        statistics.p_of_parts([o.within for o in ours], [o.within for o in theirs]),
    )


def _row(
    each: Performance,
    outcomes: Sequence[Outcome],
    crossing: Crossing | None,
    by_chance: tuple[float | None, float | None],
) -> Row:
    trainings, within = [o.trainings for o in outcomes], [o.within for o in outcomes]
    trainings_low, trainings_high = statistics.interval(trainings)
    within_low, within_high = percent_interval(within)
    violations_low, violations_high = percent_interval([o.violates for o in outcomes])
    return Row(
        each.method.spec,
        each.table.name,
        len(outcomes),
        fmean(trainings),
        100 * fmean(o.seconds for o in outcomes),
        100 * fmean(within),
        100 * fmean(o.violates for o in outcomes),
        mean(outcomes, lambda o: o.points),
        mean(outcomes, lambda o: o.percent),
        mean(outcomes, lambda o: o.covered),
        statistics.doubt_error(bins(outcomes)),
        100 * fmean(not o.answered for o in outcomes),
        mean(outcomes, lambda o: o.recall),
        mean(outcomes, lambda o: o.precision),
        None if crossing is None else crossing.after,
        100 * fmean(o.measured for o in outcomes),
        trainings_low,
        trainings_high,
        within_low,
        within_high,
        violations_low,
        violations_high,
        *by_chance,
        None if crossing is None else crossing.low,
        None if crossing is None else crossing.high,
        None if crossing is None else crossing.most,
    )


def percent_interval(answers: Sequence[bool]) -> tuple[float, float]:
    """Return the 95 % interval of the percentage of the answers of which something is true."""
    low, high = statistics.interval_of_part(sum(answers), len(answers))
    return 100 * low, 100 * high


def as_good(each: Performance, reference: Performance | None) -> Crossing | None:
    """Return the trainings from which a method that never stops is as often within the noise as the reference."""
    if reference is None or not each.method.never_stops:
        return None
    ours, *steps = ([o.within for o in outcomes] for outcomes in (reference.steps[0], *each.steps))
    return statistics.crossing(ours, steps)


def bins(outcomes: Sequence[Outcome]) -> list[Bin]:
    """Return all decisions in bins of stated doubt."""
    return statistics.reliability([doubt for outcome in outcomes for doubt in outcome.doubts])


def part_within(outcomes: Sequence[Outcome]) -> float:
    """Return the part of the answers within the noise."""
    return fmean(outcome.within for outcome in outcomes)


def mean(outcomes: Sequence[Outcome], of: Callable[[Outcome], float | None]) -> float | None:
    """Return the mean of what is known of some outcomes; None if nothing is."""
    known = [value for outcome in outcomes if (value := of(outcome)) is not None]
    return fmean(known) if known else None
