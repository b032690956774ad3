"""Weights of a Wide ResNet turned into those of a larger one that computes the same (Chen et al. 2016, Net2Net)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from shape_dnn.builtin.architectures.wrn_network import Block, WideResNetNetwork


def grow(weights: Mapping[str, Tensor], network: WideResNetNetwork, seed: int) -> dict[str, Tensor]:
    """Return weights for a network that is as deep and as wide or more, and that then computes what the former did.

    Widening copies channels in turn; whoever reads a channel that has copies divides its weight among them at random,
    so that the copies learn to differ. Deepening adds blocks whose last convolution is zero at the end of each group,
    which so pass on what they are given.

    Args:
        weights: state of the trained network.
        network: the larger one, whose own weights are kept where a new block needs some.
        seed: of the division.
    """
    wider = _Widening(weights, torch.Generator().manual_seed(seed))
    grown = {name: value.clone() for name, value in network.state_dict().items()}
    stream = wider.copies(weights["stem.weight"], grown["stem.weight"])
    grown["stem.weight"] = weights["stem.weight"][stream]
    for g, group in enumerate(network.groups):
        before = stream
        for b, block in enumerate(cast("Iterable[Block]", group)):
            name = f"groups.{g}.{b}"
            if f"{name}.conv1.weight" not in weights:
                grown[f"{name}.conv2.weight"] = torch.zeros_like(grown[f"{name}.conv2.weight"])
                continue
            inside = wider.copies(weights[f"{name}.conv1.weight"], grown[f"{name}.conv1.weight"])
            stream = wider.copies(weights[f"{name}.conv2.weight"], grown[f"{name}.conv2.weight"])
            grown |= wider.norm(f"{name}.norm1", before) | wider.norm(f"{name}.norm2", inside)
            grown[f"{name}.conv1.weight"] = wider.weight(f"{name}.conv1.weight", inside, before)
            grown[f"{name}.conv2.weight"] = wider.weight(f"{name}.conv2.weight", stream, inside)
            if block.projection is not None:
                grown[f"{name}.projection.weight"] = wider.weight(f"{name}.projection.weight", stream, before)
            before = stream
    grown |= wider.norm("norm", stream)
    classes = list(range(len(weights["classifier.bias"])))
    grown["classifier.weight"] = wider.weight("classifier.weight", classes, stream)
    grown["classifier.bias"] = weights["classifier.bias"].clone()
    return grown


class _Widening:
    """Copies channels; ``copies`` lists, for each channel of the wider network, which former one it is a copy of."""

    def __init__(self, weights: Mapping[str, Tensor], generator: torch.Generator) -> None:
        self._weights = weights
        self._generator = generator

    @staticmethod
    def copies(former: Tensor, wider: Tensor) -> list[int]:
        """Copy the channels in turn, which gives all streams of one width, however reached, the same copies."""
        return [i % len(former) for i in range(len(wider))]

    def norm(self, name: str, copies: Sequence[int]) -> dict[str, Tensor]:
        """Return what a batch norm stores."""
        prefix = f"{name}."
        values = {key: value for key, value in self._weights.items() if key.startswith(prefix)}
        return {key: value[list(copies)] if value.dim() else value.clone() for key, value in values.items()}

    def weight(self, name: str, outputs: Sequence[int], inputs: Sequence[int]) -> Tensor:
        """Return a weight of shape (outputs, inputs, …) that reads copies as if there were one of each."""
        weight = self._weights[name][list(outputs)][:, list(inputs)]
        parts = 0.5 + torch.rand(len(inputs), generator=self._generator, dtype=weight.dtype)
        place = torch.tensor(inputs)
        totals = torch.zeros(max(inputs) + 1, dtype=weight.dtype).index_add_(0, place, parts)
        shares = parts / totals[place]
        return weight * shares.view(1, -1, *(1,) * (weight.dim() - 2))
