"""MNIST and Fashion-MNIST, from their four idx files wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shape_dnn.builtin.datasets import files
from shape_dnn.builtin.datasets.downloadable import Downloadable
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe


def _names(part: str, content: str) -> tuple[str, ...]:
    plain = f"{part}-{content}-ubyte"
    return (f"{plain}.gz", plain, plain.replace("-idx", ".idx"))


class Mnist(Downloadable):
    """Handwritten digits (LeCun et al. 1998): 60,000 and 10,000 grey images of 28x28 pixels, gzipped or not."""

    input_shape = (1, 28, 28)
    classes = 10
    name = "mnist"
    torchvision_name = "MNIST"
    folder = "MNIST/raw"
    required = tuple(_names(part, content) for part in ("train", "t10k") for content in ("images-idx3", "labels-idx1"))
    flip = False

    def read(self, root: Path) -> tuple[LabelledImages, LabelledImages]:
        """Read the four files."""
        paths = [self.path(root, names) for names in self.required]
        return self._part(*paths[:2]), self._part(*paths[2:])

    def _part(self, images_path: Path, labels_path: Path) -> LabelledImages:
        images, labels = files.read_idx(images_path, 3), files.read_idx(labels_path, 1)
        if images.shape[1:] != self.input_shape[1:]:
            pixels, expected = images.shape[1:], self.input_shape[1:]
            raise DatasetError(f"{images_path} holds images of {pixels} pixels instead of {expected}")
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

    name = "fashion-mnist"
    torchvision_name = "FashionMNIST"
    folder = "FashionMNIST/raw"
    flip = True
