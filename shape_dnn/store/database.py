"""The SQLite file of a study: opening it, locking it, and saying which file it is that fails."""

from __future__ import annotations

import shutil
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import StudyError, UsageError, describe
from shape_dnn.store import schema

if TYPE_CHECKING:
    from filelock import FileLock

FILE_NAME = "study.sqlite"

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3",
     "smbfs", "webdav"}
)  # fmt: skip
"""Where locks are not to be relied on, and SQLite can damage its files."""


class Database:
    """One study file.

    Args:
        directory: of the study; None for an empty one without a file, for those who only look.
        create: whether it may be made.

    Raises:
        UsageError: the directory cannot be written, there is no study in it, or it holds another kind of file.
        StudyError: the file cannot be read or written.
    """

    def __init__(self, directory: Path | None, create: bool = True) -> None:
        self.directory = directory or Path()
        if directory is None:
            self.path = Path()
            self._connect(":memory:")
            return
        self.path = directory / FILE_NAME
        if not create and not self.path.is_file():
            raise UsageError(no_study(directory), setting="study")
        if directory.is_file():
            raise UsageError(f"{str(directory)!r} is a file; a study is a directory", setting="study")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if create:
                _refuse_network(directory)
            self._connect(str(self.path))
            (directory / "weights").mkdir(exist_ok=True)
            self.connection.execute("BEGIN IMMEDIATE")  # fails here rather than after hours if it cannot be written
            self.connection.execute("ROLLBACK")
        except OSError as error:
            raise UsageError(f"cannot write to {str(directory)!r}: {error.strerror}", setting="study") from None
        except sqlite3.OperationalError as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:
            raise self._damage(error) from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{str(self.path)!r} cannot be used as a study: {error}", setting="study") from None

    def _connect(self, name: str) -> None:
        self.connection = sqlite3.connect(name, isolation_level=None, timeout=30)
        weakref.finalize(self, self.connection.close)  # also when opening goes wrong below
        schema.prepare(self.connection, self.path)

    @cached_property
    def _lock(self) -> FileLock:
        from filelock import FileLock

        return FileLock(self.directory / "lock")

    def close(self) -> None:
        """Close the file, and let others work on the study."""
        if "_lock" in self.__dict__:
            self._lock.release(force=True)
        self.connection.close()

    def lock(self) -> bool:
        """Keep other processes away until the file is closed, or this process ends, however it does.

        Returns:
            Whether that came about; if not, another process works on it.

        Raises:
            StudyError: the file of the lock cannot be written.
        """
        from filelock import Timeout

        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise StudyError(f"{self._lock.lock_file!r} cannot be locked: {error.strerror}") from error
        return True

    def unlock(self) -> None:
        """Let others work on the study."""
        self._lock.release()

    def is_locked(self) -> bool:
        """Tell whether a process works on the study, this one included."""
        from filelock import Timeout

        if self._lock.is_locked:
            return True
        try:
            with self._lock.acquire(blocking=False):
                return False
        except (Timeout, OSError):
            return True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what is written inside, or nothing."""
        with self.naming_errors(), schema.transaction(self.connection):
            yield

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Say which file cannot be read or written, and why."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:  # SQLite's own message about it cannot be read
            raise self._damage(error) from error

    def _failure(self, error: sqlite3.Error) -> StudyError:
        message = f"study file {str(self.path)!r} cannot be read or written: {error}"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
            with suppress(OSError):  # SQLite tells these two apart for some calls only
                free = shutil.disk_usage(self.directory).free
                message += f" ({error.sqlite_errorname}; {free / 1e6:.0f} MB are free there)"
        return StudyError(message)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Say that the file is damaged when what is in it makes no sense."""
        try:
            yield
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise self._damage(error) from error

    def _damage(self, error: Exception) -> StudyError:
        return StudyError(f"study file {str(self.path)!r} is damaged: {describe(error)[:200]}")

    def execute(self, query: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute a statement within a transaction."""
        return self.connection.execute(query, values)

    def read(self, query: str, *values: object) -> list[Any]:
        """Return all rows."""
        with self.naming_errors():
            return self.connection.execute(query, values).fetchall()


def _refuse_network(directory: Path) -> None:
    """Refuse a directory where locks cannot be relied on.

    Raises:
        OSError: it lies on a network file system.
    """
    import psutil

    path = directory.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    nearest = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    if nearest is not None and nearest.fstype.lower() in NETWORK_FILE_SYSTEMS:
        raise OSError(0, f"it lies on a network file system ({nearest.fstype}); choose a local directory")


def no_study(directory: Path) -> str:
    """Say that there is no study in a directory, and how to find those that there are."""
    return (
        f"there is no study in {str(directory)!r} (no {FILE_NAME}); 'shape-dnn studies' lists those below a directory"
    )
