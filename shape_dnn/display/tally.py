"""Trainings that were planned together, counted: where many run at once, people are shown numbers instead of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from shape_dnn.events import EpochFinished, Event, TrainingFinished, TrainingLost
from shape_dnn.quality import Quality
from shape_dnn.records import Training
from shape_dnn.shape import Shape

Key = tuple[Shape, int]
"""A training by its shape and its seed."""
MANY = 10
"""Trainings at once up to which each of them is shown."""


def named(shape: Shape, seed: int, *, among_seeds: bool) -> str:
    """Name a training by its shape, and by its seed where the shape is trained with several."""
    return f"{shape} seed {seed}" if among_seeds else str(shape)


@dataclass
class Losses:
    """Trainings whose machines were lost, and that are made again.

    Attributes:
        trainings: how many.
        machines: those that are known by a name.
    """

    trainings: int = 0
    machines: set[str] = field(default_factory=set)

    def add(self, event: TrainingLost) -> None:
        """Count one."""
        self.trainings += 1
        self.machines.add(event.machine)

    @property
    def place(self) -> str:
        """Say with how many machines, as far as that is known."""
        if "" in self.machines:
            return "its machine" if self.trainings == 1 else "their machines"
        return "one machine" if len(self.machines) == 1 else f"{len(self.machines):,} machines"

    def __str__(self) -> str:
        """Say it in a sentence."""
        if self.trainings == 1:
            return f"one training was lost with {self.place} and is made again"
        return f"{self.trainings:,} trainings were lost with {self.place} and are made again"


@dataclass
class Tally:
    """What became so far of trainings that were planned together.

    Attributes:
        total: number of trainings.
        running: those that have told of an epoch: how many epochs, of how many, and the latest quality. The one that
            was heard of first comes first.
        most: how many of these there were at once.
        done: number that have ended, in whatever way.
        failed: number of these that came to nothing.
        stopped: number of these that were stopped early.
        lost: those that are made again.
    """

    total: int = 0
    running: dict[Key, tuple[int, int | None, float]] = field(default_factory=dict)
    most: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    lost: Losses = field(default_factory=Losses)

    def take(self, event: Event) -> None:
        """Take note of one event."""
        match event:
            case EpochFinished(shape, epoch, epochs, seed):
                self.running[shape, seed] = (epoch.number, epochs, epoch.quality)
                self.most = max(self.most, len(self.running))
            case TrainingLost(shape, _, seed):
                self.running.pop((shape, seed), None)
                self.lost.add(event)
            case TrainingFinished(training, done, seed=seed):
                self.running.pop((training.shape, seed), None)
                self.done = done
                self.stopped += training.stopped
                self.failed += training.quality is None and not training.stopped

    @property
    def parts_of_running(self) -> float:
        """How much of the trainings under way was made, in trainings."""
        return sum(number / epochs for number, epochs, _ in self.running.values() if epochs is not None)

    def __str__(self) -> str:
        """Say how many there are of each kind, as far as there are any."""
        numbers = [
            (len(self.running), f"{len(self.running):,} run"),
            (self.done - self.failed - self.stopped, f"{self.done - self.failed - self.stopped:,} finished"),
            (self.failed, f"{self.failed:,} failed"),
            (self.stopped, f"{self.stopped:,} stopped early"),
            (self.lost.trainings, f"{self.lost.trainings:,} lost with {self.lost.place} and made again"),
        ]
        return ", ".join(text for number, text in numbers if number)


@dataclass
class Best:
    """The best training of a search so far, by its quality alone.

    Attributes:
        quality: by which trainings are judged.
    """

    quality: Quality
    _training: Training | None = None

    def take(self, training: Training) -> None:
        """Compare one that has ended."""
        best = self._training
        if training.quality is not None and (
            best is None or best.quality is None or self.quality.is_better(training.quality, best.quality)
        ):
            self._training = training

    def __str__(self) -> str:
        """Say which; nothing if there is none."""
        if self._training is None or self._training.quality is None:
            return ""
        value = self.quality.with_unit(self._training.quality)
        return f"best {self.quality.name} so far: {value} of {self._training.shape}"
