"""What is done around the making of a CUDA graph. Imports torch only where it is called."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@functools.cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of a GPU on which graphs are made; the workspaces of a stream stay as long as its process."""
    import torch

    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """Work on the side stream of a GPU, after what was begun before and before what comes next, also if it fails."""
    import torch

    side = side_stream(device)
    with torch.cuda.device(device):
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                yield
        finally:
            torch.cuda.current_stream().wait_stream(side)


@contextmanager
def refusing_to_wait() -> Iterator[None]:
    """Have torch refuse whatever waits for a GPU."""
    import torch

    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that not everything is noticed
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
