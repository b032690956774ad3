"""Which operating systems searches run on. Standard library only."""

from __future__ import annotations

import sys

from shape_dnn.errors import UnavailableError


def check() -> None:
    """See that the system has the processes, signals and locks that searches rely on.

    Raises:
        UnavailableError: it is Windows, where a search would fail in the middle.
    """
    if sys.platform == "win32":
        remedy = "install it in the Windows Subsystem for Linux (WSL)"
        raise UnavailableError(f"shape_dnn runs on Linux and macOS, not on Windows itself; {remedy}")
