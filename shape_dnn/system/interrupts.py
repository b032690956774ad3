"""What Ctrl-C does while work is running elsewhere. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

NOTICE = "interrupted: what is running comes to a good point to stop; interrupt again to stop at once"


def _write_notice() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), f"\n{NOTICE}\n".encode())  # print() could be what was interrupted


_announcers: list[Callable[[], None]] = [_write_notice]


@contextlib.contextmanager
def announced_by(announce: Callable[[], None]) -> Iterator[None]:
    """Let an interrupt of a block be announced by somebody else, such as a display that would be written into.

    Args:
        announce: called in the middle of anything else, so it should set a flag and no more.
    """
    _announcers.append(announce)
    try:
        yield
    finally:
        _announcers.remove(announce)


@contextlib.contextmanager
def postponed(note: Callable[[], None]) -> Iterator[None]:
    """Let the first interrupt (SIGINT) of a block be noted only, and be raised when the block ends.

    The second one is raised at once. Nothing is changed in other threads than the main one, where signals do not
    arrive, and in a program that handles the signal itself.

    Args:
        note: called in the middle of anything else, so it should set a flag and no more.

    Raises:
        KeyboardInterrupt: after the block, if there was an interrupt.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    arrived = False

    def take(_number: int, _frame: object) -> None:
        nonlocal arrived
        arrived = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _announcers[-1]()
        note()

    signal.signal(signal.SIGINT, take)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if arrived:
        raise KeyboardInterrupt


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """Keep interrupts waiting, and from every process that is started meanwhile, for as long as it lives."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
