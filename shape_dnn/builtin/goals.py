"""The metrics as goals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from shape_dnn.assembly.goal_expressions import Least
from shape_dnn.kinds import Goal

Size = partial(Least, "size")
Latency = partial(Least, "latency")
Energy = partial(Least, "energy")
Memory = partial(Least, "memory")


class Accuracy(Goal):
    """The most accurate shape."""

    metrics = ("accuracy",)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the negated accuracy, since the lowest score wins."""
        return -values["accuracy"]
