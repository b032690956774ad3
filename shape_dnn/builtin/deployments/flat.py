"""A network as exporters take it: tensors go in one by one, and come out one by one."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from shape_dnn.measuring import inputs


class Flat(torch.nn.Module):
    """A network whose inputs are tensors in the order in which it takes them, whatever held them.

    Args:
        network: which.
        example: what it takes; values that are no tensors stay as they are there.
        dtype: in which it computes with numbers; those that go in and come out stay in float32. None for its own.
    """

    def __init__(self, network: torch.nn.Module, example: Any, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.network = network
        self._leaves, self._structure = tree_flatten(inputs.plain(example))
        self._dtype = dtype

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return every tensor that comes out."""
        rest = iter(given)
        leaves = [self._taken(next(rest)) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]
        returned = inputs.tensors(inputs.call(self.network, tree_unflatten(leaves, self._structure)))
        return tuple(map(self._returned, returned))

    def _taken(self, value: Tensor) -> Tensor:
        return value.to(self._dtype) if self._dtype is not None and inputs.is_real(value) else value

    def _returned(self, value: Tensor) -> Tensor:
        return value.float() if value.dtype == self._dtype else value


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
