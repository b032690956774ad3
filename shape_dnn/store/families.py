"""Families of facts: what a study keeps under one identity. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shape_dnn.constraints import base_of
from shape_dnn.shape import Shape

TRAINING = "training"
"""The kind of a family of trainings; any other kind is a metric."""
_TRAININGS = re.compile(rf"{TRAINING}(?: ([1-9][0-9]{{0,8}}))?(?: from (\([^()]*\)))?")


@dataclass(frozen=True)
class Family:
    """Which facts of a study are meant.

    Attributes:
        metric: that was measured, with the name of the target as in ``latency@pi`` where there are several; None for
            trainings.
        seed: of trainings, the place of their seed among those of the search, from 0.
        donor: of trainings, the shape whose weights they started from; None if they started from random ones.
    """

    metric: str | None = None
    seed: int = 0
    donor: Shape | None = None

    @property
    def kind(self) -> str:
        """The metric, or ``training``. The name of a target tells no facts apart; what it is, their identity tells."""
        return TRAINING if self.metric is None else base_of(self.metric)

    def __str__(self) -> str:
        """Write it as runs keep it: ``latency``, ``training``, ``training 1``, ``training 1 from (10, 1/4)``."""
        if self.metric is not None:
            return self.metric
        seed = f" {self.seed}" if self.seed else ""
        return TRAINING + seed + (f" from {self.donor}" if self.donor is not None else "")

    @classmethod
    def parse(cls, text: str) -> Family:
        """Read what :meth:`__str__` writes. No metric is called ``training`` or has a space in its name.

        Raises:
            ValueError: the shape of a donor is none.
        """
        match = _TRAININGS.fullmatch(text)
        if match is None:
            return cls(text)
        return cls(None, int(match[1] or 0), None if match[2] is None else Shape.parse(match[2]))


TRAININGS = Family()
"""The trainings of the first seed, from random weights."""
