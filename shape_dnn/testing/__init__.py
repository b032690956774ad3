"""For authors of plugins: for each kind, a class of tests that says what a plugin must keep to. Needs pytest."""

# ruff: noqa: E402 - the modules are rewritten when they are imported
import pkgutil

import pytest

# A check that fails then shows what it compared, as tests themselves do.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
from shape_dnn.testing.accuracy_models import AccuracyModelContract
from shape_dnn.testing.architectures import ArchitectureContract
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.datasets import DatasetContract
from shape_dnn.testing.deployments import DeploymentContract
from shape_dnn.testing.executors import ExecutorContract
from shape_dnn.testing.goals import GoalContract
from shape_dnn.testing.meters import MeterContract
from shape_dnn.testing.observers import ObserverContract
from shape_dnn.testing.samplers import SamplerContract
from shape_dnn.testing.strategies import StrategyContract
from shape_dnn.testing.tables import TableContract
from shape_dnn.testing.terminators import TerminatorContract
from shape_dnn.testing.trainers import TrainerContract

__all__ = [
    "AccuracyModelContract",
    "ArchitectureContract",
    "Contract",
    "DatasetContract",
    "DeploymentContract",
    "ExecutorContract",
    "GoalContract",
    "MeterContract",
    "ObserverContract",
    "SamplerContract",
    "StrategyContract",
    "TableContract",
    "TerminatorContract",
    "TrainerContract",
]
