"""ImageNet scaled down to 32x32 pixels (Chrabaszcz et al. 2017), from its published batches."""

from __future__ import annotations

from pathlib import Path

from shape_dnn.builtin.datasets import files
from shape_dnn.data import splits
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import Dataset, LabelledImages
from shape_dnn.recipes import IMAGENET32_PAPER, Recipe


class ImageNet32(Dataset):
    """1,281,167 and 50,000 colour photographs of 32x32 pixels in 1000 classes.

    Args:
        data_dir: directory with ``train_data_batch_1`` to ``_10`` and ``val_data``, pickled or ``.npz``.
        limit: keep at most this many training images; 0 keeps all.
    """

    input_shape = (3, 32, 32)
    classes = 1000

    def __init__(self, data_dir: str = "", limit: int = 0) -> None:
        self.data_dir = data_dir
        self.limit = limit

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the batches without executing anything in them."""
        content = "train_data_batch_1 to train_data_batch_10 and val_data, with or without .npz"
        root = files.require_data_dir("imagenet32", self.data_dir, content)
        train = files.concatenate(self._read(root, f"train_data_batch_{i}") for i in range(1, 11))
        return splits.limit(train, self.limit), self._read(root, "val_data")

    def _read(self, root: Path, name: str) -> LabelledImages:
        path = files.find((root,), (name, f"{name}.npz"))
        if path is None:
            raise DatasetError(
                f"dataset 'imagenet32': no {name} or {name}.npz in {str(root)!r}; "
                "download it from image-net.org, where it is offered to registered users"
            )
        part = files.batch_images(path, files.read_batch(path), "labels", first_label=1)
        return files.check_labels(path, part, self.classes)

    def short_recipe(self, device_type: str) -> Recipe:
        """One epoch on a processor, more on a GPU."""
        return Recipe(epochs=1 if device_type == "cpu" else 10, schedule="one-cycle", weight_decay=1e-4)

    def paper_recipe(self) -> Recipe:
        """The paper's recipe for its space D1."""
        return IMAGENET32_PAPER
