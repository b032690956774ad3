"""Train one shape by a recipe (paper, Section 5), and read the test set for the one that is returned."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shape_dnn import devices
from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.errors import MemoryShortageError, PluginError, describe
from shape_dnn.measuring.forward_pass import threads
from shape_dnn.plugins import checked
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.system import durable
from shape_dnn.training.checkpoints import Checkpoint, write_tensors
from shape_dnn.training.setup import Setup
from shape_dnn.work import NOTHING_KNOWN, Needs, Pulse, Task

if TYPE_CHECKING:
    from shape_dnn.training.run import Run


@dataclass(frozen=True)
class TrainingTask(Task):
    """Train a shape and keep the weights of its best epoch.

    Attributes:
        setup: what to train, on what and how.
        weights: safetensors file to write, of this attempt alone.
        checkpoints: directory for the checkpoints of this shape; every attempt goes on from the last of them.
        checkpoint_seconds: least time between two of them.
        attempt: tells this attempt from others at the same shape.
        patience: seconds without a sign of life after which the attempt is given up.
        needs: what it takes of its machine.
    """

    setup: Setup
    weights: Path
    checkpoints: Path
    checkpoint_seconds: float
    attempt: str = ""
    patience: float | None = None
    needs: Needs = NOTHING_KNOWN

    @property
    def shape(self) -> Shape:
        """What is trained."""
        return self.setup.shape

    @property
    def reads(self) -> tuple[Path, ...]:
        """Plugins, images, and the weights it starts from."""
        return self.setup.files

    @property
    def writes(self) -> tuple[Path, ...]:
        """The weights."""
        return (self.weights,)

    @property
    def scratch(self) -> tuple[Path, ...]:
        """The checkpoints."""
        return (self.checkpoints,)

    def run(self, report: Callable[[object], bool]) -> Training:
        """Train, reporting every :class:`~shape_dnn.records.Epoch`, those before an interruption included.

        A training that is asked to stop leaves a checkpoint.

        Raises:
            TrainingError: the loss is not finite, or the code of the architecture failed.
            MemoryShortageError: the memory does not suffice.
            StudyError: the weights or a checkpoint cannot be written.
            PluginError: another training runs in this process.
        """
        import torch

        torch.set_flush_denormal(True)  # numbers too small to matter slow a processor down
        shortage = ""
        try:
            with _alone(self.setup.threads):
                return self._train(report)
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            shortage = describe(error)[:200]
        finally:  # also the frames of an error hold memory, so nothing may refer to it any more
            torch.set_flush_denormal(False)
            devices.release_memory(self.setup.device)
        raise MemoryShortageError(f"out of memory on {self.setup.device}: {shortage}")

    def _train(self, report: Callable[[object], bool]) -> Training:
        import torch

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.run import Run

        setup, device = self.setup, torch.device(self.setup.device)
        torch.manual_seed(setup.seed)
        network = setup.build()
        train, judge = setup.split()
        forward = partial(checked.blame_network, setup.load_architecture(), checked.FORWARD, setup.shape)
        run = Run(network, setup.recipe, device, forward)
        learnt_from = Batches(train, device, classes=setup.classes)
        judged_on = Batches(judge, device, like=learnt_from)
        checkpoint = Checkpoint.load(self.checkpoints)
        if checkpoint is not None:
            run.resume(checkpoint)
        curve = run.fit(learnt_from, judged_on, report, self._keep)
        if len(curve) < setup.recipe.epochs:
            run.checkpoint().save(self.checkpoints / self.attempt)
            return Training(self.shape, None, "stopped", curve, run.seconds)
        with durable.naming_errors(self.weights):
            self.weights.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(self.weights, run.best_state)
        return Training(self.shape, max(epoch.quality for epoch in curve), "", curve, run.seconds)

    def _keep(self, run: Run) -> None:
        """Write a checkpoint if the last is old enough."""
        if run.seconds_since_checkpoint >= self.checkpoint_seconds:
            run.checkpoint().save(self.checkpoints / self.attempt)


@dataclass(frozen=True)
class EvaluationTask(Task):
    """Read the test set for one trained shape.

    Attributes:
        setup: how it was trained.
        weights: safetensors file.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
        needs: what it takes of its machine.
    """

    setup: Setup
    weights: Path
    attempt: str = ""
    patience: float | None = None
    needs: Needs = NOTHING_KNOWN

    @property
    def reads(self) -> tuple[Path, ...]:
        """Plugins, images and weights."""
        return (*self.setup.files, self.weights)

    def run(self, report: Callable[[object], bool]) -> float:
        """Return the accuracy on the test set in percent.

        It is computed in float32, as users do with the weights, whatever they were trained in.

        Raises:
            PluginError: a training runs in this process.
        """
        with _alone(self.setup.threads):
            return self._evaluate(report)

    def _evaluate(self, report: Callable[[object], bool]) -> float:
        import torch
        from safetensors.torch import load_file

        from shape_dnn.training.batches import Batches
        from shape_dnn.training.run import Run

        setup, device = self.setup, torch.device(self.setup.device)
        train, _ = setup.split()
        _, test = images.load(setup.images)
        architecture = setup.load_architecture()
        with checked.blame_network(architecture, checked.BUILD, setup.shape):
            network = architecture.build(setup.shape, setup.input_shape, setup.classes)
        network.load_state_dict(load_file(self.weights))
        forward = partial(checked.blame_network, architecture, checked.FORWARD, setup.shape)
        run = Run(network, dataclasses.replace(setup.recipe, precision="float32"), device, forward)
        return run.accuracy(Batches(Part.of_all(test), device, like=Batches(train, device)), Pulse(report))


_process = threading.Lock()


@contextmanager
def _alone(number: int) -> Iterator[None]:
    """Have the process to oneself, with a number of threads for operators on the processor.

    Raises:
        PluginError: something else has it. They would draw from the same random numbers.
    """
    if not _process.acquire(blocking=False):
        raise PluginError(
            "a training was started in a process where another one runs; an executor must run one task at a time in "
            "each process, since torch's random numbers and threads belong to the process"
        )
    try:
        with threads(number):
            yield
    finally:
        _process.release()
