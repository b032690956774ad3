"""Tuners that are asked what to try and told what came of it, whichever package they are from."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.search.kernel import Floats, logarithms

REPEATS = 5
"""Suggestions of shapes that were trained, in a row, after which a random one is trained instead."""


class Conversation(Protocol):
    """With a tuner, about one question."""

    def ask(self) -> Sequence[float]:
        """Return the logarithms of a depth and a width to try."""

    def tell(self, objective: float, shortfall: float | None) -> None:
        """Say what came of it.

        Args:
            objective: to be made small: the quality, negated where higher is better, or the logarithm of a goal, which
                models fit better than goals that span orders of magnitude.
            shortfall: by how much the quality misses the limit, not above 0 if it is met; None without a limit.
        """


class Tuner(Method):
    """Search with a general tuner, one training after the other.

    It chooses a depth and a width, and trains the shape that is nearest in their logarithms of those that the limits
    leave, so no suggestion breaks a limit that needs no training. A shape that is suggested again is not trained again:
    the tuner is told its result once more, and after five such in a row a random shape that was not trained.

    Args:
        most: trainings after which it is stopped.
    """

    never_stops = True

    def __init__(self, most: int) -> None:
        self.most = most

    @abstractmethod
    def begin(self, seen: Seen, depths: Floats, widths: Floats, seed: int) -> Conversation:
        """Begin to search.

        Args:
            seen: the question.
            depths: logarithms of the depths that there are, in order.
            widths: those of the widths.
            seed: of the tuner.
        """

    def answer(self, seen: Seen, seed: int) -> Found:
        """Ask and tell until so many shapes were trained."""
        logs = logarithms(seen.shapes)
        depths, widths = (np.unique(column) for column in logs.T)
        spans = np.maximum(np.ptp(logs, axis=0), 1e-9)
        conversation = self.begin(seen, depths, widths, seed)
        rng = np.random.default_rng(seed)
        trained: list[int] = []
        repeats = 0
        while len(trained) < min(self.most, len(seen.shapes)):
            i = int((((logs - conversation.ask()) / spans) ** 2).sum(1).argmin())
            if i in trained and repeats == REPEATS:
                i = int(rng.choice(np.setdiff1d(np.arange(len(seen.shapes)), trained)))
            repeats = repeats + 1 if i in trained else 0
            if i not in trained:
                trained.append(i)
            reached = seen.upwards(seen.trained(seen.shapes[i]))
            shortfall = seen.upwards(seen.limits[0].limit) - reached if seen.limits else None
            score = -reached if seen.goal_is_quality else math.log(max(seen.score(seen.shapes[i]), 1e-300))
            conversation.tell(score, shortfall)
        return Found(seen.best)
