"""Files of artifacts, brought to where they run, each once by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from shape_dnn.deploying.artifacts import FILES, Artifact
from shape_dnn.deploying.connection import Connection
from shape_dnn.errors import DeploymentError
from shape_dnn.kinds import Target

SECONDS = 60.0
"""Most that a request takes, beside the time for its payload."""
CHUNK = 1 << 20


class Files:
    """Knows what was sent, and how to send the rest.

    Args:
        target: where to.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._digests: dict[Path, str] = {}

    def place(self, connection: Connection, artifact: Artifact) -> dict[str, object]:
        """Say where an artifact lies on its target, as the runner takes it, once it does.

        Raises:
            DeploymentError: its files cannot be read here.
            TargetError: it cannot be written there.
        """
        directory = artifact.directory.absolute() / FILES
        if self._target.is_here:
            return {"directory": str(directory), "example": str(artifact.example.absolute())}
        try:
            digests = {path: self._digest(path) for path in (*artifact.files, artifact.example)}
            missing = set(connection.request("has", SECONDS, digests=list(digests.values())).answer)
            for path, digest in digests.items():
                if digest in missing:
                    missing.discard(digest)
                    connection.request("put", SECONDS, _parts(path), path.stat().st_size, digest=digest)
        except OSError as error:
            raise DeploymentError(f"{artifact.directory} cannot be read: {error.strerror or error}") from error
        files = {path.relative_to(artifact.directory / FILES).as_posix(): digests[path] for path in artifact.files}
        return {"files": files, "inputs": digests[artifact.example]}

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            with path.open("rb") as file:
                self._digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[path]


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(CHUNK):
            yield part
