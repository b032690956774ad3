"""How long trainings take, relative to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.records import Training
from shape_dnn.shape import Shape

LEAST = 4
"""Finished trainings from which their seconds are believed more than an assumption."""


def estimate(shapes: Sequence[Shape], observed: Sequence[Training]) -> NDArray[np.float64]:
    """Estimate the duration of training each shape, in units of their mean; of shape (number of shapes,).

    Layers run one after the other, and the work of a convolution grows with the square of its channels, so seconds are
    a sum of 1, d, d w and d w^2 with coefficients that are not negative. They are fitted to the seconds of finished
    trainings, relative errors counting alike; before there are enough, d (1 + (w / mean w)^2) stands for them.
    """
    from scipy.optimize import nnls

    known = [t for t in observed if t.accuracy is not None and t.seconds]
    width = float(np.mean([float(shape.width) for shape in shapes]))
    terms = _terms(shapes, width)
    durations = terms[:, 1] + terms[:, 3]
    if len(known) >= LEAST:
        seconds = np.maximum([training.seconds or 0.0 for training in known], 1e-6)
        coefficients, _ = nnls(_terms([t.shape for t in known], width) / seconds[:, None], np.ones(len(known)))
        durations = terms @ coefficients
    return np.asarray(durations / durations.mean())


def _terms(shapes: Sequence[Shape], unit: float) -> NDArray[np.float64]:
    d = np.array([shape.depth for shape in shapes], float)
    w = np.array([float(shape.width) for shape in shapes]) / unit
    return np.stack([np.ones(len(d)), d, d * w, d * w**2], axis=1)
