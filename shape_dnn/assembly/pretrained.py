"""Weights that trainings start from, and the shapes that have some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shape_dnn.errors import UsageError, blame
from shape_dnn.kinds import Architecture, Pretrained
from shape_dnn.search.space import Range
from shape_dnn.shape import Shape, by_width_then_depth


def pretrained(architecture: Architecture) -> dict[Shape, Pretrained] | None:
    """Ask an architecture which weights trainings start from, by shape; None for random ones.

    Raises:
        UsageError: its options name weights that cannot be used.
        PluginError: it failed, or answers with something else.
    """
    with blame(architecture):
        found: object = architecture.pretrained()
        if found is None:
            return None
        if not isinstance(found, Mapping) or not found:
            raise TypeError(f"its pretrained() returned {found!r:.40} instead of weights by shape")
        for shape, weights in found.items():
            if not isinstance(shape, Shape) or not isinstance(weights, Pretrained):
                raise TypeError(f"its pretrained() has {weights!r:.40} of {shape!r:.40}, not a Pretrained of a Shape")
            if not (architecture.is_depth(shape.depth) and architecture.is_width(shape.width)):
                raise ValueError(f"it has weights of shape {shape}, which does not exist")
    return dict(found)


def remembered(problem: Mapping[str, Any] | None) -> dict[Shape, Pretrained] | None:
    """Return the weights that a study remembers of a search, whose files need not be there; None for random ones.

    Args:
        problem: what it keeps of the problem; None where there is no study.

    Raises:
        ValueError: it makes no sense.
    """
    if problem is None or problem.get("weights") is None:
        return None
    return {Shape.parse(text): Pretrained(str(name)) for text, name in problem["weights"].items()}


def select(shapes: Iterable[Shape], depths: Range | None, widths: Range | None) -> list[Shape]:
    """Return the shapes with weights that lie in two ranges, sorted as those of a space.

    Args:
        shapes: that have weights.
        depths: range of depths; None for all.
        widths: range of widths; None for all.

    Raises:
        UsageError: there is none; says which there are.
    """
    ordered = sorted(shapes, key=by_width_then_depth)
    found = [
        shape
        for shape in ordered
        if (depths is None or shape.depth in depths) and (widths is None or shape.width in widths)
    ]
    if not found:
        ranges = {"depth": depths, "width": widths}
        asked = [f"{name} {values}" for name, values in ranges.items() if values is not None]
        message = f"no shape of {' and '.join(asked)} has weights; those that have are {', '.join(map(str, ordered))}"
        raise UsageError(message, setting="width" if depths is None else "depth")
    return found
