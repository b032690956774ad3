"""The handwritten digits that come with scikit-learn (a part of UCI's optical recognition dataset)."""

from __future__ import annotations

import numpy as np

from shape_dnn.data import splits
from shape_dnn.kinds import Dataset, LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe


class Digits(Dataset):
    """1,797 grey images of 8x8 pixels, a fifth of them held out as the test set.

    Args:
        limit: keep at most this many training images; 0 keeps all.
    """

    input_shape = (1, 8, 8)
    classes = 10
    class_names = tuple("0123456789")
    validation_fraction = 0.2

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the images from the installed scikit-learn."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        levels = digits.images[:, None]  # 0 to 16
        everything = LabelledImages(np.rint(levels * (255 / 16)).astype(np.uint8), digits.target.astype(np.int64))
        train, test = splits.split(everything, 0.2, seed=0)
        return splits.limit(train, self.limit), test

    def short_recipe(self, device_type: str) -> Recipe:
        """Small batches, since an epoch has few images; digits may shift by a pixel but not flip."""
        return Recipe(epochs=12, batch_size=32, lr=0.2, schedule="one-cycle", crop=1, flip=False)

    def paper_recipe(self) -> Recipe:
        """The recipe of the paper without flips, which turn digits into other signs."""
        return Recipe(**{**vars(WRN_PAPER), "crop": 1, "flip": False})
