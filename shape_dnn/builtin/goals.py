"""The metrics as goals."""

from __future__ import annotations

from functools import partial

from shape_dnn.assembly.goal_expressions import Least, Most

Size = partial(Least, "size")
Latency = partial(Least, "latency")
GraphLatency = partial(Least, "graph-latency")
Energy = partial(Least, "energy")
Memory = partial(Least, "memory")
FileSize = partial(Least, "file-size")
Accuracy = partial(Most, "accuracy")
