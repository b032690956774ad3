"""What datasets of encoded images have in common: their options, and that too many of them are streamed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn.data import encoded, splits
from shape_dnn.errors import DatasetError, UsageError
from shape_dnn.kinds import Dataset, EncodedImages, Images, InputShape
from shape_dnn.recipes import WRN_PAPER, Recipe

if TYPE_CHECKING:
    from pathlib import Path

STREAM = ("auto", "yes", "no")


class ImageFiles(Dataset):
    """Images of any size, resized.

    They are decoded once and kept as pixels. Where these would take more than a quarter of the memory, each image is
    decoded whenever it is needed, which changes nothing in a training but its duration.

    Args:
        data_dir: the directory.
        limit: keep at most this many training images; 0 keeps all.
        size: height and width to which images are resized.
        channels: 3 for colour, 1 for grey.
        test: part held out as the test set where it has no files of its own; stratified, always the same.
        flip: whether training mirrors images.
        stream: ``yes`` and ``no``, or ``auto`` by their number and size and the memory there is.
    """

    name: str
    validation_fraction = 0.2

    def __init__(
        self,
        data_dir: str = "",
        limit: int = 0,
        size: int = 32,
        channels: int = 3,
        test: Fraction = Fraction(1, 5),
        flip: bool = True,
        stream: str = "auto",
    ) -> None:
        if not 1 <= size <= 4096:
            raise UsageError(f"dataset.size={size}: accepted are 1 to 4096 pixels", setting="option")
        if channels not in (1, 3):
            raise UsageError(f"dataset.channels={channels}: accepted are 1 and 3", setting="option")
        if stream not in STREAM:
            raise UsageError(f"dataset.stream={stream}: accepted are {', '.join(STREAM)}", setting="option")
        if not 0 < test < 1:
            raise UsageError(f"dataset.test={test}: accepted are fractions above 0 and below 1", setting="option")
        self.data_dir = data_dir
        self.limit = limit
        self.size = size
        self.channels = channels
        self.test = test
        self.flip = flip
        self.stream = stream

    @property
    def input_shape(self) -> InputShape:
        """Channels and the size to which images are resized."""
        return (self.channels, self.size, self.size)

    @abstractmethod
    def find(self) -> tuple[EncodedImages, EncodedImages | None]:
        """Return where the training and the test images lie; None for the latter where they have no files of their own.

        Raises:
            DatasetError: there are none, or something is wrong with their files.
        """

    @property
    @abstractmethod
    def root(self) -> Path:
        """Where the training images lie, for messages."""

    def load(self) -> tuple[Images, Images]:
        """Decode and resize all images, or find them where they are to be streamed."""
        return self.load_with_progress(lambda *_: None)

    def load_with_progress(self, progress: Callable[[int, int], None]) -> tuple[Images, Images]:
        """Do the same, some of them at a time on every processor."""
        train, test = self.find()
        if test is None:
            train, test = splits.split(train, float(self.test), seed=0)
        if not len(train) or not len(test):
            message = f"{str(self.root)!r} has too few images to hold some out for the test"
            raise DatasetError(f"dataset {self.name!r}: {message}")
        parts = splits.limit(train, self.limit), test
        if self.stream == "yes" or (self.stream == "auto" and encoded.exceed_memory(parts)):
            return parts
        in_memory = encoded.in_memory(parts, progress)
        return in_memory[0], in_memory[1]

    def short_recipe(self, device_type: str) -> Recipe:
        """A moderate number of epochs, since such collections are small."""
        return Recipe(epochs=20 if device_type == "cpu" else 60, batch_size=32, schedule="one-cycle", flip=self.flip)

    def paper_recipe(self) -> Recipe:
        """The recipe of the paper."""
        return Recipe(**{**vars(WRN_PAPER), "flip": self.flip})
