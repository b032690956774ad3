"""Names of many files, in memory that processes share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

ANY = "surrogatepass"
"""How names are written that are no text, as file systems allow."""


class Names(Sequence[str]):
    """Names as one piece of memory.

    A process that was forked shares the memory of the one that it came from until either writes to it. Whoever looks at
    a text of a list writes to that text, since it counts who uses it: so each process would come to have them all.

    Args:
        names: in their order.
    """

    def __init__(self, names: Iterable[str]) -> None:
        encoded = [name.encode(errors=ANY) for name in names]
        self._text = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Names: ...

    def __getitem__(self, place: int | slice) -> str | Names:
        if isinstance(place, slice):
            return Names(self[each] for each in range(len(self))[place])
        place = range(len(self))[place]
        return self._text[self._ends[place] : self._ends[place + 1]].decode(errors=ANY)

    def __iter__(self) -> Iterator[str]:
        ends = self._ends.tolist()
        return (self._text[begin:end].decode(errors=ANY) for begin, end in itertools.pairwise(ends))
