"""The facts of a study, each under everything that determines it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from shape_dnn.records import Epoch, Measurement, Stop, Training
from shape_dnn.shape import Shape
from shape_dnn.store import decoding
from shape_dnn.store.database import Database
from shape_dnn.store.decoding import canonical
from shape_dnn.store.files import Files
from shape_dnn.store.runs import Runs


class Store:
    """The facts of one study. Each is committed the moment it is added; nothing is ever overwritten.

    Args:
        directory: of the study; made if it is not there. None for an empty one without a file.
        create: whether it may be made.

    Attributes:
        database: its SQLite file.
        files: that are too large for it.
        runs: commands that worked on it.

    Raises:
        UsageError: the directory cannot be written, there is no study in it, or it holds another kind of file.
        StudyError: the file cannot be read or written.
    """

    def __init__(self, directory: Path | None, create: bool = True) -> None:
        self.database = Database(directory, create)
        self.files, self.runs = Files(self.database), Runs(self.database)

    @property
    def directory(self) -> Path:
        """Where the study lies."""
        return self.database.directory

    @property
    def path(self) -> Path:
        """Where its SQLite file lies."""
        return self.database.path

    def close(self) -> None:
        """Close the file, and let others work on the study."""
        self.database.close()

    def decoding(self) -> AbstractContextManager[None]:
        """Say that the file is damaged when what is in it makes no sense."""
        return self.database.decoding()

    # Families

    def context(self, kind: str, identity: Mapping[str, object]) -> int:
        """Return the number of a family of facts, the same whenever the identity is the same."""
        number = self.find_context(kind, identity)
        while number is None:
            with self.database.transaction():  # another process may be quicker
                insert = "INSERT OR IGNORE INTO context (kind, digest, identity) VALUES (?, ?, ?)"
                self.database.execute(insert, (kind, decoding.digest(kind, identity), canonical(identity)))
            number = self.find_context(kind, identity)
        return number

    def find_context(self, kind: str, identity: Mapping[str, object]) -> int | None:
        """Return the number of a family of facts, if the study has one."""
        rows = self.database.read("SELECT id FROM context WHERE digest = ?", decoding.digest(kind, identity))
        return int(rows[0][0]) if rows else None

    def contexts(self, kind: str) -> list[int]:
        """Return the number of each family of facts of a kind."""
        rows = self.database.read("SELECT id FROM context WHERE kind = ? ORDER BY id", kind)
        return [int(number) for (number,) in rows]

    def trained(self) -> list[Mapping[str, Any]]:
        """Return what determines each family of facts that has trainings, those with most of them first."""
        rows = self.database.read(
            "SELECT identity FROM context JOIN training ON training.context = context.id"
            " GROUP BY context.id ORDER BY count(*) DESC, context.id"
        )
        with self.database.decoding():
            return [decoding.mapping(identity) for (identity,) in rows]

    def identity(self, context: int) -> Mapping[str, Any]:
        """Return what determines a family of facts."""
        rows = self.database.read("SELECT identity FROM context WHERE id = ?", context)
        with self.database.decoding():
            return decoding.mapping(rows[0][0]) if rows else {}

    def provenances(self) -> list[str]:
        """Return the versions of plugins and libraries that facts were obtained with, as JSON."""
        return [str(content) for (content,) in self.database.read("SELECT content FROM provenance ORDER BY id")]

    def provenance(self, context: int, shape: Shape) -> Mapping[str, Any]:
        """Return the versions of plugins and libraries that a shape was trained with."""
        rows = self.database.read(
            "SELECT content FROM provenance JOIN training ON training.provenance = provenance.id"
            " WHERE context = ? AND depth = ? AND width = ? ORDER BY attempt DESC LIMIT 1",
            context,
            shape.depth,
            str(shape.width),
        )
        with self.database.decoding():
            return decoding.mapping(rows[0][0]) if rows else {}

    def last_provenance(self, context: int) -> Mapping[str, Any]:
        """Return the versions of plugins and libraries that facts of a family were last obtained with."""
        rows = self.database.read(
            "SELECT content FROM provenance WHERE id IN (SELECT provenance FROM training WHERE context = ?"
            " UNION SELECT provenance FROM measurement WHERE context = ?) ORDER BY id DESC LIMIT 1",
            context,
            context,
        )
        with self.database.decoding():
            return decoding.mapping(rows[0][0]) if rows else {}

    # Facts

    def add_measurement(
        self, context: int, shape: Shape, measurement: Measurement, provenance: Mapping[str, object]
    ) -> None:
        """Record a measurement; a further one of the same shape stands beside the former."""
        m, key = measurement, (context, shape.depth, str(shape.width))
        with self.database.transaction():
            count = "SELECT count(*) FROM measurement WHERE context = ? AND depth = ? AND width = ?"
            (attempts,) = self.database.execute(count, key).fetchone()
            self.database.execute(
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
        rows = self.database.read(query, context)
        with self.database.decoding():
            return {
                decoding.shape(depth, width): Measurement(
                    decoding.number(value), *decoding.interval(low, high), str(status), decoding.mapping(details)
                )
                for depth, width, value, low, high, status, details in rows
            }

    def add_training(self, context: int, training: Training, provenance: Mapping[str, object]) -> None:
        """Record a training, finished or failed, with its curve; a further attempt stands beside the former."""
        t, key = training, (context, training.shape.depth, str(training.shape.width))
        with self.database.transaction():
            count = "SELECT count(*) FROM training WHERE context = ? AND depth = ? AND width = ?"
            (attempts,) = self.database.execute(count, key).fetchone()
            cursor = self.database.execute(
                "INSERT INTO training (context, depth, width, attempt, quality, reason, seconds, provenance, recorded)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, attempts + 1, t.quality, t.reason, t.seconds, self._provenance(provenance), time.time()),
            )
            if t.stop is not None:
                stop = (cursor.lastrowid, t.stop.terminator, t.stop.question)
                self.database.execute("INSERT INTO stop (training, terminator, question) VALUES (?, ?, ?)", stop)
            self.database.connection.executemany(
                "INSERT INTO epoch (training, number, loss, quality, more) VALUES (?, ?, ?, ?, ?)",
                [(cursor.lastrowid, e.number, e.loss, e.quality, canonical(e.more)) for e in t.curve],
            )

    def trainings(self, context: int, began: int | None = None) -> dict[Shape, Training]:
        """Return the last attempt at every shape of a family.

        Args:
            context: its number.
            began: the number of the last training that counts; None for all.
        """
        curves: dict[int, list[Epoch]] = {}
        epochs = self.database.read(
            "SELECT training, number, loss, epoch.quality, more"
            " FROM epoch JOIN training ON training.id = epoch.training"
            " WHERE context = ? ORDER BY training, number",
            context,
        )
        with self.database.decoding():
            for training, number, loss, quality, more in epochs:
                told = decoding.numbers(more) if more != "{}" else {}
                curves.setdefault(training, []).append(
                    Epoch(int(number), None if loss is None else float(loss), float(quality), told)
                )
        rows = self.database.read(
            "SELECT id, depth, width, quality, reason, seconds, terminator, question FROM training"
            " LEFT JOIN stop ON stop.training = training.id"
            " WHERE context = ? AND (? IS NULL OR id <= ?) ORDER BY attempt",
            context,
            began,
            began,
        )
        found, is_percent = {}, self._is_percent(context)
        with self.database.decoding():
            for number, depth, width, quality, reason, seconds, terminator, question in rows:
                shape = decoding.shape(depth, width)
                curve = tuple(curves.get(number, ()))
                stop = None if terminator is None else Stop(str(terminator), str(question))
                found[shape] = Training(
                    shape,
                    decoding.quality(quality, is_percent=is_percent),
                    str(reason),
                    curve,
                    decoding.number(seconds),
                    stop=stop,
                )
        return found

    def _is_percent(self, context: int) -> bool:
        """Tell whether trainings of a family are judged by accuracy; a family names any other quality."""
        return "quality" not in self.identity(context)

    def add_test(self, context: int, shape: Shape, quality: float) -> None:
        """Record the quality of a finished training on the test set."""
        with self.database.transaction():
            self.database.execute(
                "INSERT OR IGNORE INTO test (training, quality, recorded) SELECT max(id), ?, ? FROM training"
                " WHERE context = ? AND depth = ? AND width = ? AND quality IS NOT NULL",
                (quality, time.time(), context, shape.depth, str(shape.width)),
            )

    def test(self, context: int, shape: Shape) -> float | None:
        """Return the quality of a shape on the test set, if it was read for it."""
        rows = self.database.read(
            "SELECT test.quality FROM test JOIN training ON training.id = test.training"
            " WHERE context = ? AND depth = ? AND width = ?",
            context,
            shape.depth,
            str(shape.width),
        )
        with self.database.decoding():
            return decoding.quality(rows[0][0], is_percent=self._is_percent(context)) if rows else None

    def _provenance(self, content: Mapping[str, object]) -> int:
        text = canonical(content)
        self.database.execute("INSERT OR IGNORE INTO provenance (content) VALUES (?)", (text,))
        (number,) = self.database.execute("SELECT id FROM provenance WHERE content = ?", (text,)).fetchone()
        return int(number)

    def check(self) -> None:
        """Read every fact.

        Raises:
            StudyError: one of them makes no sense.
        """
        for (context,) in self.database.read("SELECT id FROM context"):
            self.measurements(context)
            self.trainings(context)
        for (context,) in self.database.read("SELECT contexts FROM run"):
            with self.database.decoding():
                decoding.contexts(context)

    def summary(self) -> dict[str, object]:
        """Count the facts, and tell the state of the last run and the time of the last fact.

        What was judged for a deployment is no training of its own, and one that was stopped early did not fail.
        """
        ((measured,),) = self.database.read("SELECT count(*) FROM measurement")
        own = "context IN (SELECT id FROM context WHERE json_extract(identity, '$.deployment') IS NULL)"
        counted = f"SELECT count(*) FROM training AS t WHERE {own} AND quality IS"  # noqa: S608 - constants
        ((trained,),) = self.database.read(f"{counted} NOT NULL")
        same_shape = "context = t.context AND depth = t.depth AND width = t.width"
        is_last = f"attempt = (SELECT max(attempt) FROM training WHERE {same_shape})"  # noqa: S608 - constants
        is_whole = "id NOT IN (SELECT training FROM stop)"
        ((failed,),) = self.database.read(f"{counted} NULL AND {is_whole} AND {is_last}")
        ((updated,),) = self.database.read(
            "SELECT max(recorded) FROM (SELECT recorded FROM measurement UNION ALL SELECT recorded FROM training)"
        )
        with self.database.decoding():
            decoding.number(updated)
        return {
            "state": self.runs.state(),
            "measured": measured,
            "trained": trained,
            "failed": failed,
            "updated": updated,
        }
