"""Functions of a trainer that are given in Python, as settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shape_dnn.errors import UsageError
from shape_dnn.quality import ACCURACY
from shape_dnn.settings import SETTINGS
from shape_dnn.training.functions import GIVEN, Functions
from shape_dnn.training.reading import keep

BESIDE_TRAIN = tuple(name for name in GIVEN if name != "train")
"""What may be given besides the function that trains and its quality."""


def by_file(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which a trainer's functions are replaced by a file in the study, where workers find them.

    Args:
        given: settings, in which ``trainer`` may be a function, together with any of :data:`BESIDE_TRAIN` and
            ``quality``. None counts as not given.

    Raises:
        UsageError: functions are given for a trainer that is not a function itself, or they cannot be sent to other
            processes.
    """
    settings = dict(given)
    declared = {name: value for name in BESIDE_TRAIN if (value := settings.pop(name, None)) is not None}
    quality, trainer = settings.pop("quality", ACCURACY), settings.get("trainer")
    if trainer is None:
        settings.pop("trainer", None)
    if callable(trainer):
        where = f"function {getattr(trainer, '__qualname__', type(trainer).__name__)}"
        directory = Path(settings.get("study", SETTINGS["study"].default)) / "trainers"
        settings["trainer"] = str(keep(Functions(where, trainer, quality=quality, **declared), directory))
    elif declared or quality is not ACCURACY:
        beside = next(iter(declared), "quality")
        raise UsageError(f"{beside} goes with a function, and trainer is {trainer!r}", setting="trainer")
    return settings
