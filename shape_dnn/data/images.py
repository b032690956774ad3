"""Labelled images on disk, where every worker process of a machine sees one and the same copy."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shape_dnn.kinds import InputShape, LabelledImages
from shape_dnn.system import durable

PARTS = ("train", "test")


def fingerprint(*parts: LabelledImages) -> str:
    """Digest the content of images and labels, so that the same data has the same name wherever it lies."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(repr((part.images.shape, part.labels.shape)).encode())
        digest.update(np.ascontiguousarray(part.images).data)
        digest.update(np.ascontiguousarray(part.labels, dtype="<i8").data)
    return digest.hexdigest()


def check(train: LabelledImages, test: LabelledImages, input_shape: InputShape, classes: int) -> None:
    """Check that images are what their dataset says.

    Raises:
        ValueError: says what is wrong.
    """
    for name, part in zip(PARTS, (train, test), strict=True):
        if not isinstance(part, LabelledImages):
            raise TypeError(f"load returned {type(part).__name__} objects instead of shape_dnn.LabelledImages")
        images, labels = part.images, part.labels
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != tuple(input_shape):
            raise ValueError(f"its {name} images are {images.dtype} {images.shape[1:]} instead of uint8 {input_shape}")
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(images):
            raise ValueError(f"it has {len(images)} {name} images and {labels.dtype} {labels.shape} labels")
        if not len(labels):
            raise ValueError(f"it has no {name} images")
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"its {name} labels run from {labels.min()} to {labels.max()}, with {classes} classes")


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


def _save(path: Path, values: NDArray[Any]) -> None:
    values = np.ascontiguousarray(values)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(values))
    durable.write(path, header.getbuffer(), values.data)


def input_shape(directory: Path) -> InputShape:
    """Return channels, height and width of the images that were saved."""
    channels, height, width = np.load(directory / f"{PARTS[0]}-images.npy", mmap_mode="r").shape[1:]
    return channels, height, width


def load(directory: Path) -> tuple[LabelledImages, LabelledImages]:
    """Return the training and test images that were saved, mapped into memory rather than read."""
    train, test = (
        LabelledImages(
            np.load(directory / f"{name}-images.npy", mmap_mode="c"),
            np.load(directory / f"{name}-labels.npy").astype(
                np.int64, copy=False
            ),  # former versions wrote any integers
        )
        for name in PARTS
    )
    return train, test
