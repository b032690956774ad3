"""Energy of a forward pass: mean power of a window times the latency of the same window (paper, Section 5).

The sensor reads while the forward pass is repeated. First the power settles; then a window is recorded until the
interval of its mean is narrow enough or the time is up. What the sensor is, and where it reads, is the subclass's.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from shape_dnn import devices
from shape_dnn.errors import MeterError
from shape_dnn.kinds import Instrument, Workload
from shape_dnn.measuring import power
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.measuring.power import Reading, Segment, TraceError
from shape_dnn.measuring.sensors import Sensor
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

TOLERANCE = 0.02
"""Half the width of the 95 % interval, as a part of the value, at which a window is long enough."""
NORMAL = 1.96
"""Standard deviations on either side that make a 95 % interval."""
AGREEMENT = 0.05
"""Part by which the counter of energy and the integral of the power may differ."""
IDLE_SECONDS = 1.0
CHUNK_SECONDS = 0.02
"""Time between two looks at the clock and the sensor."""
SETTLE_SPAN, SETTLE_LEAST, SETTLE_MOST, SETTLED = 0.5, 1.0, 3.0, 0.03
"""The power has settled when its means over two spans in a row differ by less; looked at for that many seconds."""
WINDOW_LEAST, WINDOW_STEP, CHUNKS_LEAST = 3.0, 0.5, 12
"""Seconds of the shortest window, by which it grows, and the fewest looks at the clock in it, however long a call."""
DISCARDED_MOST = 2
"""Windows that may be discarded for a failed reading before the sensor counts as broken."""


@dataclass(frozen=True)
class Window:
    """What a settled window of work tells.

    Attributes:
        joules: of one call.
        half_width: of the 95 % interval of it.
        watts: mean power.
        seconds: of one call.
        source: ``counter`` or ``power``.
        agreement: power integral over counter; None where there is only one of them.
        start: of the window, in seconds on the monotonic clock.
        end: of it.
    """

    joules: float
    half_width: float
    watts: float
    seconds: float
    source: str
    agreement: float | None
    start: float
    end: float

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The 95 % interval of the joules; None where one part of the window is all there was."""
        if math.isinf(self.half_width):
            return None, None
        return max(0.0, self.joules - self.half_width), self.joules + self.half_width


class EnergyMeter(Instrument):
    """Joules of one forward pass of a batch, whatever the device is used for meanwhile included.

    Args:
        numerics: how numbers are stored and kernels launched.
        seconds: longest window of a shape; the power settles before it.
    """

    metric = "energy"
    unit = "J"
    cost = 2.0
    linear_in_depth = True

    def __init__(self, numerics: Numerics, seconds: float) -> None:
        self.numerics = numerics
        self.seconds = seconds

    def prepare(self, workload: Workload, shape: Shape) -> Callable[[], object]:
        """Return what runs the network of a shape once and waits for the result."""
        return ForwardPass(workload, shape, self.numerics)

    @abstractmethod
    def open_sensor(self, workload: Workload) -> Sensor:
        """Start reading.

        Raises:
            MeterError: there is no sensor; says why and the remedy.
        """

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Fingerprint the device, and see that its sensor can be read.

        Raises:
            MeterError: it cannot; says why and the remedy.
        """
        self.numerics.check(workload.device)
        with closing(self.open_sensor(workload)) as sensor:
            kind = sensor.describe().get("sensor", type(sensor).__name__)
        return {"fingerprint": devices.fingerprint(workload.device), "sensor": kind}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure one shape after the other, in random order, so that heat does not favour the first ones."""
        if not shapes:
            return
        builder = Builder(workload, self.numerics, self.prepare)
        order = random.Random(0).sample(shapes, len(shapes))
        with self.numerics.applied(), closing(self.open_sensor(workload)) as sensor:
            idle = _idle_power(sensor)
            for shape in order:
                forward = builder.build(shape)
                if forward is None:
                    yield shape, builder.refusal(shape)
                    continue
                recording = Recording(sensor)
                window = self._window(forward, recording)
                details = {
                    "power_w": window.watts,
                    "latency_ms": window.seconds * 1e3,
                    "idle_power_w": idle,
                    "window_s": window.end - window.start,
                    "source": window.source,
                    "power_integral_over_counter": window.agreement,
                    "discarded_windows": recording.discarded,
                    **recording.condition(),
                    **sensor.describe(),
                }
                status = recording.status(window)
                yield shape, Measurement(window.joules, *window.interval, status, details)
                del forward
                builder.release()

    def _window(self, forward: Callable[[], object], recording: Recording) -> Window:
        """Let the power settle, then record until the interval is narrow or the time is up."""
        recording.run(forward, SETTLE_LEAST, recording.has_settled, SETTLE_MOST)
        window: Window | None = None

        def is_long_enough() -> bool:
            nonlocal window
            window = recording.evaluate()
            return window.half_width <= TOLERANCE * window.joules

        while window is None:
            recording.begin()
            try:
                recording.run(forward, WINDOW_LEAST, is_long_enough, self.seconds)
            except TraceError as error:
                recording.discarded += 1
                if recording.discarded > DISCARDED_MOST:
                    raise MeterError(
                        f"{error}; {recording.discarded} windows in a row told nothing, so this sensor is not to be "
                        "trusted. See shape-dnn doctor, or choose another with --meter energy=NAME"
                    ) from None
                window = None
        return window


class Recording:
    """Calls of a forward pass and readings of a sensor, side by side in time."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._calls: list[tuple[float, int]] = [(time.monotonic(), 0)]
        self._readings: list[Reading] = []
        self.discarded = 0
        sensor.readings()  # what was read before is of no use

    def begin(self) -> None:
        """Start a window now, and forget what was before."""
        self._calls, self._readings = [(time.monotonic(), 0)], []
        self._sensor.readings()

    def run(self, forward: Callable[[], object], least: float, is_enough: Callable[[], bool], most: float) -> None:
        """Repeat a forward pass until the time is up, or from ``least`` seconds on it is enough."""
        began = look = time.monotonic()
        while True:
            chunk, calls = time.monotonic(), 0
            while time.monotonic() < chunk + CHUNK_SECONDS:
                forward()
                calls += 1
            now = time.monotonic()
            self._calls.append((now, self._calls[-1][1] + calls))
            self._readings += self._sensor.readings()
            alive()
            is_due = now - began >= least and now - look >= WINDOW_STEP
            if is_due and len(self._calls) > CHUNKS_LEAST:
                look = now
                if is_enough() or now - began >= most:
                    return

    def has_settled(self) -> bool:
        """Tell whether the power was the same over the last two spans; a sensor that fails will show later."""
        now = self._calls[-1][0]
        try:
            last, before = (
                _mean([r for r in self._readings if now - (i + 1) * SETTLE_SPAN <= r.time < now - i * SETTLE_SPAN])[0]
                for i in (0, 1)
            )
        except TraceError:
            return False
        return abs(last.watts / before.watts - 1) < SETTLED

    def evaluate(self) -> Window:
        """Give what the window tells so far.

        Raises:
            TraceError: nothing, and why.
        """
        last = self._calls[-1][0]
        readings = [reading for reading in self._readings if self._calls[0][0] <= reading.time <= last]
        power.check(readings)
        whole, source = _mean(readings)
        segments = power.from_counter(readings) if source == "counter" else power.from_power(readings)
        joules = [segment.watts * self._latency(segment) for segment in segments]
        seconds = self._latency(whole)
        return Window(
            whole.watts * seconds,
            math.hypot(power.half_width(joules), NORMAL * whole.unsure * seconds),
            whole.watts,
            seconds,
            source,
            _agreement(readings, whole) if source == "counter" else None,
            whole.start,
            whole.end,
        )

    def _latency(self, segment: Segment) -> float:
        """Return the mean duration of a call in a span of time."""
        import numpy as np

        times, calls = zip(*self._calls, strict=True)
        start, end = np.interp((segment.start, segment.end), times, calls)
        if end <= start:
            raise TraceError("a call took longer than a part of the window")
        return (segment.end - segment.start) / float(end - start)

    def condition(self) -> dict[str, float | None]:
        """Return the medians of clock and temperature."""
        clocks = [r.clock_mhz for r in self._readings if r.clock_mhz is not None]
        temperatures = [r.temperature_c for r in self._readings if r.temperature_c is not None]
        return {
            "clock_mhz": statistics.median(clocks) if clocks else None,
            "temperature_c": statistics.median(temperatures) if temperatures else None,
        }

    def status(self, window: Window) -> str:
        """Say in one word how far the window is to be trusted."""
        throttled = sum(bool(reading.throttled) for reading in self._readings)
        if 3 * throttled > len(self._readings):
            return "throttled"
        if any(reading.others for reading in self._readings):
            return "contended"
        if window.agreement is not None and abs(window.agreement - 1) > AGREEMENT:
            return "sensors disagree"
        return "ok" if window.half_width <= TOLERANCE * window.joules else "budget"


def _mean(readings: Sequence[Reading]) -> tuple[Segment, str]:
    """Return the mean power by the counter if there is one, else by integrating the power."""
    if all(reading.joules is not None for reading in readings):
        return power.mean_of_counter(readings), "counter"
    return power.mean_of_power(readings), "power"


def _agreement(readings: Sequence[Reading], by_counter: Segment) -> float | None:
    try:
        return power.mean_of_power(readings).watts / by_counter.watts
    except TraceError:
        return None


def _idle_power(sensor: Sensor) -> float | None:
    """Return the power while nothing runs; None if it cannot be told, which says nothing about the measurements."""
    readings: list[Reading] = []
    began = time.monotonic()
    while time.monotonic() < began + IDLE_SECONDS:
        time.sleep(CHUNK_SECONDS)
        readings += sensor.readings()
    try:
        power.check(readings)
        return _mean(readings)[0].watts
    except TraceError:
        return None
