"""Reads a sensor of zeus: ``python -m shape_dnn_zeus.recorder SENSOR DEVICE SECONDS``.

A process of its own for two reasons: reading then costs the measured work nothing, and zeus starts helper processes,
which the worker processes of shape_dnn may not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
from zeus.device import get_cpus, get_gpus, get_soc
from zeus.exception import ZeusBaseError

from shape_dnn import MeterError
from shape_dnn.measuring import sensors
from shape_dnn.measuring.power import Reading

PERMISSION = "reading RAPL takes root or a running zeusd; see https://ml.energy/zeus/getting_started/#system-privileges"
BUSY = 0.05
"""Part of the machine's processors that others must use to count as contention."""


def main(sensor: str, device: str, interval: float) -> None:
    """Record one sensor, or say why it cannot be read."""
    try:
        name, read = open_sensor(sensor, device)
        read()  # the first reading may start helpers, or fail for want of permission
    except (ZeusBaseError, MeterError, PermissionError) as error:
        hint = f" ({PERMISSION})" if "ermission" in f"{type(error).__name__}{error}" else ""
        sensors.refuse(f"zeus cannot read the energy of {device}: {' '.join(str(error).split())}{hint}")
        return
    sensors.record({"sensor": f"zeus {name}"}, failing_softly(read), interval)


def open_sensor(sensor: str, device: str) -> tuple[str, Callable[[], Reading]]:
    """Return the name of a sensor and what reads it.

    Args:
        sensor: ``cpu``, ``gpu``, ``soc`` or ``auto``.
        device: as torch writes it.

    Raises:
        ZeusBaseError: there is none, or it may not be read.
        MeterError: it does not tell the energy.
    """
    if sensor in {"auto", "soc"}:
        try:
            return "soc", soc_reader(get_soc(), device)
        except ZeusBaseError:
            if sensor == "soc":
                raise
    if sensor == "cpu" or (sensor == "auto" and device == "cpu"):
        return "cpu", cpu_reader(get_cpus())
    return "gpu", gpu_reader(get_gpus(), int(device.partition(":")[2] or 0))


def cpu_reader(cpus: Any) -> Callable[[], Reading]:
    """Sum the processor packages and their memory. The zone of the whole platform, which holds them, is left out."""
    packages = [
        index
        for index, cpu in enumerate(cpus.cpus)
        if getattr(getattr(cpu, "rapl_file", None), "name", "package").startswith("package")
    ]
    if not packages:
        raise MeterError("RAPL tells of no processor package")
    others = Others(os.getppid())

    def read() -> Reading:
        began = time.monotonic()
        parts = [cpus.get_total_energy_consumption(index) for index in packages]
        moment = (began + time.monotonic()) / 2
        joules = sum(part.cpu_mj + (part.dram_mj or 0.0) for part in parts) / 1e3
        return Reading(moment, joules, others=others.share())

    return read


def gpu_reader(gpus: Any, index: int) -> Callable[[], Reading]:
    """Read the counter of a GPU, or its power where it has none."""
    if index >= len(gpus):
        raise MeterError(f"zeus sees {len(gpus)} GPUs, and not one of number {index}")
    has_counter = gpus.supports_get_total_energy_consumption(index)

    def read() -> Reading:
        began = time.monotonic()
        joules = gpus.get_total_energy_consumption(index) / 1e3 if has_counter else None
        moment = (began + time.monotonic()) / 2
        return Reading(moment, joules, gpus.get_instant_power_usage(index) / 1e3)

    return read


def soc_reader(soc: Any, device: str) -> Callable[[], Reading]:
    """Read what a system on a chip tells of the device and its memory, or of the whole board."""
    metrics = set(soc.get_available_metrics())
    wanted = ("cpu_total_mj", "dram_mj") if device == "cpu" else ("gpu_mj", "dram_mj")
    fields = [name for name in wanted if name in metrics] or [name for name in ("total_energy_mj",) if name in metrics]
    if not fields:
        raise MeterError(f"the chip tells {', '.join(sorted(metrics)) or 'nothing'}, and no energy of {device}")

    def read() -> Reading:
        began = time.monotonic()
        energy = soc.get_total_energy_consumption()
        moment = (began + time.monotonic()) / 2
        return Reading(moment, sum(getattr(energy, field) or 0.0 for field in fields) / 1e3)

    return read


def failing_softly(read: Callable[[], Reading]) -> Callable[[], Reading]:
    """Make a failed reading part of the record, which discards the window it lies in."""

    def attempt() -> Reading:
        try:
            return read()
        except (ZeusBaseError, OSError, ValueError) as error:
            return Reading(time.monotonic(), failure=f"zeus: {error}")

    return attempt


class Others:
    """Tells how much of the processors other processes use, which a sensor of whole processors sees too.

    Args:
        worker: number of the process whose work is measured.
    """

    def __init__(self, worker: int) -> None:
        self._worker = psutil.Process(worker)
        self._last = self._now()

    def _now(self) -> tuple[float, float, float]:
        times, own, me = psutil.cpu_times(), self._worker.cpu_times(), time.process_time()
        busy = sum(getattr(times, part, 0.0) for part in ("user", "nice", "system", "irq", "softirq"))
        return time.monotonic(), busy, own.user + own.system + me

    def share(self) -> float | None:
        """Return the part of the processors that others used since the last second; None if it cannot be told."""
        try:
            now = self._now()
        except psutil.Error:
            return None
        wall, busy, own = (new - old for new, old in zip(now, self._last, strict=True))
        if wall < 1.0:
            return None
        self._last = now
        share = (busy - own) / wall / (psutil.cpu_count() or 1)
        return round(share, 3) if share >= BUSY else 0.0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
