"""Families of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from shape_dnn.errors import PluginError, label
from shape_dnn.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from shape_dnn.shape import Shape


InputShape = tuple[int, int, int]
"""Channels, height and width of an image."""


@dataclass(frozen=True)
class Pretrained:
    """Weights that there are of a shape, for trainings to start from.

    Attributes:
        name: tells them from all others, and is part of what identifies a training: a digest of their file, or the name
            under which they are published.
        file: where they lie, and which is taken to wherever the shape is trained; None where the name is enough.
    """

    name: str
    file: Path | None = None


class Architecture(ABC):
    """A family of networks that differ in depth and width.

    Instances are created anew in every worker process from name and options, and must not change.
    """

    title: ClassVar[str]
    """The name in messages, such as ``Wide ResNet``."""
    depth_rule: ClassVar[str] = "see its documentation"
    """Which depths exist, in words."""
    width_rule: ClassVar[str] = "widths are above 0"
    """Which widths exist, in words."""
    smallest_image: ClassVar[int] = 1
    """The least height and width of an image that the networks can take."""
    default_depths: ClassVar[str]
    """Range of depths searched unless the user gives one, ``MIN:MAX:STEP``."""
    default_widths: ClassVar[str]
    """Range of widths searched unless the user gives one."""

    @abstractmethod
    def is_depth(self, depth: int) -> bool:
        """Tell whether the family has networks of this depth."""

    def is_width(self, width: Fraction) -> bool:
        """Tell whether the family has networks of this width."""
        return width > 0

    @abstractmethod
    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count the numbers that a trained network stores, by a closed form: no network is built.

        Parameters and buffers of floating point count (for batch normalisation weight, bias, running mean and running
        variance). Size is four bytes for each (paper, Section 3). Called for up to millions of shapes: keep it fast.

        Args:
            shape: depth and width, both valid.
            input_shape: channels, height and width of an image.
            classes: number of outputs.
        """

    @abstractmethod
    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build the network with random weights, drawn from torch's global generator.

        It maps a float tensor of shape ``(batch, *input_shape)`` to logits of shape ``(batch, classes)``.
        """

    def example(self, batch_size: int, input_shape: InputShape) -> Any:
        """Make inputs for a forward pass, of which only shapes and types matter: by default random images.

        Args:
            batch_size: number of examples.
            input_shape: channels, height and width of an image.
        """
        import torch

        return torch.randn(batch_size, *input_shape)

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe for networks of this family, given that of the dataset; by default unchanged.

        What the user asks for comes after it.
        """
        return recipe

    def pretrained(self) -> Mapping[Shape, Pretrained] | None:
        """Return the weights that trainings start from, by shape; by default None, for random ones.

        Only shapes that have weights are in the space then. Asked where the search runs, once.

        Raises:
            UsageError: an option names weights that are not there, or that are of another family.
        """
        return None

    def load_pretrained(self, network: torch.nn.Module, shape: Shape, pretrained: Pretrained) -> None:
        """Give a network that :meth:`build` made the weights that its training starts from.

        What does not depend on the family alone, such as the last layer, may stay random. Called where the shape is
        trained, for shapes of :meth:`pretrained` only.

        Args:
            network: with random weights.
            shape: its shape.
            pretrained: the weights; its file lies where it was taken to.

        Raises:
            UsageError: they do not fit.
            UnavailableError: they cannot be had; the message says the remedy.
        """
        raise PluginError(f"{label(self)} has weights to start from, and no load_pretrained()")

    def can_grow(self, shape: Shape, larger: Shape) -> bool:
        """Tell whether :meth:`grow` can make a network of one shape of a network of another."""
        return False

    def grow(
        self,
        weights: Mapping[str, torch.Tensor],
        shape: Shape,
        larger: Shape,
        input_shape: InputShape,
        classes: int,
        seed: int,
    ) -> Mapping[str, torch.Tensor]:
        """Turn the weights of a trained network into those of a larger one that computes the same (``--transfer``).

        Called only where :meth:`can_grow` holds.

        Args:
            weights: state of the trained network.
            shape: its shape.
            larger: the wanted one.
            input_shape: channels, height and width of an image.
            classes: number of outputs.
            seed: of what is random about it.
        """
        raise PluginError(f"{label(self)} says that it can grow, and has no grow()")
