"""The networks that a trainer builds, for whatever measures networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import NetworkError, label
from shape_dnn.kinds import Architecture, InputShape, Trainer
from shape_dnn.shape import Shape
from shape_dnn.training.sources import TrainerSource

if TYPE_CHECKING:
    import torch


class BuiltByTrainer(Architecture):
    """The family of networks that a trainer builds, of any depth and width, for inputs that it has itself.

    Args:
        source: of the trainer, which is loaded when a network is first asked for.
        title: its name in messages.
        depths: range of depths searched unless the user gives one; None if there is none.
        widths: range of widths.
    """

    depth_rule = "depths are from 1"
    _inputs_label = " on what example() gives"

    def __init__(self, source: TrainerSource, title: str, depths: str | None = None, widths: str | None = None) -> None:
        self._source = source
        self.default_depths, self.default_widths = depths, widths  # type: ignore[assignment, misc]
        self.title = title  # type: ignore[misc]
        self._plugin_label = title

    @cached_property
    def trainer(self) -> Trainer:
        """Who builds them."""
        import torch

        with torch.device("cpu"), torch.inference_mode(False):  # what its file makes is used later, and elsewhere
            return self._source.load()

    def is_depth(self, depth: int) -> bool:
        """Accept whatever the trainer may accept."""
        return depth >= 1

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Have the trainer build it."""
        return self.trainer.build(shape)

    def example(self, batch_size: int, input_shape: InputShape) -> Any:
        """Have the trainer make inputs."""
        return self.trainer.example(batch_size)

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count by building the network on torch's ``meta`` device, where it takes no memory.

        Raises:
            NetworkError: it is of another size when it is built again.
        """
        import torch

        def count() -> int:
            with torch.device("meta"):
                state = self.trainer.build(shape).state_dict().values()
            return sum(value.numel() for value in state if value.is_floating_point())

        values, again = count(), count()
        if values != again:
            who = f"{label(self)} builds networks of shape {shape}"
            raise NetworkError(f"{who} that store {values} values, and {again} when asked again")
        return values


@dataclass(frozen=True)
class TrainerNetworks:
    """Where a worker finds the networks of a trainer.

    Attributes:
        source: of the trainer.
        title: its name in messages.
    """

    source: TrainerSource
    title: str

    @property
    def files(self) -> tuple[Path, ...]:
        """What the trainer needs."""
        return self.source.files

    def load(self) -> Architecture:
        """Create the family."""
        return BuiltByTrainer(self.source, self.title)
