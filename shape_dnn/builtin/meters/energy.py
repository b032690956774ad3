"""Energy of one forward pass on an NVIDIA GPU (paper, Section 5)."""

from __future__ import annotations

from shape_dnn.deploying.energy import ArtifactEnergyMeter
from shape_dnn.errors import MeterError
from shape_dnn.kinds import Workload
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.sensors import Recorder, Sensor

ELSEWHERE = "for processors and other devices see the package shape-dnn-zeus: pip install ./plugins/shape-dnn-zeus"


class NvmlEnergy(ArtifactEnergyMeter):
    """Joules of one forward pass by the sensors of the board.

    Args:
        seconds: longest window of a shape.
        interval: seconds between two readings; where two lie half a second apart, a window tells nothing.
        precision: numeric format of weights and images.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
        tf32: whether a GPU may compute convolutions in float32 in TF32.
    """

    def __init__(
        self,
        seconds: float = 10.0,
        interval: float = 0.025,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
        tf32: bool = True,
    ) -> None:
        super().__init__(Numerics(precision, channels_last, mode, tf32=tf32), seconds)
        self.interval = interval

    def uuid(self, workload: Workload) -> str:
        """Return which GPU the device is.

        Raises:
            MeterError: it is none.
        """
        if not workload.device.startswith("cuda"):
            raise MeterError(f"energy is measured on NVIDIA GPUs, and the device is {workload.device}; {ELSEWHERE}")
        from shape_dnn.measuring import nvml

        return nvml.uuid_of(workload.device)

    def open_sensor(self, workload: Workload) -> Sensor:
        """Start reading the sensors of the GPU."""
        return Recorder("shape_dnn.measuring.nvml_recorder", [self.uuid(workload), str(self.interval)])
