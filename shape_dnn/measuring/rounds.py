"""Timing several subjects side by side, so that a slow moment of the machine hits all of them alike.

In every round each subject is visited once, in random order. A visit is a few blocks of calls in a row; its median is
one observation, since consecutive blocks share the state of the machine and are no replicates. Between visits an anchor
is timed, a network that is always the same: where it is slow the machine was, and the visit beside it does not count.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from shape_dnn.errors import DeploymentError, TargetError
from shape_dnn.work import alive

TOLERANCE = 0.02
"""A subject is known well enough when both ends of its 95 % interval are this close to its value."""
LEAST_VISITS = 6
"""The fewest observations whose smallest and largest bound the median at 95 %."""
SLOW = 0.10
"""Part by which the anchor may exceed its quick times before the visits beside it are disturbed."""
CONTENDED = 1 / 3
"""Part of a subject's visits that may be disturbed before its measurement counts as contended."""


@dataclass(frozen=True)
class Visit:
    """One visit to a subject.

    Attributes:
        blocks: seconds of one call, a mean for each block.
        seconds: duration of the visit.
        evidence: names and sizes of signs that other work ran meanwhile.
    """

    blocks: tuple[float, ...]
    seconds: float
    evidence: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def value(self) -> float:
        """Seconds of one call."""
        return statistics.median(self.blocks)


class Subject(Protocol):
    """Something that can be timed again and again."""

    def visit(self) -> Visit:
        """Time a few blocks of calls.

        Raises:
            DeploymentError: it cannot be timed any more, which says nothing about others.
            TargetError: nothing can.
        """


@dataclass
class Anchor:
    """What is timed between visits to tell how quick the machine is at the moment.

    Attributes:
        time: runs it and returns the seconds of one call.
        times: so far.
    """

    time: Callable[[], float]
    times: list[float] = field(default_factory=list)

    def take(self) -> float:
        """Time it once more."""
        self.times.append(self.time())
        return self.times[-1]

    @property
    def quick(self) -> float:
        """The lower quartile of its times: what it takes while the machine has little else to do."""
        return sorted(self.times)[len(self.times) // 4]

    @property
    def usual(self) -> float:
        """Its median over the undisturbed moments."""
        limit = (1 + SLOW) * self.quick
        return statistics.median(time for time in self.times if time <= limit)


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % confidence interval, in seconds per call.

    Attributes:
        value: median over the visits that count.
        low: lower end.
        high: upper end.
        visits: how many there were.
        disturbed: how many of them other work disturbed.
    """

    value: float
    low: float
    high: float
    visits: int
    disturbed: int

    @property
    def is_precise(self) -> bool:
        """Whether both ends of the interval lie within the tolerance."""
        return max(self.high - self.value, self.value - self.low) <= TOLERANCE * self.value

    @property
    def is_contended(self) -> bool:
        """Whether so much was disturbed that what is left may not be representative."""
        return self.visits - self.disturbed < LEAST_VISITS or self.disturbed > CONTENDED * self.visits

    @property
    def status(self) -> str:
        """``ok``, ``contended``, or ``budget`` where the time did not suffice for the tolerance."""
        if self.is_contended:
            return "contended"
        return "ok" if self.is_precise else "budget"


@dataclass
class Series:
    """The visits to one subject, each with the anchor's times before and after it.

    Attributes:
        anchor: timed between visits.
        visits: so far.
        failure: what ended them before it was known; None for nothing.
    """

    anchor: Anchor
    visits: list[tuple[Visit, tuple[float, float]]] = field(default_factory=list)
    failure: DeploymentError | TargetError | None = None

    @property
    def seconds(self) -> float:
        """Time spent so far."""
        return sum(visit.seconds for visit, _ in self.visits)

    def estimate(self) -> Estimate:
        """Give the median over the visits that count.

        These are the undisturbed ones or, where they are too few, those beside the quickest times of the anchor. The
        interval is extended by what the anchor shows of drift: its usual time against that beside these visits.
        """
        quick = self.anchor.quick
        slowness = [max(beside) / quick - 1 for _, beside in self.visits]
        clean = [i for i, (visit, _) in enumerate(self.visits) if not visit.evidence and slowness[i] <= SLOW]
        disturbed = len(self.visits) - len(clean)
        if len(clean) < LEAST_VISITS:
            clean = sorted(range(len(self.visits)), key=slowness.__getitem__)[:LEAST_VISITS]
        values = [self.visits[i][0].value for i in clean]
        low, high = median_interval(values)
        drift = self.anchor.usual / statistics.median(statistics.mean(self.visits[i][1]) for i in clean)
        value = statistics.median(values)
        return Estimate(value, low * min(1.0, drift), high * max(1.0, drift), len(self.visits), disturbed)

    def is_done(self, budget: float) -> bool:
        """Tell whether more visits are not needed, not allowed, or not possible."""
        if self.failure is not None:
            return True
        if len(self.visits) < LEAST_VISITS:
            return False
        return self.seconds >= budget or self.estimate().status == "ok"


def visit_in_rounds(
    subjects: Sequence[Subject], anchor: Anchor, budget: float, generator: random.Random
) -> list[Series]:
    """Visit subjects until each is known within the tolerance or its budget is spent.

    One that was known well enough comes back when the anchor shows that the machine has drifted since. One that fails
    is left out from then on; where nothing can be timed any more, that is the failure of all that are not known yet.

    Args:
        subjects: what to time.
        anchor: timed between visits.
        budget: seconds for each subject.
        generator: of the order within a round.
    """
    series = [Series(anchor) for _ in subjects]
    open_ = list(range(len(subjects)))
    before = anchor.take()
    try:
        while open_:
            generator.shuffle(open_)
            for i in open_:
                alive()
                try:
                    visit = subjects[i].visit()
                except DeploymentError as error:
                    series[i].failure = error
                    before = anchor.take()
                    continue
                after = anchor.take()
                series[i].visits.append((visit, (before, after)))
                before = after
            open_ = [i for i, one in enumerate(series) if not one.is_done(budget)]
    except TargetError as error:
        for one in series:
            if not one.is_done(budget):
                one.failure = error
    return series


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median by order statistics, whatever the distribution."""
    from scipy.stats import binom

    ordered = sorted(values)
    outside = max(0, int(binom.ppf(0.025, len(ordered), 0.5)) - 1)
    return ordered[outside], ordered[-1 - outside]
