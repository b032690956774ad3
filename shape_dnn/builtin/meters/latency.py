"""Time of one forward pass with random weights (paper, Section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from shape_dnn import devices
from shape_dnn.kinds import Instrument, Workload
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape


class Latency(Instrument):
    """Median time of a batch, until the result is there, with networks measured side by side in rounds.

    How is told in :mod:`shape_dnn.measuring.rounds`.

    Args:
        seconds: most time spent on a shape after warm-up.
        threads: of a measurement on the CPU.
        precision: numeric format of weights and images.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
    """

    metric = "latency"
    unit = "ms"
    cost = 1.0
    linear_in_depth = True

    def __init__(
        self,
        seconds: float = 0.8,
        threads: int = 1,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
    ) -> None:
        self.seconds = seconds
        self.numerics = Numerics(precision, channels_last, mode, threads)

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Fingerprint the device."""
        self.numerics.check(workload.device)
        return {"fingerprint": devices.fingerprint(workload.device)}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure groups of shapes side by side; one that does not fit into memory has no value."""
        from shape_dnn.measuring import latency

        return latency.measure(workload, shapes, self.numerics, self.seconds)
