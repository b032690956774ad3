"""Images in the memory of a device, from which whole batches are drawn, augmented and normalised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from shape_dnn.kinds import LabelledImages
from shape_dnn.training.augmentation import Augmentation

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
        classes: number of classes, for a recipe that mixes images.
    """

    def __init__(
        self, part: Part, device: torch.device, like: Batches | None = None, classes: int | None = None
    ) -> None:
        self.device = device
        self._classes = classes
        self.pixels: Pixels = (
            like.pixels if like and like.pixels.images is part.images else Pixels.load(part.images, device)
        )
        self._indices = torch.from_numpy(part.indices).to(device)
        self.statistics: tuple[Tensor, Tensor] = self._find_statistics() if like is None else like.statistics

    def __len__(self) -> int:
        return len(self._indices)

    def shuffled(self, size: int, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
        """Give an epoch of augmented batches in random order, with their labels; a last incomplete one is left out.

        What is random is drawn by torch's generators, for shifts and mirroring where the images are.
        """
        augmentation = Augmentation(recipe, self._classes)
        order = self._indices[torch.randperm(len(self), device=self.device)]
        for start in range(0, len(self) - size + 1, size):
            chosen = order[start : start + size]
            images = self._normalise(augmentation.change(self.pixels.levels[chosen]))
            yield augmentation.mix(images, self.pixels.labels[chosen])

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
