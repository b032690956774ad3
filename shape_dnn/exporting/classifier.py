"""A trained classifier with the normalisation it was trained with, and how it is read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from shape_dnn.errors import ExportError, UsageError
from shape_dnn.exporting import FORMATS
from shape_dnn.exporting.checks import check_identity, naming, read_shape
from shape_dnn.kinds import Architecture, InputShape
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Loaded
from shape_dnn.shape import Shape
from shape_dnn.training.classifier import check_network
from shape_dnn.training.normalised import Normalised

MOST_PIXELS, MOST_CLASSES = 4096, 1_000_000
"""Height, width and channels, and classes, beyond which a card is not believed."""


class Classifier(Normalised):
    """A trained network that takes images as they are, pixels from 0 to 1, to logits of shape (number, classes).

    Attributes:
        card: what is known of it (``card.json``).
    """

    def __init__(self, network: torch.nn.Module, card: Mapping[str, Any]) -> None:
        super().__init__(network, card["normalisation"]["mean"], card["normalisation"]["std"])
        self.card = card

    @classmethod
    def build(cls, architecture: Loaded[Any], weights: Path, card: Mapping[str, Any]) -> Classifier:
        """Build the network that a card describes, with its weights, for inference.

        Raises:
            PluginError: the architecture failed.
            ExportError: the weights are damaged, or those of another network.
        """
        shape, input_shape, classes = _read(card, architecture.instance)
        with naming(weights):
            _check_count(weights, architecture.instance.count_values(shape, input_shape, classes), shape)
            with torch.random.fork_rng(devices=[]):  # the random weights are replaced, and use up nothing of the user's
                network = architecture.instance.build(shape, input_shape, classes)
            check_network(network, architecture.instance, shape, input_shape, classes)
            network.load_state_dict(load_file(weights))
        return cls(network, card).eval()

    @property
    def class_names(self) -> Sequence[str] | None:
        """Names of the classes in the order of the logits, if they have any."""
        names: Sequence[str] | None = self.card["class_names"]
        return names


def read(card: Mapping[str, Any], path: Path, plugins: Sequence[str]) -> Classifier:
    """Read back a network by its card.

    Args:
        card: what is known of it.
        path: of the card; the weights lie beside it.
        plugins: Python files that may declare the architecture.

    Raises:
        ExportError: a file is damaged or missing, or the architecture is another one here.
        PluginError: the architecture is not installed, or failed.
    """
    architecture = _architecture(card["architecture"], plugins, path)
    return Classifier.build(architecture, path.with_name(FORMATS["safetensors"]), card)


def _architecture(identity: Mapping[str, Any], files: Sequence[str], card: Path) -> Loaded[Any]:
    """Look up the architecture that a card names.

    Raises:
        ExportError: it is another one here, or not there; the message says the remedy.
    """
    registry = Registry(map(Path, files))
    try:
        loaded = registry.load("architecture", str(identity["name"]), identity["options"])
    except UsageError as error:
        message = f"{str(card)!r}: {error.message}; if a file declares it, name that file as plugin"
        raise ExportError(message) from error
    check_identity(loaded, identity)
    return loaded


def _read(card: Mapping[str, Any], architecture: Architecture) -> tuple[Shape, InputShape, int]:
    """Read shape, input shape and number of classes off a card, and see that all of it makes sense.

    Raises:
        ValueError: it does not; says what.
    """
    shape = read_shape(card)
    if not (architecture.is_depth(shape.depth) and architecture.is_width(shape.width)):
        raise ValueError(f"{architecture.title} has no shape {shape}")
    channels, height, width = (_whole(size, MOST_PIXELS) for size in card["input"]["shape"][1:])
    classes = _whole(card["output"]["shape"][1], MOST_CLASSES)
    mean, std = card["normalisation"]["mean"], card["normalisation"]["std"]
    if not (len(mean) == len(std) == channels and all(map(math.isfinite, (*mean, *std))) and min(std) > 0):
        raise ValueError(f"its normalisation is not that of images of {channels} channels")
    names = card["class_names"]
    if names is not None and not (len(names) == classes and all(isinstance(name, str) for name in names)):
        raise ValueError(f"its class_names are not the names of {classes} classes")
    return shape, (channels, height, width), classes


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{value!r:.20} is not a whole number from 1 to {most}")
    return value


def _check_count(weights: Path, values: int, shape: Shape) -> None:
    """See that a file stores as many numbers as a network, before memory for that is taken.

    Raises:
        ValueError: it does not.
    """
    with safe_open(weights, "pt") as file:
        parts = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118 - no mapping
        stored = sum(math.prod(part.get_shape()) for part in parts if part.get_dtype().lstrip("B").startswith("F"))
    if stored != values:
        raise ValueError(f"it stores {stored} values, and a network of shape {shape} has {values}")
