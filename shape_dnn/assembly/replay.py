"""A recorded table instead of a study."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from shape_dnn.errors import UsageError
from shape_dnn.kinds import Architecture, Dataset, Meter, Workload
from shape_dnn.plugins.sources import Loaded
from shape_dnn.shape import Shape
from shape_dnn.study.tables import Replay, Table


def tell_ignored(table: Table) -> None:
    """Warn of columns that are not looked at."""
    if table.ignored:
        columns = f"column{'s' if len(table.ignored) > 1 else ''} {', '.join(map(repr, table.ignored))}"
        verb = "hold text and are" if len(table.ignored) > 1 else "holds text and is"
        warnings.warn(f"{columns} of {str(table.path)!r} {verb} ignored", stacklevel=3)


def replays(table: Table, seeds: range, meters: Mapping[str, Loaded[Meter]], workload: Workload | None) -> list[Replay]:
    """Return facts from a table for each seed.

    Args:
        table: what was recorded.
        seeds: which repetitions to use.
        meters: by metric, for closed forms of metrics that the table lacks.
        workload: for these.

    Raises:
        UsageError: some shape was not trained so often.
    """
    least = min(table.rows, key=lambda shape: (len(table.rows[shape]), shape))
    number = len(table.rows[least])
    if len(seeds) > number:
        message = f"{len(seeds)} is more than the {number} trainings of shape {least} in {table.path}"
        raise UsageError(message, setting="seeds")
    return [Replay(table, seed, meters, workload) for seed in seeds]


def workload_of_table(architecture: Architecture, dataset: Dataset, shapes: Sequence[Shape]) -> Workload:
    """Return what closed forms are computed for.

    Raises:
        UsageError: the architecture has no such shapes.
    """
    for shape in shapes:
        if not (architecture.is_depth(shape.depth) and architecture.is_width(shape.width)):
            which = f"{architecture.depth_rule}, {architecture.width_rule}"
            raise UsageError(f"the table has shape {shape}, and {architecture.title} has not: {which}", "replay")
    return Workload(architecture, dataset.input_shape, dataset.classes, 1, "cpu")
