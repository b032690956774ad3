"""The shapes of a space and their sizes, without training or weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import cast

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.own_trainer import NO_IMAGES
from shape_dnn.errors import NetworkError, PluginError, UsageError, blame
from shape_dnn.kinds import Conditions, Instrument, Workload
from shape_dnn.plugins import checked_meters
from shape_dnn.shape import Shape


def sized_shapes(parts: Assembly) -> list[tuple[Shape, float]]:
    """Return every shape of the space that meets the limits on size, with its size in MB.

    Networks of a user's own trainer are built, though without memory for their weights. No other networks are built.

    Raises:
        UsageError: a limit is on something else, or a setting cannot be used.
        PluginError: a network cannot be built.
    """
    limits = parts.constraints
    other = next((limit for limit in limits if limit.metric != "size"), None)
    if other is not None:
        side = "max" if other.upper else "min"
        own = f"{side}_{other.metric}"
        setting = side if getattr(parts.settings, own, None) is None else own
        raise UsageError(f"{other} is not a limit on size; use tune or measure", setting)
    shapes = parts.shapes
    sizes = _sizes(parts, shapes)
    for limit in limits:
        complies = list(map(limit.allows, sizes))
        shapes, sizes = list(compress(shapes, complies)), list(compress(sizes, complies))
    return list(zip(shapes, sizes, strict=True))


def _sizes(parts: Assembly, shapes: Sequence[Shape]) -> list[float]:
    """Compute the sizes by a closed form, or by counting what a trainer builds."""
    meter = parts.meters_of(["size"])["size"].instance
    if parts.own is None:
        dataset = parts.dataset.instance
        workload = Workload(parts.architecture.instance, dataset.input_shape, dataset.classes, 1, "cpu", parts.shipping)
        return cast("list[float]", checked_meters.compute(meter, workload, shapes))
    workload = Conditions(NO_IMAGES, 0, 1, "cpu").of(parts.architecture.instance, parts.shipping)
    counted = cast("Instrument", meter).measure(workload, shapes)
    try:
        with blame(meter):
            return [cast("float", measurement.value) for _, measurement in counted]
    except NetworkError as error:
        raise PluginError(f"measuring size: {error} (--debug shows where)") from error
