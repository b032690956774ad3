"""The anchor of latencies: what is timed between visits, and is the same whatever is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from shape_dnn.measuring.forward_pass import ForwardPass, Numerics

if TYPE_CHECKING:
    import torch

CALLS = 4


def network() -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a small network with weights that never change, and its input."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [layer for _ in range(4) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())]
    return nn.Sequential(*layers), torch.randn(1, 32, 32, 32)


def forward_pass(device: str) -> ForwardPass:
    """Return what runs that network in torch on a device."""
    return ForwardPass.of(*network(), device, Numerics())


class Timer:
    """Times a call that is an anchor.

    Args:
        call: runs once and waits for the result.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        for _ in range(5 * CALLS):
            call()

    def time(self) -> float:
        """Return the median of a few calls in seconds, after one to fill the caches."""
        self._call()
        times = []
        for _ in range(CALLS):
            began = time.perf_counter()
            self._call()
            times.append(time.perf_counter() - began)
        return statistics.median(times)
