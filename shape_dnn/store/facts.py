"""The study file: facts in SQLite, each under everything that determines it."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import re
import shutil
import socket
import sqlite3
import time
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shape_dnn.errors import StudyError, UsageError, describe
from shape_dnn.records import Epoch, Measurement, Stop, Training
from shape_dnn.shape import Shape, exact
from shape_dnn.store import schema
from shape_dnn.store.families import Family
from shape_dnn.system import durable

if TYPE_CHECKING:
    from filelock import FileLock

FILE_NAME = "study.sqlite"

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3",
     "smbfs", "webdav"}
)  # fmt: skip
"""Where locks are not to be relied on, and SQLite can damage its files."""


class Merged(NamedTuple):
    """What came of merging another study: facts that were added, and facts that were not needed."""

    measurements: int
    trainings: int
    known: int


@dataclass(frozen=True)
class Run:
    """A command that worked on a study.

    Attributes:
        settings: what it was called with.
        problem: what metrics depend on, so that questions need not read the dataset, and the names of the classes.
        contexts: which facts answer it, each family by its number.
        state: ``running``, ``done`` or ``interrupted``.
    """

    settings: Mapping[str, Any]
    problem: Mapping[str, Any]
    contexts: Mapping[Family, int]
    state: str


class Store:
    """One study file. Every fact is committed the moment it is added; nothing is ever overwritten.

    Args:
        directory: of the study; made if it is not there.
        create: whether it may be made.

    Raises:
        UsageError: the directory cannot be written, there is no study in it, or it holds another kind of file.
        StudyError: the file cannot be read or written.
    """

    def __init__(self, directory: Path, create: bool = True) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        if not create and not self.path.is_file():
            raise UsageError(f"there is no study in {str(directory)!r} (no {FILE_NAME})", setting="study")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if create:
                _refuse_network(directory)
            self._connect(str(self.path))
            (directory / "weights").mkdir(exist_ok=True)
            self._connection.execute("BEGIN IMMEDIATE")  # fails here rather than after hours if it cannot be written
            self._connection.execute("ROLLBACK")
        except OSError as error:
            raise UsageError(f"cannot write to {str(directory)!r}: {error.strerror}", setting="study") from None
        except sqlite3.OperationalError as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:
            raise self._damage(error) from error
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{str(self.path)!r} cannot be used as a study: {error}", setting="study") from None

    @classmethod
    def in_memory(cls) -> Store:
        """Make an empty study without a file, for those who only look."""
        store = cls.__new__(cls)
        store.directory = store.path = Path()
        store._connect(":memory:")  # noqa: SLF001 - its own
        return store

    def _connect(self, name: str) -> None:
        self._connection = sqlite3.connect(name, isolation_level=None, timeout=30)
        weakref.finalize(self, self._connection.close)  # also when opening goes wrong below
        schema.prepare(self._connection, self.path)

    @cached_property
    def _lock(self) -> FileLock:
        from filelock import FileLock

        return FileLock(self.directory / "lock")

    def close(self) -> None:
        """Close the file, and let others work on the study."""
        if "_lock" in self.__dict__:
            self._lock.release(force=True)
        self._connection.close()

    def _is_locked(self) -> bool:
        """Tell whether a process works on the study, this one included."""
        from filelock import Timeout

        if self._lock.is_locked:
            return True
        try:
            with self._lock.acquire(blocking=False):
                return False
        except (Timeout, OSError):
            return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._naming_errors(), schema.transaction(self._connection):
            yield

    @contextmanager
    def _naming_errors(self) -> Iterator[None]:
        """Say which file cannot be read or written, and why."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:  # SQLite's own message about it cannot be read
            raise self._damage(error) from error

    def _failure(self, error: sqlite3.Error) -> StudyError:
        message = f"study file {str(self.path)!r} cannot be read or written: {error}"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
            with suppress(OSError):  # SQLite tells these two apart for some calls only
                free = shutil.disk_usage(self.directory).free
                message += f" ({error.sqlite_errorname}; {free / 1e6:.0f} MB are free there)"
        return StudyError(message)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Say that the file is damaged when what is in it makes no sense."""
        try:
            yield
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise self._damage(error) from error

    def _damage(self, error: Exception) -> StudyError:
        return StudyError(f"study file {str(self.path)!r} is damaged: {describe(error)[:200]}")

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._naming_errors():
            return self._connection.execute(query, values).fetchall()

    # Identities

    def context(self, kind: str, identity: Mapping[str, object]) -> int:
        """Return the number of a family of facts, the same whenever the identity is the same."""
        number = self.find_context(kind, identity)
        while number is None:
            with self._transaction():  # another process may be quicker
                insert = "INSERT OR IGNORE INTO context (kind, digest, identity) VALUES (?, ?, ?)"
                self._connection.execute(insert, (kind, _digest(kind, identity), canonical(identity)))
            number = self.find_context(kind, identity)
        return number

    def find_context(self, kind: str, identity: Mapping[str, object]) -> int | None:
        """Return the number of a family of facts, if the study has one."""
        rows = self._read("SELECT id FROM context WHERE digest = ?", _digest(kind, identity))
        return int(rows[0][0]) if rows else None

    def contexts(self, kind: str) -> list[int]:
        """Return the number of each family of facts of a kind."""
        return [int(number) for (number,) in self._read("SELECT id FROM context WHERE kind = ? ORDER BY id", kind)]

    def trained(self) -> list[Mapping[str, Any]]:
        """Return what determines each family of facts that has trainings, those with most of them first."""
        rows = self._read(
            "SELECT identity FROM context JOIN training ON training.context = context.id"
            " GROUP BY context.id ORDER BY count(*) DESC, context.id"
        )
        with self.decoding():
            return [_mapping(identity) for (identity,) in rows]

    def identity(self, context: int) -> Mapping[str, Any]:
        """Return what determines a family of facts."""
        rows = self._read("SELECT identity FROM context WHERE id = ?", context)
        with self.decoding():
            return _mapping(rows[0][0]) if rows else {}

    def provenances(self) -> list[str]:
        """Return the versions of plugins and libraries that facts were obtained with, as JSON."""
        return [str(content) for (content,) in self._read("SELECT content FROM provenance ORDER BY id")]

    def provenance(self, context: int, shape: Shape) -> Mapping[str, Any]:
        """Return the versions of plugins and libraries that a shape was trained with."""
        rows = self._read(
            "SELECT content FROM provenance JOIN training ON training.provenance = provenance.id"
            " WHERE context = ? AND depth = ? AND width = ? ORDER BY attempt DESC LIMIT 1",
            context,
            shape.depth,
            str(shape.width),
        )
        with self.decoding():
            return _mapping(rows[0][0]) if rows else {}

    def images_directory(self, fingerprint: str) -> Path:
        """Return where the images lie that have this name by their content."""
        with self.decoding():
            return self.directory / "images" / _name(fingerprint)

    def weights_directory(self, context: int) -> Path:
        """Return where the weights of a family of trainings lie."""
        ((digest,),) = self._read("SELECT digest FROM context WHERE id = ?", context)
        with self.decoding():
            return self.directory / "weights" / _name(digest)

    def weights_path(self, context: int, shape: Shape) -> Path:
        """Return where the weights of a trained shape lie."""
        width = f"{shape.width.numerator}_{shape.width.denominator}"
        return self.weights_directory(context) / f"{shape.depth}-{width}.safetensors"

    def checkpoints_path(self, context: int, shape: Shape) -> Path:
        """Return where the checkpoints of a training lie while it is not finished."""
        weights = self.weights_path(context, shape)
        return self.directory / "checkpoints" / weights.parent.name / weights.stem

    def _provenance(self, content: Mapping[str, object]) -> int:
        text = canonical(content)
        self._connection.execute("INSERT OR IGNORE INTO provenance (content) VALUES (?)", (text,))
        (number,) = self._connection.execute("SELECT id FROM provenance WHERE content = ?", (text,)).fetchone()
        return int(number)

    # Facts

    def add_measurement(
        self, context: int, shape: Shape, measurement: Measurement, provenance: Mapping[str, object]
    ) -> None:
        """Record a measurement; a further one of the same shape stands beside the former."""
        m, key = measurement, (context, shape.depth, str(shape.width))
        with self._transaction():
            count = "SELECT count(*) FROM measurement WHERE context = ? AND depth = ? AND width = ?"
            (attempts,) = self._connection.execute(count, key).fetchone()
            self._connection.execute(
                "INSERT INTO measurement"
                " (context, depth, width, attempt, value, low, high, status, details, provenance, recorded)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, attempts + 1, m.value, m.low, m.high, m.status, canonical(m.details),
                 self._provenance(provenance), time.time()),
            )  # fmt: skip

    def measurements(self, context: int) -> dict[Shape, Measurement]:
        """Return the last measurement of every shape of a family."""
        columns = "depth, width, value, low, high, status, details"
        query = f"SELECT {columns} FROM measurement WHERE context = ? ORDER BY attempt"  # noqa: S608 - constant
        rows = self._read(query, context)
        with self.decoding():
            return {
                _shape(depth, width): Measurement(_number(value), *_interval(low, high), str(status), _mapping(details))
                for depth, width, value, low, high, status, details in rows
            }

    def add_training(self, context: int, training: Training, provenance: Mapping[str, object]) -> None:
        """Record a training, finished or failed, with its curve; a further attempt stands beside the former."""
        t, key = training, (context, training.shape.depth, str(training.shape.width))
        with self._transaction():
            count = "SELECT count(*) FROM training WHERE context = ? AND depth = ? AND width = ?"
            (attempts,) = self._connection.execute(count, key).fetchone()
            cursor = self._connection.execute(
                "INSERT INTO training (context, depth, width, attempt, accuracy, reason, seconds, provenance, recorded)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, attempts + 1, t.accuracy, t.reason, t.seconds, self._provenance(provenance), time.time()),
            )
            if t.stop is not None:
                stop = (cursor.lastrowid, t.stop.terminator, t.stop.question)
                self._connection.execute("INSERT INTO stop (training, terminator, question) VALUES (?, ?, ?)", stop)
            self._connection.executemany(
                "INSERT INTO epoch (training, number, loss, accuracy) VALUES (?, ?, ?, ?)",
                [(cursor.lastrowid, epoch.number, epoch.loss, epoch.accuracy) for epoch in t.curve],
            )

    def trainings(self, context: int, began: int | None = None) -> dict[Shape, Training]:
        """Return the last attempt at every shape of a family.

        Args:
            context: its number.
            began: the number of the last training that counts; None for all.
        """
        curves: dict[int, list[Epoch]] = {}
        epochs = self._read(
            "SELECT training, number, loss, epoch.accuracy FROM epoch JOIN training ON training.id = epoch.training"
            " WHERE context = ? ORDER BY training, number",
            context,
        )
        with self.decoding():
            for training, number, loss, accuracy in epochs:
                curves.setdefault(training, []).append(Epoch(int(number), float(loss), float(accuracy)))
        rows = self._read(
            "SELECT id, depth, width, accuracy, reason, seconds, terminator, question FROM training"
            " LEFT JOIN stop ON stop.training = training.id"
            " WHERE context = ? AND (? IS NULL OR id <= ?) ORDER BY attempt",
            context,
            began,
            began,
        )
        found = {}
        with self.decoding():
            for number, depth, width, accuracy, reason, seconds, terminator, question in rows:
                shape = _shape(depth, width)
                curve = tuple(curves.get(number, ()))
                stop = None if terminator is None else Stop(str(terminator), str(question))
                found[shape] = Training(
                    shape, _number(accuracy, 100.0), str(reason), curve, _number(seconds), stop=stop
                )
        return found

    def add_test(self, context: int, shape: Shape, accuracy: float) -> None:
        """Record the accuracy of a finished training on the test set."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO test (training, accuracy, recorded) SELECT max(id), ?, ? FROM training"
                " WHERE context = ? AND depth = ? AND width = ? AND accuracy IS NOT NULL",
                (accuracy, time.time(), context, shape.depth, str(shape.width)),
            )

    def test(self, context: int, shape: Shape) -> float | None:
        """Return the accuracy of a shape on the test set, if it was read for it."""
        rows = self._read(
            "SELECT test.accuracy FROM test JOIN training ON training.id = test.training"
            " WHERE context = ? AND depth = ? AND width = ?",
            context,
            shape.depth,
            str(shape.width),
        )
        with self.decoding():
            return _number(rows[0][0], 100.0) if rows else None

    def check(self) -> None:
        """Read every fact.

        Raises:
            StudyError: one of them makes no sense.
        """
        for (context,) in self._read("SELECT id FROM context"):
            self.measurements(context)
            self.trainings(context)
        for (context,) in self._read("SELECT contexts FROM run"):
            with self.decoding():
                _numbers(context)

    # Other studies

    def merge(self, other: Store) -> Merged:
        """Add what another study knows of shapes that have no value here; all of it or nothing."""
        other.check()
        with self._naming_errors():
            self._connection.execute("ATTACH ? AS theirs", (str(other.path),))
        try:
            with self._transaction():
                for table in ("context", "provenance"):
                    columns = "kind, digest, identity" if table == "context" else "content"
                    insert = f"INSERT OR IGNORE INTO main.{table} ({columns}) SELECT {columns} FROM theirs.{table}"  # noqa: S608 - constants
                    self._connection.execute(insert)
                measurements = self._take("measurement", "value", "value, low, high, status, details, recorded")
                trainings = self._take("training", "accuracy", "accuracy, reason, seconds, recorded")
                for theirs, ours in trainings.items():
                    self._take_parts(other, theirs, ours)
                self._take_runs()
                ((all_of_them,),) = self._connection.execute(
                    "SELECT (SELECT count(*) FROM theirs.measurement) + (SELECT count(*) FROM theirs.training)"
                )
        finally:
            self._connection.execute("DETACH theirs")
        return Merged(len(measurements), len(trainings), all_of_them - len(measurements) - len(trainings))

    def _take(self, table: str, value: str, columns: str) -> dict[int, int]:
        """Copy facts of the attached study that are news here; return their numbers there and here."""
        same = "old.context = mine.id AND old.depth = new.depth AND old.width = new.width"
        news = self._connection.execute(f"""
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
        return {theirs: int(self._connection.execute(insert, (*key, theirs)).lastrowid or 0) for theirs, *key in news}

    def _take_parts(self, other: Store, theirs: int, ours: int) -> None:
        """Copy what belongs to a training: its curve, its test accuracy and its weights."""
        execute, both = self._connection.execute, (ours, theirs)
        execute("INSERT INTO main.epoch SELECT ?, number, loss, accuracy FROM theirs.epoch WHERE training = ?", both)
        execute("INSERT INTO main.test SELECT ?, accuracy, recorded FROM theirs.test WHERE training = ?", both)
        execute("INSERT INTO main.stop SELECT ?, terminator, question FROM theirs.stop WHERE training = ?", both)
        (context, depth, width) = execute(
            "SELECT context, depth, width FROM main.training WHERE id = ?", (ours,)
        ).fetchone()
        path = self.weights_path(context, _shape(depth, width))
        source = other.directory / path.relative_to(self.directory)
        if source.is_file():
            with durable.naming_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".merged.partial")
                shutil.copyfile(source, partial)
                durable.sync(partial)
                durable.rename(partial, path)

    def _take_runs(self) -> None:
        """Copy the runs of the attached study if there are none here, so that it can be asked like that one."""
        execute = self._connection.execute
        if execute("SELECT 1 FROM main.run").fetchone():
            return
        query = "SELECT theirs.id, mine.id FROM theirs.context AS theirs JOIN main.context AS mine USING (digest)"
        numbers = dict(execute(query).fetchall())
        columns = "command, settings, problem, host, pid, started, ended, state"
        for contexts, *values in execute(f"SELECT contexts, {columns} FROM theirs.run ORDER BY id").fetchall():  # noqa: S608
            found = _numbers(contexts).items()
            here = {str(family): numbers[number] for family, number in found if number in numbers}
            marks = ", ".join("?" * (len(values) + 1))
            execute(f"INSERT INTO main.run (contexts, {columns}) VALUES ({marks})", (canonical(here), *values))  # noqa: S608

    # Runs

    def lock(self) -> None:
        """Keep other processes away until the study is closed, or this process ends, however it does.

        Raises:
            StudyError: another process works on it; names it.
        """
        from filelock import Timeout

        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            rows = self._read("SELECT host, pid FROM run WHERE state = 'running' ORDER BY id DESC LIMIT 1")
            who = f"process {rows[0][1]} on {rows[0][0]}" if rows else "another process"
            message = f"study {str(self.directory)!r} is in use by {who}"
            raise StudyError(f"{message}; wait for it, or choose another --study") from None
        except OSError as error:
            raise StudyError(f"{self._lock.lock_file!r} cannot be locked: {error.strerror}") from error

    def begin_run(self, command: str, settings: Mapping[str, object], problem: Mapping[str, object]) -> int:
        """Record that a command starts working on the study, and keep others away until it ends.

        Raises:
            StudyError: another process works on it; names it.
        """
        self.lock()
        with self._transaction():
            # Whoever held the lock before is gone, whatever it had still to write.
            self._connection.execute("UPDATE run SET state = 'interrupted' WHERE state = 'running'")
            cursor = self._connection.execute(
                "INSERT INTO run (command, settings, problem, contexts, host, pid, started, state)"
                " VALUES (?, ?, ?, '{}', ?, ?, ?, 'running')",
                (command, canonical(settings), canonical(problem), socket.gethostname(), os.getpid(), time.time()),
            )
        return int(cursor.lastrowid or 0)

    def begin_search(self, run: int, question: str, incidental: Collection[str]) -> int:
        """Record what a run of tune asks; return the last training that there was when its search began.

        If the run before it was the same search, and was interrupted, that search goes on, and what it trained
        itself was not there when it began.

        Args:
            run: its number.
            question: what it asks, so that it is told from other questions.
            incidental: names of settings that change nothing of an answer.
        """
        with self._transaction():
            (last,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM training").fetchone()
            runs = self._connection.execute(
                "SELECT settings, problem, state, began FROM run LEFT JOIN search ON search.run = run.id"
                " WHERE command = 'tune' AND id <= ? ORDER BY id DESC LIMIT 2",
                (run,),
            ).fetchall()
            with self.decoding():
                own, *former = [
                    ({k: v for k, v in _mapping(settings).items() if k not in incidental}, _mapping(problem))
                    for settings, problem, _, _ in runs
                ]
            goes_on = former == [own] and runs[1][2] == "interrupted" and runs[1][3] is not None
            began = int(runs[1][3]) if goes_on else int(last)
            insert = "INSERT INTO search (run, question, began) VALUES (?, ?, ?)"
            self._connection.execute(insert, (run, question, began))
        return began

    def was_searched(self, question: str) -> bool:
        """Tell whether a search with this question came to its end."""
        query = "SELECT 1 FROM search JOIN run ON run.id = search.run WHERE question = ? AND state = 'done' LIMIT 1"
        return bool(self._read(query, question))

    def end_run(self, run: int, contexts: Mapping[Family, int], state: str) -> None:
        """Record which facts a command used and how it ended."""
        with self._transaction():
            self._connection.execute(
                "UPDATE run SET contexts = ?, state = ?, ended = ? WHERE id = ?",
                (canonical({str(family): number for family, number in contexts.items()}), state, time.time(), run),
            )
        self._lock.release()

    def last_run(self) -> Run | None:
        """Return the run to which questions refer: the last one that finished, or else the last one.

        What earlier runs measured for the same problem is counted as its own.
        """
        rows = self._read(
            "SELECT settings, problem, contexts, state FROM run WHERE command = 'tune'"
            " ORDER BY state = 'done' DESC, id DESC LIMIT 1"
        )
        if not rows:
            return None
        settings, problem, own_contexts, state = rows[0]
        # No metric depends on these.
        same = "json_remove(problem, '$.class_names', '$.recipe') = json_remove(?, '$.class_names', '$.recipe')"
        others = self._read(f"SELECT contexts FROM run WHERE {same} ORDER BY id", problem)  # noqa: S608 - constants
        with self.decoding():
            contexts: dict[Family, int] = {}
            for text in (*(other for (other,) in others), own_contexts):
                contexts |= _numbers(text)
            return Run(_mapping(settings), _mapping(problem), contexts, str(state))

    def summary(self) -> dict[str, object]:
        """Count the facts, and tell the state of the last run and the time of the last fact."""
        ((measured,),) = self._read("SELECT count(*) FROM measurement")
        ((trained,),) = self._read("SELECT count(*) FROM training WHERE accuracy IS NOT NULL")
        ((failed,),) = self._read(
            "SELECT count(*) FROM training AS t WHERE accuracy IS NULL AND attempt = (SELECT max(attempt) FROM training"
            " WHERE context = t.context AND depth = t.depth AND width = t.width)"
        )
        ((updated,),) = self._read(
            "SELECT max(recorded) FROM (SELECT recorded FROM measurement UNION ALL SELECT recorded FROM training)"
        )
        last = self._read("SELECT state FROM run ORDER BY id DESC LIMIT 1")
        state = str(last[0][0]) if last else "empty"
        with self.decoding():
            _number(updated)
        return {
            "state": "interrupted" if state == "running" and not self._is_locked() else state,
            "measured": measured,
            "trained": trained,
            "failed": failed,
            "updated": updated,
        }


def _shape(depth: int, width: str) -> Shape:
    if not (isinstance(depth, int) and depth > 0):
        raise ValueError(f"a depth is {depth!r}")
    return Shape(depth, _width(width))


@functools.cache  # many shapes have few widths
def _width(text: str) -> Fraction:
    width = exact(text)
    if width <= 0:
        raise ValueError(f"a width is {text!r}")
    return width


def _number(value: float | None, most: float = math.inf) -> float | None:
    """Return a number from 0 to ``most``, or None."""
    if value is not None and not (isinstance(value, float | int) and 0 <= value <= most and value < math.inf):
        raise ValueError(f"a value is {value!r}")
    return value


def _name(digest: object) -> str:
    """Return a digest as the name of a directory; a study of a stranger may have anything in its place."""
    if not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{32}", digest)):
        raise ValueError(f"a digest is {digest!r:.60}")
    return digest


def _interval(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return the ends of an interval."""
    if low is not None and high is not None and low > high:
        raise ValueError(f"an interval is from {low!r} to {high!r}")
    return _number(low), _number(high)


def _numbers(text: str) -> dict[Family, int]:
    """Read the families of a run, each with its number."""
    return {Family.parse(name): int(number) for name, number in _mapping(text).items()}


def _mapping(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise TypeError(f"{text[:40]!r} is no mapping")
    return content


def _digest(kind: str, identity: Mapping[str, object]) -> str:
    return hashlib.blake2b(f"{kind}\n{canonical(identity)}".encode(), digest_size=16).hexdigest()


def canonical(value: object) -> str:
    """Write JSON that is the same text whenever the value is the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _refuse_network(directory: Path) -> None:
    """Refuse a directory where locks cannot be relied on.

    Raises:
        OSError: it lies on a network file system.
    """
    import psutil

    path = directory.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    nearest = max(mounts, key=lambda part: len(part.mountpoint), default=None)
    if nearest is not None and nearest.fstype.lower() in NETWORK_FILE_SYSTEMS:
        raise OSError(0, f"it lies on a network file system ({nearest.fstype}); choose a local directory")
