"""A network as exporters take it: tensors go in one by one, and come out one by one."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from shape_dnn.errors import DeploymentError, describe
from shape_dnn.measuring import inputs


class Flat(torch.nn.Module):
    """A network whose inputs are tensors in the order in which it takes them, whatever held them.

    Args:
        network: which.
        example: what it takes; values that are no tensors stay as they are there.
        dtype: in which it computes with numbers; those that go in and come out are in float32.
        layout: memory format of images that it takes.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        example: Any,
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        super().__init__()
        self.network = network
        self._leaves, self._structure = tree_flatten(inputs.plain(example))
        self._dtype, self._layout = dtype, layout

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return every tensor that comes out."""
        rest = iter(given)
        leaves = [self._taken(next(rest)) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]
        returned = inputs.tensors(inputs.call(self.network, tree_unflatten(leaves, self._structure)))
        return tuple(map(self._returned, returned))

    def _taken(self, value: Tensor) -> Tensor:
        placed = value.to(self._dtype) if inputs.is_real(value) and self._dtype != torch.float32 else value
        return placed.contiguous(memory_format=self._layout) if inputs.is_image(value) else placed

    def _returned(self, value: Tensor) -> Tensor:
        return value.float() if value.dtype == self._dtype else value


def export(flat: Flat, given: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """Return a network as a program of torch.export, with nothing in it about this machine.

    Raises:
        DeploymentError: torch.export cannot express it.
    """
    try:
        exported = torch.export.export(flat, tuple(given), strict=False)
    except Exception as error:  # the code of users can do anything
        where = next(iter(re.findall(r'File "[^"]*", line \d+, in forward\s+(.+)', str(error))), "")
        reason = " ".join(describe(error).split())[:200]
        at = f" at `{where.strip()}`" if where else ""
        raise DeploymentError(f"torch.export cannot express the network{at}: {reason}") from error
    for module in exported.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            node.meta.pop("stack_trace", None)
    exported.example_inputs = None  # they would lie in the file
    return exported


def layer(scopes: str) -> str:
    """Return the path of a module in its network, given the scopes that a trace went through.

    ``network/groups/groups.0/conv1`` is ``groups.0.conv1``: parts of a sequence repeat the name of the sequence.
    """
    path: list[str] = []
    for scope in scopes.strip("/").split("/"):
        if path and scope.startswith(f"{path[-1]}."):
            path.pop()
        path.append(scope)
    return ".".join(path[1:] if path[0] == "network" else path).removeprefix("network.")


def layers_of(nodes: Iterable[torch.fx.Node]) -> str:
    """Say in which layers of a network operators of its program are; nothing if that is not known."""
    stacks = [list(node.meta.get("nn_module_stack", {}).values()) for node in nodes]
    layers = dict.fromkeys(repr(layer(stack[-1][0])) for stack in stacks if stack)
    if len(layers) < 2:
        return "".join(f" of the layer {name}" for name in layers)
    return f" of one of the layers {', '.join(layers)}"


def layer_with(program: torch.export.ExportedProgram, operator: str) -> str:
    """Say in which layer of a network an operator comes first, such as ``aten.sort``, or one that consists of it."""
    nodes = [*program.graph.nodes, *program.run_decompositions().graph.nodes]
    return layers_of([node for node in nodes if str(node.target).rpartition(".")[0] == operator][:1])


@contextmanager
def quietly() -> Iterator[list[warnings.WarningMessage]]:
    """Keep what exporters print and log from the user, to whom it says nothing; yield what they warned of."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("always")
            with contextlib.redirect_stdout(io.StringIO()):
                yield caught
    finally:
        logging.disable(before)
