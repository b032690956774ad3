"""Families of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from shape_dnn.errors import PluginError, label
from shape_dnn.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from shape_dnn.shape import Shape


InputShape = tuple[int, int, int]
"""Channels, height and width of an image."""


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
