"""Methods that train everything a little, and the promising to the end."""

from __future__ import annotations

import math

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.shape import Shape


class TopAfterOneEpoch(Method):
    """Train everything for one epoch, and the best few to the end; they go on from there.

    One epoch is the least that tells shapes apart, and the best are kept whatever the goal, since a limit on
    quality must be met before a metric matters. More epochs or more shapes cost more at every question; the setting
    shows what they buy.

    Args:
        keep: how many are trained to the end.
    """

    needs_curves = True
    answers_sets = True

    def __init__(self, keep: int = 5) -> None:
        self.keep = keep

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train."""
        seen.train(_best(seen, seen.shapes, 1, self.keep))
        return _best_finished(seen)


class SuccessiveHalving(Method):
    """Successive halving (Jamieson and Talwalkar 2016): one of three goes on to three times as many epochs.

    Everything is trained for 1 epoch, and the best third for 3, of these a third for 9, and so on; what is
    left is trained to the end. A reduction of 3 is that of Hyperband and ASHA (Li et al. 2018, 2020). ASHA promotes
    before a rung is full, so that many workers stay busy; with one training after the other, waiting for the rung
    decides by more and costs nothing, so this is its best case.

    Args:
        reduction: one of how many goes on.
    """

    needs_curves = True
    answers_sets = True

    def __init__(self, reduction: int = 3) -> None:
        self.reduction = max(2, reduction)

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train rung by rung."""
        assert seen.epochs is not None  # noqa: S101 - it needs curves
        left, epochs = list(seen.shapes), 1
        while epochs < seen.epochs and len(left) > 1:
            left = _best(seen, left, epochs, math.ceil(len(left) / self.reduction))
            epochs *= self.reduction
        seen.train(left)
        return _best_finished(seen)


def _best(seen: Seen, shapes: list[Shape], epochs: int, number: int) -> list[Shape]:
    """Train shapes for some epochs, and return the best of them by the last."""
    last = {shape: seen.upwards(seen.curve(shape, epochs)[-1]) for shape in shapes}
    return sorted(shapes, key=lambda shape: -last[shape])[:number]


def _best_finished(seen: Seen) -> Found:
    return Found(complying=seen.complying) if seen.goal is None else Found(seen.best)
