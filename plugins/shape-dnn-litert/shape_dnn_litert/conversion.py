"""Networks as files of LiteRT, written by litert-torch in float32."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from shape_dnn.builtin.deployments.flat import Flat, export, layer_with, layers_of, quietly
from shape_dnn.deploying import agreement
from shape_dnn.errors import DeploymentError, describe
from shape_dnn.measuring import inputs
from shape_dnn_litert import litert_runtime


@contextmanager
def silently() -> Iterator[None]:
    """Keep from the user what converters say, also what their parts in C++ write on standard error by themselves."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with quietly():
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with silently():
    import litert_torch


def write(network: torch.nn.Module, example: Any, path: Path) -> None:
    """Write a network, and see that LiteRT computes what it does.

    Numbers keep their formats, integers of 64 bits too; all sizes are fixed to those of the example.

    Raises:
        DeploymentError: the network cannot be converted, or LiteRT cannot run it or computes something else.
    """
    flat, given = _Convertible(network, example).eval(), tuple(inputs.tensors(example))
    with silently():
        try:
            litert_torch.convert(flat, given, enable_x64=True).export(str(path))
        except Exception as error:  # its classes have no base of their own
            raise DeploymentError(_unconvertible(flat, given, error)) from error
        _compare(flat, given, path)


class _Convertible(Flat):
    """A network as litert-torch can have it."""

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        with _OneRow():
            return super().forward(*given)


class _OneRow(TorchFunctionMode):
    """Has a linear layer of a single row in four or more dimensions be a convolution of one pixel.

    litert-torch 0.10 turns such a layer into a product of matrices whose sizes contradict each other (error:
    'tfl.batch_matmul' op found invalid output rank). ConvNeXt ends with such layers: where one image has shrunk to one
    pixel, they see (1, 1, 1, channels). Not needed any more once this works:
    ``litert_torch.convert(torch.nn.Linear(8, 8).eval(), (torch.rand(1, 1, 1, 8),))``.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.linear and args[0].dim() > 3 and args[0].shape[:-1].numel() == 1:
            return _one_row(*args, **kwargs)
        return func(*args, **kwargs)


def _one_row(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    pixel = values.reshape(1, -1, 1, 1)
    return F.conv2d(pixel, weight[:, :, None, None], bias).reshape(*values.shape[:-1], -1)


def _compare(flat: Flat, given: Sequence[Tensor], path: Path) -> None:
    """See that LiteRT computes what the network does.

    Raises:
        DeploymentError: it does not, or cannot run the program.
    """
    try:
        model = litert_runtime.Model(path, {"threads": 1})
        computed = model.run([tensor.numpy() for tensor in given])
    except Exception as error:  # its classes have no base of their own
        raise DeploymentError(f"LiteRT cannot run the network: {describe(error)[:300]}") from error
    with torch.inference_mode():
        expected = flat(*given)
    agreement.check("LiteRT", [f"output {place}" for place in range(len(expected))], expected, computed)


def _unconvertible(flat: Flat, given: tuple[Tensor, ...], error: Exception) -> str:
    """Say which operator of which layer cannot be converted.

    Raises:
        DeploymentError: torch.export cannot even express the network.
    """
    export(flat, given)
    exported = torch.export.export(flat, given, strict=False)  # with the lines of code that operators come from
    if unknown := re.search(r"target=torch\.ops\.([\w.]+)\.\w+\]", str(error)):
        return f"LiteRT has no operator for {unknown[1]}{layer_with(exported, unknown[1])}"
    if refused := re.search(r"([^/\\]+\.py):(\d+):\d+: error: (.*)", str(error)):
        # The converter knows operators by the line of code that they come from, which several layers may share.
        line = f'{refused[1]}", line {refused[2]},'
        found = (node for node in exported.graph.nodes if line in node.meta.get("stack_trace", ""))
        return f"LiteRT cannot have the network: {refused[3]}{layers_of(found)}"
    return f"LiteRT cannot have the network: {describe(error)[:300]}"
