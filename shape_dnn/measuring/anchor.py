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
GRAPH_IMAGES = 64
"""Images in a batch of the anchor as a CUDA graph: about a tenth of a millisecond's work for a large GPU."""


def network(images: int = 1) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return a small network with weights that never change, and its input: a batch of so many images."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [layer for _ in range(4) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())]
    return nn.Sequential(*layers), torch.randn(images, 32, 32, 32)


def forward_pass(device: str, mode: str = "eager") -> ForwardPass:
    """Return what runs that network in torch on a device.

    As a CUDA graph it has so much to compute that its time is that of the GPU, as is that of the graphs it stands by,
    and not that of the processor that launches it.
    """
    images = GRAPH_IMAGES if mode == "graph" else 1
    return ForwardPass.of(*network(images), device, Numerics(mode=mode))


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
