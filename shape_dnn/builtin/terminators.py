"""Early termination of trainings."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist, median

from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal, Terminator
from shape_dnn.records import Epoch, Training
from shape_dnn.search.learning_curves import best_so_far, extrapolate


class Never(Terminator):
    """Every training runs to its end, as in the paper."""

    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Go on."""
        return False


class Median(Terminator):
    """The median stopping rule (Golovin et al. 2017, Section 3.2.2).

    Stops a training whose best quality so far is worse than the median of the mean qualities of the others up to the
    same epoch.

    Args:
        grace: epochs that every training gets.
        least: other trainings from which there is a median.
    """

    def __init__(self, grace: int = 2, least: int = 3) -> None:
        self.grace = grace
        self.least = least

    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Compare with those that came as far."""
        number = len(curve)
        if number < self.grace:
            return False
        means = [training.mean_until(number) for training in others if len(training.curve) >= number]
        if len(means) < self.least:
            return False
        return self.quality.is_better(median(means), best_so_far(curve, self.quality))


class SuccessiveHalving(Terminator):
    """Asynchronous successive halving (ASHA; Li et al. 2020), in the variant that stops rather than pauses.

    At the rungs of ``grace``, ``grace * reduction``, ``grace * reduction**2``, … epochs a training goes on if it is in
    the best of ``reduction`` parts of all that came as far.

    Args:
        grace: epochs of the first rung.
        reduction: one of how many goes on.
    """

    def __init__(self, grace: int = 2, reduction: int = 3) -> None:
        self.grace = grace
        self.reduction = reduction

    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Decide at the rungs."""
        number, rung = len(curve), self.grace
        while rung < number:
            rung *= self.reduction
        if rung != number or number >= epochs:
            return False
        here = curve[-1].quality
        values = [t.curve[number - 1].quality for t in others if len(t.curve) >= number]
        kept = (len(values) + 1) // self.reduction
        return kept > 0 and sum(self.quality.is_better(value, here) for value in values) >= kept


class LearningCurve(Terminator):
    """Stops a training that, by its curve and those of the finished ones, cannot matter to what is asked.

    What matters is to meet the limits on quality, and if quality is the goal to exceed the best so far. Without either
    every training matters.

    Args:
        grace: epochs that every training gets.
        risk: probability of mattering below which a training is stopped.
    """

    by_question = True

    def __init__(self, grace: int = 2, risk: float = 0.05) -> None:
        self.grace = grace
        self.risk = risk
        self._limits: list[float] = []
        self._is_goal = False

    def consider(self, limits: Sequence[Constraint], goal: Goal | None) -> None:
        """Note which qualities matter."""
        self._limits = [limit.limit for limit in limits if limit.upper == (self.quality.better == "lower")]
        self._is_goal = goal is not None and goal.metrics == (self.quality.name,)

    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Extrapolate."""
        sign = self.quality.sign
        finished = [training.quality for training in others if training.quality is not None]
        needed = [sign * value for value in (*self._limits, *(finished if self._is_goal else ()))]
        if len(curve) < self.grace or len(curve) >= epochs or not needed:
            return False
        end = extrapolate(curve, epochs, others, self.quality)
        if end is None or not end.std:
            return False
        return 1 - NormalDist(sign * end.mean, end.std).cdf(max(needed)) < self.risk
