"""Programs of ONNX in files, with numbers in the precision that ships."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.helper import make_node
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers import float16

from shape_dnn.builtin.deployments.flat import quietly

MOST_IN_ONE_FILE = 1_900_000_000
"""Bytes up to which weights lie in the file of the program; the format ends at 2 GiB."""

WARNINGS, ERRORS = 2, 3
"""From where on ONNX Runtime writes to standard error, beyond the reach of Python; the first is how it starts."""

LARGEST_SCALE = 1e30
"""Of a step of 8 bits, beyond which a value stands for what is masked out rather than for a number."""

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


def save_int8(model: onnx.ModelProto, path: Path, batches: Sequence[Feed], symmetric: bool) -> None:
    """Write a program whose weights and activations are quantised to 8 bits, as pairs of nodes (QDQ).

    Activations are unsigned: on x86 ONNX Runtime computes many operators on signed ones in float32, up to three times
    slower, and on ARM it takes both. Weights are signed, have a scale for each channel, and use all 8 bits: seven
    (``reduce_range``) would help x86 without VNNI alone, where the runtime is told to compute exactly instead.

    Args:
        model: the program.
        path: of the file.
        batches: by which the ranges of activations are found.
        symmetric: whether activations are signed instead, with the same range above and below zero.
    """
    with quietly():
        model = _scaled_by_convolutions(model)
        left = _scores(model.graph)
        _quantise(model, path, batches, symmetric, left)
        if masks := _without_range(onnx.load(path).graph):
            touching = [node.name for node in model.graph.node if masks & {*node.input, *node.output}]
            _quantise(model, path, batches, symmetric, [*left, *touching])


def _quantise(
    model: onnx.ModelProto, path: Path, batches: Sequence[Feed], symmetric: bool, left: Sequence[str]
) -> None:
    """Write a program in 8 bits, but for the nodes that are left as they are."""
    onnxruntime.set_default_logger_severity(ERRORS)
    quantize_static(
        copy.deepcopy(model),
        path,
        _Reader(batches),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=list(left),
        calibrate_method=CalibrationMethod.MinMax,
        calibration_providers=["CPUExecutionProvider"],
        use_external_data_format=model.ByteSize() > MOST_IN_ONE_FILE,
        extra_options={"ActivationSymmetric": symmetric},
    )
    onnxruntime.set_default_logger_severity(WARNINGS)


def _scores(graph: onnx.GraphProto) -> list[str]:
    """Return the nodes between products of matrices and softmax: masks there are numbers far below all others."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [node for node in graph.node if node.op_type in ("Softmax", "LogSoftmax")]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if node.name not in found and node.op_type not in ("MatMul", "Gemm", "Conv"):
            found[node.name] = None
            waiting += [makers[name] for name in node.input if name in makers]
    return list(found)


def _without_range(graph: onnx.GraphProto) -> set[str]:
    """Return the values whose range 8 bits cannot hold, such as minus infinity where a mask is."""
    scales = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer if entry.name.endswith("_scale")}
    return {name.removesuffix("_scale") for name, scale in scales.items() if not np.all(scale < LARGEST_SCALE)}


def _scaled_by_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn normalisations that are part of no convolution into convolutions, since these can be had in 8 bits."""
    model = onnx.shape_inference.infer_shapes(model)
    values = {initializer.name: initializer for initializer in model.graph.initializer}
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim) for value in (*model.graph.value_info, *model.graph.input)
    }
    for node in model.graph.node:
        spatial = ranks.get(node.input[0], 0) - 2 if node.op_type == "BatchNormalization" else 0
        if spatial < 1 or not values.keys() >= set(node.input[1:]):
            continue
        weight, bias, mean, variance = (numpy_helper.to_array(values[name]) for name in node.input[1:])
        epsilon = next((attribute.f for attribute in node.attribute if attribute.name == "epsilon"), 1e-5)
        scale = weight / np.sqrt(variance + np.float32(epsilon))
        named = {
            f"{node.output[0]}.weight": scale.reshape(-1, 1, *[1] * spatial),
            f"{node.output[0]}.bias": bias - mean * scale,
        }
        model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in named.items())
        taken, kernel = [node.input[0], *named], [1] * spatial
        convolution = make_node("Conv", taken, node.output, node.name, group=len(scale), kernel_shape=kernel)
        node.CopyFrom(convolution)
    return model


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands over one batch after the other."""

    def __init__(self, batches: Iterable[Feed]) -> None:
        self._batches: Iterator[Feed] = iter(batches)

    def get_next(self) -> Feed | None:
        return next(self._batches, None)
