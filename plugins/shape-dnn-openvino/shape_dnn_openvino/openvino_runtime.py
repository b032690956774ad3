"""Runs artifacts by OpenVINO. Works with Python 3.9, openvino and numpy alone."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REQUIRES = {"openvino": "2024.0"}
FORMATS = {"float32": ("f32",), "float16": ("f16", "f32"), "int8": ("f32", "f16")}
"""What operators that are not quantised compute in, for each precision: the first that the device has."""
CAPABILITIES = {"f32": "FP32", "f16": "FP16"}
"""By which a device says that it has a format. Some processors say so of f16, and then compute in bfloat16."""


@contextmanager
def silently() -> Iterator[None]:
    """Import without the package by which OpenVINO tells its makers over the network how it is used."""
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # so that it counts as not installed
    try:
        yield
    finally:
        del sys.modules[name]


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def keeping_signal_stack() -> Iterator[None]:
    """Have this thread handle signals after the block on the same stack as before.

    Each core of OpenVINO sets one, and when it goes sets that which it found, be it that of a core that has gone
    before: the next signal, such as Ctrl-C, then ends the process. A core that finds another than its own sets none.
    """
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _Stack()
    library.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        library.sigaltstack(ctypes.byref(before), None)


def versions() -> dict[str, str]:
    """Return the versions of what runs artifacts here."""
    with silently():
        import numpy as np
        import openvino

    return {"openvino": openvino.__version__.partition("-")[0], "numpy": np.__version__}


def load(directory: str, settings: Mapping[str, Any]) -> Model:
    """Load an artifact.

    Raises:
        ValueError: a setting cannot be had here; says what can.
    """
    with keeping_signal_stack():
        return Model(Path(directory) / "model.xml", settings)


class Model:
    """An artifact that is loaded.

    Attributes:
        computes: what operators that are not quantised compute in, as OpenVINO names it: ``f32`` or ``f16``.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        with silently():
            import openvino

        core, device, precision = openvino.Core(), settings["device"], settings["precision"]
        wanted = {"NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}
        formats = _formats(core, device, precision)
        if device == "CPU":
            # On which processors it runs is up to whoever starts this process.
            wanted.update(INFERENCE_NUM_THREADS=str(settings["threads"]), ENABLE_CPU_PINNING="NO")
        for name in formats:
            compiled = core.compile_model(str(path), device, {**wanted, "INFERENCE_PRECISION_HINT": name})
            self.computes = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
            if self.computes == name:
                break
        else:
            raise ValueError(
                f"precision={precision}: {device} would compute in {self.computes}; {_accepted(core, device)}"
            )
        if device == "CPU":
            _check_threads(compiled, settings["threads"])
            # Small products of matrices are fused into one operator, which does not say what it computes in.
            plain = {**wanted, "INFERENCE_PRECISION_HINT": name, "SNIPPETS_MODE": "DISABLE"}
            if precision == "int8" and not (
                _has_8_bits(compiled) or _has_8_bits(core.compile_model(str(path), device, plain))
            ):
                raise ValueError(
                    "precision=int8: CPU would compute in float32 all the same; accepted is float32, float16"
                )
        self._request = compiled.create_infer_request()
        self._inputs, self._outputs = len(compiled.inputs), compiled.outputs

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs, given the inputs in the order in which the network takes them."""
        if len(arrays) != self._inputs:
            raise ValueError(f"{len(arrays)} inputs were given; accepted are {self._inputs}")
        made = self._request.infer(list(arrays), share_inputs=True)
        return [made[output] for output in self._outputs]


def _formats(core: Any, device: str, precision: str) -> list[str]:
    """Return what whatever is not quantised may compute in, the best first.

    Raises:
        ValueError: there is no such device, or it does not have the precision.
    """
    there = sorted({name.partition(".")[0] for name in core.available_devices})  # several are GPU.0 and GPU.1
    if device not in there:
        raise ValueError(f"device={device} is not there; accepted is {', '.join(there)}")
    found = _had(core, device, precision)
    if not found:
        raise ValueError(f"precision={precision} is not what {device} computes in; {_accepted(core, device)}")
    return found


def _had(core: Any, device: str, precision: str) -> list[str]:
    has = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    if precision == "int8" and "INT8" not in has:
        return []
    return [name for name in FORMATS[precision] if CAPABILITIES[name] in has]


def _accepted(core: Any, device: str) -> str:
    return "accepted is " + ", ".join(name for name in FORMATS if _had(core, device, name))


def _check_threads(compiled: Any, wanted: int) -> None:
    found = compiled.get_property("INFERENCE_NUM_THREADS")
    if found != wanted:
        raise ValueError(f"threads={wanted} cannot be had here; accepted are from 1 to {found}")


def _has_8_bits(compiled: Any) -> bool:
    """Tell whether a processor computes in 8 bits, which it does not where it has no instructions for that."""
    for operator in compiled.get_runtime_model().get_ops():
        about = operator.get_rt_info()
        kind, numbers = (str(about[name].value).lower() for name in ("layerType", "runtimePrecision"))
        if kind not in ("const", "reorder") and numbers in ("i8", "u8"):
            return True
    return False
