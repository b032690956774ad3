"""Measure shapes by an instrument in a worker process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shape_dnn.kinds import Instrument, Workload
from shape_dnn.plugins import Choice, Registry
from shape_dnn.work import Needs, Task

if TYPE_CHECKING:
    from shape_dnn.kinds import Architecture, InputShape
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class MeasuringTask(Task):
    """Measure one metric of several shapes.

    Attributes:
        meter: which instrument.
        architecture: which plugin builds the networks.
        plugin_files: files that may declare them.
        input_shape: channels, height and width of an image.
        classes: number of outputs.
        batch_size: images in a forward pass.
        device: where, as torch writes it.
        shapes: what to measure.
        attempt: tells this task from others.
    """

    meter: Choice
    architecture: Choice
    plugin_files: tuple[Path, ...]
    input_shape: InputShape
    classes: int
    batch_size: int
    device: str
    shapes: tuple[Shape, ...]
    attempt: str = ""

    @property
    def needs(self) -> Needs:
        """The device for itself."""
        return Needs(self.device, exclusive=True)

    @property
    def reads(self) -> tuple[Path, ...]:
        """Plugins."""
        return self.plugin_files

    def run(self, report: Callable[[object], bool]) -> int:
        """Report a pair of shape and measurement for each shape; return how many there were."""
        registry = Registry(self.plugin_files)
        meter = cast("Instrument", registry.load_again(self.meter))
        architecture = cast("Architecture", registry.load_again(self.architecture))
        workload = Workload(architecture, self.input_shape, self.classes, self.batch_size, self.device)
        measured = 0
        for shape, measurement in meter.measure(workload, self.shapes):
            measured += 1
            if not report((shape, measurement)):
                break
        return measured
