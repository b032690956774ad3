"""Convert what was trained, and judge the artifact in the runtime that ships it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shape_dnn.deploying import artifacts
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.in_process import Runs
from shape_dnn.deploying.session import Session
from shape_dnn.errors import TrainingError, UsageError, label
from shape_dnn.kinds import Deployment, Run, Trainer
from shape_dnn.measuring import inputs
from shape_dnn.measuring.task import Freight
from shape_dnn.shape import Shape
from shape_dnn.training.sources import TrainerSource
from shape_dnn.training.task import judging
from shape_dnn.work import NOTHING_KNOWN, Needs, Task

if TYPE_CHECKING:
    import torch

WAITING = 900.0
"""Seconds that whoever judges on a target waits for another one there."""
Data = Literal["judged", "test"]
"""What an artifact is judged on: what trainings are judged on, or what was kept for the end."""


@dataclass(frozen=True)
class JudgingTask(Task):
    """Make the artifact of a trained shape, unless it is there, and judge it.

    Attributes:
        trainer: how it was trained.
        shape: what.
        seed: of its training.
        weights: safetensors file.
        freight: what ships, and where it is judged.
        batch_size: of the artifact.
        artifact: directory for it.
        is_made: whether it is there, so that what was judged before is judged again, byte for byte, on any machine.
        data: what it is judged on.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
        needs: what it takes of its machine.
    """

    trainer: TrainerSource
    shape: Shape
    seed: int
    weights: Path
    freight: Freight
    batch_size: int
    artifact: Path
    is_made: bool = False
    data: Data = "judged"
    attempt: str = ""
    patience: float | None = None
    needs: Needs = NOTHING_KNOWN

    @property
    def reads(self) -> tuple[Path, ...]:
        """What the trainer and the deployment need, the weights, and the artifact if it is there."""
        made = (self.artifact,) if self.is_made else ()
        return tuple(dict.fromkeys((*self.trainer.files, *self.freight.deployment.files, self.weights, *made)))

    @property
    def writes(self) -> tuple[Path, ...]:
        """The artifact, once."""
        return () if self.is_made else (self.artifact,)

    def run(self, report: Callable[[object], bool]) -> float | None:
        """Return the quality of the artifact; None if the trainer cannot tell, or has no such data.

        Raises:
            DeploymentError: the network cannot ship so.
            TargetError: it cannot be run where it is judged.
            TrainingError: the code of the trainer failed.
        """
        what = "judge_test()" if self.data == "test" else "judge()"
        place = self.artifact.absolute()  # the trainer may change the working directory
        with judging(self, report, what) as (trainer, run):
            deployment = self.freight.deployment.load()
            example = trainer.example(self.batch_size)
            made = self._made(trainer, deployment, example, run, place)
            with ExitStack() as stack:
                target = self.freight.target
                session = stack.enter_context(Session(deployment, target, WAITING, alone=not target.is_here))
                predict = Predict(session.load(made), example, run.alive)
                found: object = (trainer.judge_test if self.data == "test" else trainer.judge)(predict, run)
            return None if found is None else run.checked(found)

    def _made(self, trainer: Trainer, deployment: Deployment, example: Any, run: Run, place: Path) -> Artifact:
        if place.is_dir():
            return Artifact(place)
        network = trainer.ship(self.shape, run)
        calibration = calibrating(trainer, deployment.calibration, self.batch_size, run)
        return artifacts.make(deployment, network, example, calibration, place)


def calibrating(trainer: Trainer, number: int, batch_size: int, run: Run) -> list[Any]:
    """Return batches of so many examples by which a conversion finds the ranges of activations.

    Raises:
        UsageError: there are too few.
    """
    if not number:
        return []
    wanted = -(-number // batch_size)
    batches, others = [], 0
    for batch in trainer.calibration(batch_size, run):
        if _examples(batch) in (batch_size, None):
            batches.append(batch)
        else:
            others += 1  # an artifact takes whole batches, and the last one of an epoch may be smaller
        if len(batches) == wanted or others > wanted:
            break
    if len(batches) < wanted:
        there = f"{label(trainer)} gives {len(batches) * batch_size} examples in whole batches of {batch_size}"
        raise UsageError(f"deploy.calibration={number}: {there}; ask for fewer", setting="option")
    return batches


def _examples(batch: Any) -> int | None:
    """Return how many examples a batch has; None if it has no dimension that counts them."""
    return next((len(tensor) for tensor in inputs.tensors(batch) if tensor.dim()), None)


class Predict:
    """What an artifact computes, of any number of examples.

    Args:
        model: takes as many examples at a time as the batch that it was made for has.
        example: that batch. The first dimension of its tensors counts examples, but for those without dimensions.
        alive: called after each batch.
    """

    def __init__(self, model: Runs, example: Any, alive: Callable[[], None]) -> None:
        self._model, self._alive = model, alive
        self._like = inputs.tensors(example)
        self._batch_size = _examples(example) or 1

    def __call__(self, given: Any) -> Any:
        """Return what the network makes of inputs: a tensor, or a tuple of tensors where it makes several.

        Raises:
            TrainingError: they are not like the example, or an output has no dimension that counts examples.
        """
        import numpy as np
        import torch

        tensors = inputs.tensors(given)
        number = self._check(tensors)
        made: list[list[torch.Tensor]] = []
        for start in range(0, number, self._batch_size):
            taken = min(self._batch_size, number - start)
            # A last incomplete batch is filled up with what it has, and that is left out of what is made of it.
            rows = torch.arange(start, start + self._batch_size).clamp(max=number - 1)
            arrays = [(tensor[rows] if tensor.dim() else tensor).numpy() for tensor in tensors]
            outputs = [torch.from_numpy(np.array(array)) for array in self._model.run(arrays)]
            if number != self._batch_size:
                self._check_outputs(outputs)
            made.append([output[:taken] if taken < self._batch_size else output for output in outputs])
            self._alive()
        together = tuple(torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*made, strict=True))
        return together[0] if len(together) == 1 else together

    def _check_outputs(self, outputs: Sequence[torch.Tensor]) -> None:
        for place, output in enumerate(outputs):
            if not output.dim() or len(output) != self._batch_size:
                shape = tuple(output.shape)
                remedy = f"it does not count examples, so give predict() {self._batch_size} at a time, a whole batch"
                raise TrainingError(f"predict(): output {place} of what ships has the shape {shape}; {remedy}")

    def _check(self, tensors: Sequence[torch.Tensor]) -> int:
        """See that inputs are like the example but for their number, which is returned."""
        numbers = {len(tensor) for tensor in tensors if tensor.dim()}
        alike = len(tensors) == len(self._like) and all(
            (tensor.dtype, tensor.shape[1:]) == (like.dtype, like.shape[1:])
            for tensor, like in zip(tensors, self._like, strict=True)
        )
        if not alike or len(numbers) > 1:
            given, taken = (", ".join(map(_kind, each)) for each in (tensors, self._like))
            raise TrainingError(f"predict() was given {given}; what ships takes {taken}, of any number of examples")
        return numbers.pop() if numbers else 1


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
