"""The cells of NASNet-A: what they see, and what they store."""

from __future__ import annotations

from typing import NamedTuple

NORMAL_KERNELS = (5, 3, 5, 3, 3)
REDUCTION_KERNELS = (5, 7, 7, 5, 3)


class Cell(NamedTuple):
    """One cell: its inputs are the outputs of the two cells before it.

    Attributes:
        is_reduction: whether it halves the image.
        shrinks_before: whether the output of the cell before the last has twice the height and width of the last.
        before: channels of the cell before the last.
        last: channels of the last cell.
        filters: of each of its operations; all of them together make its output.
    """

    is_reduction: bool
    shrinks_before: bool
    before: int
    last: int
    filters: int

    @property
    def channels(self) -> int:
        """Channels of its output."""
        return (4 if self.is_reduction else 6) * self.filters

    @property
    def values(self) -> int:
        """Parameters and batch-norm statistics: two 1x1 convolutions, and five pairs of separable ones."""
        kernels = REDUCTION_KERNELS if self.is_reduction else NORMAL_KERNELS
        projections = (self.before + self.last) * self.filters + 8 * self.filters
        return projections + sum(2 * self.filters * (kernel**2 + self.filters + 4) for kernel in kernels)
