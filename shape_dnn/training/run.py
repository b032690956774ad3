"""The training of one network, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shape_dnn.errors import TrainingError
from shape_dnn.records import Epoch
from shape_dnn.training.batches import Batches
from shape_dnn.training.checkpoints import Checkpoint
from shape_dnn.training.step import Step, autocast
from shape_dnn.work import Pulse

if TYPE_CHECKING:
    from shape_dnn.recipes import Recipe

EVALUATION_BATCHES = 4
"""Batches of a training that are evaluated at once: that needs no more memory than training one of them."""


class Run:
    """A network being trained on a device.

    Args:
        network: with random weights.
        recipe: hyper-parameters; its precision is definite.
        device: where to train.
        forward: makes what each forward pass runs in.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        device: torch.device,
        forward: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        # The layout that convolutions are fastest in; it changes no result.
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.device = device
        self.best_state: dict[str, Tensor] = {}
        self._forward = forward
        self._step = Step(self.network, recipe, forward)
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
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        self._last_checkpoint = time.perf_counter()
        return Checkpoint(
            tuple(self._curve),
            self.seconds,
            _on_cpu(self.network.state_dict()),
            self.best_state,
            _on_cpu(self._step.descent.state),
            random,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Put everything as it was when a checkpoint was taken."""
        self.network.load_state_dict(checkpoint.network)
        self.best_state = checkpoint.best
        self._step.descent.state = checkpoint.optimizer
        self._curve = list(checkpoint.curve)
        self._began = time.perf_counter() - checkpoint.seconds
        torch.set_rng_state(checkpoint.random["cpu"])
        if "cuda" in checkpoint.random and self.device.type == "cuda":
            torch.cuda.set_rng_state(checkpoint.random["cuda"], self.device)

    def fit(
        self,
        train: Batches,
        judge: Batches,
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
        recipe, alive, curve = self.recipe, Pulse(report), self._curve
        if not all(report(epoch) for epoch in curve):
            return tuple(curve)
        batch_size = min(recipe.batch_size, len(train))
        batches = len(train) // batch_size
        for number in range(len(curve) + 1, recipe.epochs + 1):
            self.network.train()
            total = torch.zeros((), device=self.device)
            for i, (images, labels) in enumerate(train.shuffled(batch_size, recipe)):
                total += self._step(images, labels, learning_rate(recipe, (number - 1 + i / batches) / recipe.epochs))
                alive()
            mean_loss = float(total) / batches
            if not math.isfinite(mean_loss):
                raise TrainingError(f"the training loss became {mean_loss} in epoch {number}; a lower --lr may help")
            curve.append(Epoch(number, mean_loss, self.accuracy(judge, alive)))
            if curve[-1].quality >= max(epoch.quality for epoch in curve):
                self.best_state = _on_cpu(self.network.state_dict())
            keep(self)
            if not report(curve[-1]):
                break
        return tuple(curve)

    def accuracy(self, images: Batches, alive: Callable[[], None] = lambda: None) -> float:
        """Return the percentage of images whose class has the highest logit; ``alive`` is called after each batch."""
        self.network.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode(), autocast(self.device, self.recipe):
            for batch, labels in images.in_order(EVALUATION_BATCHES * self.recipe.batch_size):
                with self._forward():
                    correct += (self.network(batch).argmax(1) == labels).sum()
                alive()
        return 100 * int(correct) / len(images)


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the rate after this fraction of the training, from 0 to below 1."""
    if recipe.schedule == "steps":
        return recipe.lr * recipe.gamma ** sum(progress >= milestone for milestone in recipe.milestones)
    if progress < recipe.warmup:
        return recipe.lr * progress / recipe.warmup
    if recipe.schedule == "cosine":
        return recipe.lr * (1 + math.cos(math.pi * (progress - recipe.warmup) / (1 - recipe.warmup))) / 2
    return recipe.lr * (1 - progress) / (1 - recipe.warmup)


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}
