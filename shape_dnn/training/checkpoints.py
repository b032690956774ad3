"""Checkpoints of a training: all that is needed to go on as if it had never stopped.

A checkpoint is a directory that is there whole or not at all. Weights are safetensors; everything else is torch's
format, read back without running any code in it. Every attempt at a training has a directory of its own, so that one
that was given up, and still runs somewhere, disturbs no other.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.records import Epoch
from shape_dnn.system import durable

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, STATE = "weights.safetensors", "state.pt"
FILES, SAVED = "files", "saved"
"""Folders of an attempt: what the training keeps there itself, and its checkpoints."""


@dataclass(frozen=True)
class Checkpoint:
    """A training at the point where it was saved.

    Attributes:
        number: how many times it had been saved, this one included.
        curve: what was reported so far.
        seconds: that took.
        weights: by name.
        more: whatever else was saved.
    """

    number: int
    curve: tuple[Epoch, ...]
    seconds: float
    weights: Mapping[str, Tensor]
    more: Mapping[str, Any]

    def save(self, attempt: Path, *, is_first: bool) -> Path:
        """Write it for an attempt, and then remove the older ones; return where the weights lie.

        Args:
            attempt: its directory.
            is_first: whether nothing like it was written before, so that it is seen whether it can be read back.

        Raises:
            StudyError: it cannot be written.
            ValueError: it holds something that could not be read back; says what.
        """
        import torch

        content = {
            "curve": [[epoch.number, epoch.loss, epoch.quality, dict(epoch.more)] for epoch in self.curve],
            "seconds": self.seconds,
            "more": dict(self.more),
        }
        buffer = io.BytesIO()
        try:
            torch.save(content, buffer)
            if is_first:
                buffer.seek(0)
                torch.load(buffer, weights_only=True)
        except Exception as error:
            name = next((name for name, value in self.more.items() if not _can_be_kept(value)), "something")
            accepted = "accepted are numbers, texts, tensors, and lists, tuples and dictionaries of these"
            raise ValueError(f"was given {name}, which cannot be read back; {accepted}") from error
        path = self.place(attempt)
        directory = path.parent
        with durable.naming_errors(path):
            older = list(directory.glob("*"))
            with durable.new_directory(path) as partial:
                write_tensors(partial / WEIGHTS, self.weights)
                durable.write(partial / STATE, buffer.getbuffer())
        for other in older:
            shutil.rmtree(other, ignore_errors=True)
        return path / WEIGHTS

    def place(self, attempt: Path) -> Path:
        """Return its directory in that of an attempt."""
        return attempt / SAVED / f"{self.number:06}"

    @classmethod
    def load(cls, attempt: Path) -> Checkpoint | None:
        """Read the last one of an attempt; None if there is none that can be read.

        Then the training starts from the beginning, which costs time and changes no result.
        """
        for path in sorted((attempt / SAVED).glob("[0-9]*"), reverse=True):
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
        curve = tuple(
            Epoch(int(number), None if loss is None else float(loss), float(quality), dict(more))
            for number, loss, quality, more in state["curve"]
        )
        return cls(int(path.name), curve, float(state["seconds"]), load_file(path / WEIGHTS), dict(state["more"]))


def _can_be_kept(value: object) -> bool:
    """Tell whether a value can be written, and read back without running any code in it."""
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception:  # noqa: BLE001 - objects of strangers can fail in any way
        return False
    return True


def latest(attempt: Path) -> int:
    """Return the number of the last checkpoint of an attempt, whether it can be read or not; 0 if there is none."""
    return max((int(path.name) for path in (attempt / SAVED).glob("[0-9]*")), default=0)


def take_over(directory: Path, attempt: str) -> Path:
    """Make the directory of an attempt of that of the one before which came furthest, and return it.

    Args:
        directory: of all attempts at a training.
        attempt: the name of this one.

    Raises:
        StudyError: it cannot be written.
    """
    own = directory / attempt
    with durable.naming_errors(own):
        directory.mkdir(parents=True, exist_ok=True)
        last = _furthest(directory)
        if last is not None and last != own:
            last.rename(own)
        (own / FILES).mkdir(parents=True, exist_ok=True)
    return own


def keep_last(directory: Path) -> None:
    """Remove all attempts at a training but the one that came furthest."""
    last = _furthest(directory)
    for attempt in directory.glob("*"):
        if attempt != last:
            shutil.rmtree(attempt, ignore_errors=True)


def _furthest(directory: Path) -> Path | None:
    """Return the attempt that was saved most often, and of several the one that was last at work."""

    def reached(attempt: Path) -> tuple[int, int]:
        return latest(attempt), attempt.stat().st_mtime_ns

    return max((path for path in directory.glob("*") if path.is_dir()), key=reached, default=None)


def discard(directory: Path) -> None:
    """Remove the checkpoints of a training that has come to its end."""
    shutil.rmtree(directory, ignore_errors=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file and wait until it is on the disk."""
    from safetensors.torch import save

    durable.write(path, save({name: value.contiguous() for name, value in tensors.items()}))
