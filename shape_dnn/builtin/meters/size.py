"""Size of the stored network (paper, Section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import BYTES, Formula, Instrument, Workload
from shape_dnn.plugins import checked
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

USUAL_BYTES = BYTES["float32"]
"""Of a value, unless what ships has another precision."""


class Size(Formula):
    """Parameters and batch-norm statistics in MB of a million bytes, at four bytes each or those of what ships."""

    metric = "size"
    unit = "MB"
    cost = 0.0

    def compute(self, workload: Workload, shapes: Sequence[Shape]) -> Sequence[float]:
        """Apply the architecture's closed form."""
        with blame(workload.architecture):
            return [_size(workload, shape) for shape in shapes]


class CountedSize(Instrument):
    """The same of networks that have to be built to be counted; what was counted is remembered."""

    metric = "size"
    unit = "MB"
    cost = 0.0

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Add the bytes of a value if they are not the usual four; neither device nor versions matter."""
        number = _bytes(workload)
        return {} if number == USUAL_BYTES else {"bytes": number}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Build one network after the other, without memory for its weights."""
        for shape in shapes:
            alive()
            with checked.blame_network(workload.architecture, checked.BUILD, shape):
                size = _size(workload, shape)
            yield shape, Measurement(size, size, size)


def meter(counted: bool = False) -> Size | CountedSize:
    """Return the meter of size.

    Args:
        counted: whether each network is built to be counted.
    """
    return CountedSize() if counted else Size()


def _size(workload: Workload, shape: Shape) -> float:
    architecture = workload.architecture
    values: object = architecture.count_values(shape, workload.input_shape, workload.classes)
    if not isinstance(values, int) or values < 1:
        who = f"{label(architecture)} counts {values!r} values for shape {shape}"
        raise PluginError(f"{who}; accepted are whole numbers above 0")
    return _bytes(workload) * values / 1e6


def _bytes(workload: Workload) -> int:
    """Return what a stored value takes."""
    return USUAL_BYTES if workload.shipping is None else BYTES[workload.shipping.deployment.precision]
