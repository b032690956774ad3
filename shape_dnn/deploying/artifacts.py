"""Artifacts on disk, and how they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.kinds import Deployment, Workload
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    import torch

FILES, EXAMPLE = "files", "example.npz"


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
    """
    raise NotImplementedError


def make(
    deployment: Deployment, network: torch.nn.Module, example: Any, calibration: Sequence[Any], directory: Path
) -> Artifact:
    """Make the artifact of a network; the directory is there whole or not at all.

    Raises:
        DeploymentError: the runtime cannot have the network.
    """
    raise NotImplementedError
