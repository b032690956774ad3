"""MNIST and Fashion-MNIST, from their four idx files wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shape_dnn.builtin.datasets import files
from shape_dnn.builtin.datasets.downloadable import Downloadable
from shape_dnn.errors import DatasetError, UsageError
from shape_dnn.kinds import InputShape, LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe


def _names(part: str, content: str) -> tuple[str, ...]:
    plain = f"{part}-{content}-ubyte"
    return (f"{plain}.gz", plain, plain.replace("-idx", ".idx"))


PIXELS = 28


class Mnist(Downloadable):
    """Handwritten digits (LeCun et al. 1998): 60,000 and 10,000 grey images of 28x28 pixels, gzipped or not.

    Args:
        data_dir: the directory.
        limit: keep at most this many training images; 0 keeps all.
        download: let torchvision fetch missing files.
        size: height and width in pixels to which images are reduced, each pixel the mean of a square of former ones.
    """

    classes = 10
    class_names: Sequence[str] = tuple("0123456789")
    name = "mnist"
    torchvision_name = "MNIST"
    folder = "MNIST/raw"
    required = tuple(_names(part, content) for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1"))
    flip = False

    def __init__(self, data_dir: str = "", limit: int = 0, download: bool = False, size: int = PIXELS) -> None:
        if size < 1 or PIXELS % size:
            accepted = ", ".join(str(divisor) for divisor in range(PIXELS, 0, -1) if PIXELS % divisor == 0)
            raise UsageError(f"dataset.size={size}: accepted are {accepted} pixels", setting="option")
        super().__init__(data_dir, limit, download)
        self.size = size

    @property
    def input_shape(self) -> InputShape:
        """One channel, and the size to which images are reduced."""
        return (1, self.size, self.size)

    def read(self, root: Path) -> tuple[LabelledImages, LabelledImages]:
        """Read the four files."""
        paths = [self.path(root, names) for names in self.required]
        return self._part(*paths[:2]), self._part(*paths[2:])

    def _part(self, images_path: Path, labels_path: Path) -> LabelledImages:
        images, labels = files.read_idx(images_path, 3), files.read_idx(labels_path, 1)
        if images.shape[1:] != (PIXELS, PIXELS):
            raise DatasetError(f"{images_path} holds images of {images.shape[1:]} pixels instead of {(PIXELS, PIXELS)}")
        if self.size < PIXELS:
            side = PIXELS // self.size
            squares = images.reshape(len(images), self.size, side, self.size, side)
            images = np.rint(squares.mean((2, 4), dtype=np.float32)).astype(np.uint8)
        part = LabelledImages(images[:, None], labels.astype(np.int64))
        return files.check_labels(labels_path, part, self.classes)

    def short_recipe(self, device_type: str) -> Recipe:
        """Few epochs on a processor, too few for shifted images to help; more on a GPU."""
        if device_type == "cpu":
            return Recipe(epochs=3, batch_size=32, lr=0.1, schedule="one-cycle", crop=0, flip=self.flip)
        return Recipe(epochs=15, lr=0.2, schedule="one-cycle", crop=2, flip=self.flip)

    def paper_recipe(self) -> Recipe:
        """The recipe of the paper; flips only where a mirrored image is of the same class."""
        return Recipe(**{**vars(WRN_PAPER), "flip": self.flip})


class FashionMnist(Mnist):
    """Articles of clothing (Xiao et al. 2017), in the format of MNIST."""

    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    name = "fashion-mnist"
    torchvision_name = "FashionMNIST"
    folder = "FashionMNIST/raw"
    flip = True
