"""Whole batches of images, drawn, augmented and normalised on the device that trains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shape_dnn.training import placement
from shape_dnn.training.augmentation import Augmentation

if TYPE_CHECKING:
    from shape_dnn.data.splits import Part
    from shape_dnn.recipes import Recipe
    from shape_dnn.training.pixels import Pixels


class Batches:
    """A part of a dataset on a device, normalised by the mean and standard deviation of each channel.

    Args:
        part: the images.
        device: where the batches are needed.
        like: batches on that device whose normalisation and place are taken over; by default the normalisation is that
            of these images.
        classes: number of classes, for a recipe that mixes images.
        place: where the images lie, which changes nothing in batches; by default in the memory of the device, or in
            files if they are encoded.
    """

    def __init__(
        self,
        part: Part,
        device: torch.device,
        like: Batches | None = None,
        classes: int | None = None,
        place: type[Pixels] | None = None,
    ) -> None:
        self.device = device
        self._classes = classes
        self.pixels: Pixels
        if like is not None and like.pixels.images is part.images:
            self.pixels = like.pixels
        else:
            usual = placement.place([part.images], "cpu")
            self.pixels = ((place or usual) if like is None else type(like.pixels))(part.images, device)
        self._indices = torch.from_numpy(part.indices).to(device)
        self.statistics: tuple[Tensor, Tensor] = self._find_statistics() if like is None else like.statistics

    def __len__(self) -> int:
        return len(self._indices)

    def order(self) -> Tensor:
        """Draw the order of an epoch by torch's generator of the device; return the indices of all images."""
        return self._indices[torch.randperm(len(self), device=self.device)]

    def shuffled(
        self, size: int, recipe: Recipe, order: Tensor | None = None, begin: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Give an epoch of augmented batches in random order, with their labels; a last incomplete one is left out.

        What is random is drawn by torch's generators, for order, shifts and mirroring those of the device.

        Args:
            size: of a batch.
            recipe: says how images are augmented.
            order: of the images; by default one that is drawn.
            begin: batches that are passed over.
        """
        augmentation = Augmentation(recipe, self._classes)
        order = self.order() if order is None else order
        for levels, labels in self.pixels.batches(order[begin * size : len(self) // size * size], size):
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
        """Return mean and standard deviation of each channel, of shape (channels, 1, 1), rounded but once."""
        number, sums = self.pixels.sums(self._indices)
        means = [level / number for level, _ in sums]
        deviations = [max(1.0, math.sqrt((number * square - level**2) / number**2)) for level, square in sums]
        mean, std = (torch.tensor(values, device=self.device).view(-1, 1, 1) for values in (means, deviations))
        return mean, std
