"""Networks as ExecuTorch runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import UnavailableError, describe
from shape_dnn.kinds import Deployment

if TYPE_CHECKING:
    import torch

MODEL = "model.pte"
CONVERTERS = ("torch", "torchao", "executorch")
"""Packages that the content of an artifact depends on."""


class ExecuTorch(Deployment):
    """A program of ExecuTorch, for processors: XNNPACK runs the operators that it has, ExecuTorch itself the others.

    Args:
        precision: numeric format of weights and activations; what goes in and comes out is float32.
        threads: of an operator; operators run one after the other.
        calibration: examples of the training split by which int8 finds the ranges of activations.
        max_drop: of the quality, in percent of its range.
    """

    def __init__(
        self, precision: str = "float32", threads: int = 1, calibration: int = 128, max_drop: float = 1.0
    ) -> None:
        self.precision, self.threads, self.max_drop = precision, threads, max_drop
        self.calibration = calibration if precision == "int8" else 0

    @property
    def runtime(self) -> str:
        """The module beside this one."""
        return Path(__file__).with_name("executorch_runtime.py").read_text(encoding="utf-8")

    def identity(self) -> Mapping[str, object]:
        """Name the versions of what exports, quantises and converts."""
        try:
            return {name: metadata.version(name) for name in CONVERTERS}
        except metadata.PackageNotFoundError as error:
            raise UnavailableError(f"{describe(error)}; pip install shape-dnn-executorch") from error

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write ``model.pte``.

        Raises:
            DeploymentError: ExecuTorch cannot have the network, or computes something else.
            UnavailableError: ExecuTorch is not installed, or is for another version of torch.
        """
        try:
            from shape_dnn_executorch import conversion
        except (ImportError, OSError) as error:  # its libraries are made for one version of torch
            raise UnavailableError(f"{describe(error)}; pip install shape-dnn-executorch") from error

        conversion.write(network, example, calibration, directory / MODEL)
