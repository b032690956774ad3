"""Networks as OpenVINO runs them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import UnavailableError, describe
from shape_dnn.kinds import Deployment
from shape_dnn_openvino import openvino_runtime

if TYPE_CHECKING:
    import torch


class OpenVino(Deployment):
    """A program of OpenVINO (``model.xml``, with its weights in ``model.bin``), made by way of ONNX.

    Args:
        precision: numeric format of the weights. With int8 also of activations; what goes in and comes out is float32.
            With float16 the device computes in half precision if it can, and in float32 if it cannot.
        threads: of an operator on a processor; operators run one after the other.
        device: what runs the operators, all of them.
        calibration: examples of the training split by which int8 finds the ranges of activations.
        max_drop: of the quality, in percent of its range.
    """

    def __init__(
        self,
        precision: str = "float32",
        threads: int = 1,
        device: str = "CPU",
        calibration: int = 128,
        max_drop: float = 1.0,
    ) -> None:
        self.precision, self.threads, self.max_drop = precision, threads, max_drop
        self.calibration = calibration if precision == "int8" else 0
        self._device = device

    @property
    def runtime(self) -> str:
        """The module beside this one."""
        return Path(openvino_runtime.__file__).read_text(encoding="utf-8")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Whatever is chosen when an artifact is loaded, and the precision, which is checked then."""
        return {"threads": self.threads, "device": self._device, "precision": self.precision}

    def identity(self) -> Mapping[str, object]:
        """Name the versions of what exports, converts and quantises, and how ranges are found."""
        from importlib import metadata

        ranges = {"ranges": "least and largest"} if self.precision == "int8" else {}
        try:
            names = ("torch", "onnx", "onnxscript", "openvino", "nncf")
            return {**ranges, **{name: metadata.version(name) for name in names}}
        except metadata.PackageNotFoundError as error:
            raise UnavailableError(f"{describe(error)}; pip install openvino nncf") from error

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write ``model.xml`` and ``model.bin``.

        Raises:
            DeploymentError: ONNX or OpenVINO cannot have the network, or computes something else.
        """
        from shape_dnn.builtin.deployments import onnx_program
        from shape_dnn_openvino import programs

        onnx = onnx_program.program(network, example)
        # Weights may stay in a file of the scratch directory until they are written.
        with openvino_runtime.keeping_signal_stack(), tempfile.TemporaryDirectory() as scratch:
            program = programs.read(onnx, Path(scratch))
            programs.compare(program, onnx, network, example)
            if self.precision == "int8":
                program = programs.quantised(program, calibration, self._device)
            programs.save(program, directory / "model.xml", halved=self.precision == "float16")
