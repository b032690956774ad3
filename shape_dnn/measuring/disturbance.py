"""Signs that other work disturbs what is timed on the processor, and the state of the processor meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIMITS: Mapping[str, float] = {
    "descheduled": 0.03,
    "stolen": 0.03,
    "pressure": 0.10,
    "others": 0.25,
    "switched": 50.0,
}
"""From which part on each sign counts.

- descheduled: part of the time in which the measuring process did not run, though it had work.
- stolen: part of a processor that the host of this virtual machine gave to others.
- pressure: part of the time in which some process waited for a processor (pressure stall information).
- others: part of the remaining processors that others kept busy, which costs cache, memory bandwidth and clock.
- switched: how often in a second the measuring process had to leave the processor to another.
"""
TICK = 0.01
"""Resolution in seconds of the times that systems keep of their processors; a difference below it is nothing."""


@dataclass(frozen=True)
class ProcessorState:
    """Counters of the processor at one moment, in seconds; None for what this system does not tell.

    Attributes:
        wall: time.
        own: processor time of this process.
        busy: processor time of all processes of the machine.
        stolen: by the host of a virtual machine.
        pressure: time in which some process waited.
        switches: how often this process had to leave the processor; a number.
        throttled: how often the processor was slowed down for heat; a number.
    """

    wall: float
    own: float
    busy: float | None
    stolen: float | None
    pressure: float | None
    switches: int | None
    throttled: int | None

    @classmethod
    def now(cls) -> ProcessorState:
        """Read all counters, in a few tenths of a millisecond."""
        import psutil

        times = psutil.cpu_times()
        parts = ("user", "nice", "system", "irq", "softirq")
        return cls(
            wall=time.perf_counter(),
            own=time.process_time(),
            busy=sum(getattr(times, part, 0.0) for part in parts),
            stolen=getattr(times, "steal", None),
            pressure=_pressure(),
            switches=psutil.Process().num_ctx_switches().involuntary,
            throttled=_throttled(),
        )


def signs(before: ProcessorState, after: ProcessorState, threads: int, processors: int = 0) -> dict[str, float]:
    """Return what exceeds its limit between two moments; empty when nothing does.

    Args:
        before: state at the start.
        after: state at the end.
        threads: that the measured work keeps busy.
        processors: of the machine; 0 for this one.
    """
    import psutil

    wall, own = after.wall - before.wall, after.own - before.own
    found: dict[str, float] = {}
    if before.busy is not None and after.busy is not None:
        idle_processors = max(1, (processors or psutil.cpu_count() or 1) - threads)
        found["others"] = (after.busy - before.busy - own - 2 * TICK) / wall / idle_processors
    if threads == 1:
        found["descheduled"] = 1 - own / wall
    if before.stolen is not None and after.stolen is not None:
        found["stolen"] = (after.stolen - before.stolen - TICK) / wall
    if before.pressure is not None and after.pressure is not None:
        found["pressure"] = (after.pressure - before.pressure) / wall
    if before.switches is not None and after.switches is not None:
        found["switched"] = (after.switches - before.switches) / wall
    evidence = {name: round(part, 4) for name, part in found.items() if part > LIMITS[name]}
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        evidence["throttled"] = float(after.throttled - before.throttled)
    return evidence


def condition() -> dict[str, float | None]:
    """Return the clock of the processor in MHz and its temperature in degrees Celsius; None where it does not tell."""
    import psutil

    frequency, sensors = None, {}
    with contextlib.suppress(AttributeError, OSError, RuntimeError):  # as in some containers and virtual machines
        frequency = psutil.cpu_freq()
    with contextlib.suppress(AttributeError, OSError, RuntimeError):  # psutil has no such function on macOS
        sensors = psutil.sensors_temperatures()
    readings = [entry.current for name in ("coretemp", "k10temp", "cpu_thermal") for entry in sensors.get(name, ())]
    return {
        "clock_mhz": round(frequency.current) if frequency else None,
        "temperature_c": max(readings) if readings else None,
    }


PRESSURE = (Path("/sys/fs/cgroup/cpu.pressure"), Path("/proc/pressure/cpu"))
"""Where the system says how long processes waited: in a container those of the container, else those of the machine."""


def _pressure() -> float | None:
    for path in PRESSURE:
        with contextlib.suppress(OSError, ValueError, IndexError):
            line = path.read_text(encoding="ascii").splitlines()[0]
            return int(line.rpartition("total=")[2]) / 1e6
    return None


def _throttled() -> int | None:
    try:
        path = Path("/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count")
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
