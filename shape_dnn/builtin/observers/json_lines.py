"""Events as lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from shape_dnn.errors import UsageError
from shape_dnn.events import Event, SearchStarted
from shape_dnn.kinds import Observer
from shape_dnn.quality import ACCURACY


class JsonLines(Observer):
    """Appends every event to a file, one JSON object a line, for other programs to follow.

    A quality stands under its name, as in results.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - close() closes it
        except OSError as error:
            message = f"observer.path={path}: cannot be written: {error.strerror}"
            raise UsageError(message, setting="option") from None
        self._quality = ACCURACY

    def notify(self, event: Event) -> None:
        """Write and flush, so that a reader sees it at once."""
        record = {"time": time.time(), "event": type(event).__name__}
        if isinstance(event, SearchStarted):
            self._quality = event.quality
            record |= {"settings": event.settings, "shapes": event.shapes}
            record |= {} if event.quality == ACCURACY else {"quality": event.quality.record}
        else:
            record |= dataclasses.asdict(event, dict_factory=self._named)
        self._file.write(json.dumps(record, default=_plain) + "\n")
        self._file.flush()

    def _named(self, fields: Sequence[tuple[str, object]]) -> dict[str, object]:
        """Return the fields of an event, or of a record in it, without numbers of an epoch that nobody told."""
        names = {"quality": self._quality.name}
        if self._quality.name == "loss":
            names["loss"] = "training_loss"
        return {names.get(name, name): value for name, value in fields if name != "more" or value}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Fraction) else str(value)
