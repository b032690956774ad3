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

    return tree_map(lambda value: how(value) if isinstance(value, torch.Tensor) else value, inputs)


def tensors(inputs: Any) -> list[torch.Tensor]:
    """Return every tensor of them."""
    import torch
    from torch.utils._pytree import tree_leaves

    return [value for value in tree_leaves(inputs) if isinstance(value, torch.Tensor)]


def call(network: torch.nn.Module, inputs: Any) -> Any:
    """Run a network: a tuple holds positional arguments, a mapping keyword arguments, anything else is the argument."""
    if isinstance(inputs, tuple):
        return network(*inputs)
    if isinstance(inputs, Mapping):
        return network(**inputs)
    return network(inputs)


def is_real(value: torch.Tensor) -> bool:
    """Tell whether a tensor is computed with in the precision of the weights, as tokens and masks are not."""
    return value.is_floating_point()


def is_image(value: torch.Tensor) -> bool:
    """Tell whether a tensor has the dimensions of a batch of images, so that it has a memory format."""
    return value.dim() == 4
