"""How many shapes are trained, and which."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import UsageError
from shape_dnn.kinds import AccuracyModel, Sampler, Strategy
from shape_dnn.search.query import Modelling
from shape_dnn.shape import exact

TOGETHER = 2
"""Trainings that are chosen together unless the user says otherwise, on whatever machine: answers must not depend on
the number of its cores. Each knows less than if they were chosen one by one."""


@dataclasses.dataclass(frozen=True)
class TrainingCount(Strategy):
    """What ``--train`` asks for.

    Attributes:
        number: of shapes, for any size of the space.
        part: of the candidates instead.
    """

    exact = True
    number: int | None = None
    part: Fraction | None = None

    def count(self, candidates: int) -> int:
        """Return the number, or the part rounded up, at most all."""
        wanted = self.number if self.part is None else math.ceil(self.part * candidates)
        return min(candidates, wanted or candidates)


def modelling(selection: Selection, sampler: Sampler, model: AccuracyModel, *, is_replay: bool) -> Modelling:
    """Return which shapes to train, and how to predict the others; a replay chooses one by one.

    Raises:
        UsageError: the number of trainings cannot be read.
    """
    settings = selection.settings
    strategy: Strategy
    if settings.train is not None:
        strategy = _training_count(settings.train)
    else:
        strategy = selection.load("strategy", settings.strategy).instance
    return Modelling(strategy, sampler, model, settings.together or (1 if is_replay else TOGETHER))


def _training_count(text: str) -> TrainingCount:
    try:
        if text.strip().endswith("%"):
            part = exact(text.strip()[:-1]) / 100
            if 0 < part <= 1:
                return TrainingCount(part=part)
        elif int(text) >= 1:
            return TrainingCount(number=int(text))
    except ValueError:
        pass
    raise UsageError(f"{text!r} is neither a number of shapes from 1 nor a percentage above 0% and up to 100%", "train")
