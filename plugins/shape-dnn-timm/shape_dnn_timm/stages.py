"""Blocks and channels of four stages: what they are at a depth and a width, and the other way round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction

Blocks = tuple[int, int, int, int]
FIRST = (2, 1, 0, 3)
"""Which stage grows first: the third, as in every published family."""


def distribute(total: int, published: Sequence[Blocks]) -> Blocks:
    """Return the blocks of each stage: those of a published network, or what lies between two of them.

    Args:
        total: blocks in all, at least those of the smallest published network.
        published: networks in order, none smaller than the one before in any stage.
    """
    smaller = max((blocks for blocks in published if sum(blocks) <= total), key=sum)
    larger = min((blocks for blocks in published if sum(blocks) > total), key=sum, default=None)
    blocks, missing = list(smaller), total - sum(smaller)
    for stage in FIRST:
        added = missing if larger is None else min(missing, larger[stage] - smaller[stage])
        blocks[stage] += added
        missing -= added
    return (blocks[0], blocks[1], blocks[2], blocks[3])


def count(names: Collection[str], stages: Sequence[str]) -> Blocks:
    """Return the blocks of each stage of a network, by the names of its tensors.

    Args:
        names: of the tensors, such as ``layer1.0.conv1.weight``.
        stages: what the names of each of the four stages begin with, such as ``layer1.``.
    """
    blocks = [
        len({name[len(stage) :].partition(".")[0] for name in names if name.startswith(stage)}) for stage in stages
    ]
    return (blocks[0], blocks[1], blocks[2], blocks[3])


def scale(channels: Iterable[int], width: Fraction, shift: Fraction) -> tuple[int, ...]:
    """Return channels times a width, rounded down after a shift: of 1/2 to the nearest number, of 0 down."""
    return tuple(math.floor(number * width + shift) for number in channels)


def width_of(scaled: Sequence[int], channels: Sequence[int], shift: Fraction) -> Fraction | None:
    """Return the simplest width at which :func:`scale` makes some channels of others; None if there is none."""
    pairs = list(zip(scaled, channels, strict=True))
    low = max((after - shift) / before for after, before in pairs)
    high = min((after + 1 - shift) / before for after, before in pairs)
    if low >= high:
        return None
    for denominator in itertools.count(1):
        width = Fraction(math.ceil(low * denominator), denominator)
        if width < high:
            return width
    raise AssertionError("a fraction lies between any two")
