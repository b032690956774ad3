"""How long trainings take, relative to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.records import Training
from shape_dnn.shape import Shape

LEAST = 4
"""Finished trainings from which their seconds are believed more than an assumption."""


def assume(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """Assume the duration of training each shape, in units of their mean; of shape (number of shapes,).

    Layers run one after the other, and in the networks that a search can afford half of their time is that of calling
    them and half that of their channels: d (1 + w / mean w). No clock has a part in it, so decisions may rest on it.
    """
    terms = _terms(shapes, _mean_width(shapes))
    durations = terms[:, 1] + terms[:, 2]
    return np.asarray(durations / durations.mean())


def estimate(shapes: Sequence[Shape], observed: Sequence[Training]) -> NDArray[np.float64]:
    """Estimate the duration of training each shape by those of others, to tell people how long something takes.

    The work of a convolution grows with the square of its channels, so seconds are a sum of 1, d, d w and d w^2 with
    coefficients that are not negative. They are fitted to the seconds of finished trainings, relative errors counting
    alike; before there are enough, the assumption stands for them.

    Returns:
        Durations in units of their mean, of shape (number of shapes,).
    """
    from scipy.optimize import nnls

    known = [t for t in observed if t.quality is not None and t.seconds]
    if len(known) < LEAST:
        return assume(shapes)
    width = _mean_width(shapes)
    seconds = np.maximum([training.seconds or 0.0 for training in known], 1e-6)
    coefficients, _ = nnls(_terms([t.shape for t in known], width) / seconds[:, None], np.ones(len(known)))
    durations = _terms(shapes, width) @ coefficients
    return np.asarray(durations / durations.mean())


def _mean_width(shapes: Sequence[Shape]) -> float:
    return float(np.mean([float(shape.width) for shape in shapes]))


def _terms(shapes: Sequence[Shape], unit: float) -> NDArray[np.float64]:
    d = np.array([shape.depth for shape in shapes], float)
    w = np.array([float(shape.width) for shape in shapes]) / unit
    return np.stack([np.ones(len(d)), d, d * w, d * w**2], axis=1)
