"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the batches of their Python version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shape_dnn.builtin.datasets import files
from shape_dnn.builtin.datasets.downloadable import Downloadable
from shape_dnn.kinds import LabelledImages
from shape_dnn.recipes import Recipe


class Cifar10(Downloadable):
    """50,000 and 10,000 colour photographs of 32x32 pixels in 10 classes."""

    input_shape = (3, 32, 32)
    classes = 10
    name = "cifar10"
    torchvision_name = "CIFAR10"
    folder = "cifar-10-batches-py"
    labels = "labels"
    meta = ("batches.meta", "label_names")
    """File with the names of the classes, and their key in it."""
    required = (*((f"data_batch_{i}",) for i in range(1, 6)), ("test_batch",))

    @property
    def class_names(self) -> Sequence[str]:
        """Those of the file that comes with the batches, if it is there."""
        path = self.find((self.meta[0],))
        return () if path is None else files.names(path, files.read_batch(path), self.meta[1])

    def read(self, root: Path) -> tuple[LabelledImages, LabelledImages]:
        """Read the batches; the last one holds the test images."""
        *train, test = (self._batch(self.path(root, names)) for names in self.required)
        return files.concatenate(train), test

    def _batch(self, path: Path) -> LabelledImages:
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
    meta = ("meta", "fine_label_names")
    required = (("train",), ("test",))
