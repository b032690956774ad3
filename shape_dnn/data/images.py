"""Labelled images on disk, where every worker process of a machine sees one and the same copy.

A directory has either their pixels, or where they lie encoded: then they are decoded whenever they are needed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shape_dnn.data import encoded
from shape_dnn.data.names import Names
from shape_dnn.errors import DatasetError
from shape_dnn.kinds import EncodedImages, Images, InputShape, LabelledImages
from shape_dnn.system import durable

PARTS = ("train", "test")
INDEX, NAMES = "index.json", "names.json"
"""What encoded images are called by their content, with the shape they are decoded to, and where they lie."""


def fingerprint(*parts: Images) -> str:
    """Digest the content of images and labels, so that the same data has the same name wherever and however it lies."""
    return _fingerprint(parts, [all_levels(part) for part in parts])


def _fingerprint(parts: Sequence[Images], levels: Sequence[Iterator[NDArray[np.uint8]]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part, of_part in zip(parts, levels, strict=True):
        digest.update(repr(((len(part), *_shape(part)), part.labels.shape)).encode())
        for some in of_part:
            digest.update(np.ascontiguousarray(some).data)
        digest.update(np.ascontiguousarray(part.labels, dtype="<i8").data)
    return digest.hexdigest()


def all_levels(part: Images) -> Iterator[NDArray[np.uint8]]:
    """Return the levels of all images, some of them at a time."""
    return encoded.levels(part) if isinstance(part, EncodedImages) else iter((part.images,))


def _shape(part: Images) -> InputShape:
    if isinstance(part, EncodedImages):
        return part.input_shape
    channels, height, width = part.images.shape[1:]
    return channels, height, width


def check(train: Images, test: Images, input_shape: InputShape, classes: int) -> None:
    """Check that images are what their dataset says.

    Raises:
        ValueError: says what is wrong.
    """
    for name, part in zip(PARTS, (train, test), strict=True):
        if not isinstance(part, LabelledImages | EncodedImages):
            raise TypeError(f"load returned {type(part).__name__} objects instead of shape_dnn.LabelledImages")
        if type(part) is not type(train):
            raise TypeError(f"load returned {type(train).__name__} and {type(part).__name__}; both must be of one kind")
        _check_kind(name, part, input_shape)
        labels = part.labels
        number = len(part.places if isinstance(part, EncodedImages) else part.images)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != number:
            raise ValueError(f"it has {number} {name} images and {labels.dtype} {labels.shape} labels")
        if not len(labels):
            raise ValueError(f"it has no {name} images")
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"its {name} labels run from {labels.min()} to {labels.max()}, with {classes} classes")


def _check_kind(name: str, part: Images, input_shape: InputShape) -> None:
    if isinstance(part, LabelledImages):
        levels = part.images
        if levels.dtype != np.uint8 or levels.ndim != 4 or levels.shape[1:] != tuple(input_shape):
            raise ValueError(f"its {name} images are {levels.dtype} {levels.shape[1:]} instead of uint8 {input_shape}")
        return
    if tuple(part.input_shape) != tuple(input_shape) or input_shape[0] not in (1, 3):
        raise ValueError(f"its {name} images are decoded to {part.input_shape} instead of {input_shape}")
    places = part.places
    if places.dtype != np.int64 or places.ndim != 2 or places.shape[1] != 3:
        raise ValueError(f"its {name} places are {places.dtype} {places.shape} instead of int64 (number, 3)")
    if len(places) and not 0 <= places[:, 0].min() <= places[:, 0].max() < len(part.names):
        raise ValueError(f"its {name} places are in files that it does not name")


def save(train: LabelledImages, test: LabelledImages, directory: Path) -> None:
    """Write training and test images into a directory, which is there whole or not at all.

    Raises:
        StudyError: it cannot be written.
    """
    if directory.is_dir():
        return
    with durable.naming_errors(directory), durable.new_directory(directory) as partial:
        for name, part in zip(PARTS, (train, test), strict=True):
            _save(partial / f"{name}-images.npy", part.images)
            _save(partial / f"{name}-labels.npy", part.labels.astype(np.int64, copy=False))


def survey(train: EncodedImages, test: EncodedImages, home: Path, progress: encoded.Progress) -> Path:
    """Decode every image once, and keep where each lies and what was learnt; return the directory of that.

    A damaged image is found before hours of training, and the data gets its name by its content. If no file has
    changed since that was done last, nothing is read.

    Args:
        train: images to learn from.
        test: images kept for the end.
        home: directory of the directory.
        progress: told how many have been decoded, of how many.

    Raises:
        DatasetError: an image cannot be decoded; says which.
        StudyError: the directory cannot be written.
    """
    parts = (train, test)
    directory = home / encoded.stamp(parts)
    if _is_whole(directory):
        return directory
    sums = [np.empty((len(part), part.input_shape[0], 2), np.int64) for part in parts]
    number = sum(map(len, parts))

    def levels(part: EncodedImages, own: NDArray[np.int64], before: int) -> Iterator[NDArray[np.uint8]]:
        done = 0
        for some, of_them in encoded.levels_and_sums(part):
            own[done : done + len(some)] = of_them
            done += len(some)
            progress(before + done, number)
            yield some

    content = _fingerprint(parts, [levels(train, sums[0], 0), levels(test, sums[1], len(train))])
    names = {name: [str(part.root), list(part.names)] for name, part in zip(PARTS, parts, strict=True)}
    index = {"fingerprint": content, "input_shape": list(train.input_shape)}
    with durable.naming_errors(directory), durable.replaced_directory(directory) as partial:
        durable.write_text(partial / NAMES, json.dumps(names))
        for name, part, own in zip(PARTS, parts, sums, strict=True):
            _save(partial / f"{name}-places.npy", part.places)
            _save(partial / f"{name}-labels.npy", part.labels.astype(np.int64, copy=False))
            _save(partial / f"{name}-sums.npy", own)
        durable.write_text(partial / INDEX, json.dumps({**index, "digest": _digest(partial)}))
    return directory


def remove_superseded(survey: Path) -> None:
    """Remove former surveys of the same images in the same place, of which a file was written since; none is read.

    Their names are made of sizes and times of files, so they are never found again. Surveys of other images stay, and
    those of the same ones in another place, which may be there as well.

    Only whoever keeps others from working on the study may call this: trainings of another search look such a directory
    up by its name. Whoever just exports takes one whose files are as they were, and so none of these.

    Args:
        survey: directory of the present one.
    """
    content, roots = name_of(survey), _roots(survey)
    for index in list(survey.parent.glob(f"*/{INDEX}")):
        former = index.parent
        if former.name == survey.name or not _is_called(former, content):
            continue
        with suppress(OSError, ValueError, LookupError):  # somebody else's, or damaged: then it stays, as all did
            if _roots(former) == roots:
                _remove(former)


def _roots(directory: Path) -> list[str]:
    names = json.loads((directory / NAMES).read_text())
    return [names[name][0] for name in PARTS]


def _remove(directory: Path) -> None:
    """Remove a survey, by the files last by which the rest of it is found if this is interrupted."""
    for path in sorted(directory.iterdir(), key=lambda path: (path.name == INDEX, path.name == NAMES)):
        path.unlink()
    directory.rmdir()


def _save(path: Path, values: NDArray[Any]) -> None:
    values = np.ascontiguousarray(values)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    durable.write(path, header.getbuffer(), values.data)


def input_shape(directory: Path) -> InputShape:
    """Return channels, height and width of the images that were saved."""
    if (directory / INDEX).is_file():
        channels, height, width = json.loads((directory / INDEX).read_text())["input_shape"]
    else:
        channels, height, width = np.load(directory / f"{PARTS[0]}-images.npy", mmap_mode="r").shape[1:]
    return channels, height, width


def load(directory: Path) -> tuple[Images, Images]:
    """Return the training and test images that were saved, mapped into memory rather than read."""
    if (directory / INDEX).is_file():
        return _load_encoded(directory.resolve())
    train, test = _load_pixels(directory)
    return train, test


def _load_pixels(directory: Path) -> list[LabelledImages]:
    return [
        LabelledImages(np.load(directory / f"{name}-images.npy", mmap_mode="c"), _load_labels(directory, name))
        for name in PARTS
    ]


@functools.lru_cache(maxsize=1)  # of a million names it takes a while, and nothing in such a directory ever changes
def _load_encoded(directory: Path) -> tuple[EncodedImages, EncodedImages]:
    names = json.loads((directory / NAMES).read_text())
    train, test = (
        EncodedImages(
            Path(names[name][0]),
            Names(names[name][1]),
            np.load(directory / f"{name}-places.npy"),
            _load_labels(directory, name),
            input_shape(directory),
            np.load(directory / f"{name}-sums.npy"),
        )
        for name in PARTS
    )
    return train, test


def _load_labels(directory: Path, name: str) -> NDArray[np.int64]:
    values: NDArray[Any] = np.load(directory / f"{name}-labels.npy")
    return values.astype(np.int64, copy=False)  # former versions wrote any integers


def find(home: Path, content: str) -> Path | None:
    """Return the directory where images of this content lie, whether as pixels or encoded; None if there is none.

    Of several, whose files lay in different places or had other times, the first that is intact, if any is.

    Args:
        home: directory of all of them.
        content: the fingerprint of the images.
    """
    pixels = home / content
    if pixels.is_dir():
        return pixels
    surveys = [path.parent for path in sorted(home.glob(f"*/{INDEX}")) if _is_called(path.parent, content)]
    return next((each for each in surveys if _are_where_they_were(each)), next(iter(surveys), None))


def _is_called(directory: Path, content: str) -> bool:
    try:
        return name_of(directory) == content
    except (OSError, ValueError, LookupError):  # a damaged one
        return False


def name_of(directory: Path) -> str:
    """Return the fingerprint of encoded images that were surveyed, as it was then."""
    return str(json.loads((directory / INDEX).read_text())["fingerprint"])


def are_intact(directory: Path, content: str) -> bool:
    """Tell whether images are still those that they were, encoded ones by their files' sizes and times.

    Args:
        directory: of the images.
        content: what their fingerprint was.
    """
    if (directory / INDEX).is_file():
        return _are_where_they_were(directory) and name_of(directory) == content
    return fingerprint(*load(directory)) == content


def _are_where_they_were(directory: Path) -> bool:
    """Tell whether encoded images are in their places, and none of their files was written since they were surveyed."""
    try:
        train, test = _load_encoded(directory.resolve())
        return _is_whole(directory) and encoded.stamp([train, test]) == directory.name
    except (OSError, ValueError, LookupError, DatasetError):
        return False


def _is_whole(directory: Path) -> bool:
    """Tell whether what a survey wrote is there, and as it was."""
    try:
        return bool(json.loads((directory / INDEX).read_text())["digest"] == _digest(directory))
    except (OSError, ValueError, LookupError):
        return False


def _digest(directory: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in (directory / NAMES, *sorted(directory.glob("*.npy"))):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
