"""Energy of one forward pass on an NVIDIA GPU (paper, Section 5)."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

import pynvml

from shape_dnn.errors import MeterError
from shape_dnn.kinds import Workload
from shape_dnn.measuring import nvml
from shape_dnn.measuring.energy import EnergyMeter, Sensor
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.power import Reading

ELSEWHERE = "for processors and other devices see the package shape-dnn-zeus: pip install ./plugins/shape-dnn-zeus"


class NvmlEnergy(EnergyMeter):
    """Joules of one forward pass by the sensors of the board, which a second process reads.

    Args:
        seconds: longest window of a shape.
        interval: seconds between two readings; fast polling disturbs the sensors of some boards.
        precision: numeric format of weights and images.
        channels_last: memory format.
        mode: ``eager`` or ``graph``.
    """

    def __init__(
        self,
        seconds: float = 10.0,
        interval: float = 0.025,
        precision: str = "float32",
        channels_last: bool = False,
        mode: str = "eager",
    ) -> None:
        super().__init__(Numerics(precision, channels_last, mode), seconds)
        self.interval = interval

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Find the sensor of the GPU.

        Raises:
            MeterError: there is none; says why and the remedy.
        """
        uuid = self.uuid(workload)
        with nvml.session():
            gpu = nvml.Gpu.find(uuid)
            try:
                counter, watts = gpu.joules(), gpu.watts()
            except pynvml.NVMLError as error:
                raise MeterError(f"{gpu.name}: {nvml.explain(error)}") from None
        if counter is None and watts is None:
            raise MeterError(f"{gpu.name} tells neither energy nor power; {ELSEWHERE}")
        return {**super().identity(workload), "sensor": f"NVML {'counter' if counter is not None else 'power'}"}

    def uuid(self, workload: Workload) -> str:
        """Return which GPU the device is."""
        if not workload.device.startswith("cuda"):
            raise MeterError(f"energy is measured on NVIDIA GPUs, and the device is {workload.device}; {ELSEWHERE}")
        return nvml.uuid_of(workload.device)

    def open_sensor(self, workload: Workload) -> Sensor:
        """Start the recording process."""
        return NvmlRecorder(self.uuid(workload), self.interval)


class NvmlRecorder(Sensor):
    """A second process that reads the sensors of a GPU, and this end of it.

    Args:
        uuid: of the GPU.
        interval: seconds between two readings.

    Raises:
        MeterError: there is nothing to read.
    """

    def __init__(self, uuid: str, interval: float) -> None:
        command = [sys.executable, "-m", "shape_dnn.measuring.nvml_recorder", uuid, str(interval)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._about = self._next(timeout=START_SECONDS)
        except queue.Empty:
            self.close()
            raise MeterError(f"NVML did not answer within {START_SECONDS} s; restart the machine") from None
        about = self._about
        if "unavailable" not in about and not (about["counter"] or about["power"]):
            about["unavailable"] = f"{about['name']} tells neither energy nor power; {ELSEWHERE}"
        if "unavailable" in about:
            self.close()
            raise MeterError(about["unavailable"])

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, timeout: float = 0.0) -> dict[str, Any]:
        line = self._lines.get(timeout=timeout) if timeout else self._lines.get_nowait()
        if line is None:
            raise MeterError(f"the process that reads the sensors ended with status {self._process.wait()}")
        content: dict[str, Any] = json.loads(line)
        return content

    def readings(self) -> list[Reading]:
        """Return what the other process read since the last call."""
        found: list[Reading] = []
        while True:
            try:
                found.append(Reading(**self._next()))
            except queue.Empty:
                return found

    def describe(self) -> Mapping[str, object]:
        """Name the board and its driver."""
        return {"board": self._about["name"], "driver": self._about["driver"]}

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        self._process.stdout.close()


START_SECONDS = 30.0
