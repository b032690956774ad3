"""What is found out before trainings start: what each of them takes, and in which precision they are to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shape_dnn import devices
from shape_dnn.errors import ShapeDnnError, TrainingError, describe, label
from shape_dnn.kinds import Resources, Trainer
from shape_dnn.shape import Shape
from shape_dnn.training import precision
from shape_dnn.training.classifier import ClassifierTrainer
from shape_dnn.training.memory import estimate
from shape_dnn.training.precision import Decision
from shape_dnn.training.sources import TrainerSource
from shape_dnn.work import Needs, Task


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
        trainer: how they are made.
        shapes: what is to be trained.
        device: where, as torch writes it.
        threads: of each, at least.
        standing: what stands for all of the search where the precision is to be decided; None where it is definite.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
    """

    trainer: TrainerSource
    shapes: tuple[Shape, ...]
    device: str
    threads: int = 1
    standing: Shape | None = None
    attempt: str = ""
    patience: float | None = None

    @property
    def needs(self) -> Needs:
        """A device of the kind that trains."""
        return Needs(self.device, fresh=leaves_traces(self.trainer))

    @property
    def reads(self) -> tuple[Path, ...]:
        """The same as the trainings."""
        return self.trainer.files

    def run(self, report: Callable[[object], bool]) -> Preparation:
        """Decide on the precision, and find out what trainings take; report each shape before looking at it.

        Raises:
            TrainingError: a trainer cannot say what it takes.
        """
        trainer, decision = self.trainer.load(), None
        if self.standing is not None:
            assert isinstance(trainer, ClassifierTrainer)  # noqa: S101 - asked of no other
            report(self.standing)
            decision = precision.decide(trainer, self.standing)
        needs: dict[Shape, Needs] = {}
        free = {device: max(1, devices.free_memory(device)) for device in {"cpu", self.device}}
        fresh = leaves_traces(self.trainer)
        for shape in self.shapes:
            report(shape)
            taken = _resources(trainer, shape)
            device, cores = self.device if taken.gpus != 0 else "cpu", max(self.threads, taken.cores)
            memory = taken.memory or estimate(trainer, shape, device)
            share = memory / free[device]
            own = Needs(device, memory, share, cores=cores, gpus=taken.gpus, fresh=fresh, loaders=taken.loaders)
            needs[shape] = own
        return Preparation(decision, needs)


def leaves_traces(trainer: TrainerSource) -> bool:
    """Tell whether trainings may leave anything behind in their process, as all but the built-in ones may."""
    return not isinstance(trainer, ClassifierTrainer)


def _resources(trainer: Trainer, shape: Shape) -> Resources:
    try:
        taken: object = trainer.resources(shape)
    except ShapeDnnError:
        raise
    except Exception as error:
        raise TrainingError(f"{label(trainer)}: resources() failed: {describe(error)}") from error
    if not isinstance(taken, Resources):
        raise TrainingError(f"{label(trainer)}: resources() returned {taken!r:.60} instead of shape_dnn.Resources")
    return taken
