"""Train one shape by a recipe (paper, Section 5), and read the test set for the one that is returned.

Everything here runs in a worker process.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from shape_dnn import devices, durable, images, splits
from shape_dnn.checkpoints import Checkpoint, write_tensors
from shape_dnn.errors import PluginError, TrainingError, blame, describe, label
from shape_dnn.kinds import Architecture, InputShape, LabelledImages
from shape_dnn.plugins import Choice, Registry
from shape_dnn.recipes import Recipe
from shape_dnn.records import Epoch, Training
from shape_dnn.shape import Shape
from shape_dnn.work import Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Protocol = Literal["validation", "paper"]
"""On which images an epoch is judged: held-out training images, or the test set as in the paper."""

EVALUATION_BATCH = 1000


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
class TrainingTask(Task):
    """Train a shape and keep the weights of its best epoch.

    Attributes:
        architecture: which plugin builds the network.
        plugin_files: files that may declare it.
        images: directory with the images (:mod:`shape_dnn.images`).
        classes: number of classes.
        validation_fraction: part of the training images held out for validation.
        shape: what to train.
        recipe: how.
        device: where, as torch writes it.
        seed: of weights, order of images, augmentation, and of the validation split.
        protocol: on which images an epoch is judged.
        weights: safetensors file to write, of this attempt alone.
        checkpoints: directory for the checkpoints of this shape; every attempt goes on from the last of them.
        checkpoint_seconds: least time between two of them.
        attempt: tells this attempt from others at the same shape.
        patience: seconds without a sign of life after which the attempt is given up.
        donor: the network that it grows from; None to start from random weights.
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
    weights: Path
    checkpoints: Path
    checkpoint_seconds: float
    attempt: str = ""
    patience: float | None = None
    donor: Donor | None = None

    def run(self, report: Callable[[object], bool]) -> Training:
        """Train, reporting every :class:`Epoch`, those before an interruption included.

        A training that is asked to stop leaves a checkpoint.

        Raises:
            TrainingError: the loss is not finite, or the memory does not suffice.
            StudyError: the weights or a checkpoint cannot be written.
        """
        import torch

        architecture = load_architecture(self.architecture, self.plugin_files)
        train, judge = self.split()
        input_shape = train.images.shape[1:]
        torch.manual_seed(self.seed)
        torch.set_flush_denormal(True)  # numbers too small to matter slow a processor down
        try:
            network = architecture.build(self.shape, input_shape, self.classes)
            check_network(network, architecture, self.shape, input_shape, self.classes)
            if self.donor is not None:
                self._grow(architecture, network, input_shape, self.donor)
            run = Run(network, self.recipe, torch.device(self.device))
            checkpoint = Checkpoint.load(self.checkpoints)
            if checkpoint is not None:
                run.resume(checkpoint)
            curve = run.fit(train, judge, report, self._keep)
            if len(curve) < self.recipe.epochs:
                run.checkpoint().save(self.checkpoints / self.attempt)
        except Exception as error:
            if devices.is_out_of_memory(error):
                raise TrainingError(f"out of memory on {self.device}: {describe(error)[:200]}") from None
            raise
        finally:
            torch.set_flush_denormal(False)
        if len(curve) < self.recipe.epochs:
            return Training(self.shape, None, "stopped", curve, run.seconds)
        with durable.naming_errors(self.weights):
            self.weights.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(self.weights, run.best_state)
        return Training(self.shape, max(epoch.accuracy for epoch in curve), "", curve, run.seconds)

    def _grow(
        self, architecture: Architecture, network: torch.nn.Module, input_shape: InputShape, donor: Donor
    ) -> None:
        """Start from the weights of a smaller network."""
        from safetensors.torch import load_file

        with blame(architecture):
            weights = load_file(donor.weights)
            grown = architecture.grow(weights, donor.shape, self.shape, input_shape, self.classes, self.seed)
            network.load_state_dict(grown)

    def _keep(self, run: Run) -> None:
        """Write a checkpoint if the last is old enough."""
        if run.seconds_since_checkpoint >= self.checkpoint_seconds:
            run.checkpoint().save(self.checkpoints / self.attempt)

    def split(self) -> tuple[LabelledImages, LabelledImages]:
        """Return the images to train on and those to judge an epoch on."""
        train, test = images.load(self.images)
        if self.protocol == "paper":
            return train, test
        return splits.split(train, self.validation_fraction, self.seed)


@dataclass(frozen=True)
class EvaluationTask(Task):
    """Read the test set for one trained shape.

    Attributes:
        training: how it was trained.
        weights: safetensors file.
        attempt: tells this task from others.
    """

    training: TrainingTask
    weights: Path
    attempt: str = ""

    def run(self, report: Callable[[object], bool]) -> float:
        """Return the accuracy on the test set in percent."""
        import torch
        from safetensors.torch import load_file

        task = self.training
        train, _ = task.split()
        _, test = images.load(task.images)
        architecture = load_architecture(task.architecture, task.plugin_files)
        network = architecture.build(task.shape, test.images.shape[1:], task.classes)
        network.load_state_dict(load_file(self.weights))
        run = Run(network, task.recipe, torch.device(task.device))
        run.normalise_by(train)
        return run.accuracy(test)


class Run:
    """A network being trained on a device.

    Args:
        network: with random weights.
        recipe: hyper-parameters.
        device: where to train.
    """

    def __init__(self, network: torch.nn.Module, recipe: Recipe, device: torch.device) -> None:
        import torch

        # The layout that convolutions are fastest in; it changes no result.
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.device = device
        self.best_state: dict[str, Tensor] = {}
        self._descend = Descent(self.network, recipe)
        self._curve: list[Epoch] = []
        self._began = self._last_checkpoint = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Duration of the training, without interruptions."""
        return time.perf_counter() - self._began

    @property
    def seconds_since_checkpoint(self) -> float:
        """Time that an interruption now would cost."""
        return time.perf_counter() - self._last_checkpoint

    def checkpoint(self) -> Checkpoint:
        """Take down all that is needed to go on from here."""
        import torch

        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        self._last_checkpoint = time.perf_counter()
        return Checkpoint(
            tuple(self._curve),
            self.seconds,
            _on_cpu(self.network.state_dict()),
            self.best_state,
            _on_cpu(self._descend.velocities),
            random,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Put everything as it was when a checkpoint was taken."""
        import torch

        self.network.load_state_dict(checkpoint.network)
        self.best_state = checkpoint.best
        self._descend.velocities = checkpoint.velocities
        self._curve = list(checkpoint.curve)
        self._began = time.perf_counter() - checkpoint.seconds
        torch.set_rng_state(checkpoint.random["cpu"])
        if "cuda" in checkpoint.random and self.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint.random["cuda"], self.device)

    def fit(
        self,
        train: LabelledImages,
        judge: LabelledImages,
        report: Callable[[object], bool],
        keep: Callable[[Run], None] = lambda _: None,
    ) -> tuple[Epoch, ...]:
        """Train for all epochs, or until ``report`` returns False; return the learning curve.

        Args:
            train: images to learn from.
            judge: images to judge an epoch on.
            report: told every epoch, those before an interruption first.
            keep: called after every epoch, before it is reported; may write a checkpoint.

        Raises:
            TrainingError: the loss is not finite.
        """
        import torch

        recipe, alive = self.recipe, Pulse(report)
        self.normalise_by(train)
        curve = self._curve
        if not all(report(epoch) for epoch in curve):
            return tuple(curve)
        images, labels = self._tensors(train)
        batch_size = min(recipe.batch_size, len(train))
        batches = len(train) // batch_size
        for number in range(len(curve) + 1, recipe.epochs + 1):
            self.network.train()
            order = torch.randperm(len(train)).to(self.device)
            total = torch.zeros((), device=self.device)
            for i in range(batches):
                chosen = order[i * batch_size : (i + 1) * batch_size]
                logits = self.network(self._normalise(augment(images[chosen], recipe)))
                loss = torch.nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=recipe.label_smoothing)
                loss.backward()  # type: ignore[no-untyped-call]
                self._descend(learning_rate(recipe, (number - 1 + i / batches) / recipe.epochs))
                total += loss.detach()
                alive()
            mean_loss = float(total) / batches
            if not math.isfinite(mean_loss):
                raise TrainingError(f"the training loss became {mean_loss} in epoch {number}; a lower --lr may help")
            curve.append(Epoch(number, mean_loss, self.accuracy(judge, alive)))
            if curve[-1].accuracy >= max(epoch.accuracy for epoch in curve):
                self.best_state = _on_cpu(self.network.state_dict())
            keep(self)
            if not report(curve[-1]):
                break
        return tuple(curve)

    def normalise_by(self, images: LabelledImages) -> None:
        """Take the mean and standard deviation of each channel from these images."""
        import torch

        levels = torch.from_numpy(images.images)
        means, stds = [], []
        for channel in range(levels.shape[1]):
            # Counting the 256 levels needs no floating-point copy of all images, and is exact.
            counts = torch.bincount(levels[:, channel].flatten().int(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64)
            mean = (counts * values).sum() / counts.sum()
            means.append(mean)
            stds.append(((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt().clamp(min=1.0))
        self._mean = torch.stack(means).float().view(-1, 1, 1).to(self.device)
        self._std = torch.stack(stds).float().view(-1, 1, 1).to(self.device)

    def accuracy(self, images: LabelledImages, alive: Callable[[], None] = lambda: None) -> float:
        """Return the percentage of images whose class has the highest logit; ``alive`` is called after each batch."""
        import torch

        self.network.eval()
        levels, labels = self._tensors(images)
        correct = 0
        with torch.inference_mode():
            for start in range(0, len(images), EVALUATION_BATCH):
                batch = slice(start, start + EVALUATION_BATCH)
                correct += int((self.network(self._normalise(levels[batch])).argmax(1) == labels[batch]).sum())
                alive()
        return 100 * correct / len(images)

    def _tensors(self, images: LabelledImages) -> tuple[Tensor, Tensor]:
        import torch

        return torch.from_numpy(images.images).to(self.device), torch.from_numpy(images.labels).to(self.device)

    def _normalise(self, levels: Tensor) -> Tensor:
        import torch

        images = (levels.float() - self._mean) / self._std
        return images.contiguous(memory_format=torch.channels_last)


class Pulse:
    """Reports a sign of life, but not more often than needed."""

    SECONDS = 5.0

    def __init__(self, report: Callable[[object], bool]) -> None:
        self._report = report
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Report if it is time to."""
        if time.monotonic() - self._last >= self.SECONDS:
            self._report(None)
            self._last = time.monotonic()


class Descent:
    """Stochastic gradient descent with Nesterov momentum, by torch's own step.

    Not ``torch.optim.SGD``, whose construction imports torch's compiler: seconds for every worker process.

    Args:
        network: whose parameters are changed.
        recipe: momentum and L2 penalty.
    """

    def __init__(self, network: torch.nn.Module, recipe: Recipe) -> None:
        self._network = network
        self._recipe = recipe
        self._velocities: dict[Tensor, Tensor | None] = {}

    @property
    def velocities(self) -> dict[str, Tensor]:
        """The momentum by the name of the parameter."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self._network.named_parameters()}
        return {names[parameter]: value for parameter, value in self._velocities.items() if value is not None}

    @velocities.setter
    def velocities(self, values: dict[str, Tensor]) -> None:
        parameters = dict(self._network.named_parameters())
        self._velocities = {parameters[name]: _alike(value, parameters[name]) for name, value in values.items()}

    def __call__(self, learning_rate: float) -> None:
        """Take one step along the gradients, and forget them."""
        import torch
        from torch.optim.sgd import sgd

        gradients = {p: p.grad for p in self._network.parameters() if p.grad is not None}
        parameters: list[Tensor] = list(gradients)
        velocities = [self._velocities.get(parameter) for parameter in parameters]
        with torch.no_grad():
            sgd(
                parameters,
                list(gradients.values()),
                velocities,
                fused=True,
                lr=learning_rate,
                momentum=self._recipe.momentum,
                nesterov=self._recipe.momentum > 0,
                weight_decay=self._recipe.weight_decay,
                dampening=0.0,
                maximize=False,
            )
        self._velocities = dict(zip(parameters, velocities, strict=True))
        for parameter in parameters:
            parameter.grad = None


def _alike(value: Tensor, parameter: Tensor) -> Tensor:
    """Move a value to the device of a parameter, in its memory format."""
    import torch

    result = torch.empty_like(parameter, requires_grad=False)
    return result.copy_(value)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def check_network(
    network: object, architecture: Architecture, shape: Shape, input_shape: InputShape, classes: int
) -> None:
    """Check that a network is one, classifies, and stores as many values as its architecture says.

    Raises:
        PluginError: it does not.
    """
    import torch

    who = f"{label(architecture)} built for shape {shape}"
    if not isinstance(network, torch.nn.Module):
        raise PluginError(f"{who} a {type(network).__name__} instead of a torch.nn.Module")
    values = architecture.count_values(shape, input_shape, classes)
    stored = sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())
    if stored != values:
        raise PluginError(f"{who} a network that stores {stored} values, and its count_values says {values}")
    network.eval()
    with torch.inference_mode():
        logits = network(torch.zeros(2, *input_shape))
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        made = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise PluginError(f"{who} a network that makes {made} of 2 images instead of logits (2, {classes})")


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the rate after this fraction of the training, from 0 to below 1."""
    if recipe.schedule == "steps":
        return recipe.lr * recipe.gamma ** sum(progress >= milestone for milestone in recipe.milestones)
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    return recipe.lr * (1 - progress) / (1 - recipe.warmup)


def augment(images: Tensor, recipe: Recipe) -> Tensor:
    """Shift and mirror each image of a batch (number, channels, height, width) at random, as the recipe says."""
    import torch

    number, channels, height, width = images.shape
    if recipe.crop:
        padded = torch.nn.functional.pad(images, (recipe.crop,) * 4)
        offsets = torch.randint(0, 2 * recipe.crop + 1, (2, number, 1)).to(images.device)
        rows = (offsets[0] + torch.arange(height, device=images.device)).view(number, 1, height, 1)
        columns = (offsets[1] + torch.arange(width, device=images.device)).view(number, 1, 1, width)
        each = torch.arange(number, device=images.device).view(number, 1, 1, 1)
        images = padded[each, torch.arange(channels, device=images.device).view(1, channels, 1, 1), rows, columns]
    if recipe.flip:
        mirrored = (torch.rand(number) < 0.5).to(images.device).view(number, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
    return images


@functools.lru_cache(maxsize=4)
def _registry(plugin_files: tuple[Path, ...]) -> Registry:
    return Registry(plugin_files)


def load_architecture(choice: Choice, plugin_files: tuple[Path, ...]) -> Architecture:
    """Create an architecture from its name in a worker process."""
    return cast("Architecture", _registry(plugin_files).load_again(choice))
