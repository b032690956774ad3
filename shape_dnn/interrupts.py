"""What Ctrl-C does while work is running elsewhere. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

NOTICE = b"\ninterrupted: what is running comes to a good point to stop; interrupt again to stop at once\n"


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
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), NOTICE)  # print() could be what was interrupted
        note()

    signal.signal(signal.SIGINT, take)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if arrived:
        raise KeyboardInterrupt
