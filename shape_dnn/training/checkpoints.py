"""Checkpoints of a training: all that is needed to go on as if it had never stopped.

A checkpoint is a directory that is there whole or not at all. Weights are safetensors; the state of the optimiser and
of the random numbers is torch's format, read back without running any code in it. Every attempt at a training has a
directory of its own for its checkpoints, so that one that was given up, and still runs somewhere, disturbs no other.
"""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.records import Epoch
from shape_dnn.system import durable

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        optimizer: what the optimiser remembers, by ``MEMORY.PARAMETER``.
        random: states of torch's generators, by device.
    """

    curve: tuple[Epoch, ...]
    seconds: float
    network: dict[str, Tensor]
    best: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: dict[str, Tensor]

    def save(self, directory: Path) -> None:
        """Write it beside older ones of the same attempt, and then remove those.

        One of as many epochs is the same one: it is there whole or not at all, and nobody else writes for the attempt.

        Raises:
            StudyError: it cannot be written.
        """
        import torch

        path = directory / f"{len(self.curve):06}"
        if path.exists():
            return
        state = {
            "curve": [[epoch.number, epoch.loss, epoch.quality] for epoch in self.curve],
            "seconds": self.seconds,
            "optimizer": self.optimizer,
            "random": self.random,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        with durable.naming_errors(path):
            older = list(directory.glob("*"))
            with durable.new_directory(path) as partial:
                write_tensors(partial / NETWORK, self.network)
                write_tensors(partial / BEST, self.best)
                durable.write(partial / STATE, buffer.getbuffer())
        for other in older:
            shutil.rmtree(other, ignore_errors=True)

    @classmethod
    def load(cls, directory: Path) -> Checkpoint | None:
        """Read the last checkpoint of all attempts at a training; None if there is none that can be read.

        Then the training starts from the beginning, which costs time and changes no result.
        """
        for path in sorted(directory.glob("*/[0-9]*"), key=lambda path: path.name, reverse=True):
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
            dict(state["optimizer"]),
            dict(state["random"]),
        )


def keep_last(directory: Path) -> None:
    """Remove all attempts at a training but the one that came furthest."""
    paths = sorted(directory.glob("*/[0-9]*"), key=lambda path: path.name)
    for attempt in directory.glob("*"):
        if not paths or attempt != paths[-1].parent:
            shutil.rmtree(attempt, ignore_errors=True)


def discard(directory: Path) -> None:
    """Remove the checkpoints of a training that has come to its end."""
    shutil.rmtree(directory, ignore_errors=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file and wait until it is on the disk."""
    from safetensors.torch import save

    durable.write(path, save({name: value.contiguous() for name, value in tensors.items()}))
