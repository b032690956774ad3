"""Misspelt names."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is probably meant; empty if none is like it."""
    import difflib  # only for those who misspell

    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "")


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which name is probably meant, or else which there are."""
    names = sorted(known)
    close = closest(name, names)
    return f"did you mean {close}?" if close else f"known are {', '.join(names)}"
