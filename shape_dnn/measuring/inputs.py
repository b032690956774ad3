"""What goes into a network: a tensor, or tensors in tuples, lists and mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def change(inputs: Any, how: Callable[[torch.Tensor], object]) -> Any:
    """Return the same inputs with every tensor changed."""
    import torch
    from torch.utils._pytree import tree_map

    return tree_map(lambda value: how(value) if isinstance(value, torch.Tensor) else value, plain(inputs))


def tensors(inputs: Any) -> list[torch.Tensor]:
    """Return every tensor of them."""
    import torch
    from torch.utils._pytree import tree_leaves

    return [value for value in tree_leaves(plain(inputs)) if isinstance(value, torch.Tensor)]


def plain(inputs: Any) -> Any:
    """Return a mapping of any kind, such as what a tokenizer makes, as one that torch looks into."""
    return dict(inputs) if isinstance(inputs, Mapping) else inputs


def on_meta(make: Callable[[], Any]) -> Any:
    """Make inputs on torch's ``meta`` device, where they take no memory once they are made.

    Those that look at their own values, or hold data, are made on the processor first.
    """
    import torch

    try:
        with torch.device("meta"):
            made = make()
    except Exception:  # noqa: BLE001 - the code of users can fail in any way; if that is its fault, it fails again
        with torch.device("cpu"):
            made = make()
    return change(made, lambda value: value.to("meta"))


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional arguments, which a tuple holds, and the keyword arguments, which a mapping holds.

    Anything else is the one argument.
    """
    if isinstance(inputs, tuple):
        return inputs, {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs,), {}


def call(network: torch.nn.Module, inputs: Any) -> Any:
    """Run a network."""
    args, kwargs = arguments(inputs)
    return network(*args, **kwargs)


def is_real(value: torch.Tensor) -> bool:
    """Tell whether a tensor is computed with in the precision of the weights, as tokens and masks are not."""
    return value.is_floating_point()


def is_image(value: torch.Tensor) -> bool:
    """Tell whether a tensor has the dimensions of a batch of images, so that it has a memory format."""
    return value.dim() == 4
