"""Files that are there whole or not at all, also after the power failed. Standard library only."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shape_dnn.errors import StudyError


def write(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def rename(path: Path, to: Path) -> None:
    """Give a file or directory its final name, replacing a file of that name, and wait until that is on the disk."""
    path.replace(to)
    sync(to.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, replacing one of that name; another process sees the one or the other.

    A link stays, and what it leads to is replaced. A pipe or a device, such as ``/dev/null``, is written to.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    partial = _unused(path)
    try:
        write(partial, text.encode())
        rename(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _unused(path: Path) -> Path:
    """Return a name beside a path, for what is on its way there. Unlike those of tempfile, it is for others to read."""
    return path.with_name(f".partial-{secrets.token_hex(8)}")


def permit_as(path: Path, model: Path) -> None:
    """Give a file the permissions of the one that it will replace, and its group where that is allowed."""
    found = model.stat()
    if found.st_gid != path.stat().st_gid:
        with suppress(OSError):  # this user is not of that group
            os.chown(path, -1, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode))


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a directory to fill that takes the name ``path`` at the end; if something goes wrong, nothing is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _unused(path)
    partial.mkdir()
    try:
        yield partial
        sync(partial)
        rename(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def replaced_directory(path: Path) -> Iterator[Path]:
    """Yield a directory to fill that takes the place of ``path`` at the end; if something goes wrong, that stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = _unused(path)
    new, former = scratch / "new", scratch / "former"
    scratch.mkdir()
    try:
        new.mkdir()
        yield new
        sync(new)
        if path.exists():
            path.rename(former)
        rename(new, path)
    finally:
        if former.exists() and not path.exists():
            former.rename(path)
        shutil.rmtree(scratch, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """Say what of a study cannot be written, and why.

    Raises:
        StudyError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StudyError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
