"""What is to be solved, and so what determines each fact."""

from __future__ import annotations

import dataclasses
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from shape_dnn.events import Event
from shape_dnn.kinds import Architecture, Conditions, Instrument, Meter, Workload
from shape_dnn.measuring.task import Bench
from shape_dnn.plugins import checked
from shape_dnn.plugins.sending import Sendable
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import Quality
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from shape_dnn.recipes import Precision
    from shape_dnn.store.files import Files
    from shape_dnn.training.classifier import Donor
    from shape_dnn.training.sources import TrainerSource


@dataclass(frozen=True)
class Problem(ABC):
    """What is to be solved, apart from the limits: everything that determines the facts of a study.

    Attributes:
        architecture: family of networks.
        conditions: under which they are measured, and on which device they are trained.
        seed: of trainings.
        largest: the widest and deepest shape of the space, which stands for all where one must.
        threads: of each training on a processor, at least.
        plugin_files: files that declare plugins.
    """

    architecture: Loaded[Architecture]
    conditions: Conditions
    seed: int
    largest: Shape
    threads: int = 1
    plugin_files: tuple[Path, ...] = ()

    # Trainings

    @property
    @abstractmethod
    def quality(self) -> Quality:
        """What trainings are judged by."""

    @property
    @abstractmethod
    def steps(self) -> int | None:
        """How many a whole training reports; None if that is not known."""

    @property
    def always_saves(self) -> bool:
        """Whether every training leaves weights, so that something is wrong where there are none."""
        return True

    @property
    @abstractmethod
    def training_identity(self) -> dict[str, object]:
        """Everything but the shape that determines a quality."""

    @abstractmethod
    def trainer(self, files: Files, donor: Donor | None) -> TrainerSource:
        """Return how shapes are trained.

        Args:
            files: of the study, where workers find what is too large to be sent.
            donor: the network that they grow from; None to start from random weights.
        """

    def trainer_of(self, trainer: TrainerSource, shape: Shape) -> TrainerSource:
        """Return how one of the shapes is trained, given how all of them are."""
        return trainer

    @property
    def precision(self) -> Precision | str:
        """In which trainings compute; ``auto`` until that is decided, and empty where the trainer has it for itself."""
        return ""

    def in_precision(self, precision: Precision) -> Self:
        """Return the same problem with trainings in a definite precision."""
        return self

    def going_on_from(self, trained: Iterable[Mapping[str, object]]) -> Self:
        """Return the same problem with the precision of former trainings that differ in nothing else but the seed.

        Args:
            trained: what determined former trainings, those first that matter more.
        """
        return self

    def with_seed(self, seed: int) -> Self:
        """Return the same problem with another seed."""
        return dataclasses.replace(self, seed=seed)

    def read(self, notify: Callable[[Event], None]) -> None:  # noqa: B027 - there may be nothing to read
        """Read what is trained on, and tell how far that is."""

    # Measurements

    @property
    @abstractmethod
    def networks(self) -> Sendable[Architecture]:
        """Where a worker finds the family of networks."""

    @property
    def device(self) -> str:
        """Where shapes are trained and measured, as torch writes it."""
        return self.conditions.device

    @property
    def workload(self) -> Workload:
        """What meters need to know."""
        return self.conditions.of(self.architecture.instance)

    def bench(self, meter: Loaded[Meter]) -> Bench:
        """What a task needs to know to measure."""
        return Bench(meter.choice, self.plugin_files, self.networks, self.conditions)

    def measurement_identity(
        self, meter: Loaded[Meter], elsewhere: Mapping[str, object] | None = None, patience: float | None = None
    ) -> dict[str, object]:
        """Everything but the shape that determines a measured metric.

        Args:
            meter: the instrument.
            elsewhere: its identity on the machine that is measured, if that is not this one.
            patience: seconds that it may take to state it here.
        """
        instrument = cast("Instrument", meter.instance)
        return {
            **(checked.identity(instrument, self.workload, patience) if elsewhere is None else elsewhere),
            "meter": {**meter.identity, "version": meter.source.version},
            "architecture": self.architecture.identity,
            **self.conditions.record,
        }

    # What is recorded

    @property
    @abstractmethod
    def plugins(self) -> tuple[Loaded[Any], ...]:
        """What shapes are trained by."""

    @property
    @abstractmethod
    def record(self) -> dict[str, object]:
        """What a run keeps, so that questions to the study need not read the dataset, as JSON values."""


def provenance(problem: Problem, *plugins: Loaded[Any]) -> dict[str, object]:
    """Return what is kept with a fact but does not determine it: versions of plugins and libraries."""
    used = (*problem.plugins, *plugins)
    return {
        "plugins": [plugin.provenance for plugin in used],
        "device": problem.device,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
    }
