"""Reads the sensors of an NVIDIA GPU: ``python -m shape_dnn.measuring.nvml_recorder UUID SECONDS``.

Imports neither torch nor numpy, and reads slowly: fast polling disturbs the counters of some boards.
"""

from __future__ import annotations

import os
import sys
import time

import pynvml

from shape_dnn.errors import MeterError
from shape_dnn.measuring import nvml, sensors
from shape_dnn.measuring.power import Reading

OTHERS_SECONDS = 1.0
"""How often the driver is asked which processes use the GPU; it keeps samples of about a second."""


def main(uuid: str, interval: float) -> None:
    """Record the sensors of one GPU, or say why they cannot be read."""
    try:
        with nvml.session():
            gpu = nvml.Gpu.find(uuid)
            about = {"sensor": f"NVML {_source(gpu)}", "board": gpu.name, "driver": gpu.driver}
            sensors.record(about, Reader(gpu, os.getppid()).read, interval)
    except MeterError as error:
        sensors.refuse(error)
    except pynvml.NVMLError as error:
        sensors.refuse(nvml.explain(error))


def _source(gpu: nvml.Gpu) -> str:
    """Tell what the board has. Both are read, so that what may not be read is refused at once."""
    joules, watts = gpu.joules(), gpu.watts()
    if joules is not None:
        return "counter"
    if watts is not None:
        return "power"
    raise MeterError(f"{gpu.name} tells neither energy nor power")


class Reader:
    """Reads everything there is to read of a GPU.

    Args:
        gpu: which.
        worker: number of the process whose use of it is meant.
    """

    def __init__(self, gpu: nvml.Gpu, worker: int) -> None:
        self._gpu = gpu
        self._worker = worker
        self._asked = time.monotonic()
        self._others: float | None = None

    def read(self) -> Reading:
        """Read once; a failure is part of the record."""
        gpu, began = self._gpu, time.monotonic()
        try:
            joules = gpu.joules()
            moment = (began + time.monotonic()) / 2
            if began - self._asked >= OTHERS_SECONDS:
                self._others = gpu.use_by_others(int((time.time() - OTHERS_SECONDS) * 1e6), self._worker)
                self._asked = began
            return Reading(
                moment,
                joules,
                gpu.watts(),
                throttled=gpu.is_throttled(),
                others=self._others,
                clock_mhz=gpu.clock_mhz(),
                temperature_c=gpu.temperature_c(),
            )
        except pynvml.NVMLError as error:
            return Reading(began, failure=nvml.explain(error))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
