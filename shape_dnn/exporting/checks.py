"""What is seen to before a network is built whose files may be a stranger's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shape_dnn.errors import ExportError, ShapeDnnError, describe
from shape_dnn.plugins.sources import Loaded
from shape_dnn.shape import Shape
from shape_dnn.system.text import visible


def check_identity(
    loaded: Loaded[Any], expected: Mapping[str, Any], parts: Sequence[str] = ("from", "options")
) -> None:
    """Refuse a plugin that is not the one that a network was trained with.

    Args:
        loaded: the plugin.
        expected: identity of the one that is needed.
        parts: of the identity that are compared.

    Raises:
        ExportError: it is another one; says how they differ.
    """
    here = loaded.identity
    for part in parts:
        if here[part] != expected[part]:
            was = f"it was {expected[part]!r} when the network was trained"
            name = f"{loaded.choice.kind} {here['name']!r}"
            raise ExportError(f"{name} is {here[part]!r} here, and {was}; that one is needed")


def read_shape(card: Mapping[str, Any]) -> Shape:
    """Read the shape off a card.

    Raises:
        ValueError: it is none.
    """
    return Shape.parse(f"{card['shape']['depth']},{card['shape']['fraction']}")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say which file cannot be used, whatever is wrong with it."""
    try:
        yield
    except ShapeDnnError:
        raise
    except Exception as error:
        raise ExportError(f"{str(path)!r} cannot be used: {visible(describe(error))[:200]}") from error
