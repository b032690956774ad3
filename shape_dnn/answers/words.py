"""How numbers, deployments, recipes and priors are written for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from shape_dnn.quality import MOST_WRITTEN_OUT

if TYPE_CHECKING:
    from shape_dnn.constraints import Constraint

AS_TRAINED = "in float32"
"""The heading of the qualities that networks had before they were converted."""


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with a sensible precision; a value that is not known is a dash."""
    if value is None:
        return "-"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.10g}" if 100 <= abs(float(text)) < MOST_WRITTEN_OUT else text


def beside(limits: Iterable[Constraint], value: float, write: Callable[[float, int], str]) -> str:
    """Write a value with as many digits as it needs to be, as written, on the same side of its limits."""
    known = [(limit, limit.allows(value)) for limit in limits]
    texts = (write(value, digits) for digits in range(4, 17))
    told = (text for text in texts if all(limit.allows(float(text.replace(",", ""))) == side for limit, side in known))
    return next(told, write(value, 17))


def deployment_in_words(deployment: Mapping[str, Any]) -> str:
    """Say what ships and where it runs, given its record in a result; empty for plain torch on this machine."""
    name, precision, target = (deployment[part] for part in ("name", "precision", "target"))
    if (name, precision, target) == ("torch", "float32", "local"):
        return ""
    what = f"as {name} {precision}"
    if not isinstance(target, Mapping):
        return what if target == "local" else f"{what} on {target}"
    places = [each if each == address else f"{each} ({address})" for each, address in target.items()]
    return f"{what} on {' and '.join(places)}"


def recipe_lines(recipe: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Say, in a line for each of those who had a part in a recipe, what they have set."""
    for setter in dict.fromkeys(part["from"] for part in recipe.values()):
        parts = {name: part["value"] for name, part in recipe.items() if part["from"] == setter}
        yield f"{setter}: " + ", ".join(f"{name} {notation(value)}" for name, value in parts.items())


def prior_in_words(prior: Mapping[str, object]) -> str:
    """Say what the accuracy model knew from elsewhere, given the record of that in a result."""
    weight = "" if prior["weight"] is None else f", weight {prior['weight']:.2f}"
    return f"{prior['trainings']:,} shapes of {prior['path']}{weight}"


def notation(value: object) -> str:
    """Write the value of a part of a recipe: text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
