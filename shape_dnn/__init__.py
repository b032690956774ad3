"""shape_dnn chooses the depth and width of a neural network under limits on size, latency, energy and accuracy.

The public names are imported when they are first used, so that ``import shape_dnn`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from shape_dnn.answers.question import ask as ask
    from shape_dnn.answers.result import Result as Result
    from shape_dnn.api.bench import bench as bench
    from shape_dnn.api.measure import measure as measure
    from shape_dnn.api.record import record as record
    from shape_dnn.api.simulation import simulate as simulate
    from shape_dnn.api.tune import tune as tune
    from shape_dnn.constraints import Constraint as Constraint
    from shape_dnn.display.progress import Progress as Progress
    from shape_dnn.errors import DatasetError as DatasetError
    from shape_dnn.errors import DeploymentError as DeploymentError
    from shape_dnn.errors import ExportError as ExportError
    from shape_dnn.errors import MeterError as MeterError
    from shape_dnn.errors import NothingCompliesError as NothingCompliesError
    from shape_dnn.errors import PluginError as PluginError
    from shape_dnn.errors import ProcessDiedError as ProcessDiedError
    from shape_dnn.errors import ShapeDnnError as ShapeDnnError
    from shape_dnn.errors import TargetError as TargetError
    from shape_dnn.errors import TrainingError as TrainingError
    from shape_dnn.errors import UnavailableError as UnavailableError
    from shape_dnn.errors import UsageError as UsageError
    from shape_dnn.exporting import export as export
    from shape_dnn.exporting.classifier import Classifier as Classifier
    from shape_dnn.exporting.reading import load as load
    from shape_dnn.hookspecs import hookimpl as hookimpl
    from shape_dnn.kinds import AccuracyModel as AccuracyModel
    from shape_dnn.kinds import Architecture as Architecture
    from shape_dnn.kinds import Dataset as Dataset
    from shape_dnn.kinds import Deployment as Deployment
    from shape_dnn.kinds import EncodedImages as EncodedImages
    from shape_dnn.kinds import Executor as Executor
    from shape_dnn.kinds import Formula as Formula
    from shape_dnn.kinds import Goal as Goal
    from shape_dnn.kinds import Instrument as Instrument
    from shape_dnn.kinds import LabelledImages as LabelledImages
    from shape_dnn.kinds import Meter as Meter
    from shape_dnn.kinds import Observer as Observer
    from shape_dnn.kinds import Option as Option
    from shape_dnn.kinds import Plugin as Plugin
    from shape_dnn.kinds import Pretrained as Pretrained
    from shape_dnn.kinds import Resources as Resources
    from shape_dnn.kinds import Run as Run
    from shape_dnn.kinds import Sampler as Sampler
    from shape_dnn.kinds import Strategy as Strategy
    from shape_dnn.kinds import TableFile as TableFile
    from shape_dnn.kinds import Terminator as Terminator
    from shape_dnn.kinds import Trainer as Trainer
    from shape_dnn.kinds import Workload as Workload
    from shape_dnn.quality import Quality as Quality
    from shape_dnn.recipes import Recipe as Recipe
    from shape_dnn.records import Epoch as Epoch
    from shape_dnn.records import Measurement as Measurement
    from shape_dnn.records import Prediction as Prediction
    from shape_dnn.records import Training as Training
    from shape_dnn.report import write_report as write_report
    from shape_dnn.search.space import DesignSpace as DesignSpace
    from shape_dnn.search.space import Range as Range
    from shape_dnn.shape import Shape as Shape
    from shape_dnn.work import Outcome as Outcome
    from shape_dnn.work import Task as Task

_HOMES = {
    "api.bench": ("bench",),
    "api.measure": ("measure",),
    "api.record": ("record",),
    "api.tune": ("tune",),
    "answers.question": ("ask",),
    "constraints": ("Constraint",),
    "errors": (
        "DatasetError",
        "DeploymentError",
        "ExportError",
        "MeterError",
        "NothingCompliesError",
        "PluginError",
        "ShapeDnnError",
        "TargetError",
        "ProcessDiedError",
        "TrainingError",
        "UnavailableError",
        "UsageError",
    ),
    "exporting": ("export",),
    "exporting.classifier": ("Classifier",),
    "exporting.reading": ("load",),
    "hookspecs": ("hookimpl",),
    "kinds": (
        "AccuracyModel",
        "Architecture",
        "Dataset",
        "Deployment",
        "EncodedImages",
        "Executor",
        "Formula",
        "Goal",
        "Instrument",
        "LabelledImages",
        "Meter",
        "Observer",
        "Option",
        "Plugin",
        "Pretrained",
        "Resources",
        "Run",
        "Sampler",
        "Strategy",
        "TableFile",
        "Terminator",
        "Trainer",
        "Workload",
    ),
    "display.progress": ("Progress",),
    "quality": ("Quality",),
    "recipes": ("Recipe",),
    "records": ("Epoch", "Measurement", "Prediction", "Training"),
    "answers.result": ("Result",),
    "report": ("write_report",),
    "api.simulation": ("simulate",),
    "shape": ("Shape",),
    "search.space": ("DesignSpace", "Range"),
    "work": ("Outcome", "Task"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604 - the names are in _HOMES


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
