"""The design space that shapes are taken from (paper, Section 3)."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn.errors import UsageError
from shape_dnn.shape import Shape, exact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shape_dnn.kinds import Architecture


MOST_SHAPES = 10_000_000
"""Larger spaces are taken for a mistake."""


@dataclass(frozen=True)
class Range:
    """A half-open arithmetic progression of exact numbers, like Python's ``range``.

    Written ``MIN:MAX:STEP``; each part an integer, a decimal or a fraction such as ``1/16``.

    Raises:
        UsageError: the step is not positive, or the range is empty or reversed.
    """

    start: Fraction
    stop: Fraction
    step: Fraction

    def __post_init__(self) -> None:
        if self.step <= 0:
            raise UsageError(f"{self}: the step must be above 0")
        if self.stop <= self.start:
            raise UsageError(f"{self}: the range holds nothing, since MAX (itself excluded) is not above MIN")
        if (self.stop - self.start) / self.step > MOST_SHAPES:
            raise UsageError(f"{self}: the range holds more than {MOST_SHAPES:,} values")

    @classmethod
    def parse(cls, text: str) -> Range:
        """Read ``MIN:MAX:STEP``."""
        parts = text.split(":")
        try:
            start, stop, step = (exact(part) for part in parts)
        except ValueError:
            raise UsageError(
                f"{text!r} is not a range; write MIN:MAX:STEP with MAX excluded, for example 10:60:6 or 1/16:1:1/16"
            ) from None
        return cls(start, stop, step)

    def __len__(self) -> int:
        return math.ceil((self.stop - self.start) / self.step)

    def __iter__(self) -> Iterator[Fraction]:
        return (self.start + i * self.step for i in range(len(self)))

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int | Fraction) or not self.start <= number < self.stop:
            return False
        return (number - self.start) % self.step == 0

    def __str__(self) -> str:
        return f"{self.start}:{self.stop}:{self.step}"


@dataclass(frozen=True)
class DesignSpace:
    """All shapes of an architecture whose depth and width lie in two ranges (paper, Table 2).

    Args:
        architecture: the family of networks; it says which depths and widths exist.
        depths: range of depths.
        widths: range of widths.

    Raises:
        UsageError: the architecture has no network of one of the depths or widths.
    """

    architecture: Architecture
    depths: Range
    widths: Range

    def __post_init__(self) -> None:
        if len(self) > MOST_SHAPES:
            raise UsageError(f"the space has {len(self):,} shapes, and at most {MOST_SHAPES:,} are accepted", "depth")
        for depth in self.depths:
            if depth.denominator != 1 or not self.architecture.is_depth(int(depth)):
                raise UsageError(self._no_such_depth(depth), setting="depth")
        for width in self.widths:
            if not self.architecture.is_width(width):
                message = f"{self.widths} contains {width}, a width that {self.architecture.title} cannot have"
                raise UsageError(f"{message}; {self.architecture.width_rule}", setting="width")

    def _no_such_depth(self, depth: Fraction) -> str:
        nearest = nearest_depths(self.architecture, depth)
        accepted = " and ".join(str(d) for d in nearest) or "none near it"
        return (
            f"{self.depths} contains {depth}, a depth that {self.architecture.title} cannot have; "
            f"{self.architecture.depth_rule}, the nearest are {accepted}"
        )

    def __len__(self) -> int:
        return len(self.depths) * len(self.widths)

    def shapes(self) -> list[Shape]:
        """List every shape, sorted by width and, within a width, by depth."""
        depths = [int(depth) for depth in self.depths]
        # What Shape(depth, width) does, without a call of Python for each of perhaps millions.
        make = functools.partial(tuple.__new__, Shape)
        shapes: list[Shape] = []
        for width in self.widths:
            shapes.extend(map(make, zip(depths, itertools.repeat(width))))
        return shapes


def nearest_depths(architecture: Architecture, depth: Fraction, reach: int = 1000) -> list[int]:
    """Find the valid depths next to ``depth``, below and above, no farther away than ``reach``."""
    middle = math.floor(depth)
    below = next((d for d in range(middle, max(0, middle - reach), -1) if architecture.is_depth(d)), None)
    above = next((d for d in range(max(1, middle + 1), middle + reach) if architecture.is_depth(d)), None)
    return [d for d in (below, above) if d is not None]
