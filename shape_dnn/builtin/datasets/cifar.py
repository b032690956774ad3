"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the batches of their Python version."""

from __future__ import annotations

from pathlib import Path

from shape_dnn import splits
from shape_dnn.builtin.datasets import files
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import Dataset, LabelledImages
from shape_dnn.recipes import Recipe


class Cifar10(Dataset):
    """50,000 and 10,000 colour photographs of 32x32 pixels in 10 classes.

    Args:
        data_dir: directory with the batches, or the one above it.
        limit: keep at most this many training images; 0 keeps all.
        download: let torchvision fetch missing files.
    """

    input_shape = (3, 32, 32)
    classes = 10
    name = "cifar10"
    torchvision_name = "CIFAR10"
    folder = "cifar-10-batches-py"
    labels = "labels"
    train_files: tuple[str, ...] = tuple(f"data_batch_{i}" for i in range(1, 6))
    test_file = "test_batch"

    def __init__(self, data_dir: str = "", limit: int = 0, download: bool = False) -> None:
        self.data_dir = data_dir
        self.limit = limit
        self.download = download

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the batches without executing anything in them."""
        if self.download:
            root = Path(self.data_dir or ".").expanduser()
            if any(self._find(root, name) is None for name in (*self.train_files, self.test_file)):
                files.download(self.name, self.torchvision_name, root)
        else:
            content = f"{self.train_files[0]}, {self.test_file} (or set -o dataset.download=true)"
            root = files.require_data_dir(self.name, self.data_dir, content)
        train = files.concatenate(self._read(root, name) for name in self.train_files)
        return splits.limit(train, self.limit), self._read(root, self.test_file)

    def _find(self, root: Path, name: str) -> Path | None:
        return files.find((root, root / self.folder), (name,))

    def _read(self, root: Path, name: str) -> LabelledImages:
        path = self._find(root, name)
        if path is None:
            raise DatasetError(
                f"dataset {self.name!r}: no {name} in {str(root)!r} or its sub-directory {self.folder}; "
                "put it there, or set -o dataset.download=true"
            )
        part = files.batch_images(path, files.read_batch(path), self.labels, first_label=0)
        return files.check_labels(path, part, self.classes)

    def short_recipe(self, device_type: str) -> Recipe:
        """Few epochs on a processor, more on a GPU."""
        return Recipe(epochs=5 if device_type == "cpu" else 30, schedule="one-cycle", lr=0.2)


class Cifar100(Cifar10):
    """The same in 100 classes."""

    classes = 100
    name = "cifar100"
    torchvision_name = "CIFAR100"
    folder = "cifar-100-python"
    labels = "fine_labels"
    train_files = ("train",)
    test_file = "test"
