"""What a way of searching is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, ClassVar

from shape_dnn.benchmarking.questions import Ask

if TYPE_CHECKING:
    from shape_dnn.benchmarking.facts import Seen
    from shape_dnn.benchmarking.problems import RecordedTable
    from shape_dnn.events import Judged
    from shape_dnn.records import Prediction
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Found:
    """What a method came to. What it trained it need not say: the facts count it.

    Attributes:
        best: the shape that it returns; None if it found none that complies, or was asked for a set.
        complying: the shapes that it returns, if all that comply are asked for.
        predictions: of trainings not made, if it predicts: mean and standard deviation, that of the training included.
        decisions: what it knew half-way, if it says so.
    """

    best: Shape | None = None
    complying: Sequence[Shape] = ()
    predictions: Mapping[Shape, Prediction] = field(default_factory=dict)
    decisions: Sequence[Judged] = ()


class Method(ABC):
    """A way of searching.

    Attributes:
        spec: how it was named.
        never_stops: whether it trains on and on, so that it is judged after each number of trainings, by the best of
            what it trained.
        needs_curves: whether it trains for a part of the epochs.
        answers_sets: whether it can be asked for all shapes that comply.
        made_by: distributions whose version counts, beside this one.
    """

    spec: str
    never_stops: ClassVar[bool] = False
    needs_curves: bool = False
    answers_sets: ClassVar[bool] = False
    made_by: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def answer(self, seen: Seen, seed: int) -> Found:
        """Answer one question.

        Args:
            seen: the question, and what may be known and trained.
            seed: of everything random.
        """

    @property
    def identity(self) -> dict[str, object]:
        """What determines the answers, beside this package, as JSON values."""
        return {"method": self.spec, "versions": {name: metadata.version(name) for name in self.made_by}}

    def refuses(self, table: RecordedTable, ask: Ask) -> str:
        """Say why it cannot be asked about a table; nothing if it can."""
        if self.needs_curves and table.curves is None:
            return f"needs learning curves, and table {table.name} has none beside it ({table.name}-curves.csv)"
        if ask == "sets" and not self.answers_sets:
            return "finds the best shape, not all that comply; leave it out of --ask sets"
        return ""
