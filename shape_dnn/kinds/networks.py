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
    """Existing weights of a shape, for trainings to start from.

    Attributes:
        name: distinguishes these weights from all others, and is part of what identifies a training: a digest of their
            file, or the name under which they are published.
        file: the file that they lie in, which is copied to wherever the shape is trained; None if the name is enough.
    """

    name: str
    file: Path | None = None


class Architecture(ABC):
    """A family of networks that differ in depth and width.

    Instances are created anew in every worker process, from the name and the options, and must not change.
    """

    title: ClassVar[str]
    """The name of the family in messages, such as ``Wide ResNet``."""
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

        Parameters and buffers of floating point count; for batch normalisation these are weight, bias, running mean and
        running variance. The size is four bytes for each number (paper, Section 3). This is called for up to millions
        of shapes, so keep it fast.

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
        """Make inputs for a forward pass, of which only shapes and types matter; by default these are random images.

        Args:
            batch_size: number of examples.
            input_shape: channels, height and width of an image.
        """
        import torch

        return torch.randn(batch_size, *input_shape)

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe for networks of this family, given that of the dataset; by default it is left unchanged.

        What the user asks for is applied afterwards.
        """
        return recipe

    def pretrained(self) -> Mapping[Shape, Pretrained] | None:
        """Return the weights that trainings start from, by shape; None, as by default, for random weights.

        With such weights, the space has only the shapes that they exist for. This is called once, where the search
        runs.

        Raises:
            UsageError: an option names weights that do not exist, or that belong to another family.
        """
        return None

    def load_pretrained(self, network: torch.nn.Module, shape: Shape, pretrained: Pretrained) -> None:
        """Load the weights that a training starts from into a network that :meth:`build` made.

        What does not depend on the family alone, such as the last layer, may stay random. This is called where the
        shape is trained, and only for shapes of :meth:`pretrained`.

        Args:
            network: the network, with random weights.
            shape: its shape.
            pretrained: the weights; ``file`` is where their file was copied to.

        Raises:
            UsageError: the weights do not fit the network.
            UnavailableError: the weights cannot be obtained; the message says what to do.
        """
        raise PluginError(f"{label(self)} has weights to start from, and no load_pretrained()")

    def can_grow(self, shape: Shape, larger: Shape) -> bool:
        """Tell whether :meth:`grow` can turn a network of one shape into a network of the other."""
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

        This is called only if :meth:`can_grow` returns True.

        Args:
            weights: state of the trained network.
            shape: its shape.
            larger: the shape that is wanted.
            input_shape: channels, height and width of an image.
            classes: number of outputs.
            seed: seed of whatever is random about this.
        """
        raise PluginError(f"{label(self)} says that it can grow, and has no grow()")
