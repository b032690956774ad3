"""One step of gradient descent: forward pass, backward pass, and change of the weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shape_dnn import devices
from shape_dnn.errors import NetworkError, ProcessDiedError, describe
from shape_dnn.measuring import cuda_graphs
from shape_dnn.training.descent import descent
from shape_dnn.training.pointwise import subsample_first
from shape_dnn.training.thin_norm import widen_norms

if TYPE_CHECKING:
    from shape_dnn.recipes import Recipe

Work = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A step, of images, labels and learning rate; returns the loss."""
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
        as_graph: whether a CUDA graph is tried.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        recipe: Recipe,
        forward: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        as_graph: bool = True,
    ) -> None:
        self._network = network
        self._recipe = recipe
        self._forward = forward
        self.descent = descent(network, recipe)
        self._graph: Graph | None = None
        is_cuda = next(network.parameters()).is_cuda
        self._wants_graph = is_cuda and as_graph
        if not is_cuda:
            subsample_first(network)
            widen_norms(network)

    @property
    def is_graph(self) -> bool:
        """Whether steps are launched as a CUDA graph; known after the first."""
        return self._graph is not None

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
        """Record a graph; None for a network that waits for its values, which a graph cannot do.

        Raises:
            ProcessDiedError: recording failed, by which CUDA is of no use to this process any more.
        """
        before = {name: value.clone() for name, value in self._network.state_dict().items()}
        state = {name: value.clone() for name, value in self.descent.state.items()}
        random = torch.cuda.get_rng_state(images.device)
        graph = Graph(images, labels)
        try:
            graph.warm_up(self._work)
        except (RuntimeError, NetworkError) as error:
            if devices.is_out_of_memory(error):
                raise
            warnings.warn(f"trained without a CUDA graph: {describe(error)[:200]}", stacklevel=2)
            return None
        finally:  # the steps of the warm-up have not been
            self._network.zero_grad()
            self._network.load_state_dict(before)
            self.descent.state = state
            torch.cuda.set_rng_state(random, images.device)
        try:
            graph.record(self._work)
        except Exception as error:
            if devices.is_out_of_memory(error):
                raise
            raise ProcessDiedError(f"its steps cannot be a CUDA graph: {describe(error)[:200]}") from error
        return graph


class Graph:
    """A step as a CUDA graph, with places in memory for what goes in.

    Args:
        images: a batch.
        labels: those of the batch.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self._device = images.device
        self._images, self._labels = images.clone(), labels.clone()
        self._rate = torch.zeros((), device=images.device)
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, work: Work) -> None:
        """Take a few steps, of which the last must not wait for the GPU, nor look at what it has computed.

        Raises:
            RuntimeError: it does.
        """
        with cuda_graphs.beside(self._device):
            for _ in range(WARM_UP - 1):
                work(self._images, self._labels, self._rate)
            with cuda_graphs.refusing_to_wait():
                work(self._images, self._labels, self._rate)

    def record(self, work: Work) -> None:
        """Record a step, without taking it."""
        torch.cuda.empty_cache()  # the graph has memory of its own, and that of the warm-up is of no use to it
        with (
            torch.cuda.device(self._device),
            # Other threads may reserve memory meanwhile, as the one does that brings streamed images to the GPU.
            torch.cuda.graph(
                self._graph, stream=cuda_graphs.side_stream(self._device), capture_error_mode="thread_local"
            ),
        ):
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
