"""Size of the stored network (paper, Section 3)."""

from __future__ import annotations

from collections.abc import Sequence

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
        return [BYTES_PER_VALUE * count(shape, input_shape, classes) / 1e6 for shape in shapes]
