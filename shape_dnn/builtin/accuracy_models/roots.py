"""Roots of covariances, for draws that are the same on every processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def symmetric_root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the one symmetric matrix whose square is a covariance.

    The eigenvectors themselves would not do: their signs, and where eigenvalues are alike also their directions, differ
    between processors.
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)
