"""Latency and energy as a straight line in depth at fixed width and batch size (paper, Section 5).

Some depths of a width are measured, the others predicted, if the line holds where it can be checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

TOLERANCE = 0.03
"""Part by which a line may miss a depth that it was not fitted to."""
PREDICTED = "predicted"
"""Status of what was not measured."""


@dataclass(frozen=True)
class Line:
    """A metric of one width: ``intercept + slope * depth``, within ``worst_error`` where that was checked."""

    intercept: float
    slope: float
    depths: tuple[int, ...]
    worst_error: float

    def predict(self, depth: int) -> Measurement:
        """Predict a depth; the interval is as wide as the line may be wrong, not as it was found to be."""
        value = self.intercept + self.slope * depth
        details = {"measured_depths": list(self.depths), "worst_error_of_held_out": round(self.worst_error, 5)}
        return Measurement(value, (1 - TOLERANCE) * value, (1 + TOLERANCE) * value, PREDICTED, details)


def supports(shapes: Sequence[Shape], number: int) -> list[Shape]:
    """Choose the shapes to measure: of each width this many depths, evenly spaced, the first and the last included."""
    chosen: list[Shape] = []
    for same_width in _by_width(shapes).values():
        last = len(same_width) - 1
        places = range(last + 1) if last < number else {round(i * last / (number - 1)) for i in range(number)}
        chosen += [same_width[place] for place in sorted(places)]
    return chosen


def predict(shapes: Sequence[Shape], known: Mapping[Shape, Measurement]) -> dict[Shape, Measurement]:
    """Predict the shapes that are not known and lie between known depths of a width whose line holds."""
    measured = _by_width(list(known))
    predictions: dict[Shape, Measurement] = {}
    for width, same_width in _by_width(shapes).items():
        points = [(shape.depth, known[shape].value) for shape in measured.get(width, ())]
        line = fit([(depth, value) for depth, value in points if value is not None])
        if line is not None and len(points) == len(line.depths):
            predictions |= {
                shape: line.predict(shape.depth)
                for shape in same_width
                if shape not in known and line.depths[0] < shape.depth < line.depths[-1]
            }
    return predictions


def fit(points: Sequence[tuple[int, float]]) -> Line | None:
    """Fit a line to measured depths, in the order of depth; None where it does not hold, or cannot be checked.

    Every depth but the first and the last is left out once, and must be predicted by the others.
    """
    if len(points) < 3:
        return None
    errors = []
    for i in range(1, len(points) - 1):
        depth, value = points[i]
        intercept, slope = _least_squares([*points[:i], *points[i + 1 :]])
        errors.append(abs((intercept + slope * depth) / value - 1))
    if max(errors) > TOLERANCE:
        return None
    return Line(*_least_squares(points), tuple(depth for depth, _ in points), max(errors))


def _least_squares(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope that keep the relative errors small."""
    import numpy as np

    depths, values = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    slope, intercept = np.polyfit(depths, values, 1, w=1 / values)
    return float(intercept), float(slope)


def _by_width(shapes: Sequence[Shape]) -> dict[object, list[Shape]]:
    groups: dict[object, list[Shape]] = {}
    for shape in sorted(shapes):
        groups.setdefault(shape.width, []).append(shape)
    return groups
