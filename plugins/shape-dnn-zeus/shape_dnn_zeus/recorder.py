"""Reads a sensor of zeus: ``python -m shape_dnn_zeus.recorder SENSOR DEVICE SECONDS [UUID]``.

A process of its own for two reasons: reading then costs the measured work nothing, and zeus starts helper processes,
which the worker processes of shape_dnn may not.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import pynvml

from shape_dnn import MeterError
from shape_dnn.measuring import nvml, sensors
from shape_dnn.measuring.power import Reading

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # of how amdsmi is written, from Python 3.14
    from zeus.device import get_cpus, get_gpus, get_soc
    from zeus.exception import ZeusBaseError

PERMISSION = "reading RAPL takes root or a running zeusd; see https://ml.energy/zeus/getting_started/#system-privileges"
BUSY = 0.05
"""Part of the machine's processors that others must use to count as contention."""


def main(sensor: str, device: str, interval: float, uuid: str = "") -> None:
    """Record one sensor, or say why it cannot be read."""
    try:
        name, read = open_sensor(sensor, device, uuid)
        read()  # the first reading may start helpers, or fail for want of permission
    except (ZeusBaseError, MeterError, PermissionError) as error:
        hint = f" ({PERMISSION})" if "ermission" in f"{type(error).__name__}{error}" else ""
        sensors.refuse(f"zeus cannot read the energy of {device}: {' '.join(str(error).split())}{hint}")
        return
    sensors.record({"sensor": f"zeus {name}"}, failing_softly(read), interval)


def open_sensor(sensor: str, device: str, uuid: str = "") -> tuple[str, Callable[[], Reading]]:
    """Return the name of a sensor and what reads it.

    Args:
        sensor: ``cpu``, ``gpu``, ``soc`` or ``auto``.
        device: as torch writes it.
        uuid: of the device, if it is an NVIDIA GPU.

    Raises:
        ZeusBaseError: there is none, or it may not be read.
        MeterError: it does not tell the energy, or cannot be found.
    """
    if sensor in {"auto", "soc"}:
        try:
            return "soc", soc_reader(get_soc(), device)
        except ZeusBaseError:
            if sensor == "soc":
                raise
    if sensor == "cpu" or (sensor == "auto" and device == "cpu"):
        return "cpu", cpu_reader(get_cpus())
    if uuid:
        show_only(uuid)
        return gpu_reader(get_gpus(), 0)
    resolve_visible()
    return gpu_reader(get_gpus(), int(device.partition(":")[2] or 0))


def show_only(uuid: str) -> None:
    """Have zeus see one GPU, and no other.

    It counts as NVML does, by slot, and torch by speed unless ``CUDA_DEVICE_ORDER`` says otherwise; and of the names
    that ``CUDA_VISIBLE_DEVICES`` may hold it reads numbers alone.

    Raises:
        MeterError: there is no such GPU, or it is divided into instances.
    """
    with nvml.session():
        gpu = nvml.Gpu.find(uuid)
        try:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(pynvml.nvmlDeviceGetIndex(gpu.handle))
        except pynvml.NVMLError as error:
            raise MeterError(f"GPU {uuid}: {nvml.explain(error)}") from None


def resolve_visible() -> None:
    """Have zeus see the AMD GPUs that torch sees.

    ``HIP_VISIBLE_DEVICES``, which zeus knows, counts those that ``ROCR_VISIBLE_DEVICES`` leaves, which it does not.

    Raises:
        MeterError: they are not named by numbers, or one is named that is not among those that are left.
    """
    name = "HIP_VISIBLE_DEVICES" if "HIP_VISIBLE_DEVICES" in os.environ else "CUDA_VISIBLE_DEVICES"
    shown = numbers(name)
    left = numbers("ROCR_VISIBLE_DEVICES")
    if left is not None:
        if shown and max(shown) >= len(left):
            raise MeterError(
                f"{name} is {os.environ[name]!r}, which counts GPUs that ROCR_VISIBLE_DEVICES="
                f"{os.environ['ROCR_VISIBLE_DEVICES']!r} leaves; accepted are numbers below {len(left)}"
            )
        os.environ["HIP_VISIBLE_DEVICES"] = ",".join(map(str, left if shown is None else [left[i] for i in shown]))
        del os.environ["ROCR_VISIBLE_DEVICES"]


def numbers(name: str) -> list[int] | None:
    """Read an environment variable that holds numbers of GPUs; None if there is none.

    Raises:
        MeterError: it holds something else.
    """
    value = os.environ.get(name)
    found = [number.strip() for number in value.split(",")] if value else []
    if not all(re.fullmatch("[0-9]+", number) for number in found):
        raise MeterError(f"{name} is {value!r}; zeus knows these GPUs by their numbers alone")
    return None if value is None else [int(number) for number in found]


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


def gpu_reader(gpus: Any, index: int) -> tuple[str, Callable[[], Reading]]:
    """Name and read the counter of a GPU, and its power, or what it has of these.

    Raises:
        ZeusBaseError: it has neither.
        MeterError: there is no such GPU.
    """
    if index >= len(gpus):
        raise MeterError(f"zeus sees {len(gpus)} GPUs, and not one of number {index}")
    has_counter = gpus.supports_get_total_energy_consumption(index)
    kind, read_power = power_reader(gpus, index, is_needed=not has_counter)

    def read() -> Reading:
        began = time.monotonic()
        joules = gpus.get_total_energy_consumption(index) / 1e3 if has_counter else None
        moment = (began + time.monotonic()) / 2
        return Reading(moment, joules, read_power() / 1e3 if read_power else None)

    return f"gpu{kind}", read


def power_reader(gpus: Any, index: int, is_needed: bool) -> tuple[str, Callable[[], int] | None]:
    """Return what reads the power of a GPU: that of the moment, or else its average over about a second.

    Args:
        gpus: of zeus.
        index: which.
        is_needed: whether there is nothing else to read.

    Raises:
        ZeusBaseError: it is needed and cannot be read.
    """
    kinds = {"": gpus.get_instant_power_usage, " with average power": gpus.get_average_power_usage}
    for kind, read in kinds.items():
        try:
            read(index)
        except ZeusBaseError as error:
            failure = error
        else:
            return kind, partial(read, index)
    if is_needed:
        raise failure
    return " without power", None


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
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:])
