"""What this machine can measure, which targets can be used, and why the rest is unavailable."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

from shape_dnn import devices
from shape_dnn.assembly import shipping
from shape_dnn.assembly.selection import Selection
from shape_dnn.deploying.session import Session
from shape_dnn.errors import ShapeDnnError, blame, describe
from shape_dnn.kinds import Deployment, Formula, Instrument, Shipping, Target, Workload
from shape_dnn.measuring import disturbance
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.registry import Registry
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.system import cuda

LIBRARIES = ("shape-dnn", "torch", "torchvision", "nvidia-ml-py")


@dataclass(frozen=True)
class Ability:
    """Whether a meter works on a device.

    Attributes:
        metric: the metric that it measures; empty if the meter could not even be loaded.
        meter: name of the meter.
        device: the device, as torch writes it.
        state: ``available`` or ``unavailable``.
        reason: why it is unavailable, with the remedy.
    """

    metric: str
    meter: str
    device: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Fitness:
    """Whether what ships runs on a target.

    Attributes:
        target: name of the target.
        address: the target as ``--target`` takes it.
        state: ``available`` or ``unavailable``.
        reason: why it is unavailable, with the remedy.
        warnings: what makes measurements there worse than they need be, with the remedy.
        fingerprint: what determines measurements there; empty if networks are measured in this process.
        condition: what may change there at any time.
    """

    target: str
    address: str
    state: str
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    fingerprint: Mapping[str, object] = field(default_factory=dict)
    condition: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about this machine and its targets.

    Attributes:
        system: versions and hardware, by name.
        warnings: what keeps torch from using a GPU that this machine has, with the remedy.
        abilities: for each meter and each device, whether the meter works there.
        signs: for each sign of other work, whether this system shows it.
        targets: fitness of the targets that were asked for.
    """

    system: dict[str, str]
    warnings: list[str]
    abilities: list[Ability]
    signs: dict[str, bool]
    targets: list[Fitness]

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as JSON values."""
        return {
            "system": self.system,
            "warnings": self.warnings,
            "meters": [asdict(ability) for ability in self.abilities],
            "signs": self.signs,
            "targets": [asdict(fitness) for fitness in self.targets],
        }


def examine(plugin_files: Sequence[Path] = (), **settings: Any) -> Diagnosis:
    """Try every installed meter on every device, and what ships on every target, without measuring anything.

    Args:
        plugin_files: files that declare further plugins.
        **settings: ``deploy``, ``target`` and ``option``, as for :func:`shape_dnn.tune`; without any, no target is
            tried.

    Raises:
        UsageError: a setting cannot be used.
    """
    registry = Registry(plugin_files)
    targets = _targets(Selection(Settings.create(settings), registry)) if settings else []
    there = devices.available()
    system = {"system": platform.platform(), "python": platform.python_version()}
    system |= {name: metadata.version(name) for name in LIBRARIES} | {"cores": str(devices.cores())}
    system |= {device: devices.hardware(device) for device in there}
    gpus = [device for device in there if device.startswith("cuda")]
    if gpus and (sharing := cuda.sharing()):
        system["trainings on a GPU"] = sharing
    abilities = [_try(registry, name, device) for name in registry.names("meter") for device in there]
    said = [cuda.why_none(), *map(cuda.missing_kernels, gpus)]
    return Diagnosis(system, [warning for warning in said if warning], abilities, _signs(), targets)


def _targets(selection: Selection) -> list[Fitness]:
    selection.check()
    found = shipping.targets(selection)
    deployment: Deployment = selection.load("deployment", selection.settings.deploy).instance
    return [_fitness(deployment, target) for target in found.values()]


def _fitness(deployment: Deployment, target: Target) -> Fitness:
    """Try to start a runner, with the runtime, on a target."""
    try:
        with blame(deployment):
            deployment.identity()
        if Shipping(deployment, target, Path()).in_process:
            return Fitness(target.name, str(target), "available")
        with Session(deployment, target) as there:
            told = there.warnings, there.fingerprint, there.condition
            return Fitness(target.name, str(target), "available", "", *told)
    except ShapeDnnError as error:
        return Fitness(target.name, str(target), "unavailable", " ".join(str(error).split()))


def _try(registry: Registry, name: str, device: str) -> Ability:
    """Ask a meter what its values on a device depend on, which it can only say if it can measure there."""
    metric = ""
    try:
        meter = registry.load("meter", name, {}).instance
        metric = meter.metric
        checked_meters.check_unit(meter)
        architecture = registry.load("architecture", "wrn", {}).instance
        workload = Workload(architecture, (3, 32, 32), 10, 1, device)
        if isinstance(meter, Instrument):
            checked_meters.identity(meter, workload)
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
