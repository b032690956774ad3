"""Mean power from the readings of a sensor: pure functions of recorded traces.

A board keeps a counter of the energy it used, which moves in steps, or tells its power, or both. Readings come from
another process or another moment than the work, and any of them can fail: a window with a failed reading, a gap, or a
counter that went backwards tells nothing and is discarded as a whole.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST_GAP = 0.5
"""Seconds between two readings after which a record has a hole."""
SEGMENTS = 8
"""Parts of a window whose spread gives the interval of its mean."""


class TraceError(Exception):
    """A record of readings tells nothing; the message says why."""


@dataclass(frozen=True)
class Reading:
    """What a sensor said at one moment.

    Attributes:
        time: seconds on the monotonic clock.
        joules: the counter of energy, if there is one.
        watts: the power, if it is told.
        failure: why the reading failed; empty if it did not.
        throttled: whether the clocks were held down.
        others: part of the device that other processes used.
        clock_mhz: of the device.
        temperature_c: of the device.
    """

    time: float
    joules: float | None = None
    watts: float | None = None
    failure: str = ""
    throttled: bool | None = None
    others: float | None = None
    clock_mhz: float | None = None
    temperature_c: float | None = None


@dataclass(frozen=True)
class Segment:
    """A span of time with its mean power.

    Attributes:
        start: seconds on the monotonic clock.
        end: likewise.
        watts: mean between.
        unsure: standard deviation of the mean that is due to not knowing exactly when it starts and ends, in watts.
    """

    start: float
    end: float
    watts: float
    unsure: float = 0.0


def check(readings: Sequence[Reading]) -> None:
    """Refuse a record that has holes.

    Raises:
        TraceError: a reading failed, two lie too far apart, or there are hardly any.
    """
    failed = next((reading for reading in readings if reading.failure), None)
    if failed is not None:
        raise TraceError(f"a reading failed: {failed.failure}")
    gap = max((b.time - a.time for a, b in pairwise(readings)), default=0.0)
    if gap > LONGEST_GAP:
        raise TraceError(f"no reading for {gap:.2f} s")
    if len(readings) < 4:
        raise TraceError(f"only {len(readings)} readings")


@dataclass(frozen=True)
class Step:
    """One movement of a counter.

    Attributes:
        time: seconds on the monotonic clock, halfway between the readings before and after.
        joules: what it moved to.
        gap: seconds between the two readings.
    """

    time: float
    joules: float
    gap: float


def counter_steps(readings: Sequence[Reading]) -> list[Step]:
    """Return when the counter moved, and to what.

    Raises:
        TraceError: the counter does not move, or went backwards as after a reset or when it wraps.
    """
    steps = []
    for before, after in pairwise(readings):
        if before.joules is None or after.joules is None:
            raise TraceError("the counter of energy was not read")
        if after.joules < before.joules:
            raise TraceError(f"the counter of energy went back from {before.joules:.3f} J to {after.joules:.3f} J")
        if after.joules > before.joules:
            steps.append(Step((before.time + after.time) / 2, after.joules, after.time - before.time))
    if len(steps) < 3:
        raise TraceError("the counter of energy does not move")
    return steps


def from_counter(readings: Sequence[Reading]) -> list[Segment]:
    """Return the mean power in parts of a window that begin and end with steps of the counter.

    Between two steps the counter is exact however coarse it is; only their moments are uncertain, by half the time
    between readings. A segment's power is the least-squares slope of its steps, which averages that out.
    """
    steps = counter_steps(readings)
    parts = max(1, min(SEGMENTS, (len(steps) - 1) // 2))
    bounds = [round(i * (len(steps) - 1) / parts) for i in range(parts + 1)]
    return [Segment(steps[a].time, steps[b].time, _slope(steps[a : b + 1])) for a, b in pairwise(bounds)]


def mean_of_counter(readings: Sequence[Reading]) -> Segment:
    """Return the mean power of a whole window, from its first step of the counter to its last.

    The energy between the two by the time between them is right however the power varied, as far as their moments are
    known. The least-squares slope of all steps averages over moments, but counts the middle of the window more: it is
    the more precise of a power that stays as it is, and off by up to 9 % of one that rises and falls once. So it counts
    unless the two differ by more than the moments explain.
    """
    steps = counter_steps(readings)
    first, last = steps[0], steps[-1]
    seconds = last.time - first.time
    watts, slope = (last.joules - first.joules) / seconds, _slope(steps)
    unsure = watts * math.sqrt((first.gap**2 + last.gap**2) / 12) / seconds  # each is anywhere between two readings
    return Segment(first.time, last.time, slope if abs(slope - watts) <= 2 * unsure else watts, unsure)


def from_power(readings: Sequence[Reading]) -> list[Segment]:
    """Return the mean power in parts of a window, by integrating the power that was read.

    Raises:
        TraceError: the power was not read, is not above zero, or never changes: a live sensor is never that still.
    """
    watts = [reading.watts for reading in readings if reading.watts is not None]
    if len(watts) < len(readings):
        raise TraceError("the power was not read")
    if min(watts) <= 0:
        raise TraceError(f"the sensor says {min(watts):g} W, which a running board never needs")
    if len(set(watts)) == 1:
        raise TraceError(f"the sensor says {watts[0]:g} W all the time")
    parts = max(1, min(SEGMENTS, (len(readings) - 1) // 2))
    bounds = [round(i * (len(readings) - 1) / parts) for i in range(parts + 1)]
    return [_integrate(readings[a : b + 1]) for a, b in pairwise(bounds)]


def mean_of_power(readings: Sequence[Reading]) -> Segment:
    """Return the mean of the power that was read over a whole window."""
    segments = from_power(readings)
    total = sum(segment.watts * (segment.end - segment.start) for segment in segments)
    return Segment(segments[0].start, segments[-1].end, total / (segments[-1].end - segments[0].start))


def half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95 % confidence interval of the mean (Student's t); infinite for one value."""
    if len(values) < 2:
        return math.inf
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def _slope(steps: Sequence[Step]) -> float:
    return statistics.linear_regression([s.time for s in steps], [s.joules for s in steps]).slope


def _integrate(readings: Sequence[Reading]) -> Segment:
    joules = sum((b.time - a.time) * ((a.watts or 0.0) + (b.watts or 0.0)) / 2 for a, b in pairwise(readings))
    start, end = readings[0].time, readings[-1].time
    return Segment(start, end, joules / (end - start))
