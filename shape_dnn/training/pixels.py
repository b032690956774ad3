"""Where the images of a dataset lie, and how batches of them come to the device that trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from shape_dnn import devices
from shape_dnn.kinds import LabelledImages
from shape_dnn.measuring import cuda_graphs

SHARE = 0.25
"""Part of a GPU's memory that images take at most."""


def place(parts: Sequence[LabelledImages], device: str) -> type[Pixels]:
    """Tell where the images of a dataset lie, by their size alone; what is trained on them is the same.

    Args:
        parts: of the dataset.
        device: that trains, as torch writes it.
    """
    if not device.startswith("cuda"):
        return OnDevice
    return OnDevice if _size(parts) <= SHARE * devices.total_memory(device) else OnHost


class Pixels(ABC):
    """Labelled images, of which batches come to a device.

    Args:
        images: where they come from.
        device: where batches are needed.

    Attributes:
        images: where they come from.
        labels: int64, of shape (number,), on the device.
        levels: uint8, of shape (number, channels, height, width).
    """

    levels: Tensor

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        self.images = images
        self.labels = torch.from_numpy(images.labels).to(device)

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
    def taken(parts: Sequence[LabelledImages], batch_size: int) -> int:
        """Return the bytes that a dataset takes of the memory of a device, from which batches are drawn."""


class OnDevice(Pixels):
    """Images in the memory of the device.

    The processor's is that into which they are mapped, so that all workers of a machine share them.
    """

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        super().__init__(images, device)
        self.levels = torch.from_numpy(images.images).to(device)

    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw them there."""
        for chosen in _divided(indices, size):
            yield self.levels[chosen], self.labels[chosen]

    @staticmethod
    def taken(parts: Sequence[LabelledImages], batch_size: int) -> int:  # noqa: ARG004 - of its kind
        """Count all of it."""
        return _size(parts) + sum(part.labels.nbytes for part in parts)


class OnHost(Pixels):
    """Images that stay on the host, since they would take too much of the GPU's memory; labels do not.

    They are mapped into memory, so that all workers share them. Only the places of a batch are page-locked: to lock all
    images gained nothing on an H100, and would take their memory anew in each process.
    """

    def __init__(self, images: LabelledImages, device: torch.device) -> None:
        super().__init__(images, device)
        self._device = device
        self.levels = torch.from_numpy(images.images)

    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Bring each batch to the device while the one before it is worked on."""
        here = _divided(indices.cpu(), size)  # all at once, since that waits for the GPU
        shape = (min(size, len(indices)), *self.levels.shape[1:])
        transfers = [Transfer(shape, self._device) for _ in range(2)]
        if here:
            transfers[0].send(self.levels, here[0])
        for i, chosen in enumerate(_divided(indices, size)):
            if i + 1 < len(here):
                transfers[(i + 1) % 2].send(self.levels, here[i + 1])
            yield transfers[i % 2].receive(), self.labels[chosen]

    @staticmethod
    def taken(parts: Sequence[LabelledImages], batch_size: int) -> int:
        """Count the labels, and two batches."""
        return sum(part.labels.nbytes for part in parts) + 2 * batch_size * int(parts[0].images[0].nbytes)


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


def _divided(indices: Tensor, size: int) -> list[Tensor]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _size(parts: Sequence[LabelledImages]) -> int:
    return sum(part.images.nbytes for part in parts)
