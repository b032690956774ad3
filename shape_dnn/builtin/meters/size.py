"""Size of the stored network (paper, Section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import Formula, Instrument, Workload
from shape_dnn.plugins import checked
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

BYTES_PER_VALUE = 4


class Size(Formula):
    """Parameters and batch-norm statistics at four bytes each, in MB of a million bytes."""

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
        """Add nothing: neither the device nor the version of anything matters."""
        return {}

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
    return BYTES_PER_VALUE * values / 1e6
