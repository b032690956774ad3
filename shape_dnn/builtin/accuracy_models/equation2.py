"""The features of the paper's accuracy model (Equation 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.shape import Shape


def features(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """Return the nine inverse powers of width w and depth d up to the third order, of shape (number, 9).

    The columns are 1/w, 1/d, 1/w^2, 1/(dw), 1/d^2, 1/w^3, 1/(w^2 d), 1/(w d^2), 1/d^3.
    """
    d = 1 / np.array([shape.depth for shape in shapes], float)
    w = 1 / np.array([float(shape.width) for shape in shapes], float)
    return np.stack([w, d, w**2, d * w, d**2, w**3, w**2 * d, w * d**2, d**3], axis=1)
