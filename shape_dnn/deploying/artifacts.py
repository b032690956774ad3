"""Artifacts on disk, and how they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import PluginError, UsageError, blame, label
from shape_dnn.kinds import Deployment, Workload
from shape_dnn.measuring import inputs
from shape_dnn.plugins import checked
from shape_dnn.shape import Shape
from shape_dnn.system import durable
from shape_dnn.training.networks import BuiltByTrainer

if TYPE_CHECKING:
    import torch

FILES, EXAMPLE = "files", "example.npz"
NEGLIGIBLE = 1e-3
"""Parameters none of which is larger have not begun to do anything."""
DRAWING = 2
"""Version of how random weights are drawn, since converters leave out what computes nothing with them."""


@dataclass(frozen=True)
class Artifact:
    """What ships of one network, and a batch of inputs for it.

    Attributes:
        directory: holds the files that ship in ``files/``, and beside them ``example.npz``, whose arrays are named
            ``0``, ``1`` and so on in the order in which the network takes them.
    """

    directory: Path

    @property
    def files_in(self) -> Path:
        """The directory of what ships."""
        return self.directory / FILES

    @property
    def files(self) -> list[Path]:
        """What ships, sorted."""
        return sorted(path for path in self.files_in.rglob("*") if path.is_file())

    @property
    def example(self) -> Path:
        """The inputs."""
        return self.directory / EXAMPLE

    @property
    def size(self) -> int:
        """Bytes of what ships."""
        return sum(path.stat().st_size for path in self.files)


def untrained(workload: Workload, shape: Shape) -> Artifact:
    """Return the artifact of a shape with random weights, as it ships; made once and kept.

    Ranges of activations are found on random inputs: they change neither time nor size.

    Raises:
        DeploymentError: the runtime cannot have the network.
        NetworkError: the code of the network failed.
        StudyError: the directory cannot be written.
    """
    import torch

    shipping = workload.shipping
    assert shipping is not None  # noqa: S101 - or there is no artifact
    directory = shipping.artifacts / shape.file_name
    if directory.is_dir():
        return Artifact(directory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with checked.blame_network(workload.architecture, checked.BUILD, shape):
            network = _as_it_ships(workload, workload.build(shape))
            _scatter(network)
        examples = 0
        with checked.blame_network(workload.architecture, checked.EXAMPLE, shape):
            example, calibration = _example(workload), []
            while examples < shipping.deployment.calibration:
                calibration.append(_example(workload))
                examples += workload.batch_size
        with checked.blame_network(workload.architecture, checked.FORWARD, shape), torch.inference_mode():
            inputs.call(network, example)
    return make(shipping.deployment, network, example, calibration, directory)


def _scatter(network: torch.nn.Module) -> None:
    """Draw anew what starts as one number everywhere, such as the biases, scales and means of normalisation.

    Converters leave out what adds 0 or is multiplied by 0 or 1, and no trained network has any of it.
    """
    import torch

    learnt = ("running_mean", "running_var")
    buffers = ((name, value) for name, value in network.named_buffers() if name.endswith(learnt))
    for name, value in (*network.named_parameters(), *buffers):
        if not value.is_floating_point() or not value.numel():
            continue
        adds, is_nothing = name.endswith(("bias", "running_mean")), not (value.abs() > NEGLIGIBLE).any()
        if is_nothing and not adds:
            value.data.uniform_(0.5, 1.0)
        elif (value == value.flatten()[0]).all():
            value.data += torch.empty_like(value).uniform_(-0.1, 0.1)


def _takes_images(workload: Workload) -> bool:
    return not isinstance(workload.architecture, BuiltByTrainer)


def _as_it_ships(workload: Workload, network: torch.nn.Module) -> torch.nn.Module:
    """Have a classifier of images normalise them, by numbers that are as good as any for random weights."""
    from shape_dnn.training.normalised import Normalised

    network = network.cpu().eval()
    if not _takes_images(workload):
        return network
    channels = workload.input_shape[0]
    return Normalised(network, [0.5] * channels, [0.25] * channels).eval()


def _example(workload: Workload) -> Any:
    """Make a batch of inputs on the processor; pixels are from 0 to 1."""
    import torch

    def place(value: torch.Tensor) -> torch.Tensor:
        return torch.rand(value.shape) if _takes_images(workload) and inputs.is_real(value) else value.detach().cpu()

    return inputs.change(workload.example(), place)


def make(
    deployment: Deployment, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path
) -> Artifact:
    """Make the artifact of a network; the directory is there whole or not at all.

    Raises:
        UsageError: there are too few examples to calibrate by.
        DeploymentError: the runtime cannot have the network.
        PluginError: the deployment failed, or made nothing.
        StudyError: the directory cannot be written.
    """
    import numpy as np

    there = sum(len(inputs.tensors(batch)[0]) for batch in calibration)
    if there < deployment.calibration:
        message = f"deploy.calibration={deployment.calibration} training examples are needed, and there are {there}"
        raise UsageError(f"{message}; accepted are up to {there}", setting="option")
    with durable.naming_errors(directory), durable.replaced_directory(directory) as partial:
        artifact, files = Artifact(partial), partial / FILES
        files.mkdir()
        with blame(deployment):
            deployment.convert(network.cpu().eval(), example, calibration, files)
        if not artifact.size:
            raise PluginError(f"{label(deployment)} made an empty artifact")
        arrays: dict[str, Any] = {str(place): value.numpy() for place, value in enumerate(inputs.tensors(example))}
        np.savez(artifact.example, **arrays)
        for path in (*artifact.files, artifact.example, *filter(Path.is_dir, partial.rglob("*"))):
            durable.sync(path)
    return Artifact(directory)
