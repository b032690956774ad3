"""Images in tar archives, as WebDataset divides large collections into shards."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from shape_dnn.builtin.datasets import files
from shape_dnn.builtin.datasets.folder import SUFFIXES
from shape_dnn.builtin.datasets.image_files import ImageFiles
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import EncodedImages

LABEL = ".cls"
COMPRESSED = re.compile(r"(\.tar\.(gz|bz2|xz|lzma|zst|lz4|br|z)|\.t(gz|bz2?|b2|xz|zst|lz))$", re.IGNORECASE)
"""How the names of archives end that were compressed."""
BLOCK = 512
"""Bytes of zeros with which an archive ends at least."""
LARGEST_LABEL = 20
"""Bytes that a label may take."""
CONTENT = "shards *.tar, those of the test called test*.tar or val*.tar, or in folders train/ and test/"


class WebDataset(ImageFiles):
    """Images of any size, resized, from tar archives that were not compressed.

    Files of an archive that differ in their suffix alone belong together: an image, and a file ``.cls`` with the number
    of its class, from 0. Anything else is passed over. Shards whose names begin with ``test`` or ``val``, or that lie
    in a folder of this name, are for the test; where there are none, a part of the images is held out. Letters may be
    large or small.
    """

    name = "webdataset"

    @property
    def classes(self) -> int:
        """One more than the largest number of a class."""
        train, _ = self._found
        return int(train.labels.max()) + 1

    @property
    def root(self) -> Path:
        """Where the shards lie."""
        return files.require_data_dir(self.name, self.data_dir, CONTENT)

    def find(self) -> tuple[EncodedImages, EncodedImages | None]:
        """Read what the archives have, but for the images themselves."""
        return self._found

    @cached_property
    def _found(self) -> tuple[EncodedImages, EncodedImages | None]:
        visible = [path for path in _files_below(self.root) if re.search(r"\.[tT]", path.name)]
        shards = sorted(self.root / path for path in visible if path.suffix.lower() == ".tar")
        self._refuse_compressed(visible, set(shards))
        if not shards:
            raise DatasetError(f"dataset {self.name!r}: no shard in {str(self.root)!r}; expected {CONTENT}")
        of_test = [shard for shard in shards if _is_of_test(shard.relative_to(self.root))]
        of_training = [shard for shard in shards if shard not in set(of_test)]
        if not of_training:
            raise DatasetError(f"dataset {self.name!r}: {str(self.root)!r} has shards for the test alone; add others")
        train = self._read(of_training)
        classes = int(train.labels.max()) + 1
        if len(np.unique(train.labels)) < max(2, classes):
            has = ", ".join(map(str, np.unique(train.labels)[:10]))
            message = f"its labels are {has}; it takes two classes or more, numbered from 0 without a gap"
            raise DatasetError(f"dataset {self.name!r}: {str(self.root)!r}: {message}")
        if not of_test:
            return train, None
        test = self._read(of_test)
        if test.labels.max() >= classes:
            message = f"shards of the test have the class {test.labels.max()}, and those of the training do not"
            raise DatasetError(f"dataset {self.name!r}: {message}")
        return train, test

    def _refuse_compressed(self, paths: Iterable[Path], shards: Collection[Path]) -> None:
        """See that no images are passed over because their archive was compressed; one unpacked beside it will do.

        Raises:
            DatasetError: some would be.
        """
        ends = {path: COMPRESSED.search(path.name) for path in paths}
        plain = {path: path.with_name(f"{path.name[: end.start()]}.tar") for path, end in ends.items() if end}
        left = sorted(path for path, unpacked in plain.items() if self.root / unpacked not in shards)
        if left:
            which = f"{str(self.root / left[0])!r}" + (f" and {len(left) - 1} more" if len(left) > 1 else "")
            remedy = "unpack it by gunzip, unzstd or the like, or remove it"
            raise DatasetError(f"dataset {self.name!r}: a shard must not be compressed, as is {which}; {remedy}")

    def _read(self, shards: list[Path]) -> EncodedImages:
        places: list[tuple[int, int, int]] = []
        labels: list[int] = []
        for number, shard in enumerate(shards):
            for start, length, label in _samples(shard):
                places.append((number, start, length))
                labels.append(label)
        root = self.root.resolve()
        names = [str(shard.relative_to(self.root)) for shard in shards]
        if not places:
            raise DatasetError(f"dataset {self.name!r}: {names[0]!r} and those beside it hold no image with a label")
        return EncodedImages(root, names, np.array(places, np.int64), np.array(labels, np.int64), self.input_shape)


def _files_below(root: Path) -> Iterator[Path]:
    """Give the files below a directory, relative to it: none that is hidden, but those behind links."""
    seen = set()
    for directory, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(directory)) in seen:  # links may lead back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in names:
            if not name.startswith("."):
                yield Path(directory, name).relative_to(root)


def _is_of_test(shard: Path) -> bool:
    return any(re.match(r"(test|val)", part, re.IGNORECASE) is not None for part in shard.parts)


def _samples(shard: Path) -> Iterator[tuple[int, int, int]]:
    """Give first byte, length and label of each image of an archive.

    Raises:
        DatasetError: it is damaged or compressed, or an image has no label, or two.
    """
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if name.name.startswith(".") or member.isdir():
                    continue
                key, suffix = str(name.parent / name.name.partition(".")[0]), "." + name.name.partition(".")[2].lower()
                found = labels if suffix == LABEL else images if suffix in SUFFIXES else None
                if found is None:
                    continue
                if not member.isreg() or member.issparse():
                    raise DatasetError(f"{shard}: {member.name} is a link or stored sparsely; pack it as a plain file")
                if key in found:
                    raise DatasetError(f"{shard} has two files {key}{suffix}, or images of that name; remove one")
                if suffix == LABEL:
                    content = archive.extractfile(member)
                    assert content is not None  # noqa: S101 - it is a regular file
                    labels[key] = _label(shard, member.name, content.read(LARGEST_LABEL + 1))
                else:
                    images[key] = (member.offset_data, member.size)
            _check_end(shard, archive.offset)
    except (OSError, tarfile.TarError) as error:
        message = f"{shard} is damaged, or compressed: {' '.join(str(error).split())}"
        raise DatasetError(f"{message}; get it again, or unpack it with gunzip, unzstd or the like") from None
    for key, (start, length) in images.items():
        if key not in labels:
            raise DatasetError(f"{shard} has the image {key} without a file {key}{LABEL} that tells its class")
        yield start, length, labels[key]
    for key in labels.keys() - images.keys():
        accepted = ", ".join(sorted(SUFFIXES))
        raise DatasetError(f"{shard} has the label {key}{LABEL} without an image; accepted are files in {accepted}")


def _check_end(shard: Path, end: int) -> None:
    """See that an archive ends with zeros, as all do: what cannot be read in its middle looks like its end.

    Raises:
        DatasetError: it does not.
    """
    with shard.open("rb") as file:
        file.seek(end)
        read = 0
        while some := file.read(2**20):
            if some.strip(b"\0"):
                raise DatasetError(f"{shard} is damaged at its byte {end}, or two archives in one file; get it again")
            read += len(some)
    if read < BLOCK:
        raise DatasetError(f"{shard} is damaged: it ends in the middle, at its byte {end + read}; get it again")


def _label(shard: Path, name: str, content: bytes) -> int:
    text = content.decode("ascii", "replace").strip()
    if not re.fullmatch(r"\d{1,9}", text):
        raise DatasetError(f"{shard}: {name} holds {text[:20]!r}; expected the number of a class, from 0")
    return int(text)
