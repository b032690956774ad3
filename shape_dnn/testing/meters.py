"""What every meter must keep to."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import ClassVar

import pytest

from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.kinds import Formula, Instrument, Meter, Workload
from shape_dnn.measuring.latency import LatencyMeter
from shape_dnn.measuring.rounds import LEAST_VISITS
from shape_dnn.plugins import checked_meters
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract

SMALL = (Shape(10, Fraction(1, 4)), Shape(16, Fraction(1, 2)))


class MeterContract(Contract):
    """What every meter must keep to.

    Attributes:
        device: the device on which it measures, as torch writes it.
        shapes: shapes of a Wide ResNet for images of 8x8 pixels.
    """

    kind = "meter"
    device: ClassVar[str] = "cpu"
    shapes: ClassVar[tuple[Shape, ...]] = SMALL

    def workload(self, batch_size: int = 2) -> Workload:
        """Return the workload that is measured."""
        return Workload(WideResNet(), (1, 8, 8), 10, batch_size, self.device)

    def measure(self, plugin: Meter, shapes: tuple[Shape, ...], batch_size: int = 2) -> dict[Shape, Measurement]:
        """Ask the meter, and check that it answers once for each shape."""
        workload = self.workload(batch_size)
        if isinstance(plugin, Formula):
            values = checked_meters.compute(plugin, workload, shapes)
            return {shape: Measurement(value) for shape, value in zip(shapes, values, strict=True)}
        assert isinstance(plugin, Instrument), "a meter derives from Formula or Instrument"
        found: dict[Shape, Measurement] = {}
        for handed_over in plugin.measure(workload, shapes):
            shape, measurement = pickle.loads(pickle.dumps(handed_over))  # noqa: S301 - made in this line
            found[shape] = checked_meters.measurement(plugin, shape, measurement, shapes, set(shapes) - set(found))
        assert set(found) == set(shapes), "every shape is measured"
        return found

    def test_says_what_it_measures(self, plugin: Meter) -> None:
        """It has a metric that a flag can name, a unit (that of limits on it), and a place in the order."""
        checked_meters.metric(plugin)
        checked_meters.check_unit(plugin)

    def test_measures_every_shape_once(self, plugin: Meter) -> None:
        """Values are finite, at least 0, and in their intervals. All of it can be sent to a process and kept."""
        for shape, measurement in self.measure(plugin, self.shapes).items():
            assert measurement.value is not None, f"{shape}: {measurement.status}"

    def test_computes_each_shape_by_itself(self, plugin: Meter) -> None:
        """What a formula gives for a shape depends neither on the other shapes that it is given nor on their order."""
        if isinstance(plugin, Formula):
            workload = self.workload()
            together = checked_meters.compute(plugin, workload, self.shapes)
            backwards = checked_meters.compute(plugin, workload, self.shapes[::-1])[::-1]
            alone = [value for shape in self.shapes for value in checked_meters.compute(plugin, workload, (shape,))]
            assert backwards == pytest.approx(together)
            assert alone == pytest.approx(together)

    def test_measures_nothing_when_asked_for_nothing(self, plugin: Meter) -> None:
        """An empty list of shapes is no error."""
        assert self.measure(plugin, ()) == {}

    def test_says_what_its_values_depend_on(self, plugin: Meter) -> None:
        """The identity is the same every time, since facts are found again by it."""
        if isinstance(plugin, Instrument):
            first, second = (checked_meters.identity(plugin, self.workload()) for _ in range(2))
            assert first == second

    def test_reports_a_batch_that_does_not_fit_instead_of_failing(self, plugin: Meter) -> None:
        """Such a measurement has no value, and a status that says why; a formula gives a value all the same."""
        if isinstance(plugin, Instrument):
            for measurement in self.measure(plugin, self.shapes, batch_size=10**9).values():
                assert (measurement.value is None) == (measurement.status == "out of memory")

    def test_keeps_what_tells_a_latency_from_a_disturbed_one(self, plugin: Meter) -> None:
        """A timer hands over the samples of each shape, and with them the samples of an anchor."""
        if isinstance(plugin, LatencyMeter):
            for measurement in self.measure(plugin, self.shapes).values():
                assert measurement.status in {"ok", "budget", "contended", "throttled"}
                kept = [measurement.details[name] for name in ("samples_ms", "anchor_samples_ms")]
                assert all(isinstance(samples, list) and len(samples) >= LEAST_VISITS for samples in kept)

    def test_calls_several_networks_in_turn(self, plugin: Meter) -> None:
        """What a timer prepares for a shape, and its anchor, can be called at any time, whatever was called before."""
        if isinstance(plugin, LatencyMeter):
            calls = [*(plugin.prepare(self.workload(), shape) for shape in self.shapes), plugin.anchor(self.workload())]
            for call in (*calls, *reversed(calls)):
                call()
