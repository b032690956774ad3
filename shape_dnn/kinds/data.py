"""Images to classify."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shape_dnn.recipes import WRN_PAPER, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shape_dnn.kinds.networks import InputShape


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes, in memory.

    Attributes:
        images: uint8, of shape (number, channels, height, width).
        labels: int64, of shape (number,), from 0 to classes - 1; other types of whole numbers are accepted and kept as
            int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> LabelledImages:
        """Select images by position."""
        return LabelledImages(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class EncodedImages:
    """Images with their classes, in files of any usual format. Each image is decoded and resized when it is needed.

    So there may be more images than would fit into memory or on disk as pixels. Several images may lie in one file,
    such as a tar archive.

    Attributes:
        root: directory of the files, the same on every machine that trains.
        names: names of the files, relative to ``root``.
        places: int64, of shape (number, 3): for each image the position of its file in ``names``, its first byte in
            that file, and its length in bytes, which is -1 for everything up to the end of the file.
        labels: int64, of shape (number,), from 0 to classes - 1.
        input_shape: channels (1 or 3), height and width of the decoded images.
        sums: int64, of shape (number, channels, 2): for each image the sum of its levels, from 0 to 255, and the sum of
            their squares. None until each image has been decoded once, which this package does before it trains.
    """

    root: Path
    names: Sequence[str]
    places: NDArray[np.int64]
    labels: NDArray[np.int64]
    input_shape: InputShape
    sums: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> EncodedImages:
        """Select images by position."""
        sums = None if self.sums is None else self.sums[indices]
        return replace(self, places=self.places[indices], labels=self.labels[indices], sums=sums)


Images = LabelledImages | EncodedImages
"""Images with their classes, in memory or in files."""


class Dataset(ABC):
    """An image classification problem."""

    validation_fraction: float = 0.1
    """Fraction of the training images that is held out for validation."""

    @property
    @abstractmethod
    def input_shape(self) -> InputShape:
        """Channels, height and width of an image. Where possible, this is known without the files."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes. Where possible, this is known without the files."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes, for people, in the order of their labels; empty if the classes have no names."""
        return ()

    @abstractmethod
    def load(self) -> tuple[Images, Images]:
        """Read the training images and the test images. The same files always give the same arrays.

        If there are too many images for memory, they are only located: both parts are then :class:`EncodedImages`.

        Raises:
            DatasetError: files are missing or damaged; the message says which, and what to do.
        """

    def load_with_progress(self, progress: Callable[[int, int], None]) -> tuple[Images, Images]:
        """Read the same images as :meth:`load`, and report now and then how many of how many have been read.

        This is the method that a search calls. A dataset that takes long to read overrides it, so that people see how
        far it has come.
        """
        return self.load()

    def short_recipe(self, device_type: str) -> Recipe:
        """Return a recipe for ``cpu`` or ``cuda`` that ranks the shapes well in a fraction of the time."""
        return Recipe(epochs=20, schedule="one-cycle")

    def paper_recipe(self) -> Recipe:
        """Return the recipe of the paper, or of the literature, for this dataset."""
        return WRN_PAPER
