"""What is in a study file, made values again; what makes no sense is refused."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from shape_dnn.shape import Shape, exact
from shape_dnn.store.families import Family


def shape(depth: int, width: str) -> Shape:
    """Return a shape."""
    if not (isinstance(depth, int) and depth > 0):
        raise ValueError(f"a depth is {depth!r}")
    return Shape(depth, _width(width))


@functools.cache  # many shapes have few widths
def _width(text: str) -> Fraction:
    width = exact(text)
    if width <= 0:
        raise ValueError(f"a width is {text!r}")
    return width


def number(value: float | None, most: float = math.inf) -> float | None:
    """Return a number from 0 to ``most``, or None."""
    if value is not None and not (isinstance(value, float | int) and 0 <= value <= most and value < math.inf):
        raise ValueError(f"a value is {value!r}")
    return value


def quality(value: float | None, *, is_percent: bool) -> float | None:
    """Return a quality, from 0 to 100 if it is an accuracy in percent, or None."""
    if is_percent:
        return number(value, 100.0)
    if value is not None and not (isinstance(value, float | int) and math.isfinite(value)):
        raise ValueError(f"a quality is {value!r}")
    return value


def numbers(text: str) -> dict[str, float]:
    """Read a JSON object of numbers."""
    return {name: float(value) for name, value in mapping(text).items()}


def interval(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return the ends of an interval."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"an interval is from {low!r} to {high!r}")
    return number(low), number(high)


def name(digest: object) -> str:
    """Return a digest as the name of a directory; a study of a stranger may have anything in its place."""
    if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{32}", digest)):
        raise ValueError(f"a digest is {digest!r:.60}")
    return digest


def contexts(text: str) -> dict[Family, int]:
    """Read the families of a run, each with its number."""
    return {Family.parse(name): int(number) for name, number in mapping(text).items()}


def mapping(text: str) -> dict[str, Any]:
    """Read a JSON object."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise TypeError(f"{text[:40]!r} is no mapping")
    return content


def digest(kind: str, identity: Mapping[str, object]) -> str:
    """Return the name of a family of facts by what determines it."""
    return hashlib.blake2b(f"{kind}\n{canonical(identity)}".encode(), digest_size=16).hexdigest()


def canonical(value: object) -> str:
    """Write JSON that is the same text whenever the value is the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
