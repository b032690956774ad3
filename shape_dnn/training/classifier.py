"""The built-in trainer: networks of an architecture are trained to classify the images of a dataset, by a recipe."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from shape_dnn.data import images
from shape_dnn.data.splits import Part, stratified_order
from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import Architecture, EncodedImages, InputShape, Pretrained, Resources, Run, Trainer
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Choice
from shape_dnn.recipes import Recipe
from shape_dnn.shape import Shape
from shape_dnn.training import memory
from shape_dnn.training.sources import registry

if TYPE_CHECKING:
    import torch

    from shape_dnn.training.pixels import Pixels

LEVELS = 255
"""Of a pixel, from which those from 0 to 1 are made."""
EVALUATED_AT_ONCE = 256
"""Images given to what ships, which takes as many at a time as it was made for."""

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
class ClassifierTrainer(Trainer):
    """Trains networks of an architecture to classify images, by a recipe (paper, Section 5).

    Attributes:
        architecture: which plugin builds the networks.
        plugin_files: files that may declare it.
        images: directory with the images (:mod:`shape_dnn.data.images`).
        classes: number of classes.
        validation_fraction: part of the training images held out for validation.
        recipe: hyper-parameters.
        device: where, as torch writes it.
        protocol: on which images an epoch is judged.
        donor: the network that they grow from; None if they grow from none.
        threads: of operators on the processor.
        pretrained: weights of the architecture that a shape starts from; None to start from random ones.
    """

    _plugin_label = "the classifier"

    architecture: Choice
    plugin_files: tuple[Path, ...]
    images: Path
    classes: int
    validation_fraction: float
    recipe: Recipe
    device: str
    protocol: Protocol
    donor: Donor | None = None
    threads: int = 1
    pretrained: Pretrained | None = None

    @property
    def steps(self) -> int:  # type: ignore[override]
        """Epochs."""
        return self.recipe.epochs

    @property
    def files(self) -> tuple[Path, ...]:
        """Plugins, images, and the weights that a shape starts from."""
        weights = [self.donor.weights] if self.donor else []
        if self.pretrained is not None and self.pretrained.file is not None:
            weights.append(self.pretrained.file)
        return (*self.plugin_files, self.images, *weights)

    @property
    def input_shape(self) -> InputShape:
        """Channels, height and width of an image."""
        return images.input_shape(self.images)

    def load(self) -> ClassifierTrainer:
        """Return itself, which is ready to train."""
        return self

    def load_architecture(self) -> Architecture:
        """Create the architecture."""
        return cast("Architecture", registry(self.plugin_files).load_again(self.architecture))

    def build(self, shape: Shape) -> torch.nn.Module:
        """Build the network of a shape with random weights.

        Raises:
            NetworkError: the architecture failed.
        """
        architecture = self.load_architecture()
        with checked.blame_network(architecture, checked.BUILD, shape):
            return architecture.build(shape, self.input_shape, self.classes)

    def begin(self, shape: Shape, seed: int) -> torch.nn.Module:
        """Build the network with the weights that it starts from: drawn from torch's generator, pretrained or grown.

        Raises:
            NetworkError: the architecture failed.
            PluginError: the network is not what it says.
            UsageError: pretrained weights do not fit.
            UnavailableError: pretrained weights cannot be had.
        """
        import torch

        network, architecture = self.build(shape), self.load_architecture()
        check_network(network, architecture, shape, self.input_shape, self.classes)
        if self.pretrained is not None:
            # What is drawn while weights are read must not decide what is drawn in training.
            with checked.blame_network(architecture, checked.LOAD, shape), torch.random.fork_rng(devices=[]):
                architecture.load_pretrained(network, shape, self.pretrained)
        if self.donor is not None:
            from safetensors.torch import load_file

            with blame(architecture):
                weights, smaller = load_file(self.donor.weights), self.donor.shape
                grown = architecture.grow(weights, smaller, shape, self.input_shape, self.classes, seed)
                network.load_state_dict(grown)
        return network

    def train(self, shape: Shape, run: Run) -> float:
        """Train for the epochs of the recipe; the quality and the weights are those of the best epoch."""
        import torch

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.loop import Loop

        device = torch.device(run.device)
        network = self.begin(shape, run.seed)
        train, judge = split(self.images, self.protocol, self.validation_fraction, run.seed)
        loop = Loop(network, self.recipe, device, self._forward(shape), as_graph=not run.deaths)
        learnt_from = Batches(train, device, classes=self.classes, place=self._place(run.device))
        return loop.fit(learnt_from, Batches(judge, device, like=learnt_from), run)

    def test(self, shape: Shape, run: Run) -> float:
        """Return the accuracy on the test set in percent.

        It is computed in float32, as users do with the weights, whatever they were trained in.
        """
        import torch

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.loop import Loop

        device = torch.device(run.device)
        train, _ = split(self.images, self.protocol, self.validation_fraction, run.seed)
        _, test = images.load(self.images)
        network, saved = self.build(shape), run.load()
        assert saved is not None  # noqa: S101 - only what was trained is tested
        network.load_state_dict(saved)
        loop = Loop(network, dataclasses.replace(self.recipe, precision="float32"), device, self._forward(shape))
        learnt_from = Batches(train, device, place=self._place(run.device))
        return loop.accuracy(Batches(Part.of_all(test), device, like=learnt_from), run.alive)

    def example(self, batch_size: int) -> torch.Tensor:
        """Make images of noise, pixels from 0 to 1."""
        import torch

        return torch.rand(batch_size, *self.input_shape, generator=torch.Generator().manual_seed(0))

    def ship(self, shape: Shape, run: Run) -> torch.nn.Module:
        """Build the network with its weights and the normalisation that it was trained with."""
        import torch

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.normalised import Normalised

        network = super().ship(shape, run)
        train, _ = split(self.images, self.protocol, self.validation_fraction, run.seed)
        mean, std = Batches(train, torch.device("cpu")).statistics
        return Normalised(network, (mean / LEVELS).flatten().tolist(), (std / LEVELS).flatten().tolist()).eval()

    def calibration(self, batch_size: int, run: Run) -> Iterator[torch.Tensor]:
        """Give images of the training split in an order in which the classes come in turn."""
        train, _ = split(self.images, self.protocol, self.validation_fraction, run.seed)
        order = stratified_order(train.images.labels[train.indices], run.seed)
        for pixels, _ in _in_batches(Part(train.images, train.indices[order]), batch_size):
            if len(pixels) == batch_size:
                yield pixels

    def judge(self, predict: Callable[[torch.Tensor], torch.Tensor], run: Run) -> float:
        """Return the accuracy on the images that an epoch is judged on, in percent."""
        _, judge = split(self.images, self.protocol, self.validation_fraction, run.seed)
        return _accuracy(predict, judge, run)

    def judge_test(self, predict: Callable[[torch.Tensor], torch.Tensor], run: Run) -> float:
        """Return the accuracy on the test set in percent."""
        _, test = images.load(self.images)
        return _accuracy(predict, Part.of_all(test), run)

    def resources(self, shape: Shape) -> Resources:
        """Return threads, the memory of a training by estimate, and the processes that decode its images."""
        import torch

        from shape_dnn.training.descent import descent
        from shape_dnn.training.streamed import readers

        def make() -> tuple[torch.Tensor, torch.Tensor]:
            size = self.recipe.batch_size
            return torch.empty(size, *self.input_shape), torch.empty(size, dtype=torch.int64)

        def loss(network: torch.nn.Module, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            pixels, labels = given
            return torch.nn.functional.cross_entropy(network(pixels), labels)

        def remember(network: torch.nn.Module) -> dict[str, torch.Tensor]:
            return dict(descent(network, self.recipe).state)

        step = memory.step(lambda: self.build(shape), make, loss, remember)
        taken = 0 if step is None else step.on(self.device, self._data_on_device)
        # On the processor, where a reader and its training are at work by turns, they have the cores of the training.
        busy = readers(self.device) if self._streams and self.device.startswith("cuda") else 0
        return Resources(self.threads, memory=taken, loaders=busy)

    @property
    def _streams(self) -> bool:
        return isinstance(images.load(self.images)[0], EncodedImages)

    @property
    def _data_on_device(self) -> int:
        """Bytes of what is there of the dataset; on the processor all trainings share what is kept as pixels."""
        if not self.device.startswith("cuda") and not self._streams:
            return 0
        return self._place(self.device).taken(images.load(self.images), self.recipe.batch_size)

    def _place(self, device: str) -> type[Pixels]:
        """Tell where the images lie while a device trains."""
        from shape_dnn.training import placement

        return placement.place(images.load(self.images), device)

    def _forward(self, shape: Shape) -> Callable[[], AbstractContextManager[None]]:
        return functools.partial(checked.blame_network, self.load_architecture(), checked.FORWARD, shape)


def _in_batches(part: Part, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Give images with pixels from 0 to 1, and their labels; the last batch may be smaller."""
    import torch

    for start in range(0, len(part), size):
        chosen = Part(part.images, part.indices[start : start + size]).copy()
        yield torch.from_numpy(chosen.images).float() / LEVELS, torch.from_numpy(chosen.labels)


def _accuracy(predict: Callable[[torch.Tensor], torch.Tensor], part: Part, run: Run) -> float:
    correct = 0
    for pixels, labels in _in_batches(part, EVALUATED_AT_ONCE):
        correct += int((predict(pixels).argmax(1) == labels).sum())
        run.alive()
    return 100 * correct / len(part)


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
