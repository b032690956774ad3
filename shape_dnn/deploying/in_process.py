"""Artifacts run by this process, where no clock is at stake that a runner of its own would keep quieter."""

from __future__ import annotations

import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from shape_dnn.errors import DeploymentError, UnavailableError, describe, label
from shape_dnn.kinds import Deployment

if TYPE_CHECKING:
    import numpy as np


class Runs(Protocol):
    """What runs an artifact."""

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return what the network makes of inputs like its example."""


def runtime(deployment: Deployment) -> Any:
    """Return the module that runs the artifacts of a deployment.

    Raises:
        UnavailableError: what it needs is not installed.
    """
    module = types.ModuleType("shape_dnn_runtime")
    try:
        exec(compile(deployment.runtime, f"<runtime of {label(deployment)}>", "exec"), vars(module))  # noqa: S102
        module.versions()
    except ImportError as error:
        packages = " ".join(getattr(module, "REQUIRES", {}))
        raise UnavailableError(f"{label(deployment)}: {error}; pip install {packages}".rstrip()) from error
    return module


def load(deployment: Deployment, files: Path) -> Runs:
    """Load an artifact by the runtime module of its deployment.

    Args:
        deployment: that made it.
        files: directory of what ships.

    Raises:
        UnavailableError: the runtime is not installed.
        DeploymentError: it cannot load the artifact; says why.
    """
    module = runtime(deployment)
    try:
        return cast("Runs", module.load(str(files), dict(deployment.settings)))
    except Exception as error:
        raise DeploymentError(f"{label(deployment)} cannot load {str(files)!r}: {describe(error)}") from error
