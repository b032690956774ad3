"""What the datasets that torchvision can fetch have in common."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from shape_dnn.builtin.datasets import files
from shape_dnn.data import splits
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import Dataset, LabelledImages


class Downloadable(Dataset):
    """A dataset in files that lie in the user's directory, or below it as torchvision lays them out.

    Args:
        data_dir: the directory.
        limit: keep at most this many training images; 0 keeps all.
        download: let torchvision fetch missing files.
    """

    name: ClassVar[str]
    torchvision_name: ClassVar[str]
    folder: ClassVar[str]
    """Where torchvision puts the files, below its root directory."""
    required: ClassVar[tuple[tuple[str, ...], ...]]
    """The files; for each the names under which it may occur."""

    def __init__(self, data_dir: str = "", limit: int = 0, download: bool = False) -> None:
        self.data_dir = data_dir
        self.limit = limit
        self.download = download

    @abstractmethod
    def read(self, root: Path) -> tuple[LabelledImages, LabelledImages]:
        """Read the training and test images; files are found by :meth:`path`."""

    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Fetch missing files if that is wanted, and read them without executing anything in them."""
        if self.download:
            root = Path(self.data_dir or ".").expanduser()
            if any(self._find(root, names) is None for names in self.required):
                files.download(self.name, self.torchvision_name, root)
        else:
            content = f"{self.required[0][0]} and its companions (or set -o dataset.download=true)"
            root = files.require_data_dir(self.name, self.data_dir, content)
        train, test = self.read(root)
        return splits.limit(train, self.limit), test

    def path(self, root: Path, names: tuple[str, ...]) -> Path:
        """Return the file that has one of these names.

        Raises:
            DatasetError: there is none.
        """
        path = self._find(root, names)
        if path is None:
            places = f"{str(root)!r} or its sub-directory {self.folder}"
            remedy = "put it there, or set -o dataset.download=true"
            raise DatasetError(f"dataset {self.name!r}: no {' or '.join(names[:2])} in {places}; {remedy}")
        return path

    def find(self, names: tuple[str, ...]) -> Path | None:
        """Return the file in the user's directory that has one of these names, if there are both."""
        is_named = self.data_dir or self.download
        return self._find(Path(self.data_dir or ".").expanduser(), names) if is_named else None

    def _find(self, root: Path, names: tuple[str, ...]) -> Path | None:
        return files.find((root, root / self.folder), names)
