"""Random changes of training images, and of their labels, drawn from torch's generators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from shape_dnn.recipes import Recipe

OPERATIONS = 2
"""Operations that RandAugment applies to an image one after the other, as in its paper."""
GROUP = 8
"""Images, drawn at random, that share the operations of RandAugment and the place that is erased.

torchvision draws them once per call, and a call for each image takes as long as training a thin network on it.
"""


class Augmentation:
    """The random changes of a recipe. torchvision is imported for those that need it alone, since that takes seconds.

    Args:
        recipe: says which.
        classes: number of classes, for a recipe that mixes images.
    """

    def __init__(self, recipe: Recipe, classes: int | None = None) -> None:
        self._recipe = recipe
        self._policy = _policy(recipe)
        self._mixing = _mixing(recipe, classes)

    def change(self, images: Tensor) -> Tensor:
        """Change each image of a batch: uint8, of shape (number, channels, height, width)."""
        images = augment(images, self._recipe)
        if self._policy is None:
            return images
        return torch.cat([self._policy(group) for group in torch.split(images, GROUP)])

    def mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mix each image of a batch with another one, and their labels by the same weight.

        Args:
            images: floating point, of shape (number, channels, height, width).
            labels: int64, of shape (number,).

        Returns:
            Images and labels; mixed labels are probabilities of shape (number, classes).
        """
        return (images, labels) if self._mixing is None else self._mixing(images, labels)


def augment(images: Tensor, recipe: Recipe) -> Tensor:
    """Shift and mirror each image of a batch (number, channels, height, width) at random, as the recipe says."""
    number, _, height, width = images.shape
    device = images.device
    if recipe.crop:
        padded = torch.nn.functional.pad(images, (recipe.crop,) * 4)
        top, left = torch.randint(0, 2 * recipe.crop + 1, (2, number, 1), device=device)[..., 0]
        # A view of every place an image can be cut out at; only those that were drawn are copied, row by row.
        places = padded.unfold(2, height, 1).unfold(3, width, 1)
        images = places[torch.arange(number, device=device), :, top, left]
    if recipe.flip:
        mirrored = (torch.rand(number, device=device) < 0.5).view(number, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
    return images


def _policy(recipe: Recipe) -> Callable[[Tensor], Tensor] | None:
    """Return what changes a group of images by RandAugment and random erasing; None for neither."""
    if not recipe.randaugment and not recipe.erasing:
        return None
    from torchvision.transforms import v2

    policy: Callable[[Tensor], Tensor] = v2.Compose(
        [
            v2.RandAugment(OPERATIONS if recipe.randaugment else 0, recipe.randaugment),
            v2.RandomErasing(recipe.erasing),
        ]
    )
    return policy


def _mixing(recipe: Recipe, classes: int | None) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None:
    """Return what mixes a batch by mixup; None for a recipe without."""
    if not recipe.mixup:
        return None
    from torchvision.transforms import v2

    mixing: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = v2.MixUp(alpha=recipe.mixup, num_classes=classes)
    return mixing
