"""Time of one forward pass with random weights (paper, Section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from shape_dnn import devices
from shape_dnn.deploying import latency
from shape_dnn.deploying.acquaintance import target_identity, target_remarks
from shape_dnn.kinds import Workload
from shape_dnn.measuring.arithmetic import float32_of
from shape_dnn.measuring.forward_pass import ForwardPass, Numerics
from shape_dnn.measuring.latency import LatencyMeter
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape

FEW = 8
"""Images of a batch, at most, that most GPUs compute in less time than a processor takes to launch the kernels."""


class Latency(LatencyMeter):
    """Median time of a batch, until the result is there, with networks measured side by side in rounds.

    How is told in :mod:`shape_dnn.measuring.rounds`. What ships is measured on its target, and neither threads nor
    formats of the meter concern it.

    Args:
        seconds: most time spent on a shape after warm-up.
        threads: of a measurement on the CPU.
        precision: numeric format of weights and images.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
        tf32: whether a GPU may compute convolutions in float32 in TF32.
    """

    measures_artifacts: ClassVar[bool] = True

    def __init__(
        self,
        seconds: float = 0.8,
        threads: int = 1,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
        tf32: bool = True,
    ) -> None:
        super().__init__(Numerics(precision, channels_last, mode, threads, tf32), seconds)

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Fingerprint the device, or the target of what ships."""
        if workload.ships:
            return target_identity(workload)
        self.numerics.check(workload.device)
        return {"fingerprint": devices.fingerprint(workload.device)}

    def remarks(self, workload: Workload) -> Sequence[str]:
        """Say what keeps a target from steady times, and where times are less those of the device than they seem."""
        is_launched = workload.device.startswith("cuda") and self.numerics.mode == "eager"
        if not workload.ships and is_launched and workload.batch_size <= FEW:
            return [
                f"latency of a batch of {workload.batch_size} on a GPU is mostly that of the processor, which launches "
                "kernels one by one; the metric graph-latency is that of the GPU, where all are launched at once"
            ]
        return target_remarks(workload)

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure groups of shapes side by side; one that does not fit into memory, or does not run, has no value."""
        if workload.ships:
            yield from latency.measure(workload, shapes, self.seconds)
            return
        for shape, measurement in super().measure(workload, shapes):
            computed = float32_of(workload.device, self.numerics.precision)
            yield shape, replace(measurement, details={**measurement.details, **computed})

    def prepare(self, workload: Workload, shape: Shape) -> Callable[[], object]:
        """Have torch run the network."""
        return ForwardPass(workload, shape, self.numerics)


class GraphLatency(Latency):
    """The same of networks whose kernels are launched all at once, as a CUDA graph, to be told beside eager times.

    Args:
        seconds: most time spent on a shape after warm-up.
        precision: numeric format of weights and images.
        channels_last: memory format.
        tf32: whether a GPU may compute convolutions in float32 in TF32.
    """

    metric = "graph-latency"
    measures_artifacts: ClassVar[bool] = False

    def __init__(
        self, seconds: float = 0.8, precision: str = "float32", channels_last: bool = False, tf32: bool = True
    ) -> None:
        super().__init__(seconds, precision=precision, channels_last=channels_last, mode="graph", tf32=tf32)
