"""Whole batches of images, drawn, augmented and normalised on the device that trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shape_dnn.training.augmentation import Augmentation
from shape_dnn.training.pixels import OnDevice, Pixels

if TYPE_CHECKING:
    from shape_dnn.data.splits import Part
    from shape_dnn.recipes import Recipe

COUNTED_AT_ONCE = 2**23
"""Bytes of images whose levels are counted at a time."""


class Batches:
    """A part of a dataset on a device, normalised by the mean and standard deviation of each channel.

    Args:
        part: the images.
        device: where the batches are needed.
        like: batches on that device whose normalisation and place are taken over; by default the normalisation is that
            of these images.
        classes: number of classes, for a recipe that mixes images.
        place: where the images lie, which changes nothing in batches.
    """

    def __init__(
        self,
        part: Part,
        device: torch.device,
        like: Batches | None = None,
        classes: int | None = None,
        place: type[Pixels] = OnDevice,
    ) -> None:
        self.device = device
        self._classes = classes
        self.pixels: Pixels
        if like is not None and like.pixels.images is part.images:
            self.pixels = like.pixels
        else:
            self.pixels = (place if like is None else type(like.pixels))(part.images, device)
        self._indices = torch.from_numpy(part.indices).to(device)
        self.statistics: tuple[Tensor, Tensor] = self._find_statistics() if like is None else like.statistics

    def __len__(self) -> int:
        return len(self._indices)

    def shuffled(self, size: int, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
        """Give an epoch of augmented batches in random order, with their labels; a last incomplete one is left out.

        What is random is drawn by torch's generators, for order, shifts and mirroring those of the device.
        """
        augmentation = Augmentation(recipe, self._classes)
        order = self._indices[torch.randperm(len(self), device=self.device)]
        for levels, labels in self.pixels.batches(order[: len(self) // size * size], size):
            yield augmentation.mix(self._normalise(augmentation.change(levels)), labels)

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give all images in batches, with their labels."""
        for levels, labels in self.pixels.batches(self._indices, size):
            yield self._normalise(levels), labels

    def _normalise(self, levels: Tensor) -> Tensor:
        # The layout that convolutions are fastest in; it changes no result.
        images = levels.to(torch.float32, memory_format=torch.channels_last)
        mean, std = self.statistics
        return images.sub_(mean).div_(std)

    def _find_statistics(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each channel, exactly, without a floating-point copy of all images."""
        channels, at_once = self.pixels.levels.shape[1], max(1, COUNTED_AT_ONCE // self.pixels.levels[0].nbytes)
        values = torch.arange(256, dtype=torch.float64, device=self.device)
        counts = torch.zeros(channels, 256, dtype=torch.float64, device=self.device)
        for levels, _ in self.pixels.batches(self._indices, at_once):
            for channel in range(channels):
                counts[channel] += torch.bincount(levels[:, channel].flatten().int(), minlength=256)
        number = counts.sum(1, keepdim=True)
        mean = (counts * values).sum(1, keepdim=True) / number
        std = ((counts * (values - mean) ** 2).sum(1) / number[:, 0]).sqrt().clamp(min=1.0)
        return mean.float().view(-1, 1, 1), std.float().view(-1, 1, 1)
