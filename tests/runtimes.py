"""Runs artifacts as a target does: by the text of a runtime module, which may need nothing but itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from shape_dnn import Deployment
from shape_dnn.deploying.artifacts import FILES, Artifact

Array = np.ndarray[Any, Any]


def module(deployment: Deployment) -> dict[str, Any]:
    """Execute the text of a runtime module, and return what it defines."""
    names: dict[str, Any] = {"__name__": "runtime"}
    exec(compile(deployment.runtime, "runtime", "exec"), names)  # noqa: S102 - as the runner does
    return names


def example(artifact: Artifact) -> list[Array]:
    """Read the inputs beside an artifact."""
    with np.load(artifact.example) as arrays:
        assert list(arrays) == [str(place) for place in range(len(arrays))]
        return [arrays[name] for name in arrays]


def run(deployment: Deployment, artifact: Artifact, arrays: Sequence[Array] | None = None) -> list[Array]:
    """Run an artifact on inputs, by default those beside it."""
    model = module(deployment)["load"](str(artifact.directory / FILES), deployment.settings)
    outputs: list[Array] = model.run(example(artifact) if arrays is None else arrays)
    return outputs


def imported(source: str) -> set[str]:
    """Return the packages that a module imports, anywhere in it, beyond the standard library; Python 3.9 can read it."""
    tree = ast.parse(source, feature_version=(3, 9))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a runtime stands alone"
            names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names
