"""Events as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from fractions import Fraction
from pathlib import Path

from shape_dnn.errors import UsageError
from shape_dnn.events import Event
from shape_dnn.kinds import Observer


class JsonLines(Observer):
    """Appends every event to a file, one JSON object a line, for other programs to follow.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - close() closes it
        except OSError as error:
            message = f"observer.path={path}: cannot be written: {error.strerror}"
            raise UsageError(message, setting="option") from None

    def notify(self, event: Event) -> None:
        """Write and flush, so that a reader sees it at once."""
        record = {"time": time.time(), "event": type(event).__name__, **dataclasses.asdict(event)}
        self._file.write(json.dumps(record, default=_plain) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Fraction) else str(value)
