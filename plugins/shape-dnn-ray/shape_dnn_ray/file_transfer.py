"""Files of a task on their way to another machine and back."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from shape_dnn.system import durable

Content = Mapping[str, NDArray[np.uint8]]
"""Bytes of files by their path within a directory, or under ``""`` those of a single file."""


Written = bytes | Content | None
"""Bytes of a file, or those of a directory; None for what is not there."""


@dataclass(frozen=True)
class Parcel:
    """A file or directory.

    Attributes:
        path: where it lies on the machine of the driver.
        digest: of its name and content.
        sizes: bytes of each file, by its path within the directory.
    """

    path: Path
    digest: str
    sizes: tuple[tuple[str, int], ...]


def pack(path: Path) -> tuple[Parcel, Content]:
    """Read a file or directory."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    content = {"" if file == path else file.relative_to(path).as_posix(): np.fromfile(file, np.uint8) for file in files}
    digest = hashlib.blake2b(path.name.encode(), digest_size=16)
    for name, values in content.items():
        digest.update(f"{name}\0{len(values)}\0".encode())
        digest.update(values.data)
    return Parcel(path, digest.hexdigest(), tuple((name, len(values)) for name, values in content.items())), content


def unpack(parcel: Parcel, fetch: Callable[[], Content]) -> Path:
    """Return where a parcel lies on this machine, after writing it there if it is not there whole.

    All processes of a machine see the same copy, which lies where others may remove some of it after some days. Each
    file is there whole or not at all, so that one can be put back while other processes work with the rest.

    Args:
        parcel: what is meant.
        fetch: brings its content; called only if it is not here yet, or not any more.
    """
    place = _room() / parcel.digest / parcel.path.name
    if _is_whole(place, parcel):
        return place
    with FileLock(_room() / f"{parcel.digest}.lock"):
        if not _is_whole(place, parcel):
            for name, values in fetch().items():
                target = place / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=_room(), delete=False) as partial:
                    partial.write(values.data)
                Path(partial.name).replace(target)
    return place


def _is_whole(place: Path, parcel: Parcel) -> bool:
    """Tell whether all files of a parcel are in a place."""
    try:
        return all((place / name).stat().st_size == size for name, size in parcel.sizes)
    except OSError:  # one is not there
        return False


def scratch(path: Path) -> Path:
    """Return where, on this machine, that lies which another attempt at the same work may go on from."""
    return _room() / "scratch" / hashlib.blake2b(str(path).encode(), digest_size=16).hexdigest()


def output() -> Path:
    """Return a new directory for what a task writes."""
    return Path(tempfile.mkdtemp(dir=_room(), prefix="output-"))


def read(paths: Sequence[Path]) -> list[Written]:
    """Return the content of files and directories, None for one that is not there."""
    return [path.read_bytes() if path.is_file() else pack(path)[1] if path.is_dir() else None for path in paths]


def write(path: Path, content: Written) -> None:
    """Put what was read from a file or directory into another one, which is there whole or not at all."""
    if content is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        durable.write(path, content)
        return
    with durable.replaced_directory(path) as partial:
        for name, values in content.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            durable.write(partial / name, values.tobytes())


def remove(directory: Path) -> None:
    """Remove what is needed no more."""
    shutil.rmtree(directory, ignore_errors=True)


def _room() -> Path:
    """Return this user's directory for all of this, which nobody else can have made.

    Raises:
        PermissionError: somebody else has.
    """
    # By number: in a container a user may have no name, and environment variables may hold that of another one.
    room = Path(tempfile.gettempdir()) / f"shape-dnn-{os.getuid()}"
    room.mkdir(mode=0o700, exist_ok=True)
    about = room.lstat()
    if about.st_uid != os.getuid() or stat.S_ISLNK(about.st_mode):
        raise PermissionError(f"{room} belongs to the user of number {about.st_uid}, or is a link; remove it")
    return room
