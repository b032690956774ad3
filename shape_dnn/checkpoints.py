"""Checkpoints of a training: all that is needed to go on as if it had never stopped.

A checkpoint is a directory that is there whole or not at all. Weights are safetensors; the state of the optimiser and
of the random numbers is torch's format, read back without running any code in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.records import Epoch

if TYPE_CHECKING:
    from torch import Tensor

NETWORK, BEST, STATE = "network.safetensors", "best.safetensors", "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """A training after some epochs.

    Attributes:
        curve: the epochs so far.
        seconds: they took.
        network: parameters and buffers by name.
        best: those of the best epoch.
        velocities: of the optimiser, by the name of the parameter.
        random: states of torch's generators, by device.
    """

    curve: tuple[Epoch, ...]
    seconds: float
    network: dict[str, Tensor]
    best: dict[str, Tensor]
    velocities: dict[str, Tensor]
    random: dict[str, Tensor]

    def save(self, directory: Path) -> None:
        """Write it beside older ones of the same training, and then remove those."""
        import torch
        from safetensors.torch import save_file

        directory.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=directory, prefix=".partial-"))
        save_file({name: value.contiguous() for name, value in self.network.items()}, partial / NETWORK)
        save_file({name: value.contiguous() for name, value in self.best.items()}, partial / BEST)
        state = {
            "curve": [[epoch.number, epoch.loss, epoch.accuracy] for epoch in self.curve],
            "seconds": self.seconds,
            "velocities": self.velocities,
            "random": self.random,
        }
        torch.save(state, partial / STATE)
        for file in partial.iterdir():
            sync(file)
        sync(partial)
        older = list(directory.iterdir())
        partial.replace(directory / f"{len(self.curve):06}")
        sync(directory)
        for other in older:
            if other not in (partial, directory / f"{len(self.curve):06}"):
                shutil.rmtree(other, ignore_errors=True)

    @classmethod
    def load(cls, directory: Path) -> Checkpoint | None:
        """Read the last checkpoint of a training; None if there is none that can be read.

        Then the training starts from the beginning, which costs time and changes no result.
        """
        for path in sorted(directory.glob("[0-9]*"), reverse=True):
            try:
                return cls._read(path)
            except Exception:  # noqa: BLE001, S112 - a damaged file can fail in any way
                continue
        return None

    @classmethod
    def _read(cls, path: Path) -> Checkpoint:
        import torch
        from safetensors.torch import load_file

        state: dict[str, Any] = torch.load(path / STATE, weights_only=True)
        curve = tuple(Epoch(int(number), float(loss), float(accuracy)) for number, loss, accuracy in state["curve"])
        return cls(
            curve,
            float(state["seconds"]),
            load_file(path / NETWORK),
            load_file(path / BEST),
            dict(state["velocities"]),
            dict(state["random"]),
        )


def discard(directory: Path) -> None:
    """Remove the checkpoints of a training that has come to its end."""
    shutil.rmtree(directory, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    if path.is_dir() and os.name == "nt":  # directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
