"""Images in folders, one per class."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from shape_dnn import splits
from shape_dnn.builtin.datasets import files
from shape_dnn.errors import DatasetError, UsageError
from shape_dnn.kinds import Dataset, InputShape, LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class Folder(Dataset):
    """Images of any size, resized, with the folder as class.

    Either ``DIR/CLASS/IMAGE``, of which a part is held out as the test set, or ``DIR/train/CLASS/IMAGE`` and
    ``DIR/test/CLASS/IMAGE`` (``val`` is accepted for ``test``). Hidden files are passed over.

    Args:
        data_dir: the directory.
        limit: keep at most this many training images; 0 keeps all.
        size: height and width to which images are resized.
        channels: 3 for colour, 1 for grey.
        test: part held out as the test set where there is no folder for it; stratified, always the same.
        flip: whether training mirrors images.
    """

    validation_fraction = 0.2

    def __init__(
        self,
        data_dir: str = "",
        limit: int = 0,
        size: int = 32,
        channels: int = 3,
        test: Fraction = Fraction(1, 5),
        flip: bool = True,
    ) -> None:
        if not 1 <= size <= 4096:
            raise UsageError(f"dataset.size={size}: accepted are 1 to 4096 pixels", setting="option")
        if not 0 < test < 1:
            raise UsageError(f"dataset.test={test}: accepted are fractions above 0 and below 1", setting="option")
        self.data_dir = data_dir
        self.limit = limit
        self.size = size
        self.channels = channels
        self.test = test
        self.flip = flip

    @property
    def input_shape(self) -> InputShape:
        """Channels and the size to which images are resized."""
        return (self.channels, self.size, self.size)

    @property
    def classes(self) -> int:
        """Number of folders."""
        return len(self.class_names)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders, sorted; a class is the place in this order."""
        root, _ = self._roots()
        names = _folders(root)
        if len(names) < 2:
            raise DatasetError(
                f"dataset 'folder': {str(root)!r} has {len(names)} sub-folders; it takes one per class, two or more"
            )
        return names

    def _roots(self) -> tuple[Path, Path | None]:
        root = files.require_data_dir("folder", self.data_dir, "one sub-folder of images per class")
        train = root / "train"
        test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
        return (train, test) if train.is_dir() and test is not None else (root, None)

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read and resize all images."""
        root, test_root = self._roots()
        train = self._read(root)
        if test_root is None:
            train, test = splits.split(train, float(self.test), seed=0)
        else:
            unknown = sorted(set(_folders(test_root)) - set(self.class_names))
            if unknown:
                raise DatasetError(
                    f"dataset 'folder': {str(test_root)!r} has the class {unknown[0]!r}, and {str(root)!r} does not"
                )
            test = self._read(test_root)
        if not len(train) or not len(test):
            raise DatasetError(f"dataset 'folder': {str(root)!r} has too few images to hold some out for the test")
        return splits.limit(train, self.limit), test

    def _read(self, root: Path) -> LabelledImages:
        images: list[np.ndarray] = []
        labels: list[int] = []
        for label, name in enumerate(self.class_names):
            folder = root / name
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
            visible = [path for path in found if not path.name.startswith(".")]
            if not visible and folder.is_dir():
                accepted = ", ".join(sorted(SUFFIXES))
                raise DatasetError(f"dataset 'folder': no image in {str(folder)!r}; accepted are files in {accepted}")
            images += [self._read_image(path) for path in visible]
            labels += [label] * len(visible)
        if not images:
            raise DatasetError(f"dataset 'folder': {str(root)!r} holds no image of any class")
        return LabelledImages(np.stack(images), np.array(labels, np.int64))

    def _read_image(self, path: Path) -> np.ndarray:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            with Image.open(path) as opened:
                upright = ImageOps.exif_transpose(opened).convert("RGB" if self.channels == 3 else "L")
                resized = upright.resize((self.size, self.size), Image.Resampling.BILINEAR)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
            message = " ".join(str(error).split())
            raise DatasetError(f"{path} cannot be read as an image: {message}; repair or remove it") from None
        pixels = np.asarray(resized, np.uint8)
        return pixels[None] if self.channels == 1 else pixels.transpose(2, 0, 1)

    def short_recipe(self, device_type: str) -> Recipe:
        """A moderate number of epochs, since such collections are small."""
        return Recipe(epochs=20 if device_type == "cpu" else 60, batch_size=32, schedule="one-cycle", flip=self.flip)

    def paper_recipe(self) -> Recipe:
        """The recipe of the paper."""
        return Recipe(**{**vars(WRN_PAPER), "flip": self.flip})


def _folders(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")))
