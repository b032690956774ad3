"""What is trained, on what and how: all that determines an accuracy."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import Architecture, InputShape, Pretrained
from shape_dnn.plugins import checked
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Choice
from shape_dnn.recipes import Recipe
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    import torch

Protocol = Literal["validation", "paper"]
"""On which images an epoch is judged: held-out training images, or the test set as in the paper."""


@dataclass(frozen=True)
class Donor:
    """A trained network whose weights another grows from.

    Attributes:
        shape: its shape.
        weights: its safetensors file.
    """

    shape: Shape
    weights: Path


@dataclass(frozen=True)
class Setup:
    """A shape to train, with all that determines its accuracy.

    Attributes:
        architecture: which plugin builds the network.
        plugin_files: files that may declare it.
        images: directory with the images (:mod:`shape_dnn.data.images`).
        classes: number of classes.
        validation_fraction: part of the training images held out for validation.
        shape: what to train.
        recipe: how.
        device: where, as torch writes it.
        seed: of weights, order of images, augmentation, and of the validation split.
        protocol: on which images an epoch is judged.
        donor: the network that it grows from; None if it grows from none.
        threads: of operators on the processor.
        pretrained: weights of the architecture that it starts from; None to start from random ones.
    """

    architecture: Choice
    plugin_files: tuple[Path, ...]
    images: Path
    classes: int
    validation_fraction: float
    shape: Shape
    recipe: Recipe
    device: str
    seed: int
    protocol: Protocol
    donor: Donor | None = None
    threads: int = 1
    pretrained: Pretrained | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Plugins, images, and the weights it starts from."""
        weights = [self.donor.weights] if self.donor else []
        if self.pretrained is not None and self.pretrained.file is not None:
            weights.append(self.pretrained.file)
        return (*self.plugin_files, self.images, *weights)

    @property
    def input_shape(self) -> InputShape:
        """Channels, height and width of an image."""
        return images.input_shape(self.images)

    def load_architecture(self) -> Architecture:
        """Create the architecture."""
        return cast("Architecture", _registry(self.plugin_files).load_again(self.architecture))

    def build(self) -> torch.nn.Module:
        """Build the network with the weights that it starts from: drawn from torch's generator, pretrained or grown.

        Raises:
            NetworkError: the architecture failed.
            PluginError: the network is not what it says.
            UsageError: pretrained weights do not fit.
            UnavailableError: pretrained weights cannot be had.
        """
        import torch

        architecture = self.load_architecture()
        with checked.blame_network(architecture, checked.BUILD, self.shape):
            network = architecture.build(self.shape, self.input_shape, self.classes)
        check_network(network, architecture, self.shape, self.input_shape, self.classes)
        if self.pretrained is not None:
            # What is drawn while weights are read must not decide what is drawn in training.
            with checked.blame_network(architecture, checked.LOAD, self.shape), torch.random.fork_rng(devices=[]):
                architecture.load_pretrained(network, self.shape, self.pretrained)
        if self.donor is not None:
            from safetensors.torch import load_file

            with blame(architecture):
                weights, smaller = load_file(self.donor.weights), self.donor.shape
                grown = architecture.grow(weights, smaller, self.shape, self.input_shape, self.classes, self.seed)
                network.load_state_dict(grown)
        return network

    def split(self) -> tuple[Part, Part]:
        """Return the images to train on and those to judge an epoch on."""
        return split(self.images, self.protocol, self.validation_fraction, self.seed)


def split(directory: Path, protocol: Protocol, validation_fraction: float, seed: int) -> tuple[Part, Part]:
    """Return the images to train on and those to judge an epoch on.

    Args:
        directory: with the images (:mod:`shape_dnn.data.images`).
        protocol: on which images an epoch is judged.
        validation_fraction: part of the training images held out for validation.
        seed: of that.
    """
    train, test = images.load(directory)
    if protocol == "paper":
        return Part.of_all(train), Part.of_all(test)
    return Part.of_all(train).split(validation_fraction, seed)


def check_network(
    network: object, architecture: Architecture, shape: Shape, input_shape: InputShape, classes: int
) -> None:
    """Check that a network is one, classifies, and stores as many values as its architecture says.

    Raises:
        NetworkError: its forward pass failed.
        PluginError: it does not.
    """
    import torch

    who = f"{label(architecture)} built for shape {shape}"
    if not isinstance(network, torch.nn.Module):
        raise PluginError(f"{who} a {type(network).__name__} instead of a torch.nn.Module")
    with blame(architecture):
        values = architecture.count_values(shape, input_shape, classes)
    stored = sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())
    if stored != values:
        raise PluginError(f"{who} a network that stores {stored} values, and its count_values says {values}")
    network.eval()
    with torch.inference_mode(), checked.blame_network(architecture, checked.FORWARD, shape):
        logits = network(torch.zeros(2, *input_shape))
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        made = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise PluginError(f"{who} a network that makes {made} of 2 images instead of logits (2, {classes})")


@functools.lru_cache(maxsize=4)
def _registry(plugin_files: tuple[Path, ...]) -> Registry:
    return Registry(plugin_files)
