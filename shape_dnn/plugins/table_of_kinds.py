"""The kinds of plugin: hook, base class and flag of each, and the packages kept beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shape_dnn import kinds


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: what its objects are, and the flag that names one."""

    name: str
    hook: str
    base: type
    flag: str


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("trainer", "shape_dnn_trainers", kinds.Trainer, "trainer"),
        Kind("architecture", "shape_dnn_architectures", kinds.Architecture, "arch"),
        Kind("dataset", "shape_dnn_datasets", kinds.Dataset, "dataset"),
        Kind("deployment", "shape_dnn_deployments", kinds.Deployment, "deploy"),
        Kind("meter", "shape_dnn_meters", kinds.Meter, "meter"),
        Kind("sampler", "shape_dnn_samplers", kinds.Sampler, "sampler"),
        Kind("strategy", "shape_dnn_strategies", kinds.Strategy, "strategy"),
        Kind("accuracy_model", "shape_dnn_accuracy_models", kinds.AccuracyModel, "model"),
        Kind("goal", "shape_dnn_goals", kinds.Goal, "goal"),
        Kind("executor", "shape_dnn_executors", kinds.Executor, "executor"),
        Kind("terminator", "shape_dnn_terminators", kinds.Terminator, "terminator"),
        Kind("observer", "shape_dnn_observers", kinds.Observer, "observer"),
        Kind("table", "shape_dnn_tables", kinds.TableFile, "replay"),
    )
}

IN_REPOSITORY: Mapping[tuple[str, str], str] = {
    ("architecture", "convnext"): "plugins/shape-dnn-timm",
    ("architecture", "densenet"): "plugins/shape-dnn-densenet",
    ("architecture", "nasnet"): "plugins/shape-dnn-nasnet",
    ("architecture", "resnet"): "plugins/shape-dnn-timm",
    ("deployment", "openvino"): "plugins/shape-dnn-openvino",
    ("deployment", "executorch"): "plugins/shape-dnn-executorch",
    ("deployment", "litert"): "plugins/shape-dnn-litert",
    ("sampler", "sobol"): "plugins/shape-dnn-sobol",
    ("meter", "zeus"): "plugins/shape-dnn-zeus",
    ("executor", "ray"): "plugins/shape-dnn-ray",
    ("executor", "slurm"): "plugins/shape-dnn-slurm",
    ("observer", "mlflow"): "plugins/shape-dnn-mlflow",
    ("table", "wrn-cifar10-jpeg"): "plugins/shape-dnn-tables",
    ("table", "wrn-digits"): "plugins/shape-dnn-tables",
    ("table", "wrn-digits-paper-recipe"): "plugins/shape-dnn-tables",
    ("table", "wrn-digits-thin"): "plugins/shape-dnn-tables",
    ("table", "wrn-fashion-mnist"): "plugins/shape-dnn-tables",
    ("table", "wrn-mnist"): "plugins/shape-dnn-tables",
}
"""Packages kept beside this one but installed on their own: (kind, name) to folder."""


def words(kind: str) -> str:
    """Write the name of a kind as people do."""
    return kind.replace("_", " ")
