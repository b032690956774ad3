"""The meter: what is run, and which sensor is read meanwhile."""

from __future__ import annotations

from shape_dnn import Workload
from shape_dnn.deploying.energy import ArtifactEnergyMeter
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.sensors import Recorder, Sensor


class Zeus(ArtifactEnergyMeter):
    """Joules of one forward pass by a sensor that zeus reads.

    Args:
        sensor: ``cpu``, ``gpu``, ``soc``, or ``auto`` for that of the device.
        seconds: longest window of a shape.
        interval: seconds between two readings.
        threads: of a measurement on the processor.
        precision: numeric format of weights and images.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
        tf32: whether a GPU may compute convolutions in float32 in TF32.
    """

    def __init__(
        self,
        sensor: str = "auto",
        seconds: float = 10.0,
        interval: float = 0.05,
        threads: int = 1,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
        tf32: bool = True,
    ) -> None:
        super().__init__(Numerics(precision, channels_last, mode, threads, tf32), seconds)
        self.sensor = sensor
        self.interval = interval

    def open_sensor(self, workload: Workload) -> Sensor:
        """Start reading; a sensor that is not there, or may not be read, is said by the process that tries."""
        device = workload.device
        return Recorder("shape_dnn_zeus.recorder", [self.sensor, device, str(self.interval), _uuid(device)])


def _uuid(device: str) -> str:
    """Return the UUID of an NVIDIA GPU, which torch and zeus count in another order; nothing of any other device."""
    import torch

    from shape_dnn.measuring import nvml

    return nvml.uuid_of(device) if device.startswith("cuda") and not torch.version.hip else ""
