"""How processes start, and that they end with all that they have started, without a word on standard output."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil


class Family:
    """A process that leads, with all that it starts.

    Args:
        leader: number of the process, which has called :func:`lead` or will.
    """

    def __init__(self, leader: int) -> None:
        self._number = leader
        self._leader: psutil.Process | None = None
        with contextlib.suppress(psutil.NoSuchProcess):  # it may be gone already
            self._leader = psutil.Process(leader)

    def end(self) -> None:
        """End all of them at once, also where the leader has ended before."""
        if self._leader is not None:
            _kill(self._leader, *_descendants(self._leader))
        # What lost its parent is no descendant any more, but still of the group. As long as it has members, no other
        # process is given its number; a process that has been can only be that of a group which was empty.
        if not self._is_number_of_another():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._number, signal.SIGKILL)

    def _is_number_of_another(self) -> bool:
        return psutil.pid_exists(self._number) and (self._leader is None or not self._leader.is_running())


def lead() -> None:
    """Make this process the leader of a group of its own, to which belongs what it starts."""
    with contextlib.suppress(OSError):  # it leads one already
        os.setsid()


def end_own_family() -> None:
    """End this process, which leads, and all that it has started."""
    _kill(*_descendants(psutil.Process()))
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _kill(*processes: psutil.Process) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()


def start_method() -> str | None:
    """Return how Python starts processes, if the user has chosen another way than the default."""
    method: str | None = multiprocessing.get_start_method(allow_none=True)
    return None if method == multiprocessing.get_all_start_methods()[0] else method


def start_copies() -> None:
    """Have processes that this one starts be copies of it, on Linux, unless another way was chosen.

    Others could not have what a file of plugins declares, such as a dataset whose items they are to load. Before 3.14
    Python starts copies by itself.
    """
    if sys.platform == "linux" and start_method() is None:
        multiprocessing.set_start_method("fork", force=True)


@contextlib.contextmanager
def start_method_left_open() -> Iterator[None]:
    """Start processes without settling the start method, which is the user's to choose, and only once."""
    settled: str | None = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(settled, force=True)


@contextlib.contextmanager
def main_left_out_if_no_file() -> Iterator[None]:
    """Start processes that do not import the main program where Python has read it from no file, as from a pipe.

    Python calls that file ``<stdin>``, and would have each of them look for it.
    """
    main = sys.modules["__main__"]
    name = getattr(main, "__file__", None)
    began: str = getattr(multiprocessing.process, "ORIGINAL_DIR", None) or ""  # where a relative name is looked for
    if name is None or Path(began, name).exists():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = name


def print_to_standard_error() -> None:
    """Have whatever this process prints, and what it starts, go to standard error: not to whoever reads an answer."""
    sys.stdout = sys.stderr
    try:
        os.dup2(2, 1)
    except OSError:  # there is none
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
