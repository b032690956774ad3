"""Equation 2 with a ridge penalty, which stays sound with fewer trained shapes than coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.accuracy_models.bayesian_linear import BayesianLinear
from shape_dnn.builtin.accuracy_models.equation2 import features
from shape_dnn.shape import Shape


class Ridge(BayesianLinear):
    """Bayesian ridge regression on the nine features of Equation 2."""

    def features(self, shapes: Sequence[Shape]) -> NDArray[np.float64]:
        """Return the inverse powers of width and depth up to the third order."""
        return features(shapes)
