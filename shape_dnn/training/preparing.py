"""What is found out before trainings start: the memory that each needs, and in which precision they are to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shape_dnn import devices
from shape_dnn.data import images
from shape_dnn.shape import Shape
from shape_dnn.training import precision
from shape_dnn.training.precision import Decision
from shape_dnn.training.setup import Setup
from shape_dnn.work import Needs, Task

CUDA_CONTEXT = 700_000_000
"""Bytes of a GPU that a process takes for the code of its kernels, by what is known of current drivers."""
SCRATCH = 1.15
"""Factor for the scratch memory of operators."""


@dataclass(frozen=True)
class Preparation:
    """What was found out.

    Attributes:
        decision: the precision to compute in; None if that was not asked.
        needs: what the training of each shape takes.
    """

    decision: Decision | None = None
    needs: Mapping[Shape, Needs] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparingTask(Task):
    """Find out what trainings need, on a device where they will run.

    Attributes:
        setups: what is to be trained.
        standing: what stands for all of the search where the precision is to be decided; None where it is definite.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
    """

    setups: tuple[Setup, ...]
    standing: Setup | None = None
    attempt: str = ""
    patience: float | None = None

    @property
    def needs(self) -> Needs:
        """A device of the kind that trains."""
        return Needs(self.setups[0].device)

    @property
    def reads(self) -> tuple[Path, ...]:
        """The same as the trainings."""
        return tuple(dict.fromkeys(path for setup in self.setups for path in setup.files))

    def run(self, report: Callable[[object], bool]) -> Preparation:
        """Decide on the precision, and estimate memory; report each shape before looking at it."""
        decision = None
        if self.standing is not None:
            report(self.standing.shape)
            decision = precision.decide(self.standing)
        needs: dict[Shape, Needs] = {}
        free = max(1, devices.free_memory(self.setups[0].device))
        for setup in self.setups:
            report(setup.shape)
            memory = peak_memory(setup)
            needs[setup.shape] = Needs(setup.device, memory, memory / free)
        return Preparation(decision, needs)


def peak_memory(setup: Setup) -> int:
    """Estimate the bytes that a training takes on its device, its process included; 0 if that cannot be told.

    A step runs on torch's ``meta`` device in float32, where nothing is computed, so it is quick and needs no memory.
    """
    import psutil
    import torch

    from shape_dnn.measuring.peak_memory import LiveTensors
    from shape_dnn.training.descent import descent

    live = LiveTensors()
    batch = setup.recipe.batch_size
    try:
        architecture = setup.load_architecture()
        with torch.device("meta"):
            network = architecture.build(setup.shape, setup.input_shape, setup.classes).train()
            kept = [*network.parameters(), *network.buffers()]
            pixels, labels = torch.empty(batch, *setup.input_shape), torch.empty(batch, dtype=torch.int64)
            optimizer = descent(network, setup.recipe)
            live.note([kept, dict(optimizer.state), pixels, labels])
            with live.active():
                torch.nn.functional.cross_entropy(network(pixels), labels).backward()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - what is wrong with the network shows when it is trained
        return 0
    state = sum(value.nbytes for value in kept)
    if setup.device.startswith("cuda"):
        data = sum(part.images.nbytes + part.labels.nbytes for part in images.load(setup.images))
        return int(live.peak * SCRATCH) + data + CUDA_CONTEXT
    # The best weights so far, and two copies on their way into files.
    return int(live.peak * SCRATCH) + 3 * state + int(psutil.Process().memory_info().rss)
