"""Quality: what a training is for. Standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shape_dnn.constraints import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Quality:
    """What trainings are judged by, such as accuracy in percent, perplexity or R².

    Attributes:
        name: the word used in limits, goals and results.
        unit: of its values; empty if it has none.
        better: whether a ``higher`` or a ``lower`` value is better.
        minimum: the least possible value; minus infinity if there is none.
        maximum: the largest possible value; infinity if there is none.

    Raises:
        ValueError: a part cannot be used; names it and what is accepted.
    """

    name: str
    unit: str = ""
    better: Better = "higher"
    minimum: float = -math.inf
    maximum: float = math.inf

    def __post_init__(self) -> None:
        """Check every part, wherever it comes from."""
        if not (isinstance(self.name, str) and re.fullmatch(r"[^\W\d][\w-]*", self.name)):
            raise ValueError(f"name is {self.name!r}; accepted are letters, digits, hyphens and underscores")
        if self.name in RESERVED:
            raise ValueError(f"name is {self.name!r}, which means something else in results; choose another word")
        if not (isinstance(self.unit, str) and self.unit.isprintable()):
            raise ValueError(f"unit is {self.unit!r}; accepted is a short text")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better is {self.better!r}; accepted are 'higher' and 'lower'")
        if not self.minimum < self.maximum:  # also where one is no number
            raise ValueError(f"minimum is {self.minimum!r}, and maximum {self.maximum!r} is not above it")

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1: times this, a better value is a larger one."""
        return 1 if self.better == "higher" else -1

    @property
    def best(self) -> float:
        """The best possible value; infinite if there is none."""
        return self.maximum if self.better == "higher" else self.minimum

    @property
    def metric(self) -> Metric:
        """The same as something that can be limited."""
        return Metric(self.name, self.unit, self.maximum, self.minimum)

    def allows(self, value: float) -> bool:
        """Tell whether a value is a number that is possible."""
        return math.isfinite(value) and self.minimum <= value <= self.maximum

    def is_better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another."""
        return self.sign * value > self.sign * other

    def error(self, value: float) -> float:
        """Return by how much a value falls short of the best possible one; infinite if there is none."""
        return self.sign * (self.best - value)

    @property
    def record(self) -> dict[str, str]:
        """Name, unit and direction, as results have them."""
        return {"name": self.name, "unit": self.unit, "better": self.better}

    @property
    def whole_record(self) -> dict[str, object]:
        """All of it as JSON values, which :meth:`of_record` reads; a bound that there is not is None."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {**self.record, **{name: value if math.isfinite(value) else None for name, value in bounds.items()}}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Quality:
        """Read what :attr:`whole_record` gives.

        Raises:
            ValueError: it is something else.
        """
        low, high = record["minimum"], record["maximum"]
        return cls(
            record["name"],
            record["unit"],
            record["better"],
            -math.inf if low is None else float(low),
            math.inf if high is None else float(high),
        )


RESERVED = frozenset(
    {"depth", "width", "seed", "size", "latency", "energy", "memory", "score", "estimated", "probability", "training"}
)
"""Words that stand for something else in results."""

ACCURACY = Quality("accuracy", "%", "higher", 0.0, 100.0)
"""What classifiers are trained for: the percentage of images that are given their class."""
