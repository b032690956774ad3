"""Train one shape, and judge what is returned on data that was kept for the end."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shape_dnn import devices
from shape_dnn.errors import MemoryShortageError, PluginError, ShapeDnnError, TrainingError, describe, label
from shape_dnn.kinds import Saved, Trainer
from shape_dnn.measuring.forward_pass import threads
from shape_dnn.records import Training
from shape_dnn.shape import Shape
from shape_dnn.system import durable
from shape_dnn.training import checkpoints
from shape_dnn.training.attempt import Attempt
from shape_dnn.training.sources import TrainerSource
from shape_dnn.work import NOTHING_KNOWN, Needs, Task

LARGEST_SEED = 2**32
"""Numpy's generators take seeds below it."""


@dataclass(frozen=True)
class TrainingTask(Task):
    """Train a shape and keep the weights that the trainer saves last.

    Attributes:
        trainer: how it is trained.
        shape: what.
        seed: of everything random.
        weights: safetensors file to write, of this attempt alone.
        checkpoints: directory for the checkpoints of this shape; every attempt goes on from the last of them.
        checkpoint_seconds: least time between two of them.
        attempt: tells this attempt from others at the same shape.
        patience: seconds without a sign of life after which the attempt is given up.
        needs: what it takes of its machine.
        deaths: of earlier attempts.
    """

    trainer: TrainerSource
    shape: Shape
    seed: int
    weights: Path
    checkpoints: Path
    checkpoint_seconds: float
    attempt: str = ""
    patience: float | None = None
    needs: Needs = NOTHING_KNOWN
    deaths: int = 0

    @property
    def reads(self) -> tuple[Path, ...]:
        """What the trainer needs."""
        return self.trainer.files

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

        A training that is asked to stop has no quality, and leaves what another attempt can go on from.

        Raises:
            TrainingError: the training failed.
            MemoryShortageError: the memory does not suffice.
            StudyError: the weights or a checkpoint cannot be written.
            PluginError: another training runs in this process.
        """
        with _alone(self.needs), _naming_shortage(self.needs.device):
            trainer = self.trainer.load()
            home = checkpoints.take_over(self.checkpoints, self.attempt)
            who, quality, steps = f"{label(trainer)}: train()", trainer.quality, trainer.steps
            given = (self.seed, self.needs.device, home, quality, steps, report, self.checkpoint_seconds, self.deaths)
            attempt, weights = Attempt(who, *given), self.weights.absolute()
            with _named(who, attempt):
                _seed(self.seed)
                returned = trainer.train(self.shape, attempt)
            reached = attempt.outcome(returned)
            if reached is None:
                return Training(self.shape, None, "stopped", tuple(attempt.curve), attempt.seconds)
            if attempt.weights is not None:
                with durable.naming_errors(self.weights):
                    weights.parent.mkdir(parents=True, exist_ok=True)
                    durable.rename(attempt.weights, weights)
            return Training(self.shape, reached, "", tuple(attempt.curve), attempt.seconds)


@dataclass(frozen=True)
class EvaluationTask(Task):
    """Judge one trained shape on data that was kept for the end.

    Attributes:
        trainer: how it was trained.
        shape: what.
        seed: of its training.
        weights: safetensors file.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
        needs: what it takes of its machine.
    """

    trainer: TrainerSource
    shape: Shape
    seed: int
    weights: Path
    attempt: str = ""
    patience: float | None = None
    needs: Needs = NOTHING_KNOWN

    @property
    def reads(self) -> tuple[Path, ...]:
        """What the trainer needs, and the weights."""
        return (*self.trainer.files, self.weights)

    def run(self, report: Callable[[object], bool]) -> float | None:
        """Return the quality; None if the trainer has no such data.

        Raises:
            PluginError: a training runs in this process.
        """
        with judging(self, report, "test()") as (trainer, run):
            found = trainer.test(self.shape, run)
            return None if found is None else run.checked(found)


class Judging(Protocol):
    """A task that judges what was trained."""

    @property
    def trainer(self) -> TrainerSource:
        """How it was trained."""

    @property
    def seed(self) -> int:
        """Of its training."""

    @property
    def weights(self) -> Path:
        """Its safetensors file."""

    @property
    def needs(self) -> Needs:
        """What the task takes of its machine."""


@contextmanager
def judging(task: Judging, report: Callable[[object], bool], what: str) -> Iterator[tuple[Trainer, Trained]]:
    """Have the process to oneself, and give the trainer and a run whose weights are those of a finished training.

    Args:
        task: that judges.
        report: of the task.
        what: is asked of the trainer, for messages.

    Raises:
        PluginError: a training runs in this process.
        TrainingError: the code of the trainer failed.
        MemoryShortageError: the memory does not suffice.
    """
    with _alone(task.needs), _naming_shortage(task.needs.device):
        trainer = task.trainer.load()
        who = f"{label(trainer)}: {what}"
        run = Trained(who, trainer, task.seed, task.weights, task.needs.device, report)
        with _named(who, run):
            _seed(task.seed)
            yield trainer, run


class Trained(Attempt):
    """A training that has come to its end: its weights are there, and nothing is written any more."""

    def __init__(
        self,
        who: str,
        trainer: Trainer,
        seed: int,
        weights: Path,
        device: str = "cpu",
        report: Callable[[object], bool] = lambda _: True,
    ) -> None:
        super().__init__(who, seed, device, weights.parent, trainer.quality, None, report)
        self.weights = weights.absolute()

    def load(self) -> Saved:
        """Read the weights."""
        from safetensors.torch import load_file

        assert self.weights is not None  # noqa: S101 - made so
        return Saved(load_file(self.weights), {})


def _seed(number: int) -> None:
    """Let every generator of the process start from a seed."""
    import numpy as np
    import torch

    random.seed(number)
    np.random.seed(number % LARGEST_SEED)  # noqa: NPY002 - for those who use it
    torch.manual_seed(number)


@contextmanager
def _named(who: str, attempt: Attempt) -> Iterator[None]:
    """Say whose function failed, whatever it raised; it may even have asked the process to end, or copied it."""
    try:
        try:
            yield
        finally:
            if attempt.is_copy:  # what waits for the task hears of it from the first process alone
                os._exit(1)
    except ShapeDnnError:
        raise
    except (Exception, SystemExit) as error:
        if error is attempt.broken or (isinstance(error, Exception) and devices.is_out_of_memory(error)):
            raise
        raise TrainingError(f"{who} failed: {describe(error)}") from error


@contextmanager
def _naming_shortage(device: str) -> Iterator[None]:
    """Say that the memory of a device does not suffice, and give back what was taken of it.

    Raises:
        MemoryShortageError: it does not.
    """
    shortage = ""
    try:
        yield
    except Exception as error:
        if not devices.is_out_of_memory(error):
            raise
        shortage = describe(error)[:200]
    finally:  # also the frames of an error hold memory, so nothing may refer to it any more
        devices.release_memory(device)
    if shortage:
        raise MemoryShortageError(f"out of memory on {device}: {shortage}")


_process = threading.Lock()


@contextmanager
def _alone(needs: Needs) -> Iterator[None]:
    """Have the process to oneself, with as many threads for operators on the processor as a task needs cores.

    Raises:
        PluginError: something else has it. They would draw from the same random numbers.
    """
    import torch

    if not _process.acquire(blocking=False):
        raise PluginError(
            "a training was started in a process where another one runs; an executor must run one task at a time in "
            "each process, since torch's random numbers and threads belong to the process"
        )
    torch.set_flush_denormal(True)  # numbers too small to matter slow a processor down
    cudnn, before = torch.backends.cudnn, (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    # A training that was interrupted is to go on as if it had never stopped, so what cuDNN computes is always the same.
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with threads(needs.cores):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
        torch.set_flush_denormal(False)
        _process.release()
