"""Taking over what another study knows."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

from shape_dnn.store import decoding, journal
from shape_dnn.store.facts import Store
from shape_dnn.system import durable


class Merged(NamedTuple):
    """What came of merging another study: facts that were added, and facts that were not needed."""

    measurements: int
    trainings: int
    known: int


def merge(store: Store, other: Store) -> Merged:
    """Add what another study knows of shapes that have no value here; all of it or nothing."""
    other.check()
    connection = store.database.connection
    with store.database.naming_errors():
        connection.execute("ATTACH ? AS theirs", (other.database.location,))
    try:
        with store.database.transaction():
            for table in ("context", "provenance"):
                columns = "kind, digest, identity" if table == "context" else "content"
                insert = f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM theirs.{table}"  # noqa: S608 - constants
                connection.execute(insert)
            measurements = _take(connection, "measurement", "value", "value, low, high, status, details, recorded")
            trainings = _take(connection, "training", "quality", "quality, reason, seconds, recorded")
            for theirs, ours in trainings.items():
                _take_parts(store, other, theirs, ours)
            takes_runs = _take_runs(connection, trainings)
            ((all_of_them,),) = connection.execute(
                "SELECT (SELECT count(*) FROM theirs.measurement) + (SELECT count(*) FROM theirs.training)"
            )
    finally:
        connection.execute("DETACH theirs")
    if takes_runs:
        journal.copy(other.directory, store.directory)
    return Merged(len(measurements), len(trainings), all_of_them - len(measurements) - len(trainings))


def _take(connection: Connection, table: str, value: str, columns: str) -> dict[int, int]:
    """Copy facts of the attached study that are news here; return their numbers there and here."""
    same = "old.context = mine.id AND old.depth = new.depth AND old.width = new.width"
    news = connection.execute(f"""
        SELECT new.id, mine.id, new.depth, new.width, our_provenance.id,
            (SELECT count(*) FROM main.{table} AS old WHERE {same})
            + row_number() OVER (PARTITION BY new.context, new.depth, new.width ORDER BY new.attempt)
        FROM theirs.{table} AS new
        JOIN theirs.context AS their_context ON their_context.id = new.context
        JOIN main.context AS mine ON mine.digest = their_context.digest
        JOIN theirs.provenance AS their_provenance ON their_provenance.id = new.provenance
        JOIN main.provenance AS our_provenance ON our_provenance.content = their_provenance.content
        WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS old
            WHERE {same} AND (old.{value} IS NOT NULL OR old.recorded = new.recorded))
        ORDER BY new.id
    """).fetchall()  # noqa: S608 - constants
    insert = (
        f"INSERT INTO main.{table} (context, depth, width, provenance, attempt, {columns})"  # noqa: S608 - constants
        f" SELECT ?, ?, ?, ?, ?, {columns} FROM theirs.{table} WHERE id = ?"
    )
    return {theirs: int(connection.execute(insert, (*key, theirs)).lastrowid or 0) for theirs, *key in news}


def _take_parts(store: Store, other: Store, theirs: int, ours: int) -> None:
    """Copy what belongs to a training: its curve, its quality on the test set, its weights, and what ships of it."""
    execute, both = store.database.connection.execute, (ours, theirs)
    execute("INSERT INTO main.epoch SELECT ?, number, loss, quality, more FROM theirs.epoch WHERE training = ?", both)
    execute("INSERT INTO main.test SELECT ?, quality, recorded FROM theirs.test WHERE training = ?", both)
    execute("INSERT INTO main.stop SELECT ?, terminator, question FROM theirs.stop WHERE training = ?", both)
    (context, depth, width) = execute(
        "SELECT context, depth, width FROM main.training WHERE id = ?", (ours,)
    ).fetchone()
    shape = decoding.shape(depth, width)
    for path in (store.files.weights(context, shape), store.files.artifact(context, shape)):
        _take_files(other.directory / path.relative_to(store.directory), path)


def _take_files(source: Path, path: Path) -> None:
    """Copy a file, or a directory of files, if there is one; whole or not at all."""
    with durable.naming_errors(path):
        if source.is_dir():
            with durable.replaced_directory(path) as partial:
                shutil.copytree(source, partial, dirs_exist_ok=True, copy_function=_copy)
        elif source.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.merged.partial")
            _copy(source, partial)
            durable.rename(partial, path)


def _copy(source: str | Path, target: str | Path) -> None:
    """Copy a file, and wait until it is on the disk."""
    shutil.copyfile(source, target)
    durable.sync(Path(target))


def _take_runs(connection: Connection, trainings: Mapping[int, int]) -> bool:
    """Copy the runs of the attached study if there are none here, so that it can be asked like that one.

    Args:
        connection: to both studies.
        trainings: numbers of the trainings that were taken over, there and here.

    Returns:
        Whether there were none.
    """
    execute = connection.execute
    if execute("SELECT 1 FROM main.run").fetchone():
        return False
    query = "SELECT theirs.id, mine.id FROM theirs.context AS theirs JOIN main.context AS mine USING (digest)"
    numbers = dict(execute(query).fetchall())
    columns = "command, settings, problem, host, pid, started, ended, state"
    runs = execute(
        f"SELECT question, began, contexts, {columns} FROM theirs.run"  # noqa: S608 - constants
        " LEFT JOIN theirs.search ON search.run = run.id ORDER BY id"
    ).fetchall()
    for question, began, contexts, *values in runs:
        found = decoding.contexts(contexts).items()
        here = {str(family): numbers[number] for family, number in found if number in numbers}
        marks = ", ".join("?" * (len(values) + 1))
        insert = f"INSERT INTO main.run (contexts, {columns}) VALUES ({marks})"  # noqa: S608 - constants
        run = execute(insert, (decoding.canonical(here), *values)).lastrowid
        if question is not None:
            there = max((ours for theirs, ours in trainings.items() if theirs <= began), default=0)
            execute("INSERT INTO main.search (run, question, began) VALUES (?, ?, ?)", (run, question, there))
    return True
