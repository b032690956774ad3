"""Programs of OpenVINO: read from ONNX, compared with their networks, quantised and written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from shape_dnn.builtin.deployments import onnx_files
from shape_dnn.builtin.deployments.flat import layer, quietly
from shape_dnn.deploying import agreement
from shape_dnn.errors import DeploymentError
from shape_dnn.measuring import inputs
from shape_dnn_openvino.openvino_runtime import silently

with silently(), quietly():
    import nncf
    import openvino as ov
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet


def read(model: onnx.ModelProto, scratch: Path) -> ov.Model:
    """Turn a program of ONNX into one of OpenVINO.

    Args:
        model: the program.
        scratch: directory for files that the new program may need.

    Raises:
        DeploymentError: OpenVINO cannot express it; names operator and layer.
    """
    path = scratch / "model.onnx"
    onnx_files.save(model, path)
    try:
        with quietly():
            return ov.convert_model(path)
    except Exception as error:  # its classes have no base of their own
        raise _refused(model, error) from error


def compare(program: ov.Model, model: onnx.ModelProto, network: torch.nn.Module, example: Any) -> None:
    """See that OpenVINO computes what the network does.

    Args:
        program: in float32.
        model: it was made of.
        network: that was made of.
        example: what it takes.

    Raises:
        DeploymentError: it does not, or cannot run the program.
    """
    with torch.inference_mode():
        expected = inputs.tensors(inputs.call(network, example))
    try:
        compiled = ov.Core().compile_model(program, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        computed = compiled(_arrays(example))
    except Exception as error:
        raise _refused(model, error) from error
    agreement.check("OpenVINO", [output.any_name for output in compiled.outputs], expected, list(computed.values()))


def quantised(program: ov.Model, calibration: Sequence[Any], device: str) -> ov.Model:
    """Return a program whose weights and activations are quantised to 8 bits.

    Weights have a scale for each channel, activations one for each tensor, with a zero of its own and from the least to
    the largest value that occurs: the mean of that of each example, which is usual, cuts off what few examples have,
    and cost small networks up to 6 points of accuracy. Nothing of it is drawn at random.

    Args:
        program: in float32.
        calibration: inputs by which the ranges of activations are found; each example of a batch counts on its own.
        device: on which it is to be quick.

    Raises:
        DeploymentError: there is nothing to be quantised.
    """
    names = [value.any_name for value in program.inputs]
    batches = [dict(zip(names, _arrays(batch), strict=True)) for batch in calibration]
    with quietly():
        made = nncf.quantize(
            program,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice(device),
            subset_size=len(batches),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                batchwise_statistics=True, activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
            ),
        )
    if not any(operator.get_type_name() == "FakeQuantize" for operator in made.get_ops()):
        raise DeploymentError("nothing in the network can be quantised: it has no convolutions and no linear layers")
    return made


def save(program: ov.Model, path: Path, halved: bool) -> None:
    """Write a program, the same one always to the same bytes.

    Args:
        program: which.
        path: of the file with its operators; its weights go into one beside that.
        halved: whether weights are stored in half precision.
    """
    # OpenVINO numbers what it adds itself through all programs of a process.
    for place, operator in enumerate(program.get_ordered_ops()):
        kind = operator.get_type_name()
        if kind not in ("Parameter", "Result") and re.fullmatch(r"[A-Za-z]+_\d+", operator.get_friendly_name()):
            operator.set_friendly_name(f"{kind}_{place}")
    ov.save_model(program, path, compress_to_fp16=halved)


def _arrays(example: Any) -> list[np.ndarray[Any, Any]]:
    return [tensor.numpy() for tensor in inputs.tensors(example)]


def _refused(model: onnx.ModelProto, error: Exception) -> DeploymentError:
    """Say which operator of which layer OpenVINO cannot have."""
    message = str(error)
    unknown = re.findall(r"No conversion rule found for operations: (?:[\w.]+\.)?(\w+)-\d+", message)
    named = [node for node in model.graph.node if node.name and re.search(rf"{re.escape(node.name)}(?![\w/])", message)]
    node = next((node for node in model.graph.node if node.op_type in unknown), None) or next(iter(named), None)
    at = ""
    if node is not None:
        where = layer(node.name.rpartition("/")[0])
        at = f", operator {node.op_type}" + (f" of the layer {where!r}" if where else "")
    reason = " ".join(line for line in message.split("\n") if line and "Check '" not in line and ".cpp" not in line)
    return DeploymentError(f"OpenVINO cannot run the network{at}: {' '.join(reason.split())[-200:]}")
