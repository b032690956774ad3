"""A meter of energy for what ships: artifacts run in its own process, where the sensor is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from shape_dnn.deploying import artifacts
from shape_dnn.deploying.artifacts import FILES
from shape_dnn.deploying.runner import models
from shape_dnn.errors import DeploymentError, MeterError, TargetError
from shape_dnn.kinds import Shipping, Workload
from shape_dnn.measuring.energy import EnergyMeter
from shape_dnn.shape import Shape


class ArtifactEnergyMeter(EnergyMeter):
    """Joules of one forward pass of a batch, by whatever runs it: torch, or the runtime of what ships on this machine.

    Everything else is that of :class:`shape_dnn.measuring.energy.EnergyMeter`.
    """

    measures_artifacts: ClassVar[bool] = True

    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Fingerprint the device, see that its sensor can be read, and name the versions of the runtime.

        Raises:
            MeterError: it cannot; says why and the remedy.
            TargetError: the runtime is not here.
        """
        shipping = workload.shipping
        if shipping is None or shipping.in_process:
            return super().identity(workload)
        if not shipping.target.is_here:
            message = f"the sensor of {shipping.target} cannot be read from here; measure it there, with --target local"
            raise MeterError(f"energy is measured on this machine alone: {message}")
        return {**super().identity(workload), "versions": _runtime(shipping).found}

    def prepare(self, workload: Workload, shape: Shape) -> Callable[[], object]:
        """Have the runtime run the artifact, if there is one."""
        shipping = workload.shipping
        if shipping is None or shipping.in_process:
            return super().prepare(workload, shape)
        artifact, runtime = artifacts.untrained(workload, shape), _runtime(shipping)
        try:
            arrays = models.read_arrays(artifact.example)
            model = models.Model(runtime, dict(shipping.deployment.settings), str(artifact.directory / FILES), arrays)
            model.run(arrays)
        except models.Refusal as error:
            raise DeploymentError(error.message) from error
        return lambda: model.run(arrays)


def _runtime(shipping: Shipping) -> Any:
    try:
        return models.load_runtime(shipping.deployment.runtime)
    except models.Refusal as error:
        raise TargetError(error.message) from error
