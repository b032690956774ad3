"""The metrics as goals."""

from __future__ import annotations

from collections.abc import Mapping

from shape_dnn.kinds import Goal


class Least(Goal):
    """The least of one metric."""

    def score(self, values: Mapping[str, float]) -> float:
        """Return the value itself."""
        return values[self.metrics[0]]


class Size(Least):
    """The smallest shape."""

    metrics = ("size",)


class Latency(Least):
    """The fastest shape."""

    metrics = ("latency",)


class Energy(Least):
    """The shape that needs the least energy."""

    metrics = ("energy",)


class Memory(Least):
    """The shape that needs the least memory."""

    metrics = ("memory",)


class Accuracy(Goal):
    """The most accurate shape."""

    metrics = ("accuracy",)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the negated accuracy, since the lowest score wins."""
        return -values["accuracy"]
