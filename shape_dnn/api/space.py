"""The shapes of a space and their sizes, without building a network."""

from __future__ import annotations

from itertools import compress
from typing import cast

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.errors import UsageError
from shape_dnn.kinds import Workload
from shape_dnn.plugins import checked
from shape_dnn.shape import Shape


def sized_shapes(parts: Assembly) -> list[tuple[Shape, float]]:
    """Return every shape of the space that meets the limits on size, with its size in MB; no network is built."""
    dataset = parts.dataset.instance
    workload = Workload(parts.architecture.instance, dataset.input_shape, dataset.classes, 1, "cpu")
    limits = parts.constraints
    other = next((limit for limit in limits if limit.metric != "size"), None)
    if other is not None:
        raise UsageError(
            f"{other} is not a limit on size; use tune or measure", setting="max" if other.upper else "min"
        )
    shapes = parts.shapes
    sizes = cast("list[float]", checked.compute(parts.meters["size"].instance, workload, shapes))
    for limit in limits:
        complies = list(map(limit.allows, sizes))
        shapes, sizes = list(compress(shapes, complies)), list(compress(sizes, complies))
    return list(zip(shapes, sizes, strict=True))
