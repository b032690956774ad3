from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pytest
import torch

from shape_dnn import Shape, Workload
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.latency import Latency, median_interval, sample_blocks

WORKLOAD = Workload(WideResNet(), (1, 8, 8), 10, 4, "cpu")
SHAPES = [Shape(10, Fraction(1, 4)), Shape(34, Fraction(1, 4))]


def test_a_latency_has_an_interval_around_it_and_keeps_its_samples() -> None:
    threads = torch.get_num_threads()
    found = dict(Latency(seconds=0.1).measure(WORKLOAD, SHAPES))
    for measurement in found.values():
        assert measurement.value is not None
        assert measurement.low is not None
        assert measurement.high is not None
        assert 0 < measurement.low <= measurement.value <= measurement.high
        assert measurement.status == "ok"
        assert len(measurement.details["samples_ms"]) >= 9  # type: ignore[arg-type]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"channels_last": True}, {"threads": 2}])
def test_precision_layout_and_threads_can_be_chosen(options: Mapping[str, object]) -> None:
    ((_, measurement),) = Latency(seconds=0.01, **options).measure(WORKLOAD, SHAPES[:1])  # type: ignore[arg-type]
    assert measurement.value is not None


def test_a_network_that_does_not_fit_has_no_value_and_the_next_is_measured() -> None:
    class Huge(WideResNet):
        def build(self, shape: Shape, *arguments: object) -> torch.nn.Module:
            if shape == SHAPES[0]:
                torch.empty(2**55)
            return super().build(shape, *arguments)  # type: ignore[arg-type]

    workload = Workload(Huge(), (1, 8, 8), 10, 1, "cpu")
    found = dict(Latency(seconds=0.01).measure(workload, SHAPES))
    assert (found[SHAPES[0]].value, found[SHAPES[0]].status) == (None, "out of memory")
    assert found[SHAPES[1]].value is not None


def test_calls_are_warmed_up_and_synchronised() -> None:
    diary: list[str] = []
    sample_blocks(lambda: diary.append("call"), lambda: diary.append("synchronise"), seconds=0)
    assert diary[:6] == ["call", "synchronise"] * 3
    assert diary[-1] == "synchronise"


def test_the_interval_holds_the_median_95_times_of_100() -> None:
    rng = np.random.default_rng(0)
    for number in (9, 15, 40):
        hits = 0
        for _ in range(2000):
            low, high = median_interval(rng.exponential(size=number).tolist())
            hits += low <= np.log(2) <= high
        assert 0.94 <= hits / 2000 <= 0.995


def test_the_identity_holds_what_a_latency_depends_on() -> None:
    identity = Latency().identity(WORKLOAD)
    assert {"hardware", "torch"} <= set(identity["fingerprint"])  # type: ignore[call-overload]
