"""Images to classify."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shape_dnn.recipes import WRN_PAPER, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shape_dnn.kinds.networks import InputShape


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes, in memory.

    Attributes:
        images: uint8, of shape (number, channels, height, width).
        labels: int64, of shape (number,), from 0 to classes - 1; other whole numbers are accepted and kept as int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> LabelledImages:
        """Select images by position."""
        return LabelledImages(self.images[indices], self.labels[indices])


class Dataset(ABC):
    """An image classification problem."""

    validation_fraction: float = 0.1
    """Part of the training images held out for validation."""

    @property
    @abstractmethod
    def input_shape(self) -> InputShape:
        """Channels, height and width of an image. Known without the files where possible."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes. Known without the files where possible."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes in the order of their labels, for people; empty where they have none."""
        return ()

    @abstractmethod
    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the training images and the test images. The same files always give the same arrays.

        Raises:
            DatasetError: files are missing or damaged; the message says which and what to do.
        """

    def load_with_progress(self, progress: Callable[[int, int], None]) -> tuple[LabelledImages, LabelledImages]:
        """Read the same as :meth:`load`, and say now and then how many images of how many have been read.

        A search reads by this method. A dataset that takes long overrides it, so that people see how far it is.
        """
        return self.load()

    def short_recipe(self, device_type: str) -> Recipe:
        """Give a recipe that ranks the shapes well in a fraction of the time, on ``cpu`` or ``cuda``."""
        return Recipe(epochs=20, schedule="one-cycle")

    def paper_recipe(self) -> Recipe:
        """Give the recipe of the paper, or of the literature, for this dataset."""
        return WRN_PAPER
