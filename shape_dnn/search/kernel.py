"""The kernel of Gaussian processes over the logarithms of depth and width."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

Floats = NDArray[np.float64]


def logarithms(shapes: Sequence[Shape]) -> Floats:
    """Return log depth and log width of each shape, of shape (number, 2)."""
    return np.asarray(np.log(np.array([(shape.depth, float(shape.width)) for shape in shapes], float)))


def distances(one: Floats, other: Floats) -> Floats:
    """Return the distance of each place of one set to each of another."""
    return np.asarray(np.sqrt(((one[:, None] - other[None]) ** 2).sum(-1)))


def matern(scaled: Floats) -> Floats:
    """Return the Matern 5/2 correlation at distances in units of its length (Rasmussen and Williams 2006, eq. 4.17)."""
    root = np.sqrt(5.0) * scaled
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))


def one_thread() -> AbstractContextManager[object]:
    """Do the linear algebra inside with one thread, as suits many small matrices.

    Further threads gain little by each of them, and where trainings keep the processors busy they wait for each other
    far longer than they compute.
    """
    limits: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limits


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
