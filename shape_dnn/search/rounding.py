"""Comparisons that rounding noise does not decide.

Processors and libraries add the same numbers in different orders, so what is equal by the formula differs in its last
digits, and which of two such values is the larger would depend on the machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIGITS = 9
"""Digits of the largest value that are compared; double precision has 15, of which a fit leaves about 12."""
ALIKE = 1e-9
"""Standard deviation, as a part of the largest value, up to which values are alike."""


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round values to :data:`DIGITS` digits of the largest of them; infinite ones stay."""
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if largest == 0.0:
        return values
    return np.asarray(np.round(values, DIGITS - 1 - int(np.floor(np.log10(largest)))))


def spreads(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of each column, by which it is scaled; 1 where its values are alike.

    By computing alone, that of equal logarithms or powers comes to some 1e-16, and divided by that they would be a
    feature like any other.
    """
    found = columns.std(0)
    return np.where(found > ALIKE * np.abs(columns).max(0), found, 1.0)


def first_largest(values: NDArray[np.float64]) -> int:
    """Return the position of the largest value; of several that are alike, the first."""
    return int(rounded(values).argmax())


def largest_first(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return all positions, those of the largest values first; of several that are alike, the first."""
    return np.asarray(np.argsort(-rounded(values), kind="stable"))
