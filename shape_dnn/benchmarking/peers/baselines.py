"""What people do without a tool."""

from __future__ import annotations

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape

MOST = 40


class Random(Method):
    """Train in random order.

    It has no settings. It is the lower bound for anything that learns from what it trained.

    Args:
        most: trainings after which it is stopped.
    """

    never_stops = True
    answers_sets = True

    def __init__(self, most: int = MOST) -> None:
        self.most = most

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train."""
        order = np.random.default_rng(seed).permutation(len(seen.shapes))[: self.most]
        seen.train([seen.shapes[i] for i in order])
        return _best_trained(seen)


class Exhaustive(Method):
    """Train everything, and return the best by what was seen: all that can be known without repeated trainings."""

    answers_sets = True

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train."""
        seen.train(seen.shapes)
        return _best_trained(seen)


class LargestFirst(Method):
    """Begin with the largest shape, and go on to smaller ones until one is no better.

    The size that orders them is the goal, or the first metric of the table where quality is the goal. Shapes that
    share a size are in order of width and depth. Stopping at the first that is no better is what a person would do;
    patience would cost trainings in every question.
    """

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train until it gets no better."""
        for shape in reversed(by_size(seen)):
            before = seen.best
            seen.trained(shape)
            if before is not None and seen.best == before:
                break
        return _best_trained(seen)


class Bisection(Method):
    """Sort the shapes by the goal, and bisect for the first that meets the limit on quality.

    That is the best if quality only grows with the metric, for the logarithm of the number of shapes. Where quality
    is the goal there is nothing to bisect, and the largest shape by the first metric is trained and returned.
    """

    def answer(self, seen: Seen, seed: int) -> Found:
        """Bisect."""
        order = by_size(seen)
        if seen.goal_is_quality:
            seen.trained(order[-1])
            return _best_trained(seen)
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if seen.complies(seen.trained(order[middle])):
                high = middle
            else:
                low = middle + 1
        return _best_trained(seen)


def by_size(seen: Seen) -> list[Shape]:
    """Sort shapes by the goal, or by the first metric of the table where quality is the goal."""
    size: Floats = seen.metric(seen.metrics[0]) if seen.goal_is_quality else seen.scores()
    return [seen.shapes[i] for i in np.argsort(size, kind="stable")]


def _best_trained(seen: Seen) -> Found:
    if seen.goal is None:
        return Found(complying=seen.complying)
    return Found(seen.best)
