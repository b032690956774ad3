"""Options of plugins: whether they are declared rightly, and their values from text."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from shape_dnn.errors import UsageError
from shape_dnn.kinds import Option, OptionValue
from shape_dnn.shape import exact


def parse(label: str, option: Option, value: object) -> OptionValue:
    """Convert a value, often text, to the type of the option.

    Raises:
        UsageError: names the option, the value and what is accepted.
    """
    wanted = type(option.default)
    text = str(value).strip()
    parsed: OptionValue
    try:
        if wanted is bool:
            parsed = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        elif wanted is str:
            parsed = str(value)
        elif wanted is Fraction:
            parsed = exact(text)
        elif wanted is int:
            parsed = int(text)
        else:
            parsed = _finite(text)
    except (KeyError, ValueError):
        names = {bool: "true or false", int: "a whole number", float: "a number", Fraction: "a number or a fraction"}
        raise UsageError(f"{label}={value}: expected {names.get(wanted, wanted.__name__)}", setting="option") from None
    if option.choices and parsed not in option.choices:
        accepted = ", ".join(str(choice) for choice in option.choices)
        raise UsageError(f"{label}={value}: accepted are {accepted}", setting="option")
    if not _is_inside(option, parsed):
        raise UsageError(f"{label}={value}: accepted are {_bounds(option)}", setting="option")
    return parsed


def _is_inside(option: Option, value: OptionValue) -> bool:
    """Tell whether a value lies within the bounds of its option, if that has any; no text does."""
    if option.minimum is None and option.maximum is None:
        return True
    if isinstance(value, str):
        return False
    is_low = option.minimum is not None and value < option.minimum
    return not (is_low or (option.maximum is not None and value > option.maximum))


def _bounds(option: Option) -> str:
    low = "" if option.minimum is None else f" from {option.minimum:g}"
    high = "" if option.maximum is None else f" to {option.maximum:g}"
    return f"numbers{low}{high}"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def complete(declared: Mapping[str, Option], factory: Callable[..., object]) -> dict[str, Option]:
    """Return options with those defaults that the factory has for its parameters.

    Raises:
        TypeError: it has none, or one that an option cannot have.
    """
    found = dict(declared)
    for name, option in declared.items():
        if option.default is None:
            parameter = inspect.signature(factory).parameters.get(name)
            if parameter is None or parameter.default is parameter.empty:
                raise TypeError(f"option {name!r} has no default, and no parameter of the factory has one for it")
            wrong = _fault_of_default(option, parameter.default)
            if wrong:
                raise TypeError(f"option {name!r} {wrong}")
            found[name] = dataclasses.replace(option, default=parameter.default)
    return found


def fault_of(name: object, option: object) -> str:
    """Say what is wrong with the declaration of an option; nothing if it is right."""
    if not (isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        return "has a name that is not made of lower-case letters, digits and underscores, a letter first"
    if not isinstance(option, Option):
        return f"is a {type(option).__name__} instead of a shape_dnn.Option"
    return "" if option.default is None else _fault_of_default(option, option.default)


def _fault_of_default(option: Option, default: Any) -> str:
    if not isinstance(default, str | int | float | Fraction):
        return f"has the default {default!r:.40}; accepted are text, numbers, fractions, true and false"
    if isinstance(default, float) and not math.isfinite(default):
        return f"has the default {default}, which is not finite"
    if option.choices and default not in option.choices:
        return f"has the default {default!r}, which is none of its choices"
    if not _is_inside(option, default):
        return f"has the default {default!r}, and accepted are {_bounds(option)}"
    return ""
