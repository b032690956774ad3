"""Images in the memory of a device, from which whole batches are drawn, augmented and normalised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from shape_dnn.kinds import LabelledImages

if TYPE_CHECKING:
    from shape_dnn.data.splits import Part
    from shape_dnn.recipes import Recipe

CHUNK = 10_000
"""Images whose levels are counted at a time."""


class Pixels(NamedTuple):
    """Labelled images on a device.

    Attributes:
        images: where they come from.
        levels: uint8, of shape (number, channels, height, width).
        labels: int64, of shape (number,).
    """

    images: LabelledImages
    levels: Tensor
    labels: Tensor

    @classmethod
    def load(cls, images: LabelledImages, device: torch.device) -> Pixels:
        """Bring images to a device."""
        return cls(images, torch.from_numpy(images.images).to(device), torch.from_numpy(images.labels).to(device))


class Batches:
    """A part of a dataset on a device, normalised by the mean and standard deviation of each channel.

    On the processor the images stay where they are, mapped into memory, so that all workers of a machine share them.

    Args:
        part: the images.
        device: where the batches are needed.
        like: batches on that device whose normalisation is taken over; by default it is that of these images.
    """

    def __init__(self, part: Part, device: torch.device, like: Batches | None = None) -> None:
        self.device = device
        self.pixels: Pixels = (
            like.pixels if like and like.pixels.images is part.images else Pixels.load(part.images, device)
        )
        self._indices = torch.from_numpy(part.indices).to(device)
        self.statistics: tuple[Tensor, Tensor] = self._find_statistics() if like is None else like.statistics

    def __len__(self) -> int:
        return len(self._indices)

    def shuffled(self, size: int, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
        """Give an epoch of augmented batches in random order, with their labels; a last incomplete one is left out.

        What is random is drawn where the images are, by torch's generator.
        """
        order = self._indices[torch.randperm(len(self), device=self.device)]
        for start in range(0, len(self) - size + 1, size):
            chosen = order[start : start + size]
            yield self._normalise(augment(self.pixels.levels[chosen], recipe)), self.pixels.labels[chosen]

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give all images in batches, with their labels."""
        for chosen in torch.split(self._indices, size):
            yield self._normalise(self.pixels.levels[chosen]), self.pixels.labels[chosen]

    def _normalise(self, levels: Tensor) -> Tensor:
        # The layout that convolutions are fastest in; it changes no result.
        images = levels.to(torch.float32, memory_format=torch.channels_last)
        mean, std = self.statistics
        return images.sub_(mean).div_(std)

    def _find_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each channel, exactly, without a floating-point copy of all images."""
        channels = self.pixels.levels.shape[1]
        values = torch.arange(256, dtype=torch.float64, device=self.device)
        counts = torch.zeros(channels, 256, dtype=torch.float64, device=self.device)
        for chosen in torch.split(self._indices, CHUNK):
            levels = self.pixels.levels[chosen]
            for channel in range(channels):
                counts[channel] += torch.bincount(levels[:, channel].flatten().int(), minlength=256)
        number = counts.sum(1, keepdim=True)
        mean = (counts * values).sum(1, keepdim=True) / number
        std = ((counts * (values - mean) ** 2).sum(1) / number[:, 0]).sqrt().clamp(min=1.0)
        return mean.float().view(-1, 1, 1), std.float().view(-1, 1, 1)


def augment(images: Tensor, recipe: Recipe) -> Tensor:
    """Shift and mirror each image of a batch (number, channels, height, width) at random, as the recipe says."""
    number, channels, height, width = images.shape
    device = images.device
    if recipe.crop:
        padded = torch.nn.functional.pad(images, (recipe.crop,) * 4)
        offsets = torch.randint(0, 2 * recipe.crop + 1, (2, number, 1), device=device)
        rows = (offsets[0] + torch.arange(height, device=device)).view(number, 1, height, 1)
        columns = (offsets[1] + torch.arange(width, device=device)).view(number, 1, 1, width)
        each = torch.arange(number, device=device).view(number, 1, 1, 1)
        images = padded[each, torch.arange(channels, device=device).view(1, channels, 1, 1), rows, columns]
    if recipe.flip:
        mirrored = (torch.rand(number, device=device) < 0.5).view(number, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
    return images
