"""Where the files of a study lie that are too large for its database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
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
        self._digests: dict[int, str] = {}

    def images(self, fingerprint: str) -> Path:
        """Return where the images lie that have this name by their content."""
        with self._database.decoding():
            return self._database.directory / IMAGES / decoding.name(fingerprint)

    def weights_of(self, context: int) -> Path:
        """Return where the weights of a family of trainings lie."""
        return self._database.directory / "weights" / self._digest(context)

    def _digest(self, context: int) -> str:
        """Return the name of a family, which never changes."""
        if context not in self._digests:
            ((digest,),) = self._database.read("SELECT digest FROM context WHERE id = ?", context)
            with self._database.decoding():
                self._digests[context] = decoding.name(digest)
        return self._digests[context]

    def weights(self, context: int, shape: Shape) -> Path:
        """Return where the weights of a trained shape lie."""
        return self.weights_of(context) / f"{shape.file_name}.safetensors"

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
        return self._checkpoints_of(context) / shape.file_name

    def _checkpoints_of(self, context: int) -> Path:
        return self._database.directory / "checkpoints" / self._digest(context)

    def checkpointed(self, context: int) -> Callable[[Shape], bool]:
        """Look which trainings of a family have checkpoints; return what tells of each."""
        directory = self._checkpoints_of(context)
        there = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
        return lambda shape: bool(there) and shape.file_name in there
