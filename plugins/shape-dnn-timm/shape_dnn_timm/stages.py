"""How many blocks each of four stages has when only their total is given."""

from __future__ import annotations

from collections.abc import Sequence

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
