"""Studies as a whole: finding, merging and deleting them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from shape_dnn.errors import ShapeDnnError, StudyError, UsageError, blame
from shape_dnn.kinds import Executor
from shape_dnn.plugins.registry import Registry
from shape_dnn.store import journal, merging, schema
from shape_dnn.store.database import FILE_NAME, no_study
from shape_dnn.store.facts import Store
from shape_dnn.store.merging import Merged

CONTENT = (
    "weights", "checkpoints", "artifacts", "images", "trainers", "*.format-*", journal.FILE_NAME,
    f"{FILE_NAME}-journal", FILE_NAME, f".partial-{FILE_NAME}*", "executor", "lock", "lease*",
)  # fmt: skip
"""What belongs to a study, in the order in which it is deleted: the file that makes it a study comes towards the
end."""


def find(root: Path) -> Iterator[dict[str, object]]:
    """Yield path, state and counts of each study in a directory and below it, in the order of their paths.

    If a study cannot be read, its state says why.

    Raises:
        UsageError: the directory does not exist.
    """
    if not root.is_dir():
        raise UsageError(f"DIRECTORY: {str(root)!r} is not a directory")
    for path in sorted(root.rglob(FILE_NAME)):
        try:
            with closing(Store(path.parent, create=False)) as store:
                yield {"path": str(path.parent), **store.summary()}
        except ShapeDnnError as error:
            unknown = dict.fromkeys(("measured", "trained", "failed", "updated"))
            yield {"path": str(path.parent), "state": f"unreadable: {error}", **unknown}


def merge(source: Path, into: Path) -> Merged:
    """Add to a study what another one knows and it does not. The other study stays as it is.

    If ``into`` already has a value of a shape, it keeps that value. Searches are taken over only by a study that has
    none, so that questions to any other study still refer to its own searches.

    Args:
        source: directory of the study to read; it need not be writable.
        into: directory of the study to add to; it is made if it does not exist.

    Raises:
        UsageError: one of the directories is no study, or they are the same.
        StudyError: one of the studies is in use, or cannot be read or written.
    """
    if source.resolve() == into.resolve():
        raise UsageError(f"{str(source)!r} cannot be merged into itself")
    with ExitStack() as stack:
        theirs = stack.enter_context(closing(Store(source, create=False)))
        ours = stack.enter_context(closing(Store(into)))
        theirs.runs.lock_if_writable()
        ours.runs.lock()
        return merging.merge(ours, theirs)


def delete(directory: Path) -> list[Path]:
    """Delete a study and nothing else; return what else lies in its directory, which is then kept.

    Work that its executors have left running is ended first.

    Raises:
        UsageError: there is no study in the directory.
        StudyError: the study is in use, some of its work still runs and cannot be ended, or something cannot be
            deleted.
    """
    if not (directory / FILE_NAME).is_file():
        raise UsageError(no_study(directory))
    if not schema.is_ours(directory / FILE_NAME):
        raise UsageError(f"{str(directory / FILE_NAME)!r} is not a study file; delete it yourself if you mean to")
    with closing(Store(directory, create=False)) as store:
        store.runs.lock()
        _end_work(directory / "executor")
        try:
            for pattern in CONTENT:
                for path in directory.glob(pattern):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
            others = sorted(directory.iterdir())
            if not others and not directory.is_symlink():
                directory.resolve().rmdir()  # one called "." cannot be removed by that name
        except OSError as error:
            raise StudyError(f"{error.filename!r} cannot be deleted: {error.strerror}") from error
    return others


def _end_work(left: Path) -> None:
    """Have each executor that has left a directory end the work that goes on without a search.

    Raises:
        StudyError: an executor cannot end its work, or is not installed here.
    """
    for place in sorted(path for path in left.glob("*") if path.is_dir()):
        try:
            executor: Executor = Registry().load("executor", place.name).instance
            executor.directory = place.resolve()
            with blame(executor):
                executor.abandon()
        except ShapeDnnError as error:
            why = error.message if isinstance(error, UsageError) else str(error)
            remedy = f"if nothing does, delete {str(place)!r} yourself before"
            raise StudyError(f"something of this study may still run, and cannot be ended: {why}; {remedy}") from error
