"""What the same family achieved elsewhere: on other data or with another recipe, in a study or a recorded table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shape_dnn.assembly.own_trainer import CLASSIFIER, name_of
from shape_dnn.assembly.replay import find_table
from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import UsageError, blame
from shape_dnn.kinds import AccuracyModel
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.search import fitting
from shape_dnn.shape import Shape
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.study.tables import Table, quality_line
from shape_dnn.system.text import counted

NONE = "none"
"""What stands for no prior, in a question to a study that was searched with one."""
LEAST = 3
"""Shapes from which a prior tells how quality runs over depth and width."""


@dataclass(frozen=True)
class Prior:
    """What the same family achieved elsewhere.

    Attributes:
        path: directory of the study, file of the table, or its name, as the user gave it.
        qualities: of each shape the mean over its trainings.
    """

    path: str
    qualities: Mapping[Shape, float]

    def teach(self, model: Loaded[AccuracyModel]) -> Loaded[AccuracyModel]:
        """Have a model take note of it, and return the model.

        Raises:
            UsageError: it takes no prior.
            PluginError: it failed.
        """
        with blame(model.instance):
            model.instance.learn_from(list(self.qualities), list(self.qualities.values()))
        return model

    def record(self, model: AccuracyModel) -> dict[str, object]:
        """Return what results say of it, as JSON values: what it is, and how much it counts by a model's last fit."""
        return {"path": self.path, "trainings": len(self.qualities), "weight": fitting.prior_weight(model)}


def find_prior(selection: Selection, quality: Quality) -> Prior | None:
    """Read the prior that the settings name; None if they name none.

    Args:
        selection: knows settings and plugins.
        quality: by which the trainings of the search are judged.

    Raises:
        UsageError: there is neither a study nor a table, it is of another architecture or quality, or tells too little.
        PluginError: the plugin of a table is not installed.
        StudyError: a study cannot be read.
    """
    name = selection.settings.prior
    if name is None or name == NONE:
        return None
    try:
        found = (
            _of_study(Path(name), selection, quality) if _is_study(Path(name)) else _of_table(name, selection, quality)
        )
    except UsageError as error:
        raise UsageError(error.message, "prior") from None
    if len(found) < LEAST:
        found_there = f"finished trainings of only {counted(len(found), 'shape')}" if found else "no finished training"
        raise UsageError(f"{name!r} has {found_there}; a prior has {LEAST} shapes or more", "prior")
    return Prior(name, {shape: statistics.fmean(found[shape]) for shape in sorted(found)})


def _is_study(directory: Path) -> bool:
    try:
        return (directory / FILE_NAME).is_file()
    except OSError:
        return False  # reading it as a table says why


def _of_table(name: str, selection: Selection, quality: Quality) -> dict[Shape, list[float]]:
    table = Table.read(find_table(name, selection, "prior").path)
    if table.quality.record != quality.record:
        theirs, ours = (quality_line(each) for each in (table.quality, quality))
        raise UsageError(f"{name!r} is a table of {theirs}, and this search is of {ours}")
    return _by_shape((shape, row[quality.name]) for shape, rows in table.rows.items() for row in rows)


def _of_study(directory: Path, selection: Selection, quality: Quality) -> dict[Shape, list[float]]:
    """Return the qualities of trainings from scratch that the last search in a study could use."""
    settings = selection.settings
    if settings.replay is None and directory.resolve() == Path(settings.study).resolve():
        raise UsageError(f"{str(directory)!r} is the study of this search, which knows its trainings anyway")
    with closing(Store(directory, create=False)) as store:
        run = store.runs.last()
        if run is None:
            return {}
        with store.decoding():
            theirs = _network_family(run.problem)
            judged = Quality.of_record(run.problem["quality"]) if "quality" in run.problem else ACCURACY
            seeds = int(run.settings["seeds"])
        if settings.replay is None or {"arch", "trainer"} & settings.given:
            ours = _own_family(selection)
            if ours != theirs:
                raise UsageError(f"{str(directory)!r} is a study of {theirs}, and this search is of {ours}")
        if judged.record != quality.record:
            raise UsageError(f"{str(directory)!r} is a study of {judged.name}, and this search is of {quality.name}")
        families = [
            number
            for family, number in run.contexts.items()
            if family.metric is None and family.donor is None and family.seed < seeds
        ]
        return _by_shape(
            (shape, training.quality) for number in families for shape, training in store.trainings(number).items()
        )


def _network_family(problem: Mapping[str, Any]) -> str:
    """Write whose networks a study has: those of an architecture with its options, or of a trainer with any."""
    if "trainer" in problem:
        return f"trainer {problem['trainer']['name']}"
    return f"architecture {_family(problem['architecture'])}"


def _own_family(selection: Selection) -> str:
    """Write the same of the search."""
    settings = selection.settings
    if settings.trainer != CLASSIFIER:
        return f"trainer {name_of(settings.trainer)}"
    return f"architecture {_family(selection.load('architecture', settings.arch).identity)}"


def _family(identity: Mapping[str, object]) -> str:
    """Write the name of an architecture with its options."""
    options = identity["options"]
    if not isinstance(options, Mapping):
        raise TypeError(f"options are {options!r}")
    return " ".join([str(identity["name"]), *(f"{name}={value}" for name, value in sorted(options.items()))])


def _by_shape(qualities: Iterable[tuple[Shape, float | None]]) -> dict[Shape, list[float]]:
    found: dict[Shape, list[float]] = {}
    for shape, quality in qualities:
        if quality is not None:
            found.setdefault(shape, []).append(quality)
    return found
