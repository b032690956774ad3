"""Runs artifacts by ONNX Runtime. Works with Python 3.9, onnxruntime and numpy alone."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REQUIRES = {"onnxruntime": "1.16"}
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "dml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}


def versions() -> dict[str, str]:
    """Return the versions of what runs artifacts here."""
    import numpy as np
    import onnxruntime

    return {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__}


def load(directory: str, settings: Mapping[str, Any]) -> Model:
    """Load an artifact.

    Raises:
        ValueError: a setting cannot be had here; says what can.
    """
    return Model(Path(directory) / "model.onnx", settings)


class Model:
    """An artifact that is loaded."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        import onnxruntime

        name = settings["provider"]
        provider = _provider(name, onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(settings), providers=[provider], enable_fallback=False
            )
        except Exception as error:  # its classes have no base of their own
            if "fallback to CPU EP" not in str(error):
                raise
            reason = "does not start here, or lacks an operator of the network"
            raise ValueError(f"provider={name} {reason}; accepted is cpu") from error
        if self._session.get_providers()[0] != provider:  # it only warns of a provider that does not start
            raise ValueError(
                f"provider={name} does not start here; accepted is {_short(self._session.get_providers())}"
            )
        self._inputs = [value.name for value in self._session.get_inputs()]

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs, given the inputs in the order in which the network takes them."""
        if len(arrays) != len(self._inputs):
            raise ValueError(f"{len(arrays)} inputs were given; accepted are {len(self._inputs)}")
        outputs: list[Any] = self._session.run(None, dict(zip(self._inputs, arrays)))  # noqa: B905 - not in Python 3.9
        return outputs


def _provider(name: str, available: Sequence[str]) -> str:
    provider = PROVIDERS[name]
    if provider not in available:
        raise ValueError(f"provider={name} is not there; accepted is {_short(available)}")
    return provider


def _short(providers: Sequence[str]) -> str:
    return ", ".join(name for name, provider in PROVIDERS.items() if provider in providers)


def _options(settings: Mapping[str, Any]) -> Any:
    import onnxruntime

    level = {"disabled": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = settings["threads"]
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    optimization = f"ORT_{level[settings['optimization']]}"
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, optimization)
    options.enable_cpu_mem_arena = settings["arena"]
    options.add_session_config_entry("session.x64quantprecision", "1" if _overflows() else "0")
    if settings["provider"] != "cpu":  # operators that the provider does not have would run on the processor instead
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _overflows() -> bool:
    """Tell whether this processor would add products of 8 bits in 16, where they overflow.

    Those of x86 without VNNI do, unless they are told to be exact, which makes others slow. Only Linux tells which is
    which.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    about = Path("/proc/cpuinfo")
    return not about.exists() or "vnni" not in about.read_text(encoding="utf-8")
