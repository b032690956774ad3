from __future__ import annotations

import platform
import random
import statistics
import sys
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from simulated_machine import KINDS, Machine, Network, estimates

from shape_dnn import DeploymentError, Measurement, Shape, ShapeDnnError, TargetError, UsageError, Workload, devices
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.latency import GraphLatency, Latency
from shape_dnn.measuring import disturbance, groups
from shape_dnn.measuring.disturbance import ProcessorState
from shape_dnn.measuring.groups import GROUP
from shape_dnn.measuring.latency import LatencyMeter, TimedCall
from shape_dnn.measuring.rounds import LEAST_VISITS, Anchor, Series, Visit, median_interval, visit_in_rounds
from shape_dnn.testing import MeterContract

WORKLOAD = Workload(WideResNet(), (1, 8, 8), 10, 4, "cpu")
SHAPES = [Shape(10, Fraction(1, 4)), Shape(34, Fraction(1, 4))]


class TestLatency(MeterContract):
    name, options = "latency", {"seconds": 0.05}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", ["eager", "graph"])
class TestLatencyOnCuda(MeterContract):
    device = "cuda:0"

    @pytest.fixture
    def plugin(self, mode: str) -> Latency:
        return Latency(mode=mode)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestGraphLatencyOnCuda(MeterContract):
    name, device = "graph-latency", "cuda:0"


@pytest.mark.parametrize("seconds", [0.0003, 0.05])
def test_a_visit_tells_the_seconds_of_one_call(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of them are timed as a block; by a clock that nothing but the calls moves."""
    now = 0.0

    def call() -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("shape_dnn.measuring.latency.time", SimpleNamespace(perf_counter=lambda: now))
    timed = TimedCall(call, SimpleNamespace(start=lambda: None, stop=dict))  # type: ignore[arg-type]
    timed.warm_up()
    assert timed.details["warm_up_ms"] == pytest.approx([1e3 * seconds] * 2)
    visit = timed.visit()
    assert visit.blocks == pytest.approx([seconds] * len(visit.blocks))


def test_a_latency_keeps_all_that_is_needed_to_judge_it() -> None:
    threads = torch.get_num_threads()
    anchors: list[float] = []
    usual: set[float] = set()
    for measurement in dict(Latency(seconds=0.1).measure(WORKLOAD, SHAPES)).values():
        assert measurement.status in {"ok", "budget", "contended"}
        details = measurement.details
        assert details["visits"] == len(details["samples_ms"]) >= LEAST_VISITS  # type: ignore[arg-type]
        assert {"threads", "clock_mhz", "temperature_c", "anchor_ms", "signs", "disturbed_visits"} <= set(details)
        anchors += details["anchor_samples_ms"]  # type: ignore[operator]
        usual.add(details["anchor_ms"])  # type: ignore[arg-type]
    assert all(min(anchors) <= each <= max(anchors) for each in usual), "the anchor is visited beside all shapes"
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"channels_last": True}, {"threads": 2}])
def test_precision_layout_and_threads_can_be_chosen(options: Mapping[str, object]) -> None:
    ((_, measurement),) = Latency(seconds=0.01, **options).measure(WORKLOAD, SHAPES[:1])  # type: ignore[arg-type]
    assert measurement.value is not None


def test_who_measures_a_small_batch_eagerly_on_a_gpu_is_told_what_that_measures() -> None:
    def said(mode: str, device: str, images: int) -> list[str]:
        return list(Latency(mode=mode).remarks(replace(WORKLOAD, device=device, batch_size=images)))

    (remark,) = said("eager", "cuda:0", 1)
    assert "mostly that of the processor" in remark
    assert "the metric graph-latency" in remark
    assert not GraphLatency().remarks(replace(WORKLOAD, device="cuda:0", batch_size=1))
    assert said("graph", "cuda:0", 1) == said("eager", "cuda:0", 128) == said("eager", "cpu", 1) == []


@pytest.mark.parametrize("meter", [Latency(mode="graph"), GraphLatency()])
def test_a_cuda_graph_is_refused_elsewhere(meter: Latency) -> None:
    with pytest.raises(UsageError, match="CUDA graphs can be measured on CUDA devices, not on cpu"):
        meter.identity(WORKLOAD)


def test_a_network_that_does_not_fit_has_no_value_nor_have_larger_ones_and_the_others_are_measured() -> None:
    tried = []

    class Huge(WideResNet):
        def build(self, shape: Shape, *arguments: object) -> torch.nn.Module:
            if shape.depth >= 22 and shape.width >= 1:
                tried.append(shape)
                torch.empty(2**55, device="cpu")
            return super().build(shape, *arguments)  # type: ignore[arg-type]

    shapes = [Shape(depth, Fraction(width)) for depth in (10, 22, 28) for width in (1, 2)]
    found = dict(Latency(seconds=0.01).measure(replace(WORKLOAD, architecture=Huge()), shapes))
    refused = {shape for shape in shapes if found[shape].value is None}
    assert refused == {shape for shape in shapes if shape.depth >= 22}
    assert {found[shape].status for shape in refused} == {"out of memory"}
    assert len(tried) <= len(refused)
    assert any("not tried, since" in str(found[shape].details["why"]) for shape in refused) or len(tried) == 4


def test_a_batch_beyond_the_memory_is_refused_before_the_system_ends_the_process() -> None:
    workload = replace(WORKLOAD, batch_size=10**9)
    found = dict(Latency(seconds=0.01).measure(workload, SHAPES))
    assert {measurement.status for measurement in found.values()} == {"out of memory"}
    assert any("MB are free" in str(measurement.details["why"]) for measurement in found.values())


# Timers of others


class Counting(LatencyMeter):
    """Counts which calls are kept at the same time, and how often each was made."""

    def __init__(self) -> None:
        super().__init__(seconds=0.01)
        self.kept: weakref.WeakSet[Call] = weakref.WeakSet()
        self.calls: Counter[Shape | None] = Counter()
        self.most = 0

    def identity(self, workload: Workload) -> dict[str, object]:
        return {}

    def prepare(self, workload: Workload, shape: Shape) -> Call:
        if shape.width > 5:
            raise OtherRuntimeError("Failed to allocate memory for requested buffer of size 99")
        call = Call(self, shape)
        self.kept.add(call)
        self.most = max(self.most, len(self.kept))
        return call

    def anchor(self, workload: Workload) -> Callable[[], object]:
        return lambda: self.calls.update([None])


class Call:
    def __init__(self, meter: Counting, shape: Shape) -> None:
        self.meter, self.shape = meter, shape

    def __call__(self) -> None:
        self.meter.calls[self.shape] += 1
        time.sleep(1e-3)


class OtherRuntimeError(Exception):
    """No RuntimeError, as ONNX Runtime has it."""


def test_a_timer_needs_to_say_what_is_called_alone_and_is_measured_like_the_built_in_one() -> None:
    meter = Counting()
    shapes = [Shape(10 + 6 * i, Fraction(1, 4)) for i in range(GROUP + 1)]
    found = dict(meter.measure(WORKLOAD, shapes))
    assert set(found) == set(shapes)
    assert meter.most == GROUP, "groups are kept side by side, and no more than those"
    assert min(meter.calls[shape] for shape in shapes) > LEAST_VISITS
    for measurement in found.values():
        assert measurement.value is not None
        assert measurement.low <= measurement.value <= measurement.high  # type: ignore[operator]
        assert measurement.value >= 1, "the call sleeps for a millisecond"
        assert set(found[shapes[0]].details) == set(measurement.details) >= {"samples_ms", "anchor_ms", "threads"}
    assert meter.linear_in_depth


def test_the_anchor_of_a_timer_may_be_its_own() -> None:
    meter = Counting()
    ((_, measurement),) = meter.measure(WORKLOAD, SHAPES[:1])
    assert meter.calls[None] > len(measurement.details["anchor_samples_ms"])  # type: ignore[arg-type]


def test_a_network_that_does_not_fit_into_the_memory_of_another_runtime_has_no_value() -> None:
    shapes = [Shape(10, Fraction(width)) for width in (1, 6, 7)]
    found = dict(Counting().measure(WORKLOAD, shapes))
    assert [found[shape].status == "out of memory" for shape in shapes] == [False, True, True]
    assert "Failed to allocate memory" in " ".join(str(found[shape].details["why"]) for shape in shapes[1:])


def test_a_timer_that_breaks_the_rules_is_told_so_by_its_contract() -> None:
    class One(Counting):
        def prepare(self, workload: Workload, shape: Shape) -> Call:
            if self.kept:
                raise ValueError("one at a time")
            return super().prepare(workload, shape)

    class Silent(Counting):
        def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
            yield from ((shape, Measurement(1.0)) for shape in shapes)

    contract = MeterContract()
    with pytest.raises(ValueError, match="one at a time"):
        contract.test_calls_several_networks_in_turn(One())
    with pytest.raises(KeyError, match="samples_ms"):
        contract.test_keeps_what_tells_a_latency_from_a_disturbed_one(Silent())


def test_the_interval_holds_the_median_95_times_of_100() -> None:
    rng = np.random.default_rng(0)
    for number in (6, 9, 15, 40):
        hits = 0
        for _ in range(2000):
            low, high = median_interval(rng.exponential(size=number).tolist())
            hits += low <= np.log(2) <= high
        assert 0.94 <= hits / 2000 <= 0.995


# Rounds, on a machine that is simulated


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_holds_the_latency_on_a_machine_that_drifts(kind: str) -> None:
    found = [pair for seed in range(25) for pair in estimates(kind, seed)]
    assert statistics.mean(estimate.low <= true <= estimate.high for true, estimate in found) >= 0.9


def still(t: float) -> float:
    return 0.0


def series(anchors: list[float], values: list[float], evidence: Mapping[str, float] | None = None) -> Series:
    anchor = Anchor(lambda: 1.0, list(anchors))
    visits = [(Visit((value,), 0.06, evidence or {}), (a, a)) for value, a in zip(values, anchors, strict=True)]
    return Series(anchor, visits)


def test_visits_beside_a_slow_anchor_do_not_count() -> None:
    estimate = series([1.0] * 8 + [1.4] * 2, [5.0] * 8 + [7.0] * 2).estimate()
    assert (estimate.value, estimate.high, estimate.disturbed, estimate.status) == (5.0, 5.0, 2, "ok")


def test_a_measurement_most_of_which_was_disturbed_says_so() -> None:
    assert series([1.0] * 9, [5.0] * 9, {"pressure": 0.5}).estimate().status == "contended"
    estimate = series([1.0] * 4 + [1.3] * 8, [5.0] * 4 + [6.5] * 8).estimate()
    assert estimate.status == "contended"
    assert estimate.value < 6.5, "the visits beside the quickest anchors count"


def test_a_subject_whose_interval_stays_wide_ends_with_its_budget() -> None:
    machine = Machine(random.Random(0), still)

    class Restless(Network):
        def visit(self) -> Visit:
            self.seconds = self.machine.generator.uniform(1e-3, 2e-3)
            return super().visit()

    (found,) = visit_in_rounds([Restless(machine, 1e-3)], Anchor(machine.anchor), 1.0, random.Random(0))
    assert found.estimate().status == "budget"
    assert 1.0 <= found.seconds < 1.2


class Failing(Network):
    """Takes now this time, now that, until it fails."""

    def __init__(self, machine: Machine, error: ShapeDnnError, visits: int) -> None:
        super().__init__(machine, 1e-3)
        self.error, self.visits = error, visits

    def visit(self) -> Visit:
        self.visits -= 1
        if self.visits < 0:
            raise self.error
        self.seconds = self.machine.generator.uniform(1e-3, 2e-3)
        return super().visit()


def test_a_subject_that_fails_is_left_out_and_the_others_are_timed_to_their_end() -> None:
    machine = Machine(random.Random(0), still)
    failing = Failing(machine, DeploymentError("no operator Foo"), visits=2)
    found, other = visit_in_rounds([failing, Network(machine, 1e-3)], Anchor(machine.anchor), 1.0, random.Random(0))
    assert (found.failure, failing.visits, len(found.visits)) == (failing.error, -1, 2)
    assert (other.failure, other.estimate().status) == (None, "ok")


@pytest.mark.parametrize(("visits", "known"), [(2, False), (12, True)])
def test_where_nothing_can_be_timed_any_more_what_is_not_known_by_then_has_failed(visits: int, known: bool) -> None:
    machine = Machine(random.Random(0), still)
    gone = Failing(machine, TargetError("no connection to pi any more"), visits)
    found = visit_in_rounds([gone, Network(machine, 1e-3)], Anchor(machine.anchor), 1.0, random.Random(0))
    assert [series.failure for series in found] == [gone.error, None if known else gone.error]


def test_a_subject_comes_back_when_the_machine_has_drifted_since() -> None:
    machine = Machine(random.Random(0), lambda t: 0.04 * (t > 1.2))
    quick, restless = Network(machine, 1e-3), Network(machine, 1e-3)
    visits = 0

    def visit() -> Visit:
        nonlocal visits
        visits += 1
        blocks = [machine.run(0.02 * machine.generator.uniform(0.9, 1.1)) / 20 for _ in range(3)]
        return Visit(tuple(blocks), sum(blocks) * 20)

    restless.visit = visit  # type: ignore[method-assign]
    found, _ = visit_in_rounds([quick, restless], Anchor(machine.anchor), 2.0, random.Random(0))
    assert len(found.visits) > LEAST_VISITS
    assert len(found.visits) < visits


# Signs of other work

QUIET = ProcessorState(wall=0.0, own=0.0, busy=0.0, stolen=0.0, pressure=0.0, switches=0, throttled=0)
LATER = replace(QUIET, wall=1.0, own=1.0, busy=1.0)


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({"own": 0.8, "busy": 0.8}, "descheduled"),
        ({"stolen": 0.2}, "stolen"),
        ({"pressure": 0.3}, "pressure"),
        ({"busy": 1e3}, "others"),
        ({"switches": 400}, "switched"),
        ({"throttled": 2}, "throttled"),
    ],
)
def test_each_sign_of_other_work_is_noticed(change: dict[str, float], sign: str) -> None:
    assert disturbance.signs(QUIET, LATER, 1) == {}
    assert set(disturbance.signs(QUIET, replace(LATER, **change), 1)) == {sign}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("throttled", "switched", "status"), [(1, 0, "ok"), (1, 1, "ok"), (2, 1, "ok"), (20, 0, "throttled"), (20, 19, "throttled"),
                                          (8, 20, "contended")],
)  # fmt: skip
def test_throttling_is_the_status_only_where_it_leaves_too_little(throttled: int, switched: int, status: str) -> None:
    series = Series(Anchor(lambda: 1.0, [1.0] * 50))
    signs = throttled * ["throttled"] + switched * ["switched"] + (40 - throttled - switched) * [""]
    for place, sign in enumerate(signs):
        visit = Visit((1.0 + place % 3 * 1e-4,), 0.06, {sign: 1.0} if sign else {})
        series.visits.append((visit, (1.0, 1.0)))
    assert groups._measurement(series, {}).status == status


ARM = """
processor : 0
CPU implementer : 0x41
CPU architecture: 8
CPU part : 0xd05

processor : 1
CPU implementer : 0x41
CPU architecture: 8
CPU part : 0xd0b
"""


def test_processors_of_two_kinds_have_two_names_so_that_one_does_not_take_the_latencies_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about, sysctl = Path("cpuinfo"), Path("sysctl")
    monkeypatch.setattr(devices, "PROCESSOR", about)
    monkeypatch.setattr(devices, "SYSCTL", (str(sysctl.resolve()), "-n", "machdep.cpu.brand_string"))
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    about.write_text("model : 17\nmodel name : AMD EPYC\nstepping : 1\nflags : fpu\ncpu family : 25\n")
    assert devices.hardware("cpu") == "cpu family 25, model 17, model name AMD EPYC, stepping 1"
    about.write_text(ARM)
    assert devices.hardware("cpu") == "CPU architecture 8, CPU implementer 0x41, CPU parts 0xd05, 0xd0b"
    about.unlink()
    assert devices.hardware("cpu") == "arm"
    sysctl.write_text("#!/bin/sh\necho Apple M4 Pro\n")
    sysctl.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert devices.hardware("cpu") == "Apple M4 Pro"


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("no frequency file"),  # raised by psutil where there is no such file; not ours to do
        RuntimeError("no such device"),
        OSError(),
    ],
)
def test_a_machine_that_hides_its_clock_measures_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def hide() -> None:
        raise error

    monkeypatch.setattr(psutil, "cpu_freq", hide)
    monkeypatch.setattr(psutil, "sensors_temperatures", hide, raising=False)
    assert disturbance.condition() == {"clock_mhz": None, "temperature_c": None}


def test_what_a_system_does_not_tell_is_no_sign() -> None:
    silent = {"stolen": None, "pressure": None, "switches": None, "throttled": None}
    assert disturbance.signs(replace(QUIET, **silent), replace(LATER, **silent), 1) == {}  # type: ignore[arg-type]


def test_how_long_processes_waited_is_that_of_the_container_and_of_the_machine_where_it_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disturbance, "PRESSURE", [Path(*path.parts[1:]) for path in disturbance.PRESSURE])
    container, machine = Path("sys/fs/cgroup/cpu.pressure"), Path("proc/pressure/cpu")
    for path in (container, machine):
        path.parent.mkdir(parents=True)

    def seconds() -> float | None:
        return disturbance.ProcessorState.now().pressure

    assert seconds() is None
    machine.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\nfull avg10=0.00 total=0\n")
    assert seconds() == 3.0
    container.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 total=0\n")
    assert seconds() == 2.0
    container.write_text("")
    assert seconds() == 3.0, "it is not always told"


def test_the_identity_holds_what_a_latency_depends_on() -> None:
    identity = Latency().identity(WORKLOAD)
    assert {"hardware", "torch"} <= set(identity["fingerprint"])  # type: ignore[call-overload]
