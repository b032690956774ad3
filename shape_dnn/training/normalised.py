"""A network with the normalisation that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Normalised(torch.nn.Module):
    """A network that takes images as they are.

    It maps a float tensor of shape (number, channels, height, width), pixels from 0 to 1, to what the network gives for
    them once they are normalised.

    Attributes:
        network: takes normalised images.
        mean: of the pixels, of shape (channels, 1, 1).
        std: their standard deviation, of the same shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: torch.nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network gives for images whose pixels are from 0 to 1."""
        outputs: Tensor = self.network((images - self.mean) / self.std)
        return outputs
