"""The memory that a training takes, estimated without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shape_dnn.measuring import inputs
from shape_dnn.measuring.peak_memory import LiveTensors

if TYPE_CHECKING:
    import torch

    from shape_dnn.kinds import Trainer
    from shape_dnn.shape import Shape

CUDA_CONTEXT = 1_100_000_000
"""Bytes of a GPU that a process takes for the workspaces of libraries, and for the code of its kernels: the latter are
876 MB on an H100 with CUDA 13 (``benchmarks/gpu.py memory``)."""
SCRATCH = 1.15
"""Factor for the scratch memory of operators."""


@dataclass(frozen=True)
class Step:
    """A training step in bytes.

    Attributes:
        peak: tensors that live at the worst moment.
        state: parameters and buffers of the network.
        judging: tensors that live at the worst moment of a forward pass, of a batch as large; 0 if that is not known.
    """

    peak: int
    state: int
    judging: int = 0

    def on(self, device: str, data: int = 0) -> int:
        """Estimate what a training takes that consists of such steps, its process included.

        Args:
            device: where it runs.
            data: bytes of what is kept there to train on.
        """
        import psutil

        tensors = int(self.peak * SCRATCH) + data
        if device.startswith("cuda"):  # where the graph of a step keeps its memory while the network is judged
            return tensors + self.judging + CUDA_CONTEXT
        # The best weights so far, and two copies on their way into files.
        return tensors + 3 * self.state + int(psutil.Process().memory_info().rss)


def step(
    build: Callable[[], torch.nn.Module],
    make: Callable[[], Any],
    loss: Callable[[torch.nn.Module, Any], torch.Tensor],
    remember: Callable[[torch.nn.Module], Any],
) -> Step | None:
    """Run a step on torch's ``meta`` device in float32, where nothing is computed, so it is quick and needs no memory.

    Args:
        build: builds the network.
        make: makes what it is trained on.
        loss: of the network and that.
        remember: returns the tensors that an optimiser keeps of a network.

    Returns:
        The step; None if the network cannot run there, or fails. What is wrong with it shows when it is trained.
    """
    import torch

    live = LiveTensors()
    try:
        with torch.device("meta"):
            network = build().train()
            kept, given = [*network.parameters(), *network.buffers()], make()
            live.note([kept, remember(network), given])
            with live.active():
                loss(network, given).backward()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - the code of networks can fail in any way
        return None
    return Step(live.peak, sum(value.nbytes for value in kept), _judging(network, given, loss))


def _judging(network: torch.nn.Module, given: Any, loss: Callable[[torch.nn.Module, Any], torch.Tensor]) -> int:
    """Return what a forward pass has at its worst moment; 0 for a network that can be trained there, but not judged."""
    import torch

    live = LiveTensors()
    try:
        with torch.device("meta"), torch.inference_mode(), live.active():
            loss(network.eval(), given)
    except Exception:  # noqa: BLE001 - as it looks for what it has found, say
        return 0
    return live.peak


def estimate(trainer: Trainer, shape: Shape, device: str) -> int:
    """Estimate the bytes that a training takes whose trainer does not say so, but the data it keeps; 0 if unknown.

    That needs its networks, its example inputs and the batch size. All outputs are taken to matter for the loss, and
    the optimiser to keep two numbers for each parameter, as Adam does: few keep more.
    """
    import torch

    batch_size = trainer.batch_size
    if batch_size is None:
        return 0

    def loss(network: torch.nn.Module, given: Any) -> torch.Tensor:
        outputs = inputs.tensors(inputs.call(network, given))
        return torch.stack([output.sum() for output in outputs if output.is_floating_point()]).sum()

    def remember(network: torch.nn.Module) -> Any:
        return [(torch.empty_like(value), torch.empty_like(value)) for value in network.parameters()]

    def make() -> Any:
        return inputs.on_meta(lambda: trainer.example(batch_size))

    taken = step(lambda: trainer.build(shape), make, loss, remember)
    return 0 if taken is None else taken.on(device)
