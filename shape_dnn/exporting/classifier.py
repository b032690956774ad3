"""A trained network with the normalisation it was trained with, and how it is read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from shape_dnn.errors import ExportError, ShapeDnnError, UsageError, describe
from shape_dnn.exporting import CARD, FORMATS
from shape_dnn.exporting.choice import check_identity
from shape_dnn.plugins import Loaded, Registry
from shape_dnn.shape import Shape
from shape_dnn.training.setup import check_network


class Classifier(torch.nn.Module):
    """A trained network that takes images as they are.

    It maps a float tensor of shape (number, channels, height, width), pixels from 0 to 1, to logits of shape
    (number, classes).

    Attributes:
        network: takes normalised images; what was trained.
        mean: of the pixels it was trained on, of shape (channels, 1, 1).
        std: standard deviation of those, of the same shape.
        card: what is known of it (``card.json``).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: torch.nn.Module, card: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.card = card
        for name in ("mean", "std"):
            values = torch.tensor(card["normalisation"][name], dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @classmethod
    def build(cls, architecture: Loaded[Any], weights: Path, card: Mapping[str, Any]) -> Classifier:
        """Build the network that a card describes, with its weights, for inference.

        Raises:
            PluginError: the architecture failed.
            ExportError: the weights are damaged, or those of another network.
        """
        shape = Shape.parse(f"{card['shape']['depth']},{card['shape']['fraction']}")
        _, channels, height, width = card["input"]["shape"]
        input_shape = int(channels), int(height), int(width)
        classes = int(card["output"]["shape"][1])
        with torch.random.fork_rng(devices=[]):  # the random weights are replaced, and should cost the user nothing
            network = architecture.instance.build(shape, input_shape, classes)
        check_network(network, architecture.instance, shape, input_shape, classes)
        with _naming(weights):
            network.load_state_dict(load_file(weights))
        return cls(network, card).eval()

    @property
    def class_names(self) -> Sequence[str] | None:
        """Names of the classes in the order of the logits, if they have any."""
        names: Sequence[str] | None = self.card["class_names"]
        return names

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images whose pixels are from 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


def load(directory: str | Path, *, plugin: str | Sequence[str] = ()) -> Classifier:
    """Read back a network that was exported.

    Args:
        directory: that :func:`shape_dnn.export` has written.
        plugin: Python files that declare the architecture, if it is not an installed one.

    Returns:
        The network, for inference on the processor; its parameters can be trained further.

    Raises:
        UsageError: nothing was exported to the directory.
        ExportError: a file is damaged or missing, or the architecture is another one here.
        PluginError: the architecture is not installed, or failed.
    """
    directory = Path(directory)
    path = directory / CARD
    if not path.is_file():
        raise UsageError(f"nothing was exported to {str(directory)!r} (no {CARD}); shape-dnn export does so")
    files = [plugin] if isinstance(plugin, str) else plugin
    with _naming(path):
        card = json.loads(path.read_text(encoding="utf-8"))
        given = card["architecture"]
        architecture = Registry(map(Path, files)).load("architecture", given["name"], given["options"])
        check_identity(architecture, given)
        return Classifier.build(architecture, directory / FORMATS["safetensors"], card)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file cannot be used, whatever is wrong with it."""
    try:
        yield
    except ShapeDnnError:
        raise
    except Exception as error:
        raise ExportError(f"{str(path)!r} cannot be used: {describe(error)[:200]}") from error
