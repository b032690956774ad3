"""Shapes next to the points of a Sobol sequence."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from shape_dnn import Sampler, Shape, Training


class Sobol(Sampler):
    """Takes, for each point of the sequence in turn, the nearest shape that was not taken yet.

    Distances are measured with depth and width scaled to the range from 0 to 1.

    Args:
        scramble: randomise the sequence.
        seed: of the randomisation.
    """

    def __init__(self, scramble: bool = True, seed: int = 0) -> None:
        self.scramble = scramble
        self.seed = seed

    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Answer once, with as many shapes as the budget allows."""
        if observed:
            return ()
        places = np.array([(shape.depth, float(shape.width)) for shape in shapes])
        low, high = places.min(0), places.max(0)
        places = (places - low) / np.where(high > low, high - low, 1)
        free = np.ones(len(shapes), bool)
        chosen = []
        for point in self._points(budget):
            distances = ((places - point) ** 2).sum(1)
            nearest = int(np.argmin(np.where(free, distances, np.inf)))
            free[nearest] = False
            chosen.append(shapes[nearest])
        return chosen

    def _points(self, number: int) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a number that is no power of two costs a little evenness
            points: NDArray[np.float64] = qmc.Sobol(2, scramble=self.scramble, rng=self.seed).random(number)
        return points
