"""A recorded table instead of a study."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import PluginError, UsageError, blame, label
from shape_dnn.kinds import Architecture, Dataset, Meter, TableFile, Workload
from shape_dnn.plugins.sources import Loaded
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.shape import Shape
from shape_dnn.study.tables import Replay, Table


def table_to_replay(selection: Selection) -> Table | None:
    """Read the table that the settings name; None if they name none.

    Raises:
        UsageError: there is none, it cannot be used, or a range is given too.
        PluginError: its plugin is not installed, or has no such file.
    """
    settings = selection.settings
    if settings.replay is None:
        return None
    given = next((name for name in ("depth", "width") if getattr(settings, name) is not None), None)
    if given is not None:
        raise UsageError("contradicts --replay: the shapes of the table are the design space", setting=given)
    return Table.read(find_table(settings.replay, selection).path)


def find_table(name: str, selection: Selection, setting: str = "replay") -> TableFile:
    """Return the table that is meant: a file that is there, or else the table of a plugin.

    Args:
        name: path of the file, or name of the plugin.
        selection: knows the plugins, and has the options that are meant for them.
        setting: that names it; options are for the one that is replayed.

    Raises:
        UsageError: there is neither.
        PluginError: the plugin is not installed, or has no such file.
    """
    flag = KINDS["table"].flag
    options = selection.options(flag) if setting == flag else {}
    if _is_there(Path(name)):
        option = next(iter(options), None)
        if option is not None:
            raise UsageError(f"{flag}.{option} is an option of a plugin, and {name!r} is a file", setting="option")
        return TableFile(Path(name))
    nothing = "no file" if setting == flag else "neither a study nor a file"
    neither = "" if selection.registry.is_declared("table", name) else f"there is {nothing} {name!r}, and "
    try:
        found: TableFile = selection.load("table", name, options).instance
    except UsageError as error:
        raise UsageError(f"{neither}{error.message}", error.setting) from None
    except PluginError as error:
        raise PluginError(f"{neither}{error}") from error
    with blame(found):
        for path in (found.path, found.curves):
            if path is not None and not path.is_file():
                raise PluginError(f"{label(found)} lies in {str(path)!r}, and there is no such file")
    return found


def _is_there(path: Path) -> bool:
    """Tell whether a path is that of a file of any sort; one that cannot be looked at is, and reading it says why."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return True


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
    return [Replay(table, seed, meters, workload, len(seeds)) for seed in seeds]


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
