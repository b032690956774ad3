"""A consistent copy of a study file that another process may be writing, without its locks."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from shape_dnn.errors import StudyError
from shape_dnn.system import durable

PATIENCE = 30.0
"""Seconds to wait for a moment in which nothing was written."""
JOURNAL = "-journal"

Stamp = tuple[object, ...]


def take(path: Path, copy: Path) -> None:
    """Copy a study file as it was after some transaction.

    SQLite keeps what a transaction replaces in a journal before it writes to the file. So a copy of the file with the
    journal that was there from before to after is what SQLite finds after a crash, and undoes when it opens it.

    Args:
        path: of the file.
        copy: of the file to make, in a directory of its own.

    Raises:
        StudyError: it was written to all the time.
        OSError: it cannot be read, or the copy not written.
    """
    journal, copied_journal = path.with_name(path.name + JOURNAL), copy.with_name(copy.name + JOURNAL)
    since = time.monotonic()
    while time.monotonic() < since + PATIENCE:
        before = _stamp(path, journal)
        shutil.copyfile(path, copy)
        copied_journal.unlink(missing_ok=True)
        if _is_listed(journal):
            with suppress(FileNotFoundError):
                shutil.copyfile(journal, copied_journal)
        if _stamp(path, journal) == before:
            return
        time.sleep(0.05)
    raise StudyError(f"study file {str(path)!r} was written to all the time, {PATIENCE:.0f} s long; ask again later")


def renew(path: Path) -> None:
    """Give a study file that a lost process may still have open a new identity: what that writes is written nowhere.

    Raises:
        OSError: it cannot be read or written.
        sqlite3.Error: it is damaged.
    """
    copy, journal = path.with_name(f".partial-{path.name}"), path.with_name(path.name + JOURNAL)
    copied_journal = copy.with_name(copy.name + JOURNAL)
    copied_journal.unlink(missing_ok=True)
    shutil.copyfile(path, copy)
    durable.permit_as(copy, path)
    if _is_listed(journal):
        # It has the name of the file that it belongs to in it only where several files are written together.
        shutil.copyfile(journal, copied_journal)
    with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?vfs=unix-none", uri=True)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()  # undoes what was not finished
    copied_journal.unlink(missing_ok=True)
    copy.replace(path)
    journal.unlink(missing_ok=True)


def _stamp(path: Path, journal: Path) -> Stamp:
    """Return what changes when something is written: SQLite's counter of changes, and what is told of both files."""
    with path.open("rb") as file:
        counter = file.read(28)[24:]
    file_stat = path.stat()
    stamp = (counter, file_stat.st_mtime_ns, file_stat.st_size)
    if _is_listed(journal):
        with suppress(FileNotFoundError):
            journal_stat = journal.stat()
            return (*stamp, journal_stat.st_ino, journal_stat.st_size)
    return stamp


def _is_listed(path: Path) -> bool:
    """Tell whether a file is there, which another machine may have made since it was last looked for.

    NFS answers from memory, for up to a minute, that there is no file of a name. It asks its server when a directory is
    listed, and then for names in it anew.
    """
    return path.name in os.listdir(path.parent)  # noqa: PTH208 - names are enough
