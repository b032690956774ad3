"""Time of one forward pass with random weights (paper, Section 5)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shape_dnn import devices
from shape_dnn.kinds import Instrument, Workload
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    import torch

WARM_UP_SECONDS = 0.1
WARM_UP_CALLS = 3
BLOCK_SECONDS = 0.02
BLOCKS = 9
"""Least number of blocks; nine are the fewest whose second lowest and second highest bound the median at 95 %."""


class Latency(Instrument):
    """Median time per batch over repeated blocks of forward passes, after warm-up and synchronised with the device.

    Args:
        threads: of a measurement on the CPU.
        seconds: time spent on each shape after warm-up, at least.
        channels_last: memory format.
        precision: numeric format of weights and images.
    """

    metric = "latency"
    unit = "ms"
    cost = 1.0

    def __init__(
        self, threads: int = 1, seconds: float = 0.5, channels_last: bool = False, precision: str = "float32"
    ) -> None:
        self.threads = threads
        self.seconds = seconds
        self.channels_last = channels_last
        self.precision = precision

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Fingerprint the device."""
        return {"fingerprint": devices.fingerprint(workload.device)}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure one shape after the other; one that does not fit into memory has no value."""
        import torch

        threads_before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            for shape in shapes:
                try:
                    yield shape, self._measure(workload, shape)
                except Exception as error:
                    if not devices.is_out_of_memory(error):
                        raise
                    yield shape, Measurement(None, status="out of memory")
        finally:
            torch.set_num_threads(threads_before)

    def _measure(self, workload: Workload, shape: Shape) -> Measurement:
        import torch

        device = torch.device(workload.device)
        dtype = getattr(torch, self.precision)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        torch.manual_seed(0)
        network = workload.architecture.build(shape, workload.input_shape, workload.classes)
        network = network.to(device, dtype).to(memory_format=layout).eval()
        images = torch.randn(workload.batch_size, *workload.input_shape).to(device, dtype, memory_format=layout)
        with torch.inference_mode():
            samples = sample_blocks(lambda: network(images), lambda: _synchronise(device), self.seconds)
        low, high = median_interval(samples)
        details = {"samples_ms": [round(s, 6) for s in samples], "threads": self.threads}
        return Measurement(statistics.median(samples), low, high, details=details)


def sample_blocks(call: Callable[[], object], synchronise: Callable[[], None], seconds: float) -> list[float]:
    """Warm up, then time blocks of calls; return the mean time of a call in each block, in ms."""
    calls, began = 0, time.perf_counter()
    while calls < WARM_UP_CALLS or time.perf_counter() - began < WARM_UP_SECONDS:
        call()
        synchronise()
        calls += 1
    per_call = (time.perf_counter() - began) / calls
    per_block = max(1, round(BLOCK_SECONDS / per_call))
    samples: list[float] = []
    began = time.perf_counter()
    while len(samples) < BLOCKS or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        for _ in range(per_block):
            call()
        synchronise()
        samples.append((time.perf_counter() - start) / per_block * 1e3)
    return samples


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of the median by order statistics, whatever the distribution."""
    from scipy.stats import binom

    ordered = sorted(samples)
    outside = max(0, int(binom.ppf(0.025, len(ordered), 0.5)) - 1)
    return ordered[outside], ordered[-1 - outside]


def _synchronise(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
