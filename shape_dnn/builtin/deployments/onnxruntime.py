"""Networks as ONNX Runtime runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.deploying import agreement
from shape_dnn.errors import DeploymentError, UnavailableError, UsageError, describe
from shape_dnn.kinds import Deployment
from shape_dnn.measuring import inputs
from shape_dnn.system import environment

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch

environment.forbid_telemetry()

MODEL = "model.onnx"
PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("float32", "float16", "int8"),
    "cuda": ("float32", "float16"),
    "tensorrt": ("float32", "float16", "int8"),
    "coreml": ("float32", "float16"),
    "dml": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16", "int8"),
    "qnn": ("float16", "int8"),
    "rocm": ("float32", "float16"),
    "xnnpack": ("float32", "int8"),
}
"""What each provider computes in. CUDA, for one, runs a program in int8 by turning all of it into float32 again."""


class OnnxRuntime(Deployment):
    """A program of ONNX, which ONNX Runtime runs.

    Args:
        precision: numeric format of the weights. With int8 also of activations; what goes in and comes out is float32.
        threads: of an operator on a processor; operators run one after the other.
        provider: what runs the operators, all of them.
        optimization: of the graph when it is loaded.
        arena: whether memory on the processor is kept for the next call.
        calibration: images of the training split by which int8 finds the ranges of activations.
        max_drop: of the quality, in percent of its range.

    Raises:
        UsageError: the provider does not have the precision.
    """

    def __init__(
        self,
        precision: str = "float32",
        threads: int = 1,
        provider: str = "cpu",
        optimization: str = "all",
        arena: bool = True,
        calibration: int = 128,
        max_drop: float = 1.0,
    ) -> None:
        if precision not in PRECISIONS[provider]:
            accepted = ", ".join(PRECISIONS[provider])
            message = (
                f"deploy.precision={precision} is not what the provider {provider} computes in; accepted: {accepted}"
            )
            raise UsageError(message, setting="option")
        self.precision, self.threads, self.max_drop = precision, threads, max_drop
        self.calibration = calibration if precision == "int8" else 0
        self._provider, self._optimization, self._arena = provider, optimization, arena

    @property
    def runtime(self) -> str:
        """The module beside this one."""
        return Path(__file__).with_name("onnxruntime_runtime.py").read_text(encoding="utf-8")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Whatever can be chosen when a session is made."""
        return {
            "threads": self.threads,
            "provider": self._provider,
            "optimization": self._optimization,
            "arena": self._arena,
        }

    def identity(self) -> Mapping[str, object]:
        """Name the versions of what exports, quantises and checks."""
        try:
            import onnx
            import onnxruntime
            import onnxscript
            import torch
        except ImportError as error:
            raise UnavailableError(f"{describe(error)}; pip install torch onnx onnxscript onnxruntime") from error
        modules = (torch, onnx, onnxscript, onnxruntime)
        return {module.__name__: str(module.__version__) for module in modules}

    def convert(self, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        """Write ``model.onnx``.

        Raises:
            DeploymentError: ONNX or ONNX Runtime cannot have the network, or computes something else.
        """
        import torch

        from shape_dnn.builtin.deployments import onnx_files, onnx_program

        model = onnx_program.program(network, example)
        path = directory / MODEL
        onnx_files.save(model, path)
        with torch.inference_mode():
            expected = inputs.tensors(inputs.call(network, example))
        names = [output.name for output in model.graph.output]
        agreement.check("ONNX Runtime", names, expected, _run(model, path, example))
        if self.precision == "float16":
            onnx_files.save_float16(model, path)
        elif self.precision == "int8":
            names = [value.name for value in model.graph.input]
            batches = [dict(zip(names, _arrays(batch), strict=True)) for batch in calibration]
            symmetric = self._provider == "tensorrt"  # which knows no other ranges
            onnx_files.save_int8(model, path, batches, symmetric)
        if self.precision != "float32":
            _run(model, path, example)


def _arrays(example: Any) -> list[np.ndarray[Any, Any]]:
    return [tensor.numpy() for tensor in inputs.tensors(example)]


def _run(model: onnx.ModelProto, path: Path, example: Any) -> list[np.ndarray[Any, Any]]:
    """Run a program in a file.

    Raises:
        DeploymentError: ONNX Runtime cannot; names operator and layer.
    """
    import onnxruntime

    given = dict(zip((value.name for value in model.graph.input), _arrays(example), strict=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        computed: list[np.ndarray[Any, Any]] = session.run(None, given)
    except Exception as error:  # its classes have no base of their own
        where = _at(model, str(error))
        raise DeploymentError(f"ONNX Runtime cannot run the network{where}: {_reason(error)}") from error
    return computed


def _at(model: onnx.ModelProto, message: str) -> str:
    """Say which operator of which layer an error of ONNX Runtime is about."""
    from shape_dnn.builtin.deployments.flat import layer

    named = sorted((node for node in model.graph.node if node.name and node.name in message), key=lambda n: len(n.name))
    called = [node for node in model.graph.node if re.search(rf"\b{node.op_type}\(", message)]
    node = next(iter((*named[::-1], *called)), None)
    if node is None:
        return ""
    operator = f"{node.domain}.{node.op_type}".lstrip(".")
    where = layer(node.name.rpartition("/")[0])
    return f", operator {operator}" + (f" of the layer {where!r}" if where else "")


def _reason(error: Exception) -> str:
    """Return what ONNX Runtime says, without its codes."""
    return " ".join(re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error)).split())[:200]
