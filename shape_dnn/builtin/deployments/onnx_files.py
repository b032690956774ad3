"""Programs of ONNX in files, with numbers in the precision that ships."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers import float16

from shape_dnn.builtin.deployments.flat import quietly

MOST_IN_ONE_FILE = 1_900_000_000
"""Bytes up to which weights lie in the file of the program; the format ends at 2 GiB."""

Feed = Mapping[str, Any]
"""Arrays by the names of the inputs."""


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a program into one file, or with its weights beside it if it is too large for one."""
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)
    if model.ByteSize() > MOST_IN_ONE_FILE:
        onnx.save_model(model, path, save_as_external_data=True, location=data.name)
    else:
        onnx.save_model(model, path)


def save_float16(model: onnx.ModelProto, path: Path) -> None:
    """Write a program with its weights in half precision; what goes in and comes out stays as it is."""
    with quietly():
        save(float16.convert_float_to_float16(model, keep_io_types=True), path)


def save_int8(model: onnx.ModelProto, path: Path, batches: Iterable[Feed], symmetric: bool) -> None:
    """Write a program whose weights and activations are quantised to 8 bits, as pairs of nodes (QDQ).

    Both are signed: ARM computes with these as they are, and on x86 ONNX Runtime turns activations into unsigned ones
    when it loads the program. Weights have a scale for each channel, and all 8 bits: seven (``reduce_range``) would
    only help x86 without VNNI, where the runtime is told to compute exactly instead.

    Args:
        model: the program.
        path: of the file.
        batches: by which the ranges of activations are found.
        symmetric: whether the range of activations is the same above and below zero.
    """
    with quietly():
        quantize_static(
            model,
            path,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_providers=["CPUExecutionProvider"],
            use_external_data_format=model.ByteSize() > MOST_IN_ONE_FILE,
            extra_options={"ActivationSymmetric": symmetric},
        )


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands over one batch after the other."""

    def __init__(self, batches: Iterable[Feed]) -> None:
        self._batches: Iterator[Feed] = iter(batches)

    def get_next(self) -> Feed | None:
        return next(self._batches, None)
