"""A trained network of a study as all that writes and describes it needs it, however it was trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch

from shape_dnn.exporting.choice import Found
from shape_dnn.exporting.signature import Signature
from shape_dnn.shape import Shape


class Trained(ABC):
    """A trained network.

    Args:
        found: its training.
    """

    output: ClassVar[str]
    """What its output is called, where the network does not say so."""
    examples: ClassVar[str]
    """What it takes."""

    def __init__(self, found: Found) -> None:
        self.found = found

    @property
    def shape(self) -> Shape:
        """Depth and width."""
        return self.found.shape

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network with its weights, for inference on the processor.

        Raises:
            ExportError: the weights are damaged, or those of another network.
            NetworkError: the code of the network failed.
        """
        return self.build()

    @cached_property
    def signature(self) -> Signature:
        """What goes into the network and comes out."""
        return Signature.of(self.network, self.example, self.output)

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """Build the network."""

    @abstractmethod
    def example(self, batch_size: int) -> Any:
        """Make inputs (:meth:`shape_dnn.kinds.Trainer.example`)."""

    @abstractmethod
    def batches(self) -> Sequence[tuple[int, Any]]:
        """Return inputs on which files are compared with the network, and of how many examples they are."""

    @property
    @abstractmethod
    def description(self) -> Mapping[str, Any]:
        """What cards tell of networks that are trained like this, as JSON values."""

    @property
    @abstractmethod
    def made(self) -> Mapping[str, Any]:
        """How it was trained, as JSON values."""


def record(shape: Shape) -> dict[str, Any]:
    """Write down a shape as JSON values."""
    return {"depth": shape.depth, "width": float(shape.width), "fraction": str(shape.width)}
