"""The training of one network, epoch by epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from shape_dnn.errors import TrainingError
from shape_dnn.measuring.arithmetic import allowing_tf32
from shape_dnn.training.batches import Batches
from shape_dnn.training.step import Step, autocast

if TYPE_CHECKING:
    from shape_dnn.kinds import Run
    from shape_dnn.recipes import Recipe

EVALUATION_BATCHES = {"cpu": 4, "cuda": 1}
"""Batches of a training that are evaluated at once on a device: that needs no more memory than training one of them."""
WITHIN_EPOCH_SECONDS = 60.0
"""Least time between two checkpoints within an epoch. That of short epochs is saved at its end at most."""


class Loop:
    """Trains a network on a device, epoch by epoch.

    Args:
        network: with random weights.
        recipe: hyper-parameters; its precision is definite.
        device: where to train.
        forward: makes what each forward pass runs in.
        as_graph: whether CUDA graphs are tried on a GPU.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        device: torch.device,
        forward: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        as_graph: bool = True,
    ) -> None:
        # The layout that convolutions are fastest in; it changes no result.
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.device = device
        self._forward = forward
        self._step = Step(self.network, recipe, forward, as_graph=as_graph)
        self._epochs = 0
        self._within: Mapping[str, Any] | None = None
        self._saved = 0.0
        self._best = -math.inf
        self._best_state: Mapping[str, Tensor] = {}

    def fit(self, train: Batches, judge: Batches, run: Run) -> float:
        """Train for all epochs, or until the run is to stop; return the accuracy of the best epoch in percent.

        An interrupted training goes on as if it had never stopped. At the end the weights of the best epoch are saved.

        Args:
            train: images to learn from.
            judge: images to judge an epoch on.
            run: told every epoch.

        Raises:
            TrainingError: the loss is not finite.
        """
        with allowing_tf32(self.recipe.tf32):
            return self._fit(train, judge, run)

    def _fit(self, train: Batches, judge: Batches, run: Run) -> float:
        recipe, saved = self.recipe, run.load()
        if saved is not None:
            self._resume(saved, saved.more)
        while self._epochs < recipe.epochs and not run.stopped:
            within, steps = self._train_epoch(train, run)
            loss = float(within["loss"]) / steps
            if within["steps"] == steps and not math.isfinite(loss):
                number = self._epochs + 1
                raise TrainingError(f"the training loss became {loss} in epoch {number}; a lower --lr may help")
            accuracy = None if run.interrupted else self._accuracy(judge, run)
            if accuracy is None:
                self._save(run, within)
                run.stopped = True
                break
            self._epochs += 1
            if accuracy >= self._best:
                self._best, self._best_state = accuracy, _on_cpu(self.network.state_dict())
            goes_on = run.report(self._epochs, accuracy, loss=loss)
            if self._epochs < recipe.epochs and (not goes_on or run.is_due):
                self._save(run)
        if self._epochs == recipe.epochs:
            run.save(self._best_state, epochs=self._epochs, best=self._best)
        return self._best

    def _train_epoch(self, train: Batches, run: Run) -> tuple[dict[str, Any], int]:
        """Take the steps of an epoch, or those that are left, until it is interrupted.

        Returns:
            How far it has come, and how many steps a whole one has.
        """
        recipe = self.recipe
        batch_size = min(recipe.batch_size, len(train))
        batches = len(train) // batch_size
        self.network.train()
        total, begin, order, before = self._begin_epoch(train)
        within = {"before": before, "steps": begin, "loss": total}
        for i, (images, labels) in enumerate(train.shuffled(batch_size, recipe, order, begin), begin):
            total += self._step(images, labels, learning_rate(recipe, (self._epochs + i / batches) / recipe.epochs))
            within["steps"] = i + 1
            run.alive()
            if run.interrupted:
                break
            if run.is_due and time.monotonic() - self._saved >= WITHIN_EPOCH_SECONDS:
                self._save(run, within)
        return within, batches

    def _begin_epoch(self, train: Batches) -> tuple[Tensor, int, Tensor, dict[str, Tensor]]:
        """Draw the order of an epoch, or that of one which was interrupted once more.

        Returns:
            The sum of the losses so far, how many steps these are of, the order, and the state of the random numbers
            before it was drawn.
        """
        self._saved = time.monotonic()
        within, self._within = self._within, None
        if within is None:
            before = self._random
            return torch.zeros((), device=self.device), 0, train.order(), before
        now = self._random
        self._random = within["before"]
        order = train.order()
        self._random = now
        return within["loss"].to(self.device), within["steps"], order, within["before"]

    @property
    def _random(self) -> dict[str, Tensor]:
        """State of the random numbers."""
        state = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    @_random.setter
    def _random(self, state: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)

    def _save(self, run: Run, within: Mapping[str, Any] | None = None) -> None:
        """Save all that is needed to go on from here.

        Args:
            run: where to.
            within: how far an epoch is; None between two.
        """
        self._saved = time.monotonic()
        run.save(
            self.network,
            epochs=self._epochs,
            best=self._best,
            best_state=dict(self._best_state),
            optimizer=_on_cpu(self._step.descent.state),
            random=self._random,
            **({} if within is None else {"within": {**within, "loss": within["loss"].cpu()}}),
        )

    def _resume(self, network: Mapping[str, Tensor], more: Mapping[str, Any]) -> None:
        """Put everything as it was when it was saved; of a training that had come to its end, what it came to."""
        self._epochs, self._best = more["epochs"], more["best"]
        if "random" not in more:
            self._best_state = dict(network)
            return
        self.network.load_state_dict(network)
        self._best_state = more["best_state"]
        self._step.descent.state = more["optimizer"]
        self._random, self._within = more["random"], more.get("within")

    def accuracy(self, images: Batches, alive: Callable[[], None] = lambda: None) -> float:
        """Return the percentage of images whose class has the highest logit; ``alive`` is called after each batch."""
        found = self._correct(images, alive, lambda: False)
        assert found is not None  # noqa: S101 - nothing stops it
        return 100 * found / len(images)

    def _accuracy(self, images: Batches, run: Run) -> float | None:
        """Return the same; None if the run is interrupted meanwhile."""
        found = self._correct(images, run.alive, lambda: run.interrupted)
        return None if found is None else 100 * found / len(images)

    def _correct(self, images: Batches, alive: Callable[[], None], stops: Callable[[], bool]) -> int | None:
        """Count images whose class has the highest logit; None if it stops before."""
        self.network.eval()
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode(), autocast(self.device, self.recipe), allowing_tf32(self.recipe.tf32):
            for batch, labels in images.in_order(EVALUATION_BATCHES[self.device.type] * self.recipe.batch_size):
                with self._forward():
                    correct += (self.network(batch).argmax(1) == labels).sum()
                alive()
                if stops():
                    return None
        return int(correct)


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
