"""The problem of a trainer of one's own, which has networks, data and loop for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shape_dnn.kinds import Trainer
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import Quality
from shape_dnn.store.files import Files
from shape_dnn.study.problem import Problem
from shape_dnn.training.classifier import Donor
from shape_dnn.training.functions import has
from shape_dnn.training.networks import TrainerNetworks
from shape_dnn.training.sources import TrainerSource


@dataclass(frozen=True, kw_only=True)
class OwnTraining(Problem):
    """Shapes are trained by a trainer that has everything it needs.

    Attributes:
        own: the trainer.
        source: where a worker finds it.
    """

    own: Loaded[Trainer]
    source: TrainerSource

    @property
    def quality(self) -> Quality:
        """That of the trainer."""
        return self.own.instance.quality

    @property
    def steps(self) -> int | None:
        """Those of the trainer."""
        return self.own.instance.steps

    @property
    def has_test(self) -> bool:
        """Whether the trainer has such data."""
        return has(self.own.instance, "test")

    @property
    def remembers_formulas(self) -> bool:
        """Yes, since nobody runs the code of the trainer to answer a question."""
        return True

    @property
    def judges(self) -> bool:
        """Whether artifacts are judged, which only the trainer can do; without that they are as good as networks."""
        return super().judges and has(self.own.instance, "judge")

    @property
    def plugins(self) -> tuple[Loaded[Any], ...]:
        """The trainer."""
        return (self.own,)

    @property
    def networks(self) -> TrainerNetworks:
        """What the trainer builds."""
        return TrainerNetworks(self.source, self.architecture.instance.title)

    def trainer(self, files: Files, donor: Donor | None) -> TrainerSource:
        """Return the trainer."""
        assert donor is None  # noqa: S101 - what nobody knows how to grow
        return self.source

    @property
    def training_identity(self) -> dict[str, object]:
        """The trainer with its options, what its trainings are judged by, and the seed."""
        return {
            "trainer": self.own.identity,
            "quality": self.quality.record,
            "seed": self.seed,
            **({} if self.threads == 1 else {"threads": self.threads}),
        }

    @property
    def record(self) -> dict[str, object]:
        """The trainer, its quality and usual ranges, and the conditions."""
        trainer = self.own.instance
        return {
            "trainer": self.own.identity,
            "quality": self.quality.whole_record,
            "usual_ranges": [trainer.default_depths, trainer.default_widths],
            **self.conditions.record,
        }
