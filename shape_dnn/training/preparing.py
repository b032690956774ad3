"""What is found out before trainings start: the memory that each needs, and in which precision they are to compute."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shape_dnn import devices, images
from shape_dnn.recipes import PRECISIONS, Precision
from shape_dnn.shape import Shape
from shape_dnn.training.setup import Setup
from shape_dnn.work import Needs, Task

if TYPE_CHECKING:
    from torch import Tensor

    from shape_dnn.recipes import Recipe
    from shape_dnn.training.batches import Batches

WORTH_WHILE = 1.1
"""How much faster steps must be in bfloat16 for it to be used."""
AS_GOOD = 0.1
"""By which part the training loss in bfloat16 may exceed that in float32, of which chance alone makes a half."""
TRIAL_SECONDS = 3.0
"""After which a trial ends, unless it has not seen enough."""
LEAST_STEPS, MOST_STEPS = 6, 40
"""Steps of a trial in each precision, the first of which is not timed."""
CUDA_CONTEXT = 700_000_000
"""Bytes of a GPU that a process takes for the code of its kernels, by what is known of current drivers."""
SCRATCH = 1.15
"""Factor for the scratch memory of operators."""


@dataclass(frozen=True)
class Preparation:
    """What was found out.

    Attributes:
        precision: in which operators compute that gain from less of it.
        speedup: how much faster steps were in bfloat16 than in float32; None if that was not tried.
        needs: what the training of each shape takes.
    """

    precision: Precision
    speedup: float | None = None
    needs: Mapping[Shape, Needs] = field(default_factory=dict)


@dataclass(frozen=True)
class PreparingTask(Task):
    """Find out what trainings need, on a device where they will run.

    Attributes:
        setups: what is to be trained.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
    """

    setups: tuple[Setup, ...]
    attempt: str = ""
    patience: float | None = None

    @property
    def needs(self) -> Needs:
        """A device of the kind that trains; other work on it slows both precisions down alike."""
        return Needs(self.setups[0].device)

    @property
    def reads(self) -> tuple[Path, ...]:
        """The same as the trainings."""
        return tuple(dict.fromkeys(path for setup in self.setups for path in setup.files))

    def run(self, report: Callable[[object], bool]) -> Preparation:
        """Estimate memory, and try precisions unless the recipe names one; report each shape before looking at it."""
        needs: dict[Shape, Needs] = {}
        free = max(1, devices.free_memory(self.setups[0].device))
        for setup in self.setups:
            report(setup.shape)
            memory = peak_memory(setup)
            needs[setup.shape] = Needs(setup.device, memory, memory / free)
        chosen = self.setups[0].recipe.precision
        if chosen != "auto":
            return Preparation(chosen, None, needs)
        # Small networks gain less than large ones, and it is the time of those that counts.
        for setup in sorted(self.setups, key=lambda setup: needs[setup.shape].memory, reverse=True):
            report(setup.shape)
            try:
                trial = Trial.run(setup, lambda: report(None))
            except Exception:  # noqa: BLE001, S112 - what is wrong with the network shows when it is trained
                continue
            finally:
                devices.release_memory(setup.device)
            return Preparation(trial.precision, trial.speedup, needs)
        return Preparation("float32", None, needs)


@dataclass(frozen=True)
class Trial:
    """What a few steps with the same weights and batches showed.

    Attributes:
        seconds: median of a step in float32 and in bfloat16.
        losses: mean over the later half of the steps in float32 and in bfloat16.
    """

    seconds: tuple[float, float]
    losses: tuple[float, float]

    @property
    def speedup(self) -> float:
        """How much faster steps were in bfloat16."""
        return self.seconds[0] / self.seconds[1]

    @property
    def precision(self) -> Precision:
        """The one to train in."""
        learns = math.isfinite(self.losses[1]) and self.losses[1] <= self.losses[0] * (1 + AS_GOOD)
        return "bfloat16" if learns and self.speedup >= WORTH_WHILE else "float32"

    @classmethod
    def run(cls, setup: Setup, alive: Callable[[], object]) -> Trial:
        """Train one shape in both precisions, in turns, so that other work on the machine slows both down alike."""
        import torch

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.run import learning_rate
        from shape_dnn.training.step import Step

        device = torch.device(setup.device)
        steps = []
        for precision in PRECISIONS:
            torch.manual_seed(setup.seed)
            network = setup.build().to(device).to(memory_format=torch.channels_last).train()
            steps.append(Step(network, dataclasses.replace(setup.recipe, precision=precision)))
        train = Batches(setup.split()[0], device)
        times: tuple[list[float], list[float]] = ([], [])
        losses: tuple[list[float], list[float]] = ([], [])
        torch.set_flush_denormal(True)
        try:
            began = time.perf_counter()
            for i, (batch, labels) in enumerate(_endless(train, setup.recipe)):
                rate = learning_rate(setup.recipe, min(0.99, i / MOST_STEPS) / setup.recipe.epochs)
                for which, step in enumerate(steps):
                    start = time.perf_counter()
                    losses[which].append(float(step(batch, labels, rate)))  # which waits for the device
                    times[which].append(time.perf_counter() - start)
                alive()
                enough = i + 1 >= LEAST_STEPS and time.perf_counter() - began > TRIAL_SECONDS
                if enough or i + 1 >= MOST_STEPS:
                    break
        finally:
            torch.set_flush_denormal(False)
        middles = [statistics.median(own[1:]) for own in times]
        later = [statistics.fmean(own[len(own) // 2 :]) for own in losses]
        return cls((middles[0], middles[1]), (later[0], later[1]))


def _endless(train: Batches, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from train.shuffled(min(recipe.batch_size, len(train)), recipe)


def peak_memory(setup: Setup) -> int:
    """Estimate the bytes that a training takes on its device, its process included; 0 if that cannot be told.

    A step runs on torch's ``meta`` device in float32, where nothing is computed, so it is quick and needs no memory.
    """
    import psutil
    import torch

    from shape_dnn.measuring.peak_memory import Watch

    watch = Watch()
    batch = setup.recipe.batch_size
    try:
        architecture = setup.load_architecture()
        with torch.device("meta"):
            network = architecture.build(setup.shape, setup.input_shape, setup.classes).train()
            kept = [*network.parameters(), *network.buffers()]
            pixels, labels = torch.empty(batch, *setup.input_shape), torch.empty(batch, dtype=torch.int64)
            velocities = [torch.empty_like(value) for value in network.parameters()]
            watch.note([kept, velocities, pixels, labels])
            with watch.active():
                torch.nn.functional.cross_entropy(network(pixels), labels).backward()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - what is wrong with the network shows when it is trained
        return 0
    state = sum(value.nbytes for value in kept)
    if setup.device.startswith("cuda"):
        data = sum(part.images.nbytes + part.labels.nbytes for part in images.load(setup.images))
        return int(watch.peak * SCRATCH) + data + CUDA_CONTEXT
    # The best weights so far, and two copies on their way into files.
    return int(watch.peak * SCRATCH) + 3 * state + int(psutil.Process().memory_info().rss)
