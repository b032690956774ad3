"""Images that are decoded by processes of their own whenever they are needed, since there are too many for memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shape_dnn import devices
from shape_dnn.data import encoded
from shape_dnn.errors import DatasetError, ProcessDiedError, ShapeDnnError, UnavailableError, describe
from shape_dnn.kinds import EncodedImages, Images
from shape_dnn.training.pixels import Pixels, divided

AHEAD = 2
"""Batches that each process has decoded or begun before they are needed."""
Batch = Tensor | ShapeDnnError


def readers(device: str) -> int:
    """Return how many processes decode the images of a training.

    A GPU waits for its images, so each has its part of the processor's cores, but for the one of its training.
    On the processor one decodes the next batch while a training works on the one before. Both are then at work by
    turns, so that a second training finds the cores it was promised.

    Args:
        device: that trains, as torch writes it.
    """
    if not device.startswith("cuda"):
        return 1
    return max(1, devices.cores() // max(1, devices.gpus()) - 1)


class Streamed(Pixels):
    """Images that stay in files until they are needed, and come decoded a few batches ahead."""

    def __init__(self, images: Images, device: torch.device) -> None:
        super().__init__(images, device)
        assert isinstance(images, EncodedImages)  # noqa: S101 - others have a place of their own
        assert images.sums is not None  # noqa: S101 - they were decoded once before anything is trained on them
        self._sums = images.sums
        self._device, self._order = device, _Order()
        on_gpu = device.type == "cuda"
        self._loader: DataLoader[Batch] = DataLoader(
            _Decoding(images),
            batch_sampler=self._order,
            num_workers=readers(device.type),
            prefetch_factor=AHEAD,
            persistent_workers=True,
            collate_fn=_as_it_is,
            pin_memory=on_gpu,
            generator=torch.Generator(),  # or a training would draw other numbers than on images in memory
        )

    def batches(self, indices: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Have them decoded by the processes, in this order.

        Raises:
            DatasetError: an image is there no more, or damaged.
            UnavailableError: there is no memory to hand batches over in.
            ProcessDiedError: one of the processes was killed.
        """
        self._order.batches = [chosen.tolist() for chosen in divided(indices.cpu(), size)]
        with _naming_deaths():
            loaded = _begin(self._loader)
        for chosen in divided(indices, size):
            with _naming_deaths():
                levels = next(loaded)
            if isinstance(levels, ShapeDnnError):
                raise levels
            yield levels.to(self._device, non_blocking=True), self.labels[chosen]

    def sums(self, indices: Tensor) -> tuple[int, list[tuple[int, int]]]:
        """Add up what is known of each image."""
        _, height, width = _encoded(self.images).input_shape
        chosen = self._sums[indices.cpu().numpy()]
        return len(chosen) * height * width, [(int(level), int(square)) for level, square in chosen.sum(0)]

    @staticmethod
    def taken(parts: Sequence[Images], batch_size: int) -> int:
        """Count the labels, the batch that is worked on, and those that are ready."""
        image = int(np.prod(_encoded(parts[0]).input_shape))
        return sum(part.labels.nbytes for part in parts) + (1 + AHEAD) * batch_size * image


class _Order:
    """The batches of an epoch, by the positions of their images."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Decoding(Dataset[Batch]):
    """Decodes a batch at once, in one of the processes."""

    def __init__(self, images: EncodedImages) -> None:
        self._images = images

    def __getitems__(self, positions: list[int]) -> Batch:
        """Return its levels, or what is wrong: it is raised where it is understood."""
        try:
            levels = torch.from_numpy(encoded.decode(self._images.take(np.array(positions, np.int64))))
        except DatasetError as error:
            return error
        try:
            # A thread of the reader would do so later, and nobody would hear that it cannot.
            shared: Tensor = levels.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            batch = f"no shared memory for a batch of {levels.nbytes / 2**20:.3g} MiB: {describe(error)[:100]}"
            remedy = "give /dev/shm more, in a container by --shm-size, or take smaller batches"
            return UnavailableError(f"{batch}; {remedy}")
        return shared


def _as_it_is(batch: Any) -> Any:
    """Leave a batch alone, which was decoded as a whole."""
    return batch


def _encoded(images: Images) -> EncodedImages:
    assert isinstance(images, EncodedImages)  # noqa: S101 - others have a place of their own
    return images


def _begin(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Have an epoch of batches decoded.

    Torch has the death of a reader raised in the middle of whatever the training does. It is noticed as well where the
    next batch is asked for, so the handler of that signal stays what it was.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    loaded = iter(loader)
    signal.signal(signal.SIGCHLD, before)
    return loaded


@contextmanager
def _naming_deaths() -> Iterator[None]:
    """Say so where a process that decodes was killed, by which nothing is known of the training.

    Raises:
        ProcessDiedError: one was.
    """
    try:
        yield
    except (RuntimeError, OSError, EOFError) as error:
        raise ProcessDiedError(f"a process that decodes its images died: {describe(error)[:200]}") from error
