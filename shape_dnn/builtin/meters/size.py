"""Size of the stored network (paper, Section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import Formula, Workload
from shape_dnn.shape import Shape

BYTES_PER_VALUE = 4


class Size(Formula):
    """Parameters and batch-norm statistics at four bytes each, in MB of a million bytes."""

    metric = "size"
    unit = "MB"
    cost = 0.0

    def compute(self, workload: Workload, shapes: Sequence[Shape]) -> Sequence[float]:
        """Apply the architecture's closed form."""
        count, input_shape, classes = workload.architecture.count_values, workload.input_shape, workload.classes
        with blame(workload.architecture):
            counts = [count(shape, input_shape, classes) for shape in shapes]
        wrong = next((i for i, values in enumerate(counts) if not isinstance(values, int) or values < 1), None)
        if wrong is not None:
            who = f"{label(workload.architecture)} counts {counts[wrong]!r} values for shape {shapes[wrong]}"
            raise PluginError(f"{who}; accepted are whole numbers above 0")
        return [BYTES_PER_VALUE * values / 1e6 for values in counts]
