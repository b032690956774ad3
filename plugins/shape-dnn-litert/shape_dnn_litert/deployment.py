"""Networks as LiteRT runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import UnavailableError, describe
from shape_dnn.kinds import Deployment

if TYPE_CHECKING:
    import torch

MODEL = "model.tflite"
CONVERTERS = ("torch", "litert-torch", "litert-converter", "ai-edge-quantizer", "ai-edge-litert")
"""Packages that the content of an artifact depends on."""


class LiteRT(Deployment):
    """A program of LiteRT, for processors.

    Args:
        precision: numeric format of the weights. With int8 also of activations; what goes in and comes out is float32.
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
        return Path(__file__).with_name("litert_runtime.py").read_text(encoding="utf-8")

    def identity(self) -> Mapping[str, object]:
        """Name the versions of what converts, quantises and checks."""
        try:
            return {name: metadata.version(name) for name in CONVERTERS}
        except metadata.PackageNotFoundError as error:
            raise UnavailableError(f"{describe(error)}; pip install shape-dnn-litert") from error

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write ``model.tflite``.

        Raises:
            DeploymentError: litert-torch or LiteRT cannot have the network, or computes something else.
            UnavailableError: litert-torch is not installed.
        """
        try:
            from shape_dnn_litert import conversion, quantization
        except ImportError as error:
            raise UnavailableError(f"{describe(error)}; pip install shape-dnn-litert") from error

        path = directory / MODEL
        conversion.write(network, example, path)
        if self.precision == "float16":
            quantization.to_float16(path)
        elif self.precision == "int8":
            quantization.to_int8(path, calibration)
