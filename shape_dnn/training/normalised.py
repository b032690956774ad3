"""Networks that take pixels as they are."""

from __future__ import annotations

import torch
from torch import Tensor


class Normalised(torch.nn.Module):
    """A network with the normalisation of its images: what ships of a classifier.

    It maps a float tensor of shape (number, channels, height, width), pixels from 0 to 1, to what the network makes of
    the normalised images.

    Args:
        network: takes normalised images.
        mean: of the pixels of each channel, of shape (channels, 1, 1).
        std: standard deviation of those, of the same shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: torch.nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise, and run the network."""
        made: Tensor = self.network((images - self.mean) / self.std)
        return made
