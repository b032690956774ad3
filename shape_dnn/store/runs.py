"""Commands that worked on a study: what they asked, which facts answer them, and how they ended."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shape_dnn.errors import StudyError
from shape_dnn.store import decoding
from shape_dnn.store.database import REMEDY, Database
from shape_dnn.store.decoding import canonical
from shape_dnn.store.families import TRAININGS, Family
from shape_dnn.store.lease import CLOCK_ERROR
from shape_dnn.system.text import process_named


class RunState(StrEnum):
    """How a run ended, if it did."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    NONE = "empty"
    """There was no run yet."""


Resolved = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class RecordedRun:
    """A command that worked on a study.

    Attributes:
        number: in the study.
        settings: what it was called with.
        problem: what metrics depend on, so that questions need not read the dataset, and the names of the classes.
        contexts: which facts answer it, each family by its number.
        state: how it ended.
    """

    number: int
    settings: Mapping[str, Any]
    problem: Mapping[str, Any]
    contexts: Mapping[Family, int]
    state: RunState


@dataclass(frozen=True)
class LatestRun:
    """The search that began last.

    Attributes:
        number: in the study.
        state: how it ended, as far as is recorded.
        host: where it ran.
        pid: in which process.
        started: when, in seconds since 1970.
    """

    number: int
    state: RunState
    host: str
    pid: int
    started: float

    @property
    def is_alive(self) -> bool:
        """Whether it goes on; told by its process alone, so that whoever begins a search finds its lock free.

        A search of another machine, whose processes nobody here can see, is believed to go on.
        """
        import psutil

        if self.state != RunState.RUNNING or self.host != socket.gethostname():
            return self.state == RunState.RUNNING
        try:
            process = psutil.Process(self.pid)
            # A later process may have its number.
            return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= self.started + CLOCK_ERROR
        except psutil.Error:
            return False


class Runs:
    """The runs of a study.

    Args:
        database: of the study.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def lock(self) -> None:
        """Keep other processes away until the study is closed, or this process ends, however it does.

        Raises:
            StudyError: another process works on it; names it.
        """
        if not self._database.lock():
            raise self._in_use()

    def lock_if_writable(self) -> None:
        """Do the same where a study can be written; of one that may only be read, see that nobody works on it now.

        What is read of that is a copy, and the files of its trainings are never changed, so whoever begins later does
        no harm.

        Raises:
            StudyError: another process works on it; names it.
        """
        if self._database.is_writable:
            self.lock()
        elif self._database.is_locked():
            raise self._in_use()

    def _in_use(self) -> StudyError:
        rows = self._database.read("SELECT host, pid FROM run WHERE state = 'running' ORDER BY id DESC LIMIT 1")
        who = self._database.holder or (process_named(rows[0][1], rows[0][0]) if rows else "another process")
        return StudyError(f"study {str(self._database.directory)!r} is in use by {who}; {REMEDY}")

    def begin(self, command: str, settings: Mapping[str, object], problem: Mapping[str, object]) -> int:
        """Record that a command starts working on the study, and keep others away until it ends.

        Raises:
            StudyError: another process works on it; names it.
        """
        self.lock()
        with self._database.transaction():
            # Whoever held the lock before is gone, whatever it had still to write.
            self._database.execute("UPDATE run SET state = 'interrupted' WHERE state = 'running'")
            cursor = self._database.execute(
                "INSERT INTO run (command, settings, problem, contexts, host, pid, started, state)"
                " VALUES (?, ?, ?, '{}', ?, ?, ?, 'running')",
                (command, canonical(settings), canonical(problem), socket.gethostname(), os.getpid(), time.time()),
            )
        return int(cursor.lastrowid or 0)

    def begin_search(self, run: int, question: str, incidental: Collection[str], resolved: Resolved = dict) -> int:
        """Record what a run of tune asks; return the last training that there was when its search began.

        If the run before it was the same search, and was interrupted, that search goes on, and what it trained
        itself was not there when it began.

        Args:
            run: its number.
            question: what it asks, so that it is told from other questions.
            incidental: names of settings that change nothing of an answer.
            resolved: makes settings alike that mean the same.
        """
        with self._database.transaction():
            (last,) = self._database.execute("SELECT coalesce(max(id), 0) FROM training").fetchone()
            runs = self._database.execute(
                "SELECT settings, problem, state, began FROM run LEFT JOIN search ON search.run = run.id"
                " WHERE command = 'tune' AND id <= ? ORDER BY id DESC LIMIT 2",
                (run,),
            ).fetchall()
            with self._database.decoding():
                asked = [(decoding.mapping(settings), decoding.mapping(problem)) for settings, problem, _, _ in runs]
            own, *former = [({k: v for k, v in resolved(s).items() if k not in incidental}, p) for s, p in asked]
            goes_on = former == [own] and runs[1][2] == RunState.INTERRUPTED and runs[1][3] is not None
            began = int(runs[1][3]) if goes_on else int(last)
            insert = "INSERT INTO search (run, question, began) VALUES (?, ?, ?)"
            self._database.execute(insert, (run, question, began))
        return began

    def was_searched(self, question: str, run: RecordedRun, resolved: Resolved = dict) -> bool:
        """Tell whether a search with this question came to its end, in the space and by the facts of a run.

        Args:
            question: what was asked.
            run: whose space, trainings and conditions of measurements are meant.
            resolved: makes settings alike that mean the same.
        """
        query = "SELECT settings, contexts FROM search JOIN run ON run.id = search.run WHERE question = ?"
        query = f"{query} AND state = 'done' AND {_SAME_CONDITIONS}"
        rows = self._database.read(query, question, canonical(run.problem))
        with self._database.decoding():
            searched = [(decoding.mapping(asked), decoding.contexts(contexts)) for asked, contexts in rows]
        alike = [asked for asked, contexts in searched if contexts.get(TRAININGS) == run.contexts.get(TRAININGS)]
        return _space(resolved(run.settings)) in [_space(resolved(asked)) for asked in alike]

    def know(self, run: int, contexts: Mapping[Family, int]) -> None:
        """Record which facts a command uses so far, for questions while it goes on, or after it was killed."""
        with self._database.transaction():
            known = canonical({str(family): number for family, number in contexts.items()})
            self._database.execute("UPDATE run SET contexts = ? WHERE id = ?", (known, run))

    def end(self, run: int, contexts: Mapping[Family, int], state: RunState) -> None:
        """Record which facts a command used and how it ended."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE run SET contexts = ?, state = ?, ended = ? WHERE id = ?",
                (canonical({str(family): number for family, number in contexts.items()}), state, time.time(), run),
            )
        self._database.unlock()

    def latest(self) -> LatestRun | None:
        """Return the search that began last."""
        rows = self._database.read(
            "SELECT id, state, host, pid, started FROM run WHERE command = 'tune' ORDER BY id DESC LIMIT 1"
        )
        with self._database.decoding():
            found = [LatestRun(int(n), RunState(s), str(h), int(p), float(t)) for n, s, h, p, t in rows]
        return found[0] if found else None

    def last(self, *, latest: bool = False) -> RecordedRun | None:
        """Return the run to which questions refer: the last one that finished, or else the last one.

        What earlier runs measured for the same problem is counted as its own.

        Args:
            latest: whether the one that began last is meant, finished or not.
        """
        order = "id DESC" if latest else "state = 'done' DESC, id DESC"
        query = "SELECT id, settings, problem, contexts, state FROM run WHERE command = 'tune' ORDER BY"
        rows = self._database.read(f"{query} {order} LIMIT 1")
        if not rows:
            return None
        number, settings, problem, own_contexts, state = rows[0]
        others = self._database.read(f"SELECT contexts FROM run WHERE {_SAME_CONDITIONS} ORDER BY id", problem)  # noqa: S608 - constants
        with self._database.decoding():
            contexts: dict[Family, int] = {}
            for (text,) in others:  # trainings depend on more than the problem, such as the recipe
                contexts |= {f: number for f, number in decoding.contexts(text).items() if f.metric is not None}
            contexts |= decoding.contexts(own_contexts)
            asked, of_problem = decoding.mapping(settings), decoding.mapping(problem)
            return RecordedRun(int(number), asked, of_problem, contexts, RunState(state))

    def state(self) -> RunState:
        """Return the state of the last run."""
        last = self._database.read("SELECT state FROM run ORDER BY id DESC LIMIT 1")
        with self._database.decoding():
            state = RunState(last[0][0]) if last else RunState.NONE
        gone = state == RunState.RUNNING and not self._database.is_locked()
        return RunState.INTERRUPTED if gone else state


_SAME_CONDITIONS = "json_remove(problem, '$.class_names', '$.recipe') = json_remove(?, '$.class_names', '$.recipe')"
"""Whether a run has measured under the conditions of another, whose problem is given; no metric depends on the rest."""


def _space(settings: Mapping[str, Any]) -> tuple[object, object]:
    return settings.get("depth"), settings.get("width")
