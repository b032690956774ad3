"""Stratified, seeded selections of labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shape_dnn.data import encoded
from shape_dnn.kinds import EncodedImages, Images, LabelledImages

AnyImages = TypeVar("AnyImages", LabelledImages, EncodedImages)


@dataclass(frozen=True)
class Part:
    """Some of a number of images, of which no copy is made.

    Attributes:
        images: all of them.
        indices: which are meant, ascending, of shape (number,).
    """

    images: Images
    indices: NDArray[np.int64]

    @classmethod
    def of_all(cls, images: Images) -> Part:
        """Take all."""
        return cls(images, np.arange(len(images)))

    def __len__(self) -> int:
        return len(self.indices)

    def split(self, fraction: float, seed: int) -> tuple[Part, Part]:
        """Hold out a stratified part; return the rest and the part, both in the former order."""
        order = stratified_order(self.images.labels[self.indices], seed)
        held_out = round(fraction * len(self))
        rest, part = (Part(self.images, self.indices[np.sort(own)]) for own in (order[held_out:], order[:held_out]))
        return rest, part

    def copy(self) -> LabelledImages:
        """Return the images themselves, as pixels."""
        images = self.images.take(self.indices)
        if isinstance(images, EncodedImages):
            (images,) = encoded.in_memory([images])
        return images


def stratified_order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Order all positions so that every prefix holds the classes in nearly their overall proportions.

    Within a class the order is random. The i-th of n images of a class comes at about i / n of the way.
    """
    rng = np.random.default_rng(seed)
    tie_breaks = rng.random(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((tie_breaks, place)).astype(np.int64)


def split(images: AnyImages, fraction: float, seed: int) -> tuple[AnyImages, AnyImages]:
    """Hold out a stratified part; return the rest and the part, both in the former order."""
    rest, part = Part.of_all(images).split(fraction, seed)
    return images.take(rest.indices), images.take(part.indices)


def limit(images: AnyImages, number: int, seed: int = 0) -> AnyImages:
    """Keep a stratified selection of ``number`` images; all of them if ``number`` is 0 or not smaller."""
    if not 0 < number < len(images):
        return images
    return images.take(np.sort(stratified_order(images.labels, seed)[:number]))
