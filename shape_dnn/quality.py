"""Quality: what a training is for. Standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shape_dnn.constraints import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Quality:
    """What trainings are judged by, such as accuracy in percent, perplexity or R².

    Attributes:
        name: the word used in limits, goals and results.
        unit: unit of its values; empty if it has none.
        better: whether a ``higher`` or a ``lower`` value is better.
        minimum: the smallest possible value; minus infinity if there is none.
        maximum: the largest possible value; infinity if there is none.

    Raises:
        ValueError: an attribute cannot be used; the message names it and says what is accepted.
    """

    name: str
    unit: str = ""
    better: Better = "higher"
    minimum: float = -math.inf
    maximum: float = math.inf

    def __post_init__(self) -> None:
        """Check every attribute, wherever it comes from."""
        if not (isinstance(self.name, str) and re.fullmatch(r"[^\W\d][\w-]*", self.name)):
            raise ValueError(f"name is {self.name!r}; accepted are letters, digits, hyphens and underscores")
        if self.name in RESERVED_QUALITIES:
            raise ValueError(f"name is {self.name!r}, which means something else in results; choose another word")
        if not (isinstance(self.unit, str) and self.unit.isprintable()):
            raise ValueError(f"unit is {self.unit!r}; accepted is a short text")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better is {self.better!r}; accepted are 'higher' and 'lower'")
        if not all(isinstance(b, int | float) and not isinstance(b, bool) for b in (self.minimum, self.maximum)):
            raise ValueError(f"minimum is {self.minimum!r}, maximum {self.maximum!r}; accepted are numbers")
        if not self.minimum < self.maximum:  # also where one is no number
            raise ValueError(f"minimum is {self.minimum!r}, and maximum {self.maximum!r} is not above it")

    @property
    def sign(self) -> int:
        """1 if higher is better, otherwise -1. Multiplied by this, a better value is always a larger one."""
        return 1 if self.better == "higher" else -1

    @property
    def best(self) -> float:
        """The best possible value; infinite if there is none."""
        return self.maximum if self.better == "higher" else self.minimum

    @property
    def percent(self) -> float:
        """One percent of its range, in its unit; 1 if it has none."""
        span = self.maximum - self.minimum
        return span / 100 if math.isfinite(span) else 1.0

    @property
    def metric(self) -> Metric:
        """The quality as a metric, which can be limited."""
        return Metric(self.name, self.unit, self.maximum, self.minimum)

    def allows(self, value: float) -> bool:
        """Tell whether a value is finite and possible."""
        return math.isfinite(value) and self.minimum <= value <= self.maximum

    def fractions_remark(self, values: Iterable[float]) -> str:
        """Say that percentages look like fractions, if the highest is above 0 and at most 1; otherwise say nothing."""
        highest = max(values, default=0.0)
        if self.unit != "%" or self.better == "lower" or not 0 < highest <= 1:
            return ""
        what = f"{self.name} is in percent, and {highest:g} % is the highest"
        return f"{what}; if it is meant as a fraction, give 100 times as much"

    def is_better(self, value: float, other: float) -> bool:
        """Tell whether a value is better than another."""
        return self.sign * value > self.sign * other

    def error(self, value: float) -> float:
        """Return by how much a value falls short of the best possible one; infinite if there is none."""
        return self.sign * (self.best - value)

    def heading(self, what: str) -> str:
        """Write the heading of a column of values, such as ``trained [%]`` or ``trained [perplexity]``."""
        return f"{what} [{self.unit or self.name}]"

    def number(self, value: float, digits: int = 4) -> str:
        """Write a value without its unit, with so many digits. Of a percentage, two of them stand before the point."""
        if self.unit == "%":
            return f"{value:,.{digits - 2}f}"
        if abs(value) >= 10 ** (digits - 1):  # no digit before the point is left out
            return f"{value:,.0f}" if abs(value) < MOST_WRITTEN_OUT else f"{value:.{digits}g}"
        return f"{value:#,.{digits}g}".rstrip(".")

    def with_unit(self, value: float, digits: int = 4) -> str:
        """Write a value with its unit, if it has one."""
        return f"{self.number(value, digits)} {self.unit}".rstrip()

    def phrase(self, value: float, digits: int = 4) -> str:
        """Write a value so that it can stand by itself, such as ``91.20 %`` or ``perplexity 31.20``."""
        return ("" if self.unit else f"{self.name} ") + self.with_unit(value, digits)

    def spread(self, value: float) -> str:
        """Write a difference of two values, or a standard deviation, without its unit."""
        return self.number(value, 4 if self.unit == "%" else 2)

    def difference(self, value: float, sign: str = "") -> str:
        """Write a difference to stand by itself, such as ``0.30 points``, ``0.35 dB`` or ``0.35 in perplexity``.

        Args:
            value: the difference.
            sign: ``+`` to write the sign of a positive difference, too.
        """
        number = (sign if value >= 0 else "") + self.spread(value)
        if self.unit == "%":
            return f"{number} points"
        return f"{number} {self.unit}" if self.unit else f"{number} in {self.name}"

    @property
    def record(self) -> dict[str, str]:
        """Name, unit and direction, as they stand in results."""
        return {"name": self.name, "unit": self.unit, "better": self.better}

    @property
    def whole_record(self) -> dict[str, object]:
        """The whole quality as JSON values, which :meth:`of_record` reads. A bound that does not exist is None."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {**self.record, **{name: value if math.isfinite(value) else None for name, value in bounds.items()}}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Quality:
        """Read what :attr:`whole_record` gives.

        Raises:
            ValueError: the record is something else.
        """
        low, high = record["minimum"], record["maximum"]
        return cls(
            record["name"],
            record["unit"],
            record["better"],
            -math.inf if low is None else float(low),
            math.inf if high is None else float(high),
        )


OF_RESULTS = frozenset({"depth", "width", "seed", "training", "predicted_std", "score", "estimated", "probability"})
"""Words that stand for something else in results, whatever trainings are judged by."""
RESERVED_METRICS = OF_RESULTS | {"accuracy", "predicted_accuracy", "test_accuracy"}
"""Words that no metric can be called, since they stand for something else in results, beside metrics."""
RESERVED_QUALITIES = OF_RESULTS.union(
    ("shape", "size", "file-size", "latency", "energy", "memory", "std", "smaller", "again", "reason", "number"),
    ("curve", "seconds", "stop", "repetitions", "time", "event", "done", "total", "traceback"),
)
"""Words that no quality can be called, since they stand for something else in results, or in what observers write."""

MOST_WRITTEN_OUT = 1e7
"""From this value on, numbers are written with an exponent."""

ACCURACY = Quality("accuracy", "%", "higher", 0.0, 100.0)
"""What classifiers are trained for: the percentage of images that are assigned to their class."""
