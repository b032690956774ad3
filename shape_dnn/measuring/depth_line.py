"""Latency and energy as straight lines in depth at fixed width and batch size (paper, Section 5).

A depth between two measured ones is predicted by the line through them, provided that each of the two would itself be
predicted by the line through its own neighbours. Where that fails, as it does where networks outgrow a cache, the
depth in the middle is measured, and so on until the line holds or nothing is left between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

TOLERANCE = 0.03
"""Part by which a line may miss a measured depth that it was not drawn through."""
PREDICTED = "predicted"
"""Status of what was not measured."""
LEAST = 3
"""The fewest measured depths of a width with which a line can be checked."""


def predict(shapes: Sequence[Shape], known: Mapping[Shape, Measurement]) -> dict[Shape, Measurement]:
    """Predict the shapes that are not known and lie between known depths where the line holds."""
    measured = _by_width(list(known))
    predictions: dict[Shape, Measurement] = {}
    for width, same_width in _by_width(shapes).items():
        points = measured.get(width, [])
        errors = _errors(points, known)
        for low, high in pairwise(points):
            between = [s for s in same_width if low.depth < s.depth < high.depth and s not in known]
            worst = max(errors[low], errors[high])
            if len(points) >= LEAST and worst <= TOLERANCE:
                predictions |= {shape: _on_line(shape, low, high, known, worst) for shape in between}
    return predictions


def next_to_measure(shapes: Sequence[Shape], known: Mapping[Shape, Measurement], number: int) -> list[Shape]:
    """Choose what to measure next for a prediction of all others; empty when there is nothing left to predict.

    At first ``number`` depths of each width, evenly spaced with both ends, then the middle of what cannot be predicted.
    """
    predictions = predict(shapes, known)
    chosen: list[Shape] = []
    for same_width in _by_width(shapes).values():
        ends = (same_width[0], same_width[-1])
        missing = [shape for shape in same_width if shape not in known and shape not in predictions]
        if any(end in missing for end in ends):
            chosen += [shape for shape in _evenly(same_width, number) if shape in missing]
        else:
            chosen += [gap[len(gap) // 2] for gap in _gaps(same_width, missing)]
    return chosen


def _on_line(shape: Shape, low: Shape, high: Shape, known: Mapping[Shape, Measurement], worst: float) -> Measurement:
    """Interpolate; the interval is as wide as the line may be wrong, or as uncertain as what it goes through."""
    below, above = known[low].value, known[high].value
    assert below is not None  # noqa: S101 - an unknown one has an infinite error
    assert above is not None  # noqa: S101
    value = below + (above - below) * (shape.depth - low.depth) / (high.depth - low.depth)
    details = {"between_depths": [low.depth, high.depth], "error_at_measured_depths": round(worst, 5)}
    part = max(TOLERANCE, _uncertainty(known[low]), _uncertainty(known[high]))
    return Measurement(value, max(0.0, (1 - part) * value), (1 + part) * value, PREDICTED, details)


def _uncertainty(measurement: Measurement) -> float:
    """Return how far the interval reaches from the value, as a part of it."""
    value, low, high = measurement.value, measurement.low, measurement.high
    if not value or low is None or high is None:
        return 0.0
    return max(value - low, high - value) / value


def _errors(points: Sequence[Shape], known: Mapping[Shape, Measurement]) -> dict[Shape, float]:
    """Return by which part the line through its neighbours misses each depth; 0 for the ends, which have but one."""
    errors = {shape: 0.0 if known[shape].value is not None else float("inf") for shape in points}
    for low, middle, high in zip(points, points[1:], points[2:], strict=False):
        value = known[middle].value
        if value is None or known[low].value is None or known[high].value is None:
            errors[middle] = float("inf")
        else:
            expected = _on_line(middle, low, high, known, 0.0).value or 0.0
            errors[middle] = abs(expected / value - 1) if value else float(expected > 0)
    return errors


def _evenly(shapes: Sequence[Shape], number: int) -> list[Shape]:
    last = len(shapes) - 1
    return list(shapes) if last < number else [shapes[round(i * last / (number - 1))] for i in range(number)]


def _gaps(shapes: Sequence[Shape], missing: Sequence[Shape]) -> list[list[Shape]]:
    """Group missing shapes that follow each other."""
    gaps: list[list[Shape]] = [[]]
    for shape in shapes:
        if shape in missing:
            gaps[-1].append(shape)
        elif gaps[-1]:
            gaps.append([])
    return [gap for gap in gaps if gap]


def _by_width(shapes: Sequence[Shape]) -> dict[Fraction, list[Shape]]:
    groups: dict[Fraction, list[Shape]] = {}
    for shape in sorted(shapes):
        groups.setdefault(shape.width, []).append(shape)
    return groups
