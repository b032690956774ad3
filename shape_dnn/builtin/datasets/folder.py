"""Images in folders, one per class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shape_dnn import devices
from shape_dnn.builtin.datasets import files
from shape_dnn.data import splits
from shape_dnn.errors import DatasetError, UsageError
from shape_dnn.kinds import Dataset, InputShape, LabelledImages
from shape_dnn.recipes import WRN_PAPER, Recipe

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

AT_A_TIME = 16
"""Images that a thread reads before that is told."""


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
        return self.load_with_progress(lambda *_: None)

    def load_with_progress(self, progress: Callable[[int, int], None]) -> tuple[LabelledImages, LabelledImages]:
        """Read and resize all images, some of them at a time on every processor."""
        root, test_root = self._roots()
        paths, labels = self._find(root)
        number = len(paths)
        if test_root is not None:
            unknown = sorted(set(_folders(test_root)) - set(self.class_names))
            if unknown:
                raise DatasetError(
                    f"dataset 'folder': {str(test_root)!r} has the class {unknown[0]!r}, and {str(root)!r} does not"
                )
            of_test, labels_of_test = self._find(test_root)
            paths, labels = paths + of_test, labels + labels_of_test
        everything = LabelledImages(self._read(paths, progress), np.array(labels, np.int64))
        if test_root is None:
            train, test = splits.split(everything, float(self.test), seed=0)
        else:
            train, test = (
                LabelledImages(everything.images[part], everything.labels[part])
                for part in (slice(number), slice(number, None))
            )
        if not len(train) or not len(test):
            raise DatasetError(f"dataset 'folder': {str(root)!r} has too few images to hold some out for the test")
        return splits.limit(train, self.limit), test

    def _find(self, root: Path) -> tuple[list[Path], list[int]]:
        """Return every image below a directory, with its label."""
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(self.class_names):
            folder = root / name
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []
            visible = [path for path in found if not path.name.startswith(".")]
            if not visible and folder.is_dir():
                accepted = ", ".join(sorted(SUFFIXES))
                raise DatasetError(f"dataset 'folder': no image in {str(folder)!r}; accepted are files in {accepted}")
            paths += visible
            labels += [label] * len(visible)
        if not paths:
            raise DatasetError(f"dataset 'folder': {str(root)!r} holds no image of any class")
        return paths, labels

    def _read(self, paths: Sequence[Path], progress: Callable[[int, int], None]) -> NDArray[np.uint8]:
        """Read images by threads: Pillow decodes and resizes without the lock of the interpreter."""
        images = np.empty((len(paths), *self.input_shape), np.uint8)

        def read(start: int) -> int:
            stop = min(start + AT_A_TIME, len(paths))
            for place in range(start, stop):
                images[place] = self._read_image(paths[place])
            return stop

        with ThreadPoolExecutor(devices.cores()) as pool:
            for done in pool.map(read, range(0, len(paths), AT_A_TIME)):  # in order, so the first fault is raised
                progress(done, len(paths))
        return images

    def _read_image(self, path: Path) -> NDArray[np.uint8]:
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
