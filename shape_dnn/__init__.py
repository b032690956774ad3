"""shape_dnn chooses the depth and width of a neural network under limits on size, latency, energy and accuracy.

The public names are imported when they are first used, so that ``import shape_dnn`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from shape_dnn.api import ask, measure, tune
    from shape_dnn.constraints import Constraint
    from shape_dnn.errors import (
        DatasetError,
        MeterError,
        NothingCompliesError,
        PluginError,
        ShapeDnnError,
        TrainingError,
        UnavailableError,
        UsageError,
    )
    from shape_dnn.hookspecs import hookimpl
    from shape_dnn.kinds import (
        AccuracyModel,
        Architecture,
        Dataset,
        Executor,
        Formula,
        Goal,
        Instrument,
        LabelledImages,
        Meter,
        Observer,
        Option,
        Plugin,
        Sampler,
        Strategy,
        Terminator,
        Workload,
    )
    from shape_dnn.recipes import Recipe
    from shape_dnn.records import Epoch, Measurement, Prediction, Training
    from shape_dnn.result import Result
    from shape_dnn.simulation import simulate
    from shape_dnn.space import DesignSpace, Range, Shape
    from shape_dnn.work import Outcome, Task

_HOMES = {
    "api": ("ask", "measure", "tune"),
    "constraints": ("Constraint",),
    "errors": (
        "DatasetError",
        "MeterError",
        "NothingCompliesError",
        "PluginError",
        "ShapeDnnError",
        "TrainingError",
        "UnavailableError",
        "UsageError",
    ),
    "hookspecs": ("hookimpl",),
    "kinds": (
        "AccuracyModel",
        "Architecture",
        "Dataset",
        "Executor",
        "Formula",
        "Goal",
        "Instrument",
        "LabelledImages",
        "Meter",
        "Observer",
        "Option",
        "Plugin",
        "Sampler",
        "Strategy",
        "Terminator",
        "Workload",
    ),
    "recipes": ("Recipe",),
    "records": ("Epoch", "Measurement", "Prediction", "Training"),
    "result": ("Result",),
    "simulation": ("simulate",),
    "space": ("DesignSpace", "Range", "Shape"),
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
