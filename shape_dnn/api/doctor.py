"""What this machine can measure, and why not the rest."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

from shape_dnn import devices
from shape_dnn.errors import ShapeDnnError, blame, describe
from shape_dnn.kinds import Formula, Instrument, Workload
from shape_dnn.measuring import disturbance
from shape_dnn.plugins import checked
from shape_dnn.plugins.registry import Registry
from shape_dnn.shape import Shape

LIBRARIES = ("shape-dnn", "torch", "torchvision", "nvidia-ml-py")


@dataclass(frozen=True)
class Ability:
    """Whether a meter works on a device.

    Attributes:
        metric: what it measures; empty if the meter could not even be loaded.
        meter: its name.
        device: as torch writes it.
        state: ``available`` or ``unavailable``.
        reason: why it is unavailable, with the remedy.
    """

    metric: str
    meter: str
    device: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        system: versions and hardware by name.
        abilities: of each meter on each device.
        signs: for each sign of other work, whether this system tells it.
    """

    system: dict[str, str]
    abilities: list[Ability]
    signs: dict[str, bool]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"system": self.system, "meters": [asdict(a) for a in self.abilities], "signs": self.signs}


def examine(plugin_files: Sequence[Path] = ()) -> Diagnosis:
    """Try every installed meter on every device, without measuring anything.

    Args:
        plugin_files: files that declare further plugins.
    """
    registry = Registry(plugin_files)
    there = devices.available()
    system = {"system": platform.platform(), "python": platform.python_version()}
    system |= {name: metadata.version(name) for name in LIBRARIES}
    system |= {device: devices.fingerprint(device)["hardware"] for device in there}
    abilities = [_try(registry, name, device) for name in registry.names("meter") for device in there]
    return Diagnosis(system, abilities, _signs())


def _try(registry: Registry, name: str, device: str) -> Ability:
    """Ask one meter what its values on a device depend on, which it can only say if it can measure there."""
    metric = ""
    try:
        meter = registry.load("meter", name, {}).instance
        metric = meter.metric
        checked.check_unit(meter)
        architecture = registry.load("architecture", "wrn", {}).instance
        workload = Workload(architecture, (3, 32, 32), 10, 1, device)
        if isinstance(meter, Instrument):
            checked.identity(meter, workload)
        elif isinstance(meter, Formula):
            with blame(meter):
                meter.compute(workload, [Shape(10, Fraction(1))])
    except (ShapeDnnError, SystemExit) as error:
        reason = str(error) if isinstance(error, ShapeDnnError) else f"it ended the program: {describe(error)}"
        return Ability(metric, name, device, "unavailable", " ".join(reason.split()))
    return Ability(metric, name, device, "available")


def _signs() -> dict[str, bool]:
    state, condition = disturbance.ProcessorState.now(), disturbance.condition()
    return {
        "time stolen by the host of a virtual machine": state.stolen is not None,
        "pressure stall information": state.pressure is not None,
        "involuntary switches": state.switches is not None,
        "thermal throttling of the processor": state.throttled is not None,
        "clock of the processor": condition["clock_mhz"] is not None,
        "temperature of the processor": condition["temperature_c"] is not None,
    }
