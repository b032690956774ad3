"""Early termination of trainings."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn.kinds import Terminator
from shape_dnn.records import Epoch, Training


class Never(Terminator):
    """Every training runs to its end, as in the paper."""

    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Go on."""
        return False
