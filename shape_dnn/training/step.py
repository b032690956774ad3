"""One step of gradient descent: forward pass, backward pass, and change of the weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shape_dnn import devices
from shape_dnn.errors import NetworkError, describe
from shape_dnn.training.descent import descent
from shape_dnn.training.pointwise import subsample_first

if TYPE_CHECKING:
    from shape_dnn.recipes import Recipe

WARM_UP = 3
"""Steps before a CUDA graph is recorded, in which libraries choose their kernels and allocate what they need."""


class Step:
    """Train a network on one batch after the other.

    On CUDA all kernels of a step are one CUDA graph, launched at once: the networks of a search are small, and
    otherwise wait for launches more than for results. It is recorded at the first step, and takes batches of that size
    alone.

    Args:
        network: in channels-last format, on its device.
        recipe: hyper-parameters; its precision is definite.
        forward: makes what each forward pass runs in.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        forward: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._network = network
        self._recipe = recipe
        self._forward = forward
        self.descent = descent(network, recipe)
        self._graph: Graph | None = None
        self._wants_graph = next(network.parameters()).is_cuda
        if not self._wants_graph:
            subsample_first(network)

    def __call__(self, images: Tensor, labels: Tensor, rate: float) -> Tensor:
        """Take one step at a learning rate, and return the loss of the batch before it.

        Args:
            images: of shape (number, channels, height, width).
            labels: of shape (number,), or probabilities of shape (number, classes).
            rate: the learning rate.
        """
        if self._wants_graph and self._graph is None:
            self._graph = self._record(images, labels)
            self._wants_graph = self._graph is not None
        if self._graph is not None:
            return self._graph(images, labels, rate)
        return self._work(images, labels, rate)

    def _work(self, images: Tensor, labels: Tensor, rate: float | Tensor) -> Tensor:
        with self._forward(), autocast(images.device, self._recipe):
            logits = self._network(images)
            loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=self._recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        self.descent(rate)
        return loss.detach()

    def _record(self, images: Tensor, labels: Tensor) -> Graph | None:
        """Record a graph; None for a network that cannot be recorded, since its control flow depends on its input."""
        before = {name: value.clone() for name, value in self._network.state_dict().items()}
        state = {name: value.clone() for name, value in self.descent.state.items()}
        random = torch.cuda.get_rng_state(images.device)
        try:
            return Graph(self._work, images, labels)
        except (RuntimeError, NetworkError) as error:
            if devices.is_out_of_memory(error):
                raise
            warnings.warn(f"trained without a CUDA graph: {describe(error)[:200]}", stacklevel=2)
            return None
        finally:  # the steps of the warm-up have not been
            self._network.load_state_dict(before)
            self.descent.state = state
            torch.cuda.set_rng_state(random, images.device)


class Graph:
    """A step as a CUDA graph, with places in memory for what goes in.

    Args:
        work: a step, of images, labels and learning rate.
        images: a batch.
        labels: those of the batch.

    Raises:
        RuntimeError: it cannot be recorded.
    """

    def __init__(self, work: Callable[[Tensor, Tensor, Tensor], Tensor], images: Tensor, labels: Tensor) -> None:
        self._images, self._labels = images.clone(), labels.clone()
        self._rate = torch.zeros((), device=images.device)
        side = torch.cuda.Stream(images.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work(self._images, self._labels, self._rate)
        torch.cuda.current_stream(images.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = work(self._images, self._labels, self._rate)

    def __call__(self, images: Tensor, labels: Tensor, rate: float) -> Tensor:
        """Take a step; the loss is overwritten by the next one."""
        self._images.copy_(images)
        self._labels.copy_(labels)
        self._rate.fill_(rate)
        self._graph.replay()
        return self._loss


def autocast(device: torch.device, recipe: Recipe) -> torch.autocast:
    """Let the operators of a forward pass that gain from it compute in the precision of a recipe."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
