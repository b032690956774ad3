"""What a machine tells of itself: processors, clocks, temperature, counters. None for what it does not tell."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SAME_KIND = 0.9
"""Cores whose highest clock is at least this part of the highest of all are of the quickest kind."""
SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal")
ZONES = re.compile(r"x86_pkg_temp|(cpu|soc|big|little|cluster|package)[a-z0-9_-]*", re.IGNORECASE)
"""Names of the sensors of processors, in the two places where Linux shows sensors."""
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Machine:
    """The machine that this process runs on.

    Args:
        root: where its ``/proc`` and ``/sys`` are.
    """

    def __init__(self, root: str = "/") -> None:
        self._proc, self._sys = Path(root, "proc"), Path(root, "sys")
        self._cpus = self._sys / "devices/system/cpu"
        self.cores: list[int] = []
        self._slowed = 0

    def usable(self) -> list[int]:
        """Return the numbers of the processors that this process may use; none where the system does not tell."""
        return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def choose(self, usable: Sequence[int], threads: int) -> list[int]:
        """Choose as many processors as there are threads.

        The quickest ones, one hyper-thread of each core first, and those with the highest numbers: interrupts go to
        the first.
        """
        speed = {core: self._speed(core) for core in usable}
        quickest = max(speed.values(), default=0)

        def rank(core: int) -> Any:
            siblings = _numbers(self._text(self._cpus / f"cpu{core}/topology/thread_siblings_list")) or [core]
            others = sum(other > core for other in siblings if other in speed)
            return speed[core] < SAME_KIND * quickest, others, -core

        return sorted(sorted(usable, key=rank)[:threads])

    def pin(self, cores: Sequence[int]) -> None:
        """Have this process, and all threads that it will start, run on these processors alone."""
        if cores:
            os.sched_setaffinity(0, cores)
        self.cores = list(cores)

    def fingerprint(self) -> dict[str, Any]:
        """Return what determines how long anything takes here.

        The governor is part of it, since it changes times by as much as another processor would: who heeds the warning
        about it wants to have measured anew.
        """
        clocks = {self._number(self._cpus / f"cpu{core}/cpufreq/cpuinfo_max_freq") for core in self.cores}
        return {
            "machine": platform.machine(),
            "model": self._text(self._proc / "device-tree/model").strip("\0\n ") or None,
            "processor": self._processor(),
            "cpus": self.cpus(),
            "cores": {
                "pinned": len(self.cores),
                "part": self._parts(self.cores),
                "highest_mhz": sorted(clock // 1000 for clock in clocks if clock) or None,
            },
            "governor": self.governor(),
            "system": platform.platform(),
            "python": "{}.{}".format(*sys.version_info),
        }

    def condition(self) -> dict[str, Any]:
        """Return what may change at any time."""
        memory = re.search(r"^MemAvailable:\s+(\d+)", self._text(self._proc / "meminfo"), re.MULTILINE)
        return {
            "clock_mhz": self.clock(),
            "temperature_c": self.temperature(),
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            "free_memory": int(memory[1]) * 1024 if memory else None,
            "cores": self.cores,
        }

    def cpus(self) -> int:
        """Count the processors that are switched on."""
        return len(_numbers(self._text(self._cpus / "online"))) or os.cpu_count() or 1

    def governor(self) -> str | None:
        """Return who decides about the clocks of the cores."""
        found = {self._text(self._cpus / f"cpu{core}/cpufreq/scaling_governor").strip() for core in self.cores}
        return ", ".join(sorted(found - {""})) or None

    def clock(self) -> int | None:
        """Return the highest clock of the cores in MHz."""
        found = [self._number(self._cpus / f"cpu{core}/cpufreq/scaling_cur_freq") for core in self.cores]
        told = [clock // 1000 for clock in found if clock]
        if not told:
            told = [round(float(mhz)) for mhz in self._blocks("cpu MHz", self.cores)]
        return max(told, default=None)

    def temperature(self) -> float | None:
        """Return the highest temperature of the processor in degrees Celsius."""
        found = []
        for monitor in self._sys.glob("class/hwmon/*"):
            if self._text(monitor / "name").strip() in SENSORS:
                found += [self._number(path) for path in monitor.glob("temp*_input")]
        for zone in self._sys.glob("class/thermal/thermal_zone*"):
            if ZONES.fullmatch(self._text(zone / "type").strip()):
                found.append(self._number(zone / "temp"))
        return max((value / 1000 for value in found if value is not None), default=None)

    def throttled(self) -> int | None:
        """Return how often the processor was slowed down for heat, as far as this process has seen it."""
        counted = self._number(self._cpus / "cpu0/thermal_throttle/package_throttle_count")
        devices = [device for device in self._sys.glob("class/thermal/cooling_device*") if self._is_brake(device)]
        self._slowed += any(self._number(device / "cur_state") for device in devices)
        return None if counted is None and not devices else (counted or 0) + self._slowed

    def _is_brake(self, device: Path) -> bool:
        """Tell whether a cooling device is one that takes the clock of the processor down."""
        return re.search("cpufreq|Processor", self._text(device / "type")) is not None

    def state(self) -> dict[str, Any]:
        """Read all counters, in seconds, as :class:`shape_dnn.measuring.disturbance.ProcessorState` has them."""
        line = self._text(self._proc / "stat").partition("\n")[0].split()
        ticks = [int(value) / TICK for value in line[1:]] if line[:1] == ["cpu"] else []
        pressure = re.search(r"some .*total=(\d+)", self._text(self._proc / "pressure/cpu"))
        return {
            "wall": time.perf_counter(),
            "own": time.process_time(),
            "busy": sum(ticks[i] for i in (0, 1, 2, 5, 6)) if len(ticks) > 6 else None,
            "stolen": ticks[7] if len(ticks) > 7 else None,
            "pressure": int(pressure[1]) / 1e6 if pressure else None,
            "switches": _switches(),
            "throttled": self.throttled(),
        }

    def _speed(self, core: int) -> int:
        directory = self._cpus / f"cpu{core}"
        return self._number(directory / "cpufreq/cpuinfo_max_freq") or self._number(directory / "cpu_capacity") or 0

    def _processor(self) -> str | None:
        names = ("model name", "cpu family", "model", "stepping", "Hardware", "CPU implementer", "CPU architecture")
        found = {name: next(iter(self._blocks(name)), None) for name in names}
        said = [f"{name} {value}" for name, value in sorted(found.items()) if value]
        parts = self._parts()
        if parts:
            said.append(f"CPU parts {parts}")
        if not said and sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            said = [subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()]  # noqa: S603
        return ", ".join(said) or platform.processor() or None

    def _parts(self, cores: Sequence[int] = ()) -> str | None:
        return ", ".join(sorted(set(self._blocks("CPU part", cores)))) or None

    def _blocks(self, name: str, cores: Sequence[int] = ()) -> Iterable[str]:
        """Yield what the list of processors says under a name, of some of them or of all."""
        for block in re.split(r"\n\s*\n", self._text(self._proc / "cpuinfo")):
            lines = (line.partition(":") for line in block.splitlines())
            said = {key.strip(): value.strip() for key, _, value in lines}
            if name in said and (
                not cores or not said.get("processor", "").isdigit() or int(said["processor"]) in cores
            ):
                yield said[name]

    def _number(self, path: Path) -> int | None:
        text = self._text(path).strip()
        return int(text) if re.fullmatch(r"-?\d+", text) else None

    @staticmethod
    def _text(path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _numbers(text: str) -> list[int]:
    """Read numbers and ranges, ``0,4-5``."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _switches() -> int | None:
    """Return how often this process had to leave the processor."""
    try:
        import resource
    except ImportError:  # no Unix
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
