"""Peak memory of one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from shape_dnn import devices
from shape_dnn.deploying import memory
from shape_dnn.deploying.acquaintance import target_identity
from shape_dnn.kinds import Instrument, Workload
from shape_dnn.measuring import peak_memory
from shape_dnn.measuring.building import Builder
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive


class Memory(Instrument):
    """Most bytes in use at once during a forward pass of a batch, weights included, in MB of a million bytes.

    On CUDA what torch's allocator needed, the scratch memory of its operators included; elsewhere the sum of all
    tensors that live at the same time, computed without running the network. Of what ships, the peak of resident memory
    on the target beyond the loaded runtime.

    Args:
        precision: numeric format of weights and images.
        channels_last: memory format.
    """

    metric = "memory"
    unit = "MB"
    cost = 0.5
    measures_artifacts: ClassVar[bool] = True

    def __init__(self, precision: str = "float32", channels_last: bool = False) -> None:
        self.numerics = Numerics(precision, channels_last)

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Tell measured from computed values, and those of a target."""
        if workload.ships:
            return target_identity(workload)
        if workload.device.startswith("cuda"):
            return {"method": "measured", "fingerprint": devices.fingerprint(workload.device)}
        return {"method": "computed"}

    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure or compute one shape after the other, the smallest first."""
        if workload.ships:
            yield from memory.measure(workload, shapes)
            return
        builder = Builder(workload, self.numerics)
        is_measured = workload.device.startswith("cuda")
        for shape in sorted(shapes):
            alive()
            if is_measured:
                peak = builder.attempt(shape, partial(peak_memory.measured, workload, shape, self.numerics))
            else:
                peak = peak_memory.computed(workload, shape, self.numerics)
            if peak is None:
                yield shape, builder.refusal(shape)
                continue
            details = {"method": "measured" if is_measured else "computed"}
            yield shape, Measurement(peak / 1e6, peak / 1e6, peak / 1e6, details=details)
