"""What a recorded table tells of how it was recorded, in its comments as ``shape-dnn record`` writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

RECIPE = "recipe."
"""Begins the name of a part of the recipe; any other name is that of a setting, or of an option such as
``dataset.size``."""


def told(comments: Sequence[str], name: str) -> str | None:
    """Return the value that a setting or option had, as text; None if the comments do not tell.

    The flags of the recording stand in one comment, and all parts of the recipe in another:
    ``# validation accuracy …; --dataset digits --epochs 3`` and ``# recipe: epochs 3, lr 0.2, milestones (0.3, 0.6)``.
    """
    if name in ("epochs", "lr") or name.startswith(RECIPE):
        part = re.escape(name.removeprefix(RECIPE))
        in_recipe = rf"^# recipe:(?:.*,)? {part} (\([^)]*\)|[^,]+)"
        found = _first(comments, in_recipe)
        if found is not None:
            return found
    flag = rf"-o {re.escape(name)}=" if "." in name else rf"--{name.replace('_', '-')}[ =]"
    return _first(comments, rf"(?:^|\s){flag}(\S+)")


def is_same(value: object, told: str) -> bool:
    """Tell whether a value is the one that is told, however it is written: ``0.10`` is ``0.1``."""
    return _plain(str(value)) == _plain(told)


def _first(comments: Sequence[str], pattern: str) -> str | None:
    matches = (re.search(pattern, comment) for comment in comments)
    return next((match[1].strip() for match in matches if match), None)


def _plain(text: str) -> list[float | str]:
    return [_number(part.strip().lower()) for part in text.strip("() ").split(",")]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
