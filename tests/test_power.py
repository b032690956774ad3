from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from shape_dnn.measuring import power
from shape_dnn.measuring.power import Reading, TraceError

POWERS: dict[str, Callable[[float], float]] = {
    "steady": lambda t: 250.0,
    "ramp": lambda t: 200 + 8 * t,
    "waves": lambda t: 250 + 60 * math.sin(2 * math.pi * t / 0.31),
    "slow wave": lambda t: 250 + 60 * math.sin(2 * math.pi * t / 3 + 1),
    "step": lambda t: 200.0 if t < 2.5 else 300.0,
}


def trace(watts: Callable[[float], float], step: float, interval: float, seconds: float = 5.0) -> list[Reading]:
    """Record a board whose counter moves every ``step`` seconds, reading it at moments that are not quite regular."""
    rng = np.random.default_rng(0)
    fine = np.arange(0, seconds + step, 1e-4)
    joules = np.concatenate([[0.0], np.cumsum([watts(t) for t in fine]) * 1e-4])
    times = np.arange(0.05, seconds, interval) + rng.uniform(0, interval / 4, len(np.arange(0.05, seconds, interval)))
    return [Reading(float(t), float(joules[int(math.floor(t / step) * step * 1e4)]), watts(float(t))) for t in times]


def true_mean(watts: Callable[[float], float], start: float, end: float) -> float:
    return float(np.mean([watts(t) for t in np.linspace(start, end, 20001)]))


@pytest.mark.parametrize("kind", POWERS)
@pytest.mark.parametrize("step", [0.02, 0.1, 0.5])
def test_the_counter_gives_the_mean_power_within_half_a_percent(kind: str, step: float) -> None:
    readings = trace(POWERS[kind], step, interval=0.025)
    whole = power.mean_of_counter(readings)
    truth = true_mean(POWERS[kind], whole.start, whole.end)
    assert whole.watts == pytest.approx(truth, rel=0.005)
    assert abs(whole.watts - truth) < 3 * whole.unsure


@pytest.mark.parametrize("kind", ["ramp", "waves"])
def test_the_integral_of_the_power_agrees_with_the_counter(kind: str) -> None:
    readings = trace(POWERS[kind], 0.1, interval=0.025)
    by_counter, by_power = power.mean_of_counter(readings), power.mean_of_power(readings)
    assert by_power.watts == pytest.approx(by_counter.watts, rel=0.02)


def test_parts_of_a_window_follow_each_other_and_make_up_the_whole() -> None:
    readings = trace(POWERS["ramp"], 0.1, interval=0.025)
    for parts, whole in (
        (power.from_counter(readings), power.mean_of_counter(readings)),
        (power.from_power(readings), power.mean_of_power(readings)),
    ):
        assert len(parts) == power.SEGMENTS
        assert (parts[0].start, parts[-1].end) == (whole.start, whole.end)
        assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]
        assert [part.watts for part in parts] == sorted(part.watts for part in parts)


STILL = [Reading(t / 10, 5.0, 250.0) for t in range(50)]
GOOD = trace(POWERS["ramp"], 0.1, interval=0.05)


def test_a_sensor_that_does_not_move_gives_no_number() -> None:
    with pytest.raises(TraceError, match="the counter of energy does not move"):
        power.mean_of_counter(STILL)
    with pytest.raises(TraceError, match="250 W all the time"):
        power.mean_of_power(STILL)
    with pytest.raises(TraceError, match="0 W, which a running board never needs"):
        power.mean_of_power([replace(reading, watts=0.0) for reading in STILL])


def test_a_counter_that_goes_back_gives_no_number() -> None:
    wrapped = [*GOOD[:30], *(replace(r, joules=(r.joules or 0) - 400) for r in GOOD[30:])]
    with pytest.raises(TraceError, match="went back from"):
        power.mean_of_counter(wrapped)


def test_a_window_with_a_hole_gives_no_number() -> None:
    power.check(GOOD)
    with pytest.raises(TraceError, match=r"no reading for 0\.\d\d s"):
        power.check([*GOOD[:30], *GOOD[45:]])
    with pytest.raises(TraceError, match="a reading failed: lost"):
        power.check([*GOOD[:30], Reading(GOOD[30].time, failure="lost"), *GOOD[31:]])
    with pytest.raises(TraceError, match="only 3 readings"):
        power.check(GOOD[:3])


def test_the_interval_of_a_mean_holds_it_95_times_of_100() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(10, 1, (4000, 8))
    hits = [abs(row.mean() - 10) <= power.half_width(row.tolist()) for row in samples]
    assert 0.94 < np.mean(hits) < 0.96
    assert power.half_width([1.0]) == math.inf
