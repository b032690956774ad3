"""Latency: forward passes of several networks, timed in rounds beside an anchor, with an eye on other work."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pynvml

from shape_dnn.errors import MeterError
from shape_dnn.kinds import Instrument, Workload
from shape_dnn.measuring import anchor, disturbance, nvml
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.groups import Groups
from shape_dnn.measuring.rounds import Visit
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

BLOCK_SECONDS = 0.02
VISIT_SECONDS = 0.06
WARM_UP_MOST = 0.25
"""Seconds after which a network counts as warm even if its blocks still differ."""
WARM = 0.05
"""Part by which two blocks in a row may differ for the network to be warm."""
SAMPLES_SECONDS = 1.0
"""Age of the driver's samples of who uses a GPU; it takes a few a second, so a visit alone may see none."""


class LatencyMeter(Instrument):
    """Median time of a call in ms, with networks measured side by side in rounds (:mod:`shape_dnn.measuring.rounds`).

    A subclass says by :meth:`prepare` what is called, and by ``identity`` what else its time depends on. All else is
    done here: warm-up, rounds beside an anchor, signs of other work, intervals, what does not fit into memory.

    Args:
        numerics: threads that a call keeps busy, and formats by which is told whether a network fits into memory; by
            default one thread and float32.
        seconds: most time spent on a shape after warm-up.
    """

    metric = "latency"
    unit = "ms"
    cost = 1.0
    linear_in_depth = True

    def __init__(self, numerics: Numerics | None = None, seconds: float = 0.8) -> None:
        self.numerics = numerics or Numerics()
        self.seconds = seconds

    @abstractmethod
    def prepare(self, workload: Workload, shape: Shape) -> Callable[[], object]:
        """Return what is timed: a call runs the network of a shape once, on a batch, and waits for the result.

        It runs with as many threads of torch, OpenMP and BLAS as the numerics say, and with torch's seed at 0. That a
        network needs more memory than there is may be raised as it comes, here or by the first call.
        """

    def anchor(self, workload: Workload) -> Callable[[], object]:
        """Return what is timed between visits, and is the same for every shape: a small network in torch.

        Its slow moments are those of the machine. A runtime whose threads or device torch does not share has better
        one of its own.
        """
        return anchor.forward_pass(workload.device, self.numerics.mode)

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure groups of shapes side by side; one that does not fit into memory has no value."""
        number = self.numerics.threads
        builder = Builder(workload, self.numerics, self.prepare)
        with self.numerics.applied(), ExitStack() as stack:
            watch = DisturbanceWatch(workload.device, number, stack)
            yield from Groups(
                builder,
                prepare=lambda shape: TimedCall(builder.start(shape), watch),
                anchor=lambda: anchor.Timer(self.anchor(workload)).time,
                state=lambda: {**watch.condition(), "threads": number},
                seconds=self.seconds,
            ).measure(shapes)


class TimedCall:
    """A call that can be visited.

    Args:
        call: runs once and waits for the result.
        watch: looks for signs of other work.
    """

    def __init__(self, call: Callable[[], object], watch: DisturbanceWatch) -> None:
        self._call = call
        self._watch = watch
        self._calls = 1
        self._warm_up_ms: list[float] = []

    @property
    def details(self) -> Mapping[str, object]:
        """The milliseconds of a call in each block of the warm-up."""
        return {"warm_up_ms": self._warm_up_ms}

    def warm_up(self) -> None:
        """Run blocks until two in a row take nearly the same time."""
        began = time.perf_counter()
        self._call()
        first = time.perf_counter()
        self._call()
        self._calls = max(1, round(BLOCK_SECONDS / (time.perf_counter() - first)))
        blocks = [self._block(), self._block()]
        while abs(blocks[-1] / blocks[-2] - 1) > WARM and time.perf_counter() < began + WARM_UP_MOST:
            blocks.append(self._block())
        self._calls = max(1, round(BLOCK_SECONDS / blocks[-1]))
        self._warm_up_ms = [round(block * 1e3, 6) for block in blocks]

    def visit(self) -> Visit:
        """Run once to fill the caches, then time blocks of calls."""
        self._call()
        self._watch.start()
        began = time.perf_counter()
        blocks = [self._block()]
        while time.perf_counter() < began + VISIT_SECONDS:
            blocks.append(self._block())
        seconds = time.perf_counter() - began
        return Visit(tuple(blocks), seconds, self._watch.stop())

    def close(self) -> None:
        """Do nothing: it goes when nobody refers to it any more."""

    def _block(self) -> float:
        call = self._call
        began = time.perf_counter()
        for _ in range(self._calls):
            call()
        return (time.perf_counter() - began) / self._calls


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
