"""Latency: forward passes of several networks, timed in rounds beside an anchor, with an eye on other work."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import pynvml

from shape_dnn.errors import MeterError
from shape_dnn.kinds import Workload
from shape_dnn.measuring import disturbance, nvml
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics, threads
from shape_dnn.measuring.rounds import Anchor, Series, Visit, visit_in_rounds
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

GROUP = 24
"""Shapes measured side by side. More would keep more networks in memory, and lose more when the machine dies."""
BLOCK_SECONDS = 0.02
VISIT_SECONDS = 0.06
WARM_UP_MOST = 0.25
"""Seconds after which a network counts as warm even if its blocks still differ."""
WARM = 0.05
"""Part by which two blocks in a row may differ for the network to be warm."""
ANCHOR_CALLS = 4
SAMPLES_SECONDS = 1.0
"""Age of the driver's samples of who uses a GPU; it takes a few a second, so a visit alone may see none."""


def measure(
    workload: Workload, shapes: Sequence[Shape], numerics: Numerics, seconds: float
) -> Iterator[tuple[Shape, Measurement]]:
    """Measure groups of shapes, put together at random; one that does not fit into memory has no value.

    Args:
        workload: what is measured.
        shapes: of which networks.
        numerics: of weights, images and threads.
        seconds: most time spent on a shape after warm-up.
    """
    builder = Builder(workload, numerics)
    generator = random.Random(0)
    waiting = generator.sample(shapes, len(shapes))
    with threads(numerics.threads), ExitStack() as stack:
        watch = DisturbanceWatch(workload.device, numerics.threads, stack)
        while waiting:
            group: dict[Shape, Timed] = {}
            while waiting and len(group) < GROUP:
                shape = waiting.pop()
                forward = builder.build(shape)
                if forward is not None:
                    group[shape] = Timed(forward, watch)
                    continue
                if group and not builder.is_hopeless(shape):
                    waiting.append(shape)  # alone it may fit
                    builder.forget(shape)
                    break
                yield shape, builder.refusal(shape)
            if group:
                yield from _measure_group(group, watch, seconds, generator)
            group.clear()
            builder.release()


def _measure_group(
    group: Mapping[Shape, Timed], watch: DisturbanceWatch, seconds: float, generator: random.Random
) -> Iterator[tuple[Shape, Measurement]]:
    for timed in group.values():
        alive()
        timed.warm_up()
    anchor = Anchor(AnchorNetwork(watch.device).time)
    found = visit_in_rounds(list(group.values()), anchor, seconds, generator)
    state = {**watch.condition(), "threads": watch.threads, "anchor_ms": anchor.usual * 1e3}
    for shape, series in zip(group, found, strict=True):
        yield shape, _measurement(series, {**state, "warm_up_ms": group[shape].warm_up_ms})


def _measurement(series: Series, state: Mapping[str, object]) -> Measurement:
    estimate = series.estimate()
    details = {
        **state,
        "visits": estimate.visits,
        "disturbed_visits": estimate.disturbed,
        "signs": sorted({name for visit, _ in series.visits for name in visit.evidence}),
        "samples_ms": [[round(block * 1e3, 6) for block in visit.blocks] for visit, _ in series.visits],
        "anchor_samples_ms": [round(statistics.mean(beside) * 1e3, 6) for _, beside in series.visits],
    }
    throttled = sum("throttled" in visit.evidence for visit, _ in series.visits)
    status = "throttled" if 2 * throttled > max(1, estimate.disturbed) else estimate.status
    return Measurement(estimate.value * 1e3, estimate.low * 1e3, estimate.high * 1e3, status, details)


class Timed:
    """A forward pass that can be visited.

    Args:
        forward: runs once and waits for the result.
        watch: looks for signs of other work.
    """

    def __init__(self, forward: ForwardPass, watch: DisturbanceWatch) -> None:
        self._forward = forward
        self._watch = watch
        self._calls = 1
        self.warm_up_ms: list[float] = []

    def warm_up(self) -> None:
        """Run blocks until two in a row take nearly the same time."""
        began = time.perf_counter()
        self._forward()
        first = time.perf_counter()
        self._forward()
        self._calls = max(1, round(BLOCK_SECONDS / (time.perf_counter() - first)))
        blocks = [self._block(), self._block()]
        while abs(blocks[-1] / blocks[-2] - 1) > WARM and time.perf_counter() < began + WARM_UP_MOST:
            blocks.append(self._block())
        self._calls = max(1, round(BLOCK_SECONDS / blocks[-1]))
        self.warm_up_ms = [round(block * 1e3, 6) for block in blocks]

    def visit(self) -> Visit:
        """Run once to fill the caches, then time blocks of calls."""
        self._forward()
        self._watch.start()
        began = time.perf_counter()
        blocks = [self._block()]
        while time.perf_counter() < began + VISIT_SECONDS:
            blocks.append(self._block())
        seconds = time.perf_counter() - began
        return Visit(tuple(blocks), seconds, self._watch.stop())

    def _block(self) -> float:
        forward = self._forward
        began = time.perf_counter()
        for _ in range(self._calls):
            forward()
        return (time.perf_counter() - began) / self._calls


class AnchorNetwork:
    """A small network that is the same in every measurement on a device, whatever is measured."""

    def __init__(self, device: str) -> None:
        import torch
        from torch import nn

        torch.manual_seed(0)
        layers = [layer for _ in range(4) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())]
        self._forward = ForwardPass.of(nn.Sequential(*layers), torch.randn(1, 32, 32, 32), device, Numerics())
        for _ in range(5 * ANCHOR_CALLS):
            self._forward()

    def time(self) -> float:
        """Return the median of a few calls in seconds, after one to fill the caches."""
        self._forward()
        times = []
        for _ in range(ANCHOR_CALLS):
            began = time.perf_counter()
            self._forward()
            times.append(time.perf_counter() - began)
        return statistics.median(times)


class DisturbanceWatch:
    """Looks for signs of other work and of throttling during visits.

    Args:
        device: what runs the networks.
        threads: they keep busy on the processor.
        stack: closes the sensors of a GPU.
    """

    def __init__(self, device: str, threads: int, stack: ExitStack) -> None:
        self.device = device
        self.threads = threads
        self._gpu: nvml.Gpu | None = None
        self._no_sensors = ""
        if device.startswith("cuda"):
            try:
                uuid = nvml.uuid_of(device)
                stack.enter_context(nvml.session())
                self._gpu = nvml.Gpu.find(uuid)
            except MeterError as error:  # a clock needs no sensor, but the record says that there was none
                self._no_sensors = str(error)

    def start(self) -> None:
        """Begin to look."""
        self._before = disturbance.ProcessorState.now()

    def stop(self) -> dict[str, float]:
        """Return what was seen since."""
        found = disturbance.signs(self._before, disturbance.ProcessorState.now(), self.threads)
        if self._gpu is not None:
            try:
                if self._gpu.is_throttled():
                    found["throttled"] = 1.0
                others = self._gpu.use_by_others(int((time.time() - SAMPLES_SECONDS) * 1e6))
            except pynvml.NVMLError as error:
                raise MeterError(f"{self.device} disappeared while it was measured: {nvml.explain(error)}") from None
            if others:
                found["gpu used by others"] = others
        return found

    def condition(self) -> dict[str, object]:
        """Return clock and temperature of the device, and its driver."""
        if self._gpu is not None:
            return {**self._gpu.condition(), "driver": self._gpu.driver}
        if self._no_sensors:
            return {"clock_mhz": None, "temperature_c": None, "sensors": self._no_sensors}
        return {**disturbance.condition()}
