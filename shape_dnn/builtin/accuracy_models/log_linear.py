"""Accuracy by the logarithms of depth and width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.accuracy_models.bayesian_linear import BayesianLinear
from shape_dnn.shape import Shape


class LogLinear(BayesianLinear):
    """Bayesian ridge regression on log d, log w, their squares and their product.

    Logarithms change slowly where a space is large, so the model goes astray less than inverse powers do where nothing
    was trained.
    """

    def features(self, shapes: Sequence[Shape]) -> NDArray[np.float64]:
        """Return log d, log w, (log d)^2, log d log w and (log w)^2."""
        d = np.log([shape.depth for shape in shapes])
        w = np.log([float(shape.width) for shape in shapes])
        return np.stack([d, w, d**2, d * w, w**2], axis=1)
