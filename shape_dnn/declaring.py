"""How settings are declared: what each is for, and what values it takes.

Standard library only: questions to a study are answered in less time than validation libraries take to be imported.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ValueKind:
    """What values a setting takes.

    Attributes:
        read: makes a value of what the user gave, often text; raises a ValueError that says what it should be.
        metavar: what stands for a value in the help of the command.
        words: the values that there are, if they can be told.
    """

    read: Callable[[object], object]
    metavar: str = "NAME"
    words: tuple[str, ...] = ()


def _text(value: object) -> str:
    """Accept text, and numbers, fractions and ranges where their text is meant."""
    if value is None or isinstance(value, bool | list | tuple | Mapping):
        raise ValueError("text")
    text = str(value)
    if "\0" in text:
        raise ValueError("text without a NUL character")
    if not text.strip():
        raise ValueError("text that is not empty")
    return text


def _texts(value: object) -> tuple[str, ...]:
    """Accept a list of texts, a single one, and a mapping for ``NAME=VALUE`` pairs."""
    if isinstance(value, Mapping):
        return tuple(f"{name}={item}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(_text, value))
    return (_text(value),)


def _names(value: object) -> tuple[str, ...]:
    """Accept names separated by commas, and lists of such texts."""
    return tuple(name.strip() for text in _texts(value) for name in text.split(","))


def _flag(value: object) -> bool:
    """Accept true and false, and words for them."""
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    word = str(value).strip().lower()
    if word not in words:
        raise ValueError("true or false")
    return words[word]


def whole(least: int, most: float = math.inf) -> ValueKind:
    """Accept whole numbers in a range."""

    def read(value: object) -> int:
        text = str(value).strip().removesuffix(".0")
        number = int(text) if re.fullmatch("[-+]?[0-9]{1,30}", text) else least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise ValueError(f"a whole number from {least}" + (f" to {most}" if most < math.inf else ""))
        return number

    return ValueKind(read, "N")


def real(least: float, *, or_equal: bool) -> ValueKind:
    """Accept finite numbers above, or from, a least one."""

    def read(value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (ValueError, TypeError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and (number > least or (or_equal and number == least))):
            raise ValueError(f"a number {'from' if or_equal else 'above'} {least:g}")
        return number

    return ValueKind(read, "X")


def one_of(*words: str) -> ValueKind:
    """Accept one of some words."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(" or ".join(map(repr, words)))
        return str(value)

    return ValueKind(read, "|".join(words), words)


TEXT, TEXTS, NAMES, FLAG = ValueKind(_text), ValueKind(_texts), ValueKind(_names), ValueKind(_flag, "")


class Group(enum.Enum):
    """What settings are for: the parts of the help, in their order. Each has a heading."""

    LIMITS = "Limits (what a shape must meet)"
    GOAL = "Goal (what makes a shape the best)"
    SPACE = "Space (which shapes to choose from, and what they learn)"
    SEARCH = "Search (what is trained, and what is predicted)"
    TRAINING = "Training (how a shape is trained)"
    MEASURING = "Measuring (what ships, and where it runs)"
    OUTPUT = "Output (what is written and shown)"
    GENERAL = "Plugins and configuration"


def setting(group: Group, default: T, description: str, kind: ValueKind = TEXT, metavar: str = "") -> T:
    """Declare a setting, with None for a default if it may be left open.

    Args:
        group: what it is for.
        default: value unless the user gives one.
        description: for the help of the command. The first sentence can stand alone.
        kind: what values it takes.
        metavar: what stands for a value in the help; by default that of the kind.
    """
    metadata = {
        "group": group,
        "description": description,
        "kind": kind,
        "metavar": metavar or kind.metavar,
    }
    declared: T = dataclasses.field(default=default, metadata=metadata)
    return declared


@dataclass(frozen=True)
class Setting:
    """What is declared of a setting.

    Attributes:
        default: its value unless the user gives one.
        group: what it is for.
        description: for the help of the command. The first sentence can stand alone.
        kind: what values it takes.
        metavar: what stands for a value in the help.
    """

    default: object
    group: Group
    description: str
    kind: ValueKind
    metavar: str
