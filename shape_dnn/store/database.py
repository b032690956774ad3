"""The SQLite file of a study: opening it, locking it, and saying which file it is that fails."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import StudyError, UsageError, describe
from shape_dnn.store import schema, snapshot
from shape_dnn.store.lease import LEASE, Lease

if TYPE_CHECKING:
    from filelock import FileLock

FILE_NAME = "study.sqlite"

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "ceph-fuse", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3",
     "smbfs", "sshfs", "virtiofs", "webdav", "wekafs"}
)  # fmt: skip
"""Where locks are not to be relied on, and SQLite could damage its files with them."""
REMEDY = "wait for it, or choose another --study"
LONGEST_PATH = 504
"""Bytes that SQLite takes for the path of a file, since it adds a suffix for that of its journal."""


class Database:
    """One study file.

    On a network file system, whoever writes holds a :class:`~shape_dnn.store.lease.Lease` and uses the file without
    locks, and whoever only reads does so in a copy as of when it was opened. So does whoever may only read.

    Args:
        directory: of the study; None for an empty one without a file, for those who only look.
        create: whether it may be made.

    Raises:
        UsageError: the directory cannot be written, there is no study in it, or it holds another kind of file.
        StudyError: the file cannot be read or written.
    """

    def __init__(self, directory: Path | None, create: bool = True) -> None:
        self.directory = directory or Path()
        self._lease: Lease | None = None
        self._copy: Path | None = None
        if directory is None:
            self.path = Path()
            self._connect(":memory:")
            return
        self.path = directory / FILE_NAME
        if not create and not self.path.is_file():
            raise UsageError(no_study(directory), setting="study")
        if directory.is_file():
            raise UsageError(f"{str(directory)!r} is a file; a study is a directory", setting="study")
        with self._or_nothing(), self._naming_refusals():
            if create:
                directory.mkdir(parents=True, exist_ok=True)
            # Where it once was shared, others may still reach it over a network.
            if is_on_network(directory) or (directory / LEASE).exists():
                self._lease = Lease(directory)
                weakref.finalize(self, self._lease.release)
            if not create and (self._lease is not None or not self.is_writable):
                self._copy = self._copied()
                self._connect(self.location, self._copy)
            else:
                self._open(create=create)

    @property
    def is_writable(self) -> bool:
        """Whether this process may write to the study."""
        return os.access(self.directory, os.W_OK) and os.access(self.path, os.W_OK)

    def _open(self, *, create: bool) -> None:
        if self._lease is not None and not self.lock():
            raise StudyError(f"study {str(self.directory)!r} is in use by {self._lease.holder}; {REMEDY}")
        self._connect(self.location)
        if create:
            (self.directory / "weights").mkdir(exist_ok=True)
            self.connection.execute("BEGIN IMMEDIATE")  # fails here rather than after hours if it cannot be written
            self.connection.execute("ROLLBACK")

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """Give the lease back if something goes wrong."""
        try:
            yield
        except BaseException:
            if self._lease is not None:
                self._lease.release()
            raise

    @contextmanager
    def _naming_refusals(self) -> Iterator[None]:
        """Say why the file cannot be opened."""
        try:
            yield
        except OSError as error:
            raise UsageError(f"cannot write to {str(self.directory)!r}: {error.strerror}", setting="study") from None
        except sqlite3.OperationalError as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:
            raise self._damage(error) from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{str(self.path)!r} cannot be used as a study: {error}", setting="study") from None

    @property
    def location(self) -> str:
        """Where SQLite finds the file, or the copy that is read, and how it opens it."""
        without_locks = self._lease is not None or self._copy is not None
        return (self._copy or self.path.absolute()).as_uri() + ("?vfs=unix-none" if without_locks else "")

    def _connect(self, name: str, path: Path | None = None) -> None:
        # Only the thread that opened it uses it, but any may be the one that throws it away.
        self.connection = sqlite3.connect(name, isolation_level=None, timeout=30, uri=True, check_same_thread=False)
        weakref.finalize(self, self.connection.close)  # also when opening goes wrong below
        schema.prepare(self.connection, path or self.path)

    def _copied(self) -> Path:
        """Copy the file; return the copy."""
        try:
            scratch = tempfile.TemporaryDirectory(prefix="shape-dnn-", ignore_cleanup_errors=True)
            weakref.finalize(self, _in_this_process(scratch.cleanup))
            copy = Path(scratch.name) / FILE_NAME
            snapshot.take(self.path, copy)
        except OSError as error:
            message = f"cannot copy {str(self.path)!r} into {tempfile.gettempdir()!r} to read it: {error.strerror}"
            raise UsageError(message, setting="study") from None
        return copy

    @cached_property
    def _lock(self) -> FileLock:
        from filelock import FileLock

        return FileLock(self.directory / "lock")

    def close(self) -> None:
        """Close the file, and let others work on the study."""
        if "_lock" in self.__dict__:
            self._lock.release(force=True)
        self.connection.close()
        if self._lease is not None:
            self._lease.release()

    def lock(self) -> bool:
        """Keep other processes away until the file is closed, or this process ends, however it does.

        Returns:
            Whether that came about; if not, another process works on it.

        Raises:
            StudyError: the file of the lock cannot be written.
        """
        from filelock import Timeout

        if self._lease is not None:
            return self._lock_by(self._lease)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise StudyError(f"{self._lock.lock_file!r} cannot be locked: {error.strerror}") from error
        return True

    def _lock_by(self, lease: Lease) -> bool:
        if lease.is_held:
            return True
        if not lease.acquire():
            return False
        with self._or_nothing(), self.naming_errors():
            if lease.is_taken_over and self.path.is_file():
                snapshot.renew(self.path)
            if self._copy is not None:
                self.connection.close()
                self._copy = None
                self._connect(self.location)
        return True

    @property
    def holder(self) -> str:
        """Who works on the study, where that is told; empty otherwise."""
        return "" if self._lease is None else str(self._lease.holder)

    def unlock(self) -> None:
        """Let others work on the study: at once, or once the file is closed, if it is used without locks until then."""
        if self._lease is None:
            self._lock.release()

    def is_locked(self) -> bool:
        """Tell whether a process works on the study, this one included."""
        from filelock import Timeout

        if self._lease is not None:
            return self._lease.is_taken()
        if self._lock.is_locked:
            return True
        if not Path(self._lock.lock_file).exists():
            return False
        try:
            with self._lock.acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return _is_locked(Path(self._lock.lock_file))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what is written inside, or nothing.

        Raises:
            StudyError: it cannot be written, or another process has taken it over.
        """
        if self._copy is not None:
            raise StudyError(f"study {str(self.directory)!r} was opened for reading, and so is not written to")
        if self._lease is not None:
            self._lease.check()
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
        if (length := len(os.fsencode(self.path.absolute()))) > LONGEST_PATH:
            return StudyError(f"{message} (its whole path has {length} bytes; SQLite takes {LONGEST_PATH} at most)")
        if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_DBMOVED":
            return StudyError(f"study file {str(self.path)!r} was moved or removed while it was in use")
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


def is_on_network(directory: Path) -> bool:
    """Tell whether a directory lies on a network file system, where locks cannot be relied on."""
    import psutil

    path = directory.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    # Of two file systems at one place, the one that was mounted later is seen.
    nearest = max(reversed(mounts), key=lambda part: len(part.mountpoint), default=None)
    return nearest is not None and nearest.fstype.lower().removeprefix("fuse.") in NETWORK_FILE_SYSTEMS


def _is_locked(path: Path) -> bool:
    """Tell whether a file is locked that may only be read; where that cannot be told, it may be."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return True
    return False


def _in_this_process(act: Callable[[], object]) -> Callable[[], None]:
    """Return what does something in this process, and nothing in a copy of it."""
    own = os.getpid()

    def act_here() -> None:
        if os.getpid() == own:
            act()

    return act_here


def no_study(directory: Path) -> str:
    """Say that there is no study in a directory, and how to find those that there are."""
    return (
        f"there is no study in {str(directory)!r} (no {FILE_NAME}); 'shape-dnn studies' lists those below a directory"
    )
