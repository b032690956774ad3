"""What is to be solved, and so what determines each fact."""

from __future__ import annotations

import dataclasses
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from shape_dnn.deploying.acquaintance import meet
from shape_dnn.deploying.artifacts import DRAWING
from shape_dnn.errors import blame
from shape_dnn.events import Event
from shape_dnn.kinds import Architecture, Conditions, Deployment, Instrument, Meter, Shipping, Target, Workload
from shape_dnn.measuring.task import Bench, Freight
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.sending import FromPlugin, Sendable
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
        deployment: what ships; None for networks as torch runs them.
        targets: where it runs, by name. None are this machine.
        judge: where it is judged.
    """

    architecture: Loaded[Architecture]
    conditions: Conditions
    seed: int
    largest: Shape
    threads: int = 1
    plugin_files: tuple[Path, ...] = ()
    deployment: Loaded[Deployment] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    judge: Target = field(default_factory=Target)

    # What ships

    @property
    def judges(self) -> bool:
        """Whether qualities are those of artifacts, since precision or runtime may change them."""
        if self.deployment is None:
            return False
        instance = self.deployment.instance
        return not instance.in_process or instance.precision != "float32"

    def target_of(self, metric: str = "") -> Target:
        """Return where a metric is measured, whose name tells by ``@`` where there are several."""
        _, at, name = metric.partition("@")
        if at:
            return self.targets[name]
        return next(iter(self.targets.values()), Target())

    @property
    def deployment_identity(self) -> dict[str, object]:
        """What determines artifacts beside the network, and how they run."""
        assert self.deployment is not None  # noqa: S101 - asked for only then
        return identity_of(self.deployment)

    @property
    def shipping_record(self) -> dict[str, object]:
        """What ships and where it runs, as a run keeps it; empty for networks as torch runs them in this process."""
        if self.deployment is None:
            return {}
        places = {name: str(target) for name, target in (self.targets or {"": Target()}).items()}
        return {"deployment": self.deployment_identity, "targets": places if len(places) > 1 else list(places.values())}

    @property
    def artifact_identity(self) -> dict[str, object]:
        """Everything but the shape that determines an artifact with random weights."""
        conditions = {name: value for name, value in self.conditions.record.items() if name != "device"}
        return {**self._shipped_identity, "architecture": self.architecture.identity, **conditions}

    @property
    def _shipped_identity(self) -> dict[str, object]:
        return {"deployment": self.deployment_identity, "weights": DRAWING}

    @property
    def judging_identity(self) -> dict[str, object]:
        """What determines the quality of an artifact beside that of the training.

        Raises:
            TargetError: the target that judges cannot be reached or used.
        """
        found = {**self.deployment_identity, "batch_size": self.conditions.batch_size}
        if self.judge.is_here:
            return found
        assert self.deployment is not None  # noqa: S101 - or there was no identity
        judge = Shipping(self.deployment.instance, self.judge, Path())
        return {**found, "judged_on": dict(meet(judge).fingerprint)}

    def check_calibration(self) -> None:  # noqa: B027 - what a trainer can give is not known before it is asked
        """See that there are as many training examples as a conversion needs, before hours of training.

        Raises:
            UsageError: there are not.
        """

    def of_what_ships(self, identity: Mapping[str, object]) -> dict[str, object]:
        """Return what determines the quality of what ships, given what determines that of the network."""
        return {**identity, "deployment": self.judging_identity} if self.judges else dict(identity)

    def freight(self, target: Target, artifacts: Path = Path()) -> Freight | None:
        """Return what ships, as it is sent to workers; None for networks as torch runs them.

        Args:
            target: where it runs.
            artifacts: directory for those with random weights.
        """
        if self.deployment is None:
            return None
        return Freight(FromPlugin[Deployment](self.deployment.choice, self.plugin_files), target, artifacts)

    def shipping(self, metric: str = "", artifacts: Path = Path()) -> Shipping | None:
        """Return what ships, to where a metric is measured; None for networks as torch runs them.

        Args:
            metric: which.
            artifacts: directory for those with random weights.
        """
        if self.deployment is None:
            return None
        return Shipping(self.deployment.instance, self.target_of(metric), artifacts)

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
    def has_test(self) -> bool:
        """Whether trained shapes can be judged on data that was kept for the end."""
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

    def tidy(self) -> None:
        """Remove what former searches left for trainings and none needs any more, while nobody else uses the study."""
        return

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
        return self.workload_of()

    def workload_of(self, metric: str = "") -> Workload:
        """What the meter of a metric needs to know."""
        return self.conditions.of(self.architecture.instance, self.shipping(metric))

    def bench(self, meter: Loaded[Meter], metric: str, artifacts: Path) -> Bench:
        """What a task needs to know to measure.

        Args:
            meter: the instrument.
            metric: what it measures.
            artifacts: directory for those with random weights.
        """
        freight = self.freight(self.target_of(metric), artifacts)
        return Bench(meter.choice, self.plugin_files, self.networks, self.conditions, freight)

    def measurement_identity(
        self,
        meter: Loaded[Meter],
        metric: str,
        elsewhere: Mapping[str, object] | None = None,
        patience: float | None = None,
    ) -> dict[str, object]:
        """Everything but the shape that determines a measured metric.

        Args:
            meter: the instrument.
            metric: what it measures.
            elsewhere: its identity on the machine that is measured, if that is not this one.
            patience: seconds that it may take to state it here.
        """
        instrument = cast("Instrument", meter.instance)
        workload, conditions = self.workload_of(metric), self.conditions.record
        if not instrument.depends_on_device:
            del conditions["device"]
        return {
            **(checked_meters.identity(instrument, workload, patience) if elsewhere is None else elsewhere),
            **(self._shipped_identity if workload.ships and instrument.measures_artifacts else {}),
            "meter": {**meter.identity, "version": meter.source.version},
            "architecture": self.architecture.identity,
            **conditions,
        }

    @property
    def remembers_formulas(self) -> bool:
        """Whether what meters compute of networks is recorded, since questions to the study cannot build them."""
        return False

    def formula_identity(self, meter: Loaded[Meter]) -> dict[str, object]:
        """Everything but the shape that determines what a meter computes of networks."""
        conditions = {name: value for name, value in self.conditions.record.items() if name != "device"}
        return {
            "meter": {**meter.identity, "version": meter.source.version},
            "architecture": self.architecture.identity,
            **({} if self.deployment is None else {"deployment": self.deployment.identity}),
            **conditions,
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


def identity_of(deployment: Loaded[Deployment]) -> dict[str, object]:
    """Return what determines artifacts of a deployment beside the network, and how they run."""
    with blame(deployment.instance):
        converters = deployment.instance.identity()
    identity = deployment.identity
    options = cast("Mapping[str, str]", identity["options"])
    kept = {name: value for name, value in options.items() if name != "max_drop"}
    return {**identity, "options": kept, "converters": dict(converters)}


def provenance(problem: Problem, *plugins: Loaded[Any]) -> dict[str, object]:
    """Return what is kept with a fact but does not determine it: versions of plugins and libraries."""
    used = (*problem.plugins, *plugins)
    return {
        "plugins": [plugin.provenance for plugin in used],
        "device": problem.device,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
    }
