"""The shape of a network: depth and width."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class Shape(NamedTuple):
    """The size of a network along its two free dimensions.

    Attributes:
        depth: number of layers, in the way the architecture counts them.
        width: exact factor on the channels of every convolution.
    """

    depth: int
    width: Fraction

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read ``DEPTH,WIDTH``, such as ``10,3/4`` or ``(10, 0.75)``.

        Raises:
            ValueError: the text is something else.
        """
        depth, width = map(exact, text.strip().removeprefix("(").removesuffix(")").split(","))
        if depth.denominator != 1 or depth <= 0 or width <= 0:
            raise ValueError(f"{text!r} is not a shape")
        return cls(int(depth), width)

    def __str__(self) -> str:
        return f"({self.depth}, {self.width})"

    @property
    def file_name(self) -> str:
        """The name of files of the shape, without a suffix, such as ``22-1_8``."""
        return f"{self.depth}-{self.width.numerator}_{self.width.denominator}"


def by_width_then_depth(shape: Shape) -> tuple[Fraction, int]:
    """Return the key that sorts shapes by width and then by depth, the order in which samplers see them."""
    return shape.width, shape.depth


_WHOLE = "[0-9]{1,30}"
_EXACT = re.compile(rf"\s*[-+]?({_WHOLE}/{_WHOLE}|({_WHOLE}\.?[0-9]{{0,30}}|\.{_WHOLE})([eE][-+]?[0-9]{{1,2}})?)\s*")


def exact(text: str) -> Fraction:
    """Read an integer, a decimal or a fraction such as ``1/16`` without rounding.

    Raises:
        ValueError: the text is none of these, or has more digits than could be of any use.
    """
    if not _EXACT.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(f"{text!r} divides by zero") from None
