"""Small spaces, and accuracies for them, with which contracts try plugins."""

from __future__ import annotations

import math
from fractions import Fraction

from shape_dnn.shape import Shape, by_width_then_depth

GRID = tuple(Shape(depth, Fraction(width, 4)) for width in range(1, 7) for depth in range(10, 59, 6))
"""54 shapes, every depth with every width, sorted as samplers see them: by width and then by depth."""
SPACES = {
    "a grid": GRID,
    "one shape": GRID[:1],
    "two shapes": GRID[:2],
    "one width": tuple(shape for shape in GRID if shape.width == 1),
    "one depth": tuple(shape for shape in GRID if shape.depth == 22),
    "what a limit on size leaves": tuple(s for s in GRID if s.depth * s.width**2 <= 30),
    "scattered shapes": tuple(sorted(GRID[::7], key=by_width_then_depth)),
}


def accuracy(shape: Shape) -> float:
    """Return a plausible accuracy in percent: deeper and wider is better, with diminishing returns."""
    return 95 - 40 / shape.depth - 6 / float(shape.width) - math.log1p(1 / shape.depth)
