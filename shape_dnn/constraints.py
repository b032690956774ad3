"""Limits on metrics, and the units they are written in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn.errors import UsageError
from shape_dnn.shape import exact
from shape_dnn.system.text import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class Metric:
    """A property of a shape that can be limited.

    Attributes:
        name: the word used in flags and results.
        unit: unit of every value of the metric; a limit may also be written in other units of the same quantity.
        maximum: largest value that makes sense, if there is one.
        minimum: smallest value that makes sense.
    """

    name: str
    unit: str
    maximum: float = math.inf
    minimum: float = 0.0

    def parse(self, text: str) -> float:
        """Read a quantity such as ``2MB`` or, in the metric's own unit, ``2``.

        Raises:
            UsageError: the text is not a number, its unit is not accepted, or the value is not possible.
        """
        units = {"": Fraction(1), self.unit: Fraction(1), **SCALES.get(self.unit, {})}
        match = re.fullmatch(r"\s*([-+]?[0-9./]+(?:[eE][-+]?[0-9]{1,2})?)\s*(.*?)\s*", text)
        if match is None or match[2] not in units:
            raise self._refusal(text, units)
        try:
            value = float(exact(match[1]) * units[match[2]])
        except ValueError:
            raise self._refusal(text, units) from None
        if not self.minimum <= value <= self.maximum:
            raise UsageError(f"{text!r} is not a possible {self.name}, which is {self.range} {self.unit}".rstrip())
        return value

    @property
    def range(self) -> str:
        """The possible values, in words."""
        if math.isinf(self.maximum):
            return f"at least {self.minimum:g}"
        return f"at most {self.maximum:g}" if math.isinf(self.minimum) else f"from {self.minimum:g} to {self.maximum:g}"

    def _refusal(self, text: str, units: Iterable[str]) -> UsageError:
        accepted = ", ".join(unit for unit in units if unit)
        hint = f"; write a number and, if you like, one of {accepted}" if accepted else "; write a number"
        return UsageError(f"{text!r} is not a limit on {self.name}{hint}")


def _scales(**powers_of_ten: int) -> dict[str, Fraction]:
    return {unit: Fraction(10) ** power for unit, power in powers_of_ten.items()}


SCALES: Mapping[str, Mapping[str, Fraction]] = {
    "MB": _scales(B=-6, kB=-3, KB=-3, GB=3)
    | {unit: Fraction(1024**power, 10**6) for power, unit in enumerate(("KiB", "MiB", "GiB"), start=1)},
    "ms": _scales(ns=-6, us=-3, s=3),
    "J": _scales(uJ=-6, mJ=-3, kJ=3),
}
"""Units in which a limit may be written, by the unit of the metric, each with its size in that unit."""

SIZE = Metric("size", "MB")
LATENCY = Metric("latency", "ms")
ENERGY = Metric("energy", "J")

KNOWN_METRICS: Mapping[str, Metric] = {metric.name: metric for metric in (SIZE, LATENCY, ENERGY)}


def base_of(metric: str) -> str:
    """Return the name of a metric without the target that it is measured on: ``latency`` for ``latency@pi``."""
    return metric.partition("@")[0]


def known_metric(name: str) -> Metric | None:
    """Return a metric whose unit is known from its name, which may name a target, too; None for any other metric."""
    found = KNOWN_METRICS.get(base_of(name))
    return None if found is None else replace(found, name=name)


@dataclass(frozen=True)
class Constraint:
    """An upper or a lower limit on a metric; a value equal to the limit complies.

    Attributes:
        metric: name of the metric.
        upper: whether ``limit`` is the largest rather than the smallest accepted value.
        limit: in the unit of the metric.
        unit: the unit of the metric, for messages.
    """

    metric: str
    upper: bool
    limit: float
    unit: str = ""

    def allows(self, value: float | None) -> bool:
        """Tell whether a shape with this value complies. A shape whose value could not be obtained does not."""
        if value is None:
            return False
        return value <= self.limit if self.upper else value >= self.limit

    @property
    def bound(self) -> str:
        """The limit as a comparison, such as ``<= 2``."""
        return f"{'<=' if self.upper else '>='} {self.limit:.12g}"

    @property
    def in_words(self) -> str:
        """The limit for people, such as ``multiply-adds <= 2,000,000``."""
        return f"{self.metric} {grouped(self.bound)} {self.unit}".rstrip()

    def __str__(self) -> str:
        return f"{self.metric} {self.bound} {self.unit}".rstrip()


def check_consistent(constraints: Iterable[Constraint]) -> None:
    """Refuse two upper or two lower limits on the same metric, and limits that no value can meet.

    Raises:
        UsageError: limits are refused; the message names the two.
    """
    seen: dict[tuple[str, bool], Constraint] = {}
    for constraint in constraints:
        twin = seen.setdefault((constraint.metric, constraint.upper), constraint)
        if twin is not constraint:
            raise UsageError(f"{twin} and {constraint} limit the same metric twice; give one of them")
        other = seen.get((constraint.metric, not constraint.upper))
        if other is not None and not other.allows(constraint.limit):
            raise UsageError(f"{other} and {constraint} contradict each other: no value meets both")
