"""A recorded table instead of a study."""

from __future__ import annotations

import stat
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import PluginError, UsageError, blame, label
from shape_dnn.kinds import Architecture, Dataset, Meter, TableFile, Workload
from shape_dnn.plugins.sources import Loaded
from shape_dnn.plugins.table_of_kinds import KINDS
from shape_dnn.settings import SETTINGS
from shape_dnn.shape import Shape
from shape_dnn.study.table_origin import is_same, told
from shape_dnn.study.tables import Replay, Table

_SPACE = "contradicts --replay: the shapes of the table are the design space"
_TRAINED = "a replay looks trainings up as they were recorded"
_MEASURED = "a replay looks metrics up as they were recorded"
_SHIPS = "nothing ships where a recorded table is looked up"
UNUSED: Mapping[str, str] = {
    "depth": _SPACE,
    "width": _SPACE,
    "recipe": _TRAINED,
    "epochs": _TRAINED,
    "lr": _TRAINED,
    "protocol": _TRAINED,
    "transfer": "a recorded table has no weights to start from",
    "terminator": "a recorded table trains nothing that could be stopped",
    "retry_failed": _TRAINED,
    "batch_size": _MEASURED,
    "fit_depths": _MEASURED,
    "remeasure": _MEASURED,
    "deploy": _SHIPS,
    "target": _SHIPS,
}
"""Settings that a replay cannot use, and why. Those that say where something is (device, data, study) or how it runs
are none of them: they change no answer, and may be set once for all commands."""
DESCRIBING = ("arch", "dataset")
"""Settings that say what a table was recorded with, for what is computed from that."""
UNUSED_OPTIONS: Mapping[str, str] = {
    "recipe": _TRAINED,
    "trainer": _TRAINED,
    "terminator": UNUSED["terminator"],
    "deploy": _SHIPS,
    "target": _SHIPS,
}
"""Kinds whose options a replay cannot use, and why."""
COMPUTED = "a replay uses it only to compute what the table lacks, which takes --arch and --dataset"


def table_to_replay(selection: Selection) -> Table | None:
    """Read the table that the settings name; None if they name none.

    Raises:
        UsageError: there is none, it cannot be used, or a setting is given that a replay cannot use.
        PluginError: its plugin is not installed, or has no such file.
    """
    settings = selection.settings
    if settings.replay is None:
        return None
    table = Table.read(find_table(settings.replay, selection).path)
    _check_settings(selection, table)
    _check_options(selection, table)
    return table


def _check_settings(selection: Selection, table: Table) -> None:
    """Refuse settings that a replay cannot use, unless the table was recorded with just these values."""
    settings = selection.settings
    for name in (*UNUSED, *DESCRIBING):
        value = getattr(settings, name)
        # Ranges are never taken as told: a table may have been put together from several recordings.
        recorded = None if UNUSED.get(name) == _SPACE else told(table.comments, name)
        if name not in settings.given or value in (None, ()):
            continue
        if recorded is None and value != SETTINGS[name].default and name in UNUSED:
            raise UsageError(f"{UNUSED[name]}; leave it out", setting=name)
        if recorded is not None and not is_same(value, recorded):
            raise UsageError(_otherwise(table, str(value), recorded), setting=name)
    for metric in selection.meters_by_metric:
        if metric in table.columns:
            raise UsageError(f"{table.path.name!r} has a column {metric!r}, which counts; leave it out", "meter")


def _check_options(selection: Selection, table: Table) -> None:
    """Refuse options that a replay cannot use, unless the table was recorded with just these values."""
    given = selection.settings.given
    unused = dict(UNUSED_OPTIONS)
    if not given.issuperset(DESCRIBING):
        unused |= {"dataset": COMPUTED, "meter": COMPUTED}
    if "arch" not in given:
        unused["arch"] = COMPUTED
    for kind, why in unused.items():
        for option, value in selection.options(kind).items():
            name = f"{kind}.{option}"
            recorded = told(table.comments, name)
            if recorded is None:
                raise UsageError(f"{name}: {why}; leave it out", setting="option")
            if not is_same(value, recorded):
                raise UsageError(f"{name}: {_otherwise(table, value, recorded)}", setting="option")


def _otherwise(table: Table, value: str, recorded: str) -> str:
    return f"{value} is not what {table.path.name!r} was recorded with, which is {recorded}; leave it out"


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
        return not stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def warn_of_oddities(table: Table) -> None:
    """Warn of columns that are not looked at, and of percentages that look like fractions."""
    qualities = (row.get(table.quality.name) for rows in table.rows.values() for row in rows)
    remark = table.quality.fractions_remark(quality for quality in qualities if quality is not None)
    if remark:
        warnings.warn(f"{str(table.path)!r}: {remark}", stacklevel=3)
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


def workload_of_table(
    architecture: Architecture, dataset: Dataset, shapes: Sequence[Shape], batch_size: int
) -> Workload:
    """Return what closed forms are computed for.

    Raises:
        UsageError: the architecture has no such shapes.
    """
    for shape in shapes:
        if not (architecture.is_depth(shape.depth) and architecture.is_width(shape.width)):
            which = f"{architecture.depth_rule}, {architecture.width_rule}"
            raise UsageError(f"the table has shape {shape}, and {architecture.title} has not: {which}", "replay")
    return Workload(architecture, dataset.input_shape, dataset.classes, batch_size, "cpu")
