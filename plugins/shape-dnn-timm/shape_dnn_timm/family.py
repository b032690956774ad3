"""What the families have in common: weights that trainings start from, published by timm or in files."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from shape_dnn import Architecture, Pretrained, Recipe, Shape, UnavailableError, UsageError

if TYPE_CHECKING:
    import torch

RANDOM, PUBLISHED = "none", "pretrained"
OPTION = "arch.weights"
COLOURS = 3
"""Channels of images that weights can be adapted from."""

Sizes = Mapping[str, tuple[int, ...]]
"""Size of each tensor of a network, by name."""


class Family(Architecture):
    """A family of timm, whose trainings start from random weights or from others.

    Args:
        weights: ``none``, ``pretrained`` for those that timm publishes, or the path of a safetensors file, or of a
            folder with one for each of several shapes.
    """

    stem: ClassVar[str]
    """Name of the first convolution."""
    head: ClassVar[str]
    """Name of the last layer."""

    def __init__(self, weights: str = RANDOM) -> None:
        self.weights = weights

    @property
    @abstractmethod
    def published(self) -> Mapping[Shape, str]:
        """Names of timm's weights of this family, by shape, such as ``resnet50.a1_in1k``."""

    @abstractmethod
    def shape_of(self, sizes: Sizes) -> Shape | None:
        """Tell of which shape a network is by its tensors; None if it is none of this family.

        Raises:
            KeyError: a tensor is missing.
        """

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return a recipe for fine-tuning where trainings do not start from random weights.

        A quarter of the epochs at a tenth of the rate, which rises at first, while the random last layer is far off.
        """
        if self.weights == RANDOM:
            return recipe
        epochs = max(1, round(recipe.epochs / 4))
        schedule = "one-cycle" if recipe.schedule == "steps" else recipe.schedule
        return replace(recipe, epochs=epochs, lr=recipe.lr / 10, schedule=schedule, warmup=0.1)

    def pretrained(self) -> dict[Shape, Pretrained] | None:
        """Return the weights that the option names, by shape."""
        if self.weights == RANDOM:
            return None
        if self.weights == PUBLISHED:
            return {shape: Pretrained(name) for shape, name in self.published.items()}
        found: dict[Shape, Pretrained] = {}
        for file in _files(Path(self.weights)):
            shape = self._shape_of_file(file)
            if shape in found:
                raise UsageError(
                    f"{OPTION}: {str(found[shape].file)!r} and {str(file)!r} are both of {shape}", "option"
                )
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            found[shape] = Pretrained(f"sha256:{digest[:16]}", file.resolve())
        return found

    def _shape_of_file(self, file: Path) -> Shape:
        """Tell by names and sizes of its tensors of which shape the network is that a file holds.

        Raises:
            UsageError: it cannot be read, or holds no network of this family.
        """
        sizes = _sizes(file)
        try:
            shape = self.shape_of(sizes)
            if shape is not None:
                images, classes = (sizes[f"{self.stem}.weight"][1], 1, 1), sizes[f"{self.head}.weight"][0]
                if self.count_values(shape, images, classes) == sum(map(math.prod, sizes.values())):
                    return shape
        except (KeyError, IndexError):
            pass
        raise UsageError(f"{OPTION}: {str(file)!r} holds no network of {self.title}; {self.depth_rule}", "option")

    def load_pretrained(self, network: torch.nn.Module, shape: Shape, pretrained: Pretrained) -> None:
        """Load the weights of a file, or published ones, as far as they fit.

        The last layer stays random if it has another number of classes, and the first is adapted by timm if images
        have another number of channels.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            given = _download(pretrained.name) if pretrained.file is None else load_file(pretrained.file)
            network.load_state_dict(self.fitted(given, network.state_dict()))
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            problem = " ".join(str(error).split())[:200]
            name = repr(str(pretrained.file or pretrained.name))
            raise UsageError(
                f"{OPTION}: {name} cannot be used for {self.title} {shape}: {problem}", "option"
            ) from error

    def fitted(self, given: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return given weights with what has another size here adapted, or as it is in the own ones."""
        from timm.models import adapt_input_conv

        # timm writes some linear layers as convolutions with a kernel of one pixel, which compute the same.
        fitted = {
            name: value.flatten(1) if name in own and value.dim() == 4 and own[name].dim() == 2 else value
            for name, value in given.items()
        }
        first = f"{self.stem}.weight"
        before, wanted = fitted[first].shape[1], own[first].shape[1]
        if before != wanted:
            if before != COLOURS:
                raise ValueError(f"it takes images of {before} channels; only those for {COLOURS} can be adapted")
            fitted[first] = adapt_input_conv(wanted, fitted[first])
        for last in (f"{self.head}.weight", f"{self.head}.bias"):
            if fitted[last].shape != own[last].shape:
                fitted[last] = own[last]
        return fitted


def _files(path: Path) -> list[Path]:
    """List the files of weights that a path names.

    Raises:
        UsageError: there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        accepted = f"accepted are {RANDOM}, {PUBLISHED}, a safetensors file, or a folder with some"
        raise UsageError(f"{OPTION}={path}: there is no such file or folder; {accepted}", "option")
    found = sorted(path.glob("*.safetensors"))
    if not found:
        raise UsageError(f"{OPTION}={path}: the folder has no *.safetensors", "option")
    return found


def _sizes(file: Path) -> Sizes:
    """Read the sizes of the floating-point tensors of a file, but not the tensors.

    Raises:
        UsageError: it is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            parts = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - no mapping
            return {name: tuple(part.get_shape()) for name, part in parts.items() if part.get_dtype()[0] in ("F", "B")}
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{OPTION}: {str(file)!r} is no whole safetensors file: {error}", "option") from error


def _download(name: str) -> dict[str, torch.Tensor]:
    """Have timm load published weights, from its hub unless it has them already.

    Raises:
        UnavailableError: they cannot be had.
    """
    import timm

    try:
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        remedy = f"download model.safetensors of https://huggingface.co/timm/{name} and give it as -o {OPTION}=FILE"
        raise UnavailableError(f"timm could not get the weights {name} ({problem}); {remedy}") from error
