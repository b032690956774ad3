"""Where the images of a dataset lie, and how batches of them come to the device that trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from shape_dnn.kinds import Images, LabelledImages
from shape_dnn.measuring import cuda_graphs

COUNTED_AT_ONCE = 2**23
"""Bytes of images whose levels are counted at a time."""


class Pixels(ABC):
    """Labelled images, of which batches come to a device.

    Args:
        images: where they come from.
        device: where batches are needed.

    Attributes:
        images: where they come from.
        labels: int64, of shape (number,), on the device.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images = images
        self.labels = torch.from_numpy(images.labels).to(device)

    @abstractmethod
    def sums(self, indices: Tensor) -> tuple[int, list[tuple[int, int]]]:
        """Add up levels, from 0 to 255, and their squares, exactly.

        Args:
            indices: of the images; int64, on the device.

        Returns:
            How many levels each channel has, and for each the two sums.
        """

    @abstractmethod
    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give levels and labels on the device, in batches of which the last may be smaller.

        Levels may be overwritten once the next batch is asked for.

        Args:
            indices: which, in this order; int64, on the device.
            size: of a batch.
        """

    @staticmethod
    @abstractmethod
    def taken(parts: Sequence[Images], batch_size: int) -> int:
        """Return the bytes that a dataset takes of the memory of a device, from which batches are drawn."""


class Decoded(Pixels):
    """Images that lie in memory as pixels.

    Attributes:
        levels: uint8, of shape (number, channels, height, width).
    """

    levels: Tensor

    def sums(self, indices: Tensor) -> tuple[int, list[tuple[int, int]]]:
        """Count how often each level occurs, without a floating-point copy of all images."""
        channels, at_once = self.levels.shape[1], max(1, COUNTED_AT_ONCE // self.levels[0].nbytes)
        counts = torch.zeros(channels, 256, dtype=torch.int64, device=self.labels.device)
        for levels, _ in self.batches(indices, at_once):
            for channel in range(channels):
                counts[channel] += torch.bincount(levels[:, channel].flatten().int(), minlength=256)
        weighed = [list(enumerate(of_channel)) for of_channel in counts.tolist()]
        sums = [(sum(n * level for level, n in each), sum(n * level**2 for level, n in each)) for each in weighed]
        return int(counts[0].sum()), sums


class OnDevice(Decoded):
    """Images in the memory of the device.

    The processor's is that into which they are mapped, so that all workers of a machine share them.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(images, device)
        self.levels = torch.from_numpy(_in_memory(images).images).to(device)

    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw them there."""
        for chosen in divided(indices, size):
            yield self.levels[chosen], self.labels[chosen]

    @staticmethod
    def taken(parts: Sequence[Images], batch_size: int) -> int:  # noqa: ARG004 - of its kind
        """Count all of it."""
        return size(parts) + sum(part.labels.nbytes for part in parts)


class OnHost(Decoded):
    """Images that stay on the host, since they would take too much of the GPU's memory; labels do not.

    They are mapped into memory, so that all workers share them. Only the places of a batch are page-locked: to lock all
    images gained nothing on an H100, and would take their memory anew in each process.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(images, device)
        self._device = device
        self.levels = torch.from_numpy(_in_memory(images).images)

    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Bring each batch to the device while the one before it is worked on."""
        here = divided(indices.cpu(), size)  # all at once, since that waits for the GPU
        shape = (min(size, len(indices)), *self.levels.shape[1:])
        transfers = [Transfer(shape, self._device) for _ in range(2)]
        if here:
            transfers[0].send(self.levels, here[0])
        for i, chosen in enumerate(divided(indices, size)):
            if i + 1 < len(here):
                transfers[(i + 1) % 2].send(self.levels, here[i + 1])
            yield transfers[i % 2].receive(), self.labels[chosen]

    @staticmethod
    def taken(parts: Sequence[Images], batch_size: int) -> int:
        """Count the labels, and two batches."""
        image = _in_memory(parts[0]).images[0]
        return sum(part.labels.nbytes for part in parts) + 2 * batch_size * int(image.nbytes)


class Transfer:
    """Places for a batch on the host and on a GPU, between which it is copied beside other work.

    Args:
        shape: of the largest batch; its place on the host is page-locked, or a copy would wait.
        device: the GPU.
    """

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        self._side = cuda_graphs.side_stream(device)
        self._current = torch.cuda.current_stream(device)
        self._here = torch.empty(*shape, dtype=torch.uint8).pin_memory()
        self._there = torch.empty(*shape, dtype=torch.uint8, device=device)
        self._there.record_stream(self._side)  # so that a copy that nobody waited for overwrites nothing else
        self._copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._number = 0

    def send(self, levels: Tensor, chosen: Tensor) -> None:
        """Begin to bring images to the GPU, after all that it was given to do before."""
        self._number = len(chosen)
        here, there = self._here[: self._number], self._there[: self._number]
        self._copied.synchronize()  # the batch that was here before
        torch.index_select(levels, 0, chosen, out=here)
        self._side.wait_stream(self._current)  # which may still work on the batch that was there before
        with torch.cuda.stream(self._side):
            there.copy_(here, non_blocking=True)
            self._copied.record(self._side)

    def receive(self) -> Tensor:
        """Return them as they will be for what the GPU is given to do from now on."""
        self._current.wait_event(self._copied)
        return self._there[: self._number]


def divided(indices: Tensor, size: int) -> list[Tensor]:
    """Divide indices into batches, of which the last may be smaller."""
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _in_memory(images: Images) -> LabelledImages:
    assert isinstance(images, LabelledImages)  # noqa: S101 - others have a place of their own
    return images


def size(parts: Sequence[Images]) -> int:
    """Return the bytes of all pixels."""
    return sum(_in_memory(part).images.nbytes for part in parts)
