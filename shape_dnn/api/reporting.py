"""Reports that commands write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shape_dnn.errors import UsageError, describe
from shape_dnn.report.overview import Overview


def write_if_possible(overview: Callable[[], Overview], path: Path) -> Path | None:
    """Write a report. If that fails, only warn, so that the result is not lost."""
    from shape_dnn.report import page

    try:
        page.write(overview(), path)
    except Exception as error:  # noqa: BLE001 - the trainings before it took hours
        warnings.warn(f"there is no report: {describe(error)}", stacklevel=3)
        return None
    return path


def check_writable(path: Path, setting: str) -> None:
    """Check, before hours of training, that a file can be written where a setting wants it."""
    is_new = not path.exists()
    made = [directory for directory in path.parents if not directory.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}", setting=setting) from None
    if is_new:
        path.unlink()
    for directory in made:  # the innermost first; whoever has put something there meanwhile keeps it
        with suppress(OSError):
            directory.rmdir()
