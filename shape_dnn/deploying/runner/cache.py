"""What a target keeps: files by their content, and who has it at the moment."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

MOST = 2_000_000_000
"""Bytes of files that are kept; what was used longest ago goes first."""
PARTIAL = ".partial-"
"""How the names of files begin that are on their way."""


class Cache:
    """A directory of files that are named by their SHA-256, one for each runner at work, and a lock.

    Several runners may share it, and several machines, where homes are on a file server. Only the lock is for one.

    Args:
        directory: the user's cache directory, as the system has it, if empty.
    """

    def __init__(self, directory: str = "") -> None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
        self.directory = Path(directory or home, *([] if directory else ["shape-dnn"]))
        self._host = platform.node() or "here"
        name = f"{self._host}-{os.getpid()}"
        self.files, self.work = self.directory / "files", self.directory / "work" / name
        self._partial = self.files / f"{PARTIAL}{name}"
        self._lock: int | None = None

    def open(self) -> None:
        """Make what is not there, and remove what runners of this machine left that did not come to their end."""
        for directory in (self.files, self.work):
            directory.mkdir(parents=True, exist_ok=True)
        for path in (*self.work.parent.iterdir(), *self.files.glob(f"{PARTIAL}*")):
            host, _, number = path.name.replace(PARTIAL, "").rpartition("-")
            if host == self._host and number.isdigit() and not _is_running(int(number)):
                _remove(path)

    def close(self) -> None:
        """Remove what is of no use to the next one."""
        _remove(self.work)

    def is_left_by_dead(self, pid: int) -> bool:
        """Tell whether a runner of this machine is not there any more and has not removed what it was working with."""
        return pid > 0 and self.work.with_name(f"{self._host}-{pid}").exists() and not _is_running(pid)

    def lock(self, token: str, who: str, most: float) -> str | None:
        """Take the target for oneself, or return who has it after some seconds of waiting.

        A runner with the same token is one whose connection was lost: it ends at once.
        """
        import fcntl

        self.directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(str(self.directory / f"lock-{self._host}"), os.O_RDWR | os.O_CREAT, 0o600)
        until = time.monotonic() + most
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            holder = _holder(descriptor)
            if holder.get("token") == token:
                _kill(int(holder["pid"]))
            elif time.monotonic() >= until:
                os.close(descriptor)
                return str(holder.get("who", "somebody"))
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"token": token, "who": who, "pid": os.getpid()}).encode("ascii"), 0)
        self._lock = descriptor  # the system lets go of it when this process ends, in whatever way
        return None

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return which of some files are not there; the others count as used now."""
        return [digest for digest in digests if not _is_touched(self.files / digest)]

    def put(self, digest: str, payload: Callable[[Callable[[bytes], object]], None], kept: Iterable[str]) -> bool:
        """Write a file, and remove old ones that are too many; tell whether its content is what its name says.

        Args:
            digest: its name.
            payload: hands its content to a function, in parts.
            kept: files that stay.
        """
        partial, found = self._partial, hashlib.sha256()
        try:
            with open(str(partial), "wb") as file:  # noqa: PTH123

                def take(part: bytes) -> None:
                    file.write(part)
                    found.update(part)

                payload(take)
                file.flush()
                os.fsync(file.fileno())
            if found.hexdigest() != digest:
                return False
            partial.replace(self.files / digest)
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()
        self._shrink({digest, *kept})
        return True

    def _shrink(self, kept: Iterable[str]) -> None:
        found = []
        for path in self.files.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another runner removed it
                found.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total > MOST and path.name not in kept:
                total -= size
                _remove(path)

    def lay_out(self, name: str, files: dict[str, str]) -> Path:
        """Make a directory of files.

        Args:
            name: of the directory.
            files: their digests by their paths in it.
        """
        directory = self.work / name
        _remove(directory)
        for path, digest in files.items():
            place = directory / path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(str(self.files / digest), str(place))
            except OSError:  # a file system without links
                shutil.copyfile(str(self.files / digest), str(place))
        return directory

    def forget(self, name: str) -> None:
        """Remove what was laid out."""
        _remove(self.work / name)


def _remove(path: Path) -> None:
    shutil.rmtree(str(path), ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _is_touched(path: Path) -> bool:
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _holder(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:  # it is being written
        return {}
    return content if isinstance(content, dict) else {}


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
