"""Networks as programs of ExecuTorch, in which XNNPACK computes whatever it has operators for."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from shape_dnn.builtin.deployments.flat import Flat, export, layer_with, quietly
from shape_dnn.deploying import agreement
from shape_dnn.errors import DeploymentError, describe
from shape_dnn.measuring import inputs
from shape_dnn_executorch import executorch_runtime

with quietly(), executorch_runtime.overhearing():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from executorch.exir import ExecutorchProgramManager, to_edge_transform_and_lower
    from executorch.runtime import Runtime
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e


def write(network: torch.nn.Module, example: Any, calibration: Sequence[Any], path: Path) -> None:
    """Write a network, in float32 or quantised, and see that ExecuTorch can run it.

    In float32 it is also seen that it computes what the network does.

    Args:
        network: for inference, on the processor.
        example: what it takes; all sizes are fixed to those of it.
        calibration: inputs by which the ranges of activations are found; none for float32.
        path: of the file.

    Raises:
        DeploymentError: the network cannot be converted, or ExecuTorch cannot run it or computes something else.
    """
    flat, given = _Convertible(network, example).eval(), inputs.tensors(example)
    with torch.inference_mode():
        expected = flat(*given)
    with quietly(), executorch_runtime.overhearing() as complaint:
        program = export(flat, given)
        if calibration:
            program = _quantised(program, given, expected, calibration)
        path.write_bytes(_lowered(program).buffer)
        try:
            computed = executorch_runtime.Model(path, {"threads": 1}).run([tensor.numpy() for tensor in given])
        except RuntimeError as error:
            reason = complaint() or describe(error)
            raise DeploymentError(f"ExecuTorch cannot run the network: {reason[:300]}") from error
    if not calibration:
        agreement.check("ExecuTorch", _names(expected), expected, computed)


class _Convertible(Flat):
    """A network as ExecuTorch can have it."""

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        with _Cropping():
            return super().forward(*given)


class _Cropping(TorchFunctionMode):
    """Turns paddings by negative numbers, as NASNet has, into slices: ExecuTorch 1.5 has no kernel for them."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return _crop_and_pad(*args, **kwargs) if func is F.pad else func(*args, **kwargs)


def _crop_and_pad(values: Tensor, pad: Sequence[int], *mode: Any, **more: Any) -> Tensor:
    for place, size in enumerate(pad):  # before and after along the last dimension, then along the one before it
        if size < 0:
            dimension, begin = -1 - place // 2, 0 if place % 2 else -size
            values = values.narrow(dimension, begin, values.shape[dimension] + size)
    return F.pad(values, [max(0, size) for size in pad], *mode, **more)


def _names(outputs: Sequence[Tensor]) -> list[str]:
    return [f"output {place}" for place in range(len(outputs))]


def _quantised(
    program: ExportedProgram, given: Sequence[Tensor], expected: Sequence[Tensor], calibration: Sequence[Any]
) -> ExportedProgram:
    """Return a program whose weights, by channels, and activations are quantised to 8 bits.

    Args:
        program: in float32.
        given: inputs of it.
        expected: what the network makes of them.
        calibration: inputs by which the ranges of activations are found.

    Raises:
        DeploymentError: nothing of it can be, or torchao has made something else of it.
    """
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    module = program.module()
    _set_shared_apart(module.graph)
    observed = prepare_pt2e(module, quantizer)
    with torch.no_grad():
        # Nothing is quantised yet, but torchao has joined normalisations to convolutions. A copy is run, so that ranges
        # are found by the calibration alone.
        computed = [output.numpy() for output in copy.deepcopy(observed)(*given)]
        agreement.check("torchao", _names(expected), expected, computed)
        for batch in calibration:
            observed(*inputs.tensors(batch))
    quantised = convert_pt2e(observed)
    if not any("quantized_decomposed" in str(node.target) for node in quantised.graph.nodes):
        raise DeploymentError("nothing in the network can be quantised: XNNPACK has nothing of it in 8 bits")
    return torch.export.export(quantised, tuple(given), strict=False)


def _set_shared_apart(graph: torch.fx.Graph) -> None:
    """Have normalisations take what others take, too, under another name.

    torchao 0.18 joins a normalisation to the convolution before it, and gives the result to whatever takes the output
    of that convolution, such as the shortcut around the first block of a Wide ResNet. Not needed once that computes the
    right thing: ``agreement`` tells.
    """
    for node in list(graph.nodes):
        if node.target == torch.ops.aten.batch_norm.default and len(node.args[0].users) > 1:
            with graph.inserting_before(node):
                alias = graph.call_function(torch.ops.aten.alias.default, (node.args[0],))
            alias.meta = dict(node.args[0].meta)
            node.replace_input_with(node.args[0], alias)


def _lowered(program: ExportedProgram) -> ExecutorchProgramManager:
    """Turn a program of torch.export into one of ExecuTorch.

    Raises:
        DeploymentError: it has an operator that ExecuTorch does not know, or cannot run; names operator and layer.
    """
    _leave_out_aliases(program)
    try:
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    except Exception as error:  # its classes have no base of their own
        unknown = re.search(r"Operator torch\._ops\.([\w.]+)\.\w+ is not in Core ATen", str(error))
        reason = " ".join(describe(error).split())[:300]
        message = _lacks(program, unknown[1]) if unknown else f"ExecuTorch cannot have the network: {reason}"
        raise DeploymentError(message) from error
    known = Runtime.get().operator_registry.operator_names
    for operator in lowered.executorch_program.execution_plan[0].operators:
        if f"{operator.name}.{operator.overload}".removesuffix(".") not in known:
            raise DeploymentError(_lacks(program, operator.name.replace("::", ".").removesuffix("_copy")))
    return lowered


def _leave_out_aliases(program: ExportedProgram) -> None:
    """Have operators take what others made without another name for it.

    Such as a slice of all there is, which torch.export writes as an alias. XNNPACK has no operator for that: the
    program would leave it, copy, and enter it again.
    """
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target == torch.ops.aten.alias.default and not any(user.op == "output" for user in node.users):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    program.graph_module.recompile()


def _lacks(program: ExportedProgram, operator: str) -> str:
    """Say that there is no such operator, and of which layer it is."""
    return f"ExecuTorch has no operator for {operator}{layer_with(program, operator)}"
