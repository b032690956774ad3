"""Where the files of a study lie that are too large for its database."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from shape_dnn.shape import Shape
from shape_dnn.store import decoding
from shape_dnn.store.database import Database

IMAGES = "images"
"""The folder of a study where its images lie."""


class Files:
    """Images, weights and checkpoints of a study.

    Args:
        database: of the study; knows the names of families.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def images(self, fingerprint: str) -> Path:
        """Return where the images lie that have this name by their content."""
        with self._database.decoding():
            return self._database.directory / IMAGES / decoding.name(fingerprint)

    def weights_of(self, context: int) -> Path:
        """Return where the weights of a family of trainings lie."""
        ((digest,),) = self._database.read("SELECT digest FROM context WHERE id = ?", context)
        with self._database.decoding():
            return self._database.directory / "weights" / decoding.name(digest)

    def weights(self, context: int, shape: Shape) -> Path:
        """Return where the weights of a trained shape lie."""
        width = f"{shape.width.numerator}_{shape.width.denominator}"
        return self.weights_of(context) / f"{shape.depth}-{width}.safetensors"

    def artifact(self, context: int, shape: Shape) -> Path:
        """Return where the artifact of a trained shape lies that was judged."""
        weights = self.weights(context, shape)
        return self._database.directory / "artifacts" / weights.parent.name / weights.stem

    def artifacts(self, identity: Mapping[str, object]) -> Path:
        """Return where artifacts lie of which everything is determined but the shape."""
        digest = hashlib.sha256(decoding.canonical(dict(identity)).encode()).hexdigest()
        return self._database.directory / "artifacts" / digest[:24]

    def checkpoints(self, context: int, shape: Shape) -> Path:
        """Return where the checkpoints of a training lie while it is not finished."""
        weights = self.weights(context, shape)
        return self._database.directory / "checkpoints" / weights.parent.name / weights.stem
