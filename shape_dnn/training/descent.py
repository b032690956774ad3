"""How the parameters of a network change along their gradients, by torch's own fused steps.

Not by the classes of ``torch.optim``, whose construction imports torch's compiler: seconds for every worker process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

if TYPE_CHECKING:
    from shape_dnn.recipes import Recipe

EPSILON = 1e-8
"""What AdamW adds to the root of the mean square, as torch does."""


class Descent(ABC):
    """One way to change parameters, and what it remembers from step to step.

    Args:
        network: whose parameters are changed.
        recipe: hyper-parameters.
    """

    memories: ClassVar[tuple[str, ...]]
    """What is remembered of each parameter, in the form of the parameter; 0 at first."""

    def __init__(self, network: torch.nn.Module, recipe: Recipe) -> None:
        self._recipe = recipe
        self._parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self._state = {
            f"{memory}.{name}": torch.zeros_like(value)
            for memory in self.memories
            for name, value in self._parameters.items()
        }

    @property
    def state(self) -> Mapping[str, Tensor]:
        """All that is remembered, by ``MEMORY.PARAMETER``; to be set to what it was before."""
        return self._state

    @state.setter
    def state(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._state[name].copy_(value)  # in place, where a CUDA graph looks for it

    def __call__(self, rate: float | Tensor) -> None:
        """Take one step along the gradients, and forget them.

        Args:
            rate: the learning rate; as a tensor it is read anew whenever a graph is launched.
        """
        found = [name for name, value in self._parameters.items() if value.grad is not None]
        with torch.no_grad():
            self._change(found, rate)
        for name in found:
            self._parameters[name].grad = None

    @abstractmethod
    def _change(self, names: Sequence[str], rate: float | Tensor) -> None:
        """Change the parameters of these names, which have gradients."""

    def _values(self, names: Sequence[str]) -> list[Tensor]:
        return [self._parameters[name] for name in names]

    def _gradients(self, names: Sequence[str]) -> list[Any]:
        return [self._parameters[name].grad for name in names]

    def _remembered(self, memory: str, names: Sequence[str]) -> list[Tensor]:
        return [self._state[f"{memory}.{name}"] for name in names]


class Sgd(Descent):
    """Stochastic gradient descent with Nesterov momentum, and an L2 penalty on all parameters."""

    memories = ("velocity",)

    def _change(self, names: Sequence[str], rate: float | Tensor) -> None:
        velocities: list[Tensor | None] = [*self._remembered("velocity", names)]
        sgd(
            self._values(names),
            self._gradients(names),
            velocities,
            fused=True,
            lr=rate,
            momentum=self._recipe.momentum,
            nesterov=self._recipe.momentum > 0,
            weight_decay=self._recipe.weight_decay,
            dampening=0.0,
            maximize=False,
        )


class AdamW(Descent):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Weights of dense layers and convolutions decay. Parameters with one dimension or none do not: biases, and the scales
    of norms and layers, as is usual with this optimiser.
    """

    memories = ("mean", "square")

    def __init__(self, network: torch.nn.Module, recipe: Recipe) -> None:
        super().__init__(network, recipe)
        for name, value in self._parameters.items():  # on the device, where a CUDA graph counts the steps
            self._state[f"steps.{name}"] = torch.zeros((), dtype=torch.float32, device=value.device)

    def _change(self, names: Sequence[str], rate: float | Tensor) -> None:
        decaying = [name for name in names if self._parameters[name].ndim > 1]
        others = [name for name in names if self._parameters[name].ndim <= 1]
        for some, decay in ((decaying, self._recipe.weight_decay), (others, 0.0)):
            adamw(
                self._values(some),
                self._gradients(some),
                self._remembered("mean", some),
                self._remembered("square", some),
                [],
                self._remembered("steps", some),
                fused=True,
                lr=rate,
                beta1=self._recipe.momentum,
                beta2=self._recipe.beta2,
                weight_decay=decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
                capturable=True,
            )


def descent(network: torch.nn.Module, recipe: Recipe) -> Descent:
    """Return the optimiser of a recipe for a network."""
    return {"sgd": Sgd, "adamw": AdamW}[recipe.optimizer](network, recipe)
