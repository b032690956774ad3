"""Memory of a processor that is freed in one step of a training and needed in the next."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Parameters of glibc's ``mallopt``: bytes that may be free at the end before they go back to the system, and how many
blocks may be mappings of their own, which go back when they are freed."""
USUAL = {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65536}
KEEPING = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0}


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Keep the memory that this process frees until the end, instead of giving it back to the system each time.

    Otherwise the system clears every page of every activation anew in each step. It changes no result, and does
    nothing where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    try:
        _set(libc, KEEPING)
        yield
    finally:
        _set(libc, USUAL)
        libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        libc.mallopt(parameter, value)
