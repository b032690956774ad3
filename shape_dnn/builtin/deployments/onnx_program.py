"""Networks as programs of ONNX, of fixed sizes, that runtimes of years ago can read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.jit._trace import TracerWarning

from shape_dnn.builtin.deployments.flat import Flat, export, layer, quietly
from shape_dnn.errors import DeploymentError, describe
from shape_dnn.exporting.signature import input_names, output_names
from shape_dnn.measuring import inputs

TRACED_OPSET, EXPORTED_OPSET, FORMAT = 17, 18, 8
"""Versions of the operators and of the file: no newer than needed, so that ONNX Runtime 1.16 can read them."""


def program(network: torch.nn.Module, example: Any) -> onnx.ModelProto:
    """Write a network as a program of ONNX.

    Its inputs and outputs are called as the network calls them, its nodes after their layers.

    Args:
        network: for inference, on the processor.
        example: what it takes; all sizes are fixed to those of it.

    Raises:
        DeploymentError: ONNX cannot express the network; names operator and layer.
    """
    flat, given = Flat(network, example).eval(), inputs.tensors(example)
    with torch.inference_mode():
        returned = inputs.call(network, example)
    taken = input_names(network, example)
    made = output_names(returned, "output", set(taken))
    if not taken or not made:
        raise DeploymentError(f"no tensor goes {'out of' if taken else 'into'} the network, so no program can hold it")
    model = _traced(flat, given, taken, made) or _exported(flat, given, taken, made)
    _own_initializers(model)
    _keep_inputs(model, taken, given)
    model.ir_version = min(model.ir_version, FORMAT)
    return model


# Tracing takes a tenth of the time of torch.export (0.2 s instead of 2 to 4 s of a WRN, 2 s instead of 19 s of NASNet),
# and there is a program for every shape that is measured. But it follows one way through the code of a network, and
# knows fewer operators: what it warns of, or cannot do, is left to torch.export, which is slow and thorough.
def _traced(flat: Flat, given: Sequence[Tensor], taken: list[str], made: list[str]) -> onnx.ModelProto | None:
    """Write a network by tracing it; None where that cannot be done, or be relied on."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"  # a file, since beyond 2 GB weights lie in others beside it
        try:
            with quietly() as warned, _unlogged():
                torch.onnx.export(
                    flat,
                    tuple(given),
                    path,
                    dynamo=False,
                    opset_version=TRACED_OPSET,
                    input_names=taken,
                    output_names=made,
                )
        except torch.onnx.OnnxExporterError:
            return None
        if any(issubclass(warning.category, TracerWarning) for warning in warned):
            return None
        return onnx.load(path)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep torch from printing the graphs that it cannot write to standard output.

    It looks at the function that would tell whether it should, instead of calling it.
    """
    asked = torch._C._jit_is_onnx_log_enabled  # noqa: SLF001 - there is no public way
    torch._C._jit_is_onnx_log_enabled = None  # type: ignore[assignment]  # noqa: SLF001
    try:
        yield
    finally:
        torch._C._jit_is_onnx_log_enabled = asked  # noqa: SLF001


def _exported(flat: Flat, given: Sequence[Tensor], taken: list[str], made: list[str]) -> onnx.ModelProto:
    """Write a network by torch.export.

    Raises:
        DeploymentError: it, or ONNX, cannot express the network.
    """
    with quietly():
        exported = export(flat, given)
        try:
            written = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=EXPORTED_OPSET,
                input_names=taken,
                output_names=made,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise DeploymentError(_unknown_operator(exported, error)) from error
    assert written is not None  # noqa: S101 - with dynamo it is a program
    model = written.model_proto
    for node in model.graph.node:
        about = {entry.key: entry.value for entry in node.metadata_props}
        scopes = re.findall(r"'([^']*)'", about.get("pkg.torch.onnx.name_scopes", ""))
        node.name = f"/{'/'.join(scopes[1:-1])}/{node.name}"
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input):
        del part.metadata_props[:]  # paths and lines of this machine are nobody else's business
    return model


def _unknown_operator(exported: torch.export.ExportedProgram, error: Exception) -> str:
    found = re.search(r"OpOverload\(op='([^']+)'", f"{error} {error.__cause__}")
    if found is None:
        return f"ONNX cannot express the network: {describe(error)[:200]}"
    with quietly():
        nodes = [*exported.graph.nodes, *exported.run_decompositions().graph.nodes]
    node = next((node for node in nodes if str(node.target).rpartition(".")[0] == found[1]), None)
    stack = list(node.meta.get("nn_module_stack", {}).values()) if node is not None else []
    where = f" of the layer {layer(stack[-1][0])!r}" if stack else ""
    return f"ONNX has no operator for {found[1]}{where}"


def _own_initializers(model: onnx.ModelProto) -> None:
    """Give every layer numbers of its own, where the exporter had several share what is equal.

    Otherwise the size of a file would depend on the values: that of a network before its training is smaller. And
    quantisation looks at weights, not at what they are copied from.
    """
    graph = model.graph
    known = {initializer.name: initializer for initializer in graph.initializer}
    outputs = {output.name for output in graph.output}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in known and node.output[0] not in outputs:
            copy = graph.initializer.add()
            copy.CopyFrom(known[node.input[0]])
            copy.name = node.output[0]
            known[copy.name] = copy
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _keep_inputs(model: onnx.ModelProto, names: Sequence[str], given: Sequence[Tensor]) -> None:
    """Have a program take all inputs in order, those that make no difference too, which the exporter leaves out."""
    there = {value.name: value for value in model.graph.input}
    taken: list[onnx.ValueInfoProto] = []
    for name, tensor in zip(names, given, strict=True):
        kind = onnx.helper.np_dtype_to_tensor_dtype(tensor.numpy().dtype)
        taken.append(there.get(name) or onnx.helper.make_tensor_value_info(name, kind, tuple(tensor.shape)))
    del model.graph.input[:]
    model.graph.input.extend(taken)
