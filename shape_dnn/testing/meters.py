"""What every meter must keep to."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.kinds import Formula, Instrument, Meter, Workload
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

SMALL = (Shape(10, Fraction(1, 4)), Shape(16, Fraction(1, 2)))


class MeterContract:
    """Derive a test class that names a meter, and pytest runs every check on it.

    Attributes:
        meter: what is tested.
        device: where, as torch writes it.
        shapes: of a Wide ResNet for images of 8x8 pixels.
    """

    meter: Meter
    device: str = "cpu"
    shapes: tuple[Shape, ...] = SMALL

    def workload(self, batch_size: int = 2) -> Workload:
        """Return what is measured."""
        return Workload(WideResNet(), (1, 8, 8), 10, batch_size, self.device)

    def measure(self, shapes: tuple[Shape, ...], batch_size: int = 2) -> dict[Shape, Measurement]:
        """Ask the meter, and see that it answers once for each shape."""
        workload = self.workload(batch_size)
        if isinstance(self.meter, Formula):
            values = self.meter.compute(workload, shapes)
            return {shape: Measurement(value) for shape, value in zip(shapes, values, strict=True)}
        assert isinstance(self.meter, Instrument), "a meter derives from Formula or Instrument"
        pairs = list(self.meter.measure(workload, shapes))
        assert sorted(shape for shape, _ in pairs) == sorted(shapes)
        return dict(pairs)

    def test_says_what_it_measures(self) -> None:
        """It has a metric that can be written in a flag, a unit, and a place in the order of the filters."""
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", self.meter.metric)
        assert isinstance(self.meter.unit, str)
        assert math.isfinite(self.meter.cost)

    def test_measures_every_shape_once(self) -> None:
        """Values are positive and finite, lie in their interval, and what is kept beside them can be written."""
        for shape, measurement in self.measure(self.shapes).items():
            value = measurement.value
            assert value is not None, f"{shape}: {measurement.status}"
            assert 0 < value < math.inf
            low = value if measurement.low is None else measurement.low
            high = value if measurement.high is None else measurement.high
            assert 0 <= low <= value <= high < math.inf
            assert measurement.status
            json.dumps(dict(measurement.details), allow_nan=False)

    def test_measures_nothing_when_asked_for_nothing(self) -> None:
        """An empty list of shapes is no error."""
        assert self.measure(()) == {}

    def test_says_what_its_values_depend_on(self) -> None:
        """The identity is the same every time, since facts are found again by it."""
        if isinstance(self.meter, Instrument):
            first, second = (dict(self.meter.identity(self.workload())) for _ in range(2))
            assert first == second
            assert json.loads(json.dumps(first)) == first

    def test_reports_a_batch_that_does_not_fit_instead_of_failing(self) -> None:
        """No value, and a status that says why; a formula computes it all the same."""
        if isinstance(self.meter, Instrument):
            for measurement in self.measure(self.shapes, batch_size=10**9).values():
                assert (measurement.value is None) == (measurement.status == "out of memory")
