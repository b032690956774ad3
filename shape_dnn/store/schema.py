"""The format of a study file: its tables, and how files of former formats are brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from shape_dnn.system import durable

APPLICATION_ID = 0x53444E4E  # "SDNN", so that the file is not mistaken for another program's
SCHEMA_VERSION = 4

STOPS_AND_SEARCHES = """
-- By whom a training was stopped early, as canonical JSON, and what was asked if it decides by that.
CREATE TABLE stop (
    training INTEGER PRIMARY KEY REFERENCES training,
    terminator TEXT NOT NULL,      -- empty if that was not recorded
    question TEXT NOT NULL
);
-- What a run of tune asked, as canonical JSON, and the last training that there was when it began.
CREATE TABLE search (
    run INTEGER PRIMARY KEY REFERENCES run,
    question TEXT NOT NULL,
    began INTEGER NOT NULL
);
"""
"""The tables that the third format added."""

EPOCHS = """
CREATE TABLE epoch (
    training INTEGER NOT NULL REFERENCES training,
    number INTEGER NOT NULL,
    loss REAL,                     -- if it was told
    quality REAL NOT NULL,
    more TEXT NOT NULL,            -- other numbers that were told, as a JSON object
    PRIMARY KEY (training, number)
) WITHOUT ROWID;
"""
"""The learning curves, as the fourth format has them."""

SCHEMA = (
    """
-- What determines a family of facts apart from the shape, as canonical JSON.
CREATE TABLE context (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,            -- a metric, or 'training'
    digest TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL
);
-- Versions of plugins and libraries, as canonical JSON.
CREATE TABLE provenance (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
);
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY,
    context INTEGER NOT NULL REFERENCES context,
    depth INTEGER NOT NULL,
    width TEXT NOT NULL,           -- an exact fraction
    attempt INTEGER NOT NULL,
    value REAL,
    low REAL,
    high REAL,
    status TEXT NOT NULL,
    details TEXT NOT NULL,
    provenance INTEGER NOT NULL REFERENCES provenance,
    recorded REAL NOT NULL,        -- seconds since 1970
    UNIQUE (context, depth, width, attempt)
);
CREATE TABLE training (
    id INTEGER PRIMARY KEY,
    context INTEGER NOT NULL REFERENCES context,
    depth INTEGER NOT NULL,
    width TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    quality REAL,
    reason TEXT NOT NULL,
    seconds REAL,
    provenance INTEGER NOT NULL REFERENCES provenance,
    recorded REAL NOT NULL,
    UNIQUE (context, depth, width, attempt)
);
-- Quality on the test set of a finished training.
CREATE TABLE test (
    training INTEGER PRIMARY KEY REFERENCES training,
    quality REAL NOT NULL,
    recorded REAL NOT NULL
);
-- Commands that worked on the study.
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,         -- tune or measure
    settings TEXT NOT NULL,
    problem TEXT NOT NULL,
    contexts TEXT NOT NULL,        -- kind to context
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    state TEXT NOT NULL            -- running, done or interrupted
);
"""
    + EPOCHS
    + STOPS_AND_SEARCHES
)

MIGRATIONS: Mapping[int, str] = {
    1: """
ALTER TABLE measurement RENAME TO measurement_1;
CREATE TABLE measurement (
    id INTEGER PRIMARY KEY,
    context INTEGER NOT NULL REFERENCES context,
    depth INTEGER NOT NULL,
    width TEXT NOT NULL,           -- an exact fraction
    attempt INTEGER NOT NULL,
    value REAL,
    low REAL,
    high REAL,
    status TEXT NOT NULL,
    details TEXT NOT NULL,
    provenance INTEGER NOT NULL REFERENCES provenance,
    recorded REAL NOT NULL,        -- seconds since 1970
    UNIQUE (context, depth, width, attempt)
);
INSERT INTO measurement SELECT id, context, depth, width, 1, value, low, high, status, details, provenance, recorded
    FROM measurement_1;
DROP TABLE measurement_1;
""",
    2: f"""{STOPS_AND_SEARCHES}
INSERT INTO stop SELECT id, '', '' FROM training WHERE accuracy IS NULL AND reason LIKE 'stopped by %';
""",  # noqa: S608 - constants
    3: f"""
ALTER TABLE training RENAME COLUMN accuracy TO quality;
ALTER TABLE test RENAME COLUMN accuracy TO quality;
ALTER TABLE epoch RENAME TO epoch_3;
{EPOCHS}
INSERT INTO epoch SELECT training, number, loss, accuracy, '{{}}' FROM epoch_3;
DROP TABLE epoch_3;
""",  # noqa: S608 - constants
}
"""How to make the next format of each former one."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of a block or nothing, while no other process writes."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends the transaction by itself
            connection.execute("ROLLBACK")
        raise


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new study file, or see that an old one can be used.

    Raises:
        sqlite3.DatabaseError: the file is not a study, or made by a later version of this program.
    """
    connection.execute("PRAGMA foreign_keys = ON")
    # The write-ahead log of common SQLite versions can corrupt a file; the rollback journal with EXTRA is the
    # most durable mode there is.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    if _is_empty(connection):
        with transaction(connection):
            if _is_empty(connection):  # and was not made by another process meanwhile
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    version = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise sqlite3.DatabaseError("it belongs to another program")
    if version > SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"its format is {version}, and this program reads {SCHEMA_VERSION}; upgrade it")
    if version < SCHEMA_VERSION:
        _migrate(connection, path, version)


def is_ours(path: Path) -> bool:
    """Tell from its first bytes whether a file is a study file, damaged or not."""
    with path.open("rb") as file:
        header = file.read(100)
    return header.startswith(b"SQLite format 3") and header[68:72] == APPLICATION_ID.to_bytes(4)


def _is_empty(connection: sqlite3.Connection) -> bool:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables and not _pragma(connection, "application_id")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Bring a study of a former format up to date, after copying it; all of it or nothing."""
    copy = path.with_name(f"{path.stem}.format-{version}{path.suffix}")
    if not copy.exists():
        partial = copy.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial)) as other:
            connection.backup(other)
        durable.rename(partial, copy)
    with transaction(connection):
        # Another process may have done it while this one waited for the transaction.
        for former in range(_pragma(connection, "user_version"), SCHEMA_VERSION):
            for statement in MIGRATIONS[former].split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
