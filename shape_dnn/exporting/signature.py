"""What goes into a network and comes out of it, tensor by tensor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten_with_path

from shape_dnn.errors import ExportError
from shape_dnn.measuring import inputs

BATCH = "batch"
"""Stands for the size of a dimension that is that of the batch."""
SIZES = 2, 3
"""Batch sizes at which a network is looked at: what differs is the batch. torch.export takes 1 for a fixed size."""


@dataclass(frozen=True)
class Slot:
    """A tensor that goes into a network or comes out.

    Attributes:
        name: what it is called.
        dtype: type of its elements, as torch calls it.
        shape: its sizes; :data:`BATCH` for that of the batch, None for one that depends on it in another way.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    @property
    def record(self) -> dict[str, object]:
        """The same as JSON values."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Signature:
    """The tensors that a network takes and returns, in the order in which they are passed.

    Attributes:
        inputs: what goes in.
        outputs: what comes out.
    """

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]

    @classmethod
    def of(cls, network: torch.nn.Module, make: Callable[[int], Any], output: str) -> Signature:
        """Look at a network.

        Args:
            network: which.
            make: makes inputs of a batch size.
            output: name of what comes out, where that is a tensor or several without names.

        Raises:
            ExportError: inputs differ by more than the size of the batch, or no tensor goes in or comes out.
        """
        given = [make(size) for size in SIZES]
        with torch.inference_mode():
            returned = [inputs.call(network, example) for example in given]
        taken = _slots(input_names(network, given[0]), given)
        wrong = next((slot.name for slot in taken if None in slot.shape), None)
        if wrong is not None:
            raise ExportError(f"example inputs {wrong!r} differ by more than the batch size they are asked for")
        made = _slots(output_names(returned[0], output, {slot.name for slot in taken}), returned)
        if not taken or not made:
            raise ExportError(f"no tensor goes {'out of' if taken else 'into'} the network, so no program can hold it")
        return cls(taken, made)

    def dynamic(self, example: Any) -> torch.export.ShapesCollection:
        """Say of each tensor of the inputs which of its sizes are that of the batch."""
        batch = torch.export.Dim(BATCH, min=1)
        dynamic = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
        for slot, tensor in zip(self.inputs, inputs.tensors(example), strict=True):
            axes = {axis: batch for axis, size in enumerate(slot.shape) if size == BATCH}
            if axes:
                dynamic[tensor] = axes
        return dynamic


def _slots(names: Sequence[str], examples: Sequence[Any]) -> tuple[Slot, ...]:
    """Describe tensors, given two examples of them.

    Raises:
        ExportError: there are more of them in one than in the other.
    """
    few, more = map(inputs.tensors, examples)
    if not len(names) == len(few) == len(more):
        raise ExportError(f"the number of tensors depends on the batch size: {len(few)} and {len(more)}")
    return tuple(
        Slot(name, str(a.dtype).removeprefix("torch."), tuple(map(_size, a.shape, _padded(b.shape, a.dim()))))
        for name, a, b in zip(names, few, more, strict=True)
    )


def _padded(sizes: torch.Size, dimensions: int) -> tuple[int | None, ...]:
    return tuple(sizes) if len(sizes) == dimensions else (None,) * dimensions


def _size(few: int, more: int | None) -> int | str | None:
    return BATCH if (few, more) == SIZES else few if few == more else None


def input_names(network: torch.nn.Module, example: Any) -> list[str]:
    """Name inputs as the network calls its arguments."""
    args, kwargs = inputs.arguments(example)
    names: list[str] = []
    for parameter in inspect.signature(network.forward).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}_{place}" for place in range(len(args) - len(names))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    return _names({**dict(zip(names, args, strict=False)), **kwargs})


def output_names(returned: Any, alone: str, taken: set[str]) -> list[str]:
    """Name outputs as the network does, but unlike any input."""
    named = [name if name and not name[0].isdecimal() else f"{alone}_{name}".rstrip("_") for name in _names(returned)]
    return [f"{name}_{alone}" if name in taken else name for name in named]


def _names(values: Any) -> list[str]:
    """Name tensors by the keys that lead to them."""
    leaves, _ = tree_flatten_with_path(inputs.plain(values))
    return ["_".join(map(_key, path)) for path, value in leaves if isinstance(value, Tensor)]


def _key(key: Any) -> str:
    """Write a key of a mapping, a place in a sequence, or the name of a part."""
    return str(next(getattr(key, kind) for kind in ("key", "idx", "name") if hasattr(key, kind)))
