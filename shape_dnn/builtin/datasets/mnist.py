"""MNIST and Fashion-MNIST, from their four idx files wherever they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shape_dnn import splits
from shape_dnn.builtin.datasets import files
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import Dataset, LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe


class Mnist(Dataset):
    """Handwritten digits (LeCun et al. 1998): 60,000 and 10,000 grey images of 28x28 pixels.

    Args:
        data_dir: directory with the idx files, gzipped or not, or torchvision's root directory above them.
        limit: keep at most this many training images; 0 keeps all.
        download: let torchvision fetch missing files.
    """

    input_shape = (1, 28, 28)
    classes = 10
    name = "mnist"
    torchvision_name = "MNIST"
    flip = False

    def __init__(self, data_dir: str = "", limit: int = 0, download: bool = False) -> None:
        self.data_dir = data_dir
        self.limit = limit
        self.download = download

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the four files."""
        if self.download:
            root = Path(self.data_dir or ".").expanduser()
            if any(self._find(root, prefix, kind) is None for prefix in ("train", "t10k") for kind in _KINDS):
                files.download(self.name, self.torchvision_name, root)
        else:
            content = "train-images-idx3-ubyte.gz and its three companions (or set -o dataset.download=true)"
            root = files.require_data_dir(self.name, self.data_dir, content)
        return splits.limit(self._read(root, "train"), self.limit), self._read(root, "t10k")

    def _find(self, root: Path, prefix: str, kind: str) -> Path | None:
        return files.find((root, root / self.torchvision_name / "raw"), _names(prefix, kind))

    def _read(self, root: Path, prefix: str) -> LabelledImages:
        paths = []
        for kind in _KINDS:
            path = self._find(root, prefix, kind)
            if path is None:
                names = " or ".join(_names(prefix, kind)[:2])
                places = f"{str(root)!r} or its sub-directory {self.torchvision_name}/raw"
                message = (
                    f"dataset {self.name!r}: no {names} in {places}; put it there, or set -o dataset.download=true"
                )
                raise DatasetError(message)
            paths.append(path)
        images, labels = files.read_idx(paths[0], 3), files.read_idx(paths[1], 1)
        if images.shape[1:] != self.input_shape[1:]:
            raise DatasetError(
                f"{paths[0]} holds images of {images.shape[1:]} pixels instead of {self.input_shape[1:]}"
            )
        return files.check_labels(paths[1], LabelledImages(images[:, None], labels.astype(np.int64)), self.classes)

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
    flip = True


_KINDS = ("images-idx3", "labels-idx1")


def _names(prefix: str, kind: str) -> tuple[str, ...]:
    return (f"{prefix}-{kind}-ubyte.gz", f"{prefix}-{kind}-ubyte", f"{prefix}-{kind.replace('-idx', '.idx')}-ubyte")
