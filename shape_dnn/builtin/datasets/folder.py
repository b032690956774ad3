"""Images in folders, one per class."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from shape_dnn.builtin.datasets import files
from shape_dnn.builtin.datasets.image_files import ImageFiles
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import EncodedImages
from shape_dnn.system.text import encodable

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class Folder(ImageFiles):
    """Images of any size, resized, with the folder as class.

    Either ``DIR/CLASS/IMAGE``, of which a part is held out as the test set, or ``DIR/train/CLASS/IMAGE`` and
    ``DIR/test/CLASS/IMAGE`` (``val`` is accepted for ``test``, and letters may be large). Hidden files are passed over.
    """

    name = "folder"

    @property
    def classes(self) -> int:
        """Number of folders."""
        return len(self._folders)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the folders, sorted; a class is the place in this order."""
        return tuple(map(encodable, self._folders))

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        root, _ = self._roots()
        names = _folders(root)
        if len(names) < 2:
            raise DatasetError(
                f"dataset 'folder': {str(root)!r} has {len(names)} sub-folders; it takes one per class, two or more"
            )
        return names

    @property
    def root(self) -> Path:
        """Where the folders of the classes lie."""
        return self._roots()[0]

    def _roots(self) -> tuple[Path, Path | None]:
        root = files.require_data_dir("folder", self.data_dir, "one sub-folder of images per class")
        train, test, val = (self._called(name, root) for name in ("train", "test", "val"))
        test = test or val
        if train is None or test is None:
            return root, None
        for part in (train, test):
            if not _folders(part):
                remedy = f"if {part.name!r} is a class itself, rename it"
                raise DatasetError(f"dataset 'folder': {str(part)!r} has no sub-folder for each class; {remedy}")
        return train, test

    def _called(self, name: str, root: Path) -> Path | None:
        """Return the folder of this name, in whatever letters.

        Raises:
            DatasetError: there are two.
        """
        found = [root / folder for folder in _folders(root) if folder.lower() == name]
        if len(found) > 1:
            both = " and ".join(repr(path.name) for path in found)
            raise DatasetError(f"dataset 'folder': {str(root)!r} has {both}; rename one of them")
        return found[0] if found else None

    def find(self) -> tuple[EncodedImages, EncodedImages | None]:
        """List the files."""
        root, test_root = self._roots()
        train = self._find(root)
        if test_root is None:
            return train, None
        unknown = sorted(set(_folders(test_root)) - set(self._folders))
        if unknown:
            raise DatasetError(
                f"dataset 'folder': {str(test_root)!r} has the class {unknown[0]!r}, and {str(root)!r} does not"
            )
        return train, self._find(test_root)

    def _find(self, root: Path) -> EncodedImages:
        """Find every image below a directory."""
        names: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(self._folders):
            folder = root / name
            if not folder.is_dir():
                continue
            there = (file.name for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
            visible = sorted(name for name in there if not name.startswith("."))
            if not visible:
                accepted = ", ".join(sorted(SUFFIXES))
                raise DatasetError(f"dataset 'folder': no image in {str(folder)!r}; accepted are files in {accepted}")
            names += [f"{name}/{file}" for file in visible]
            labels += [label] * len(visible)
        if not names:
            raise DatasetError(f"dataset 'folder': {str(root)!r} holds no image of any class")
        whole = np.zeros((len(names), 3), np.int64)
        whole[:, 0], whole[:, 2] = np.arange(len(names)), -1
        return EncodedImages(root.resolve(), names, whole, np.array(labels, np.int64), self.input_shape)


def _folders(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")))
