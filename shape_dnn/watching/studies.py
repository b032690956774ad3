"""Studies that are watched: looked at cheaply and often, and read anew only when something has changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shape_dnn.answers.question import StudyQuestion
from shape_dnn.errors import ShapeDnnError, UsageError
from shape_dnn.report import page
from shape_dnn.report.overview import Overview
from shape_dnn.store import journal
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.store.lease import Signs
from shape_dnn.store.runs import LatestRun, RunState
from shape_dnn.system.text import encodable
from shape_dnn.watching.live import Live

SECONDS = 1.0
"""Least time between two looks at a study."""
SEARCHING = 5.0
"""Least time between two searches for new studies."""
READING = 1.0
"""Time after which no further report is begun, so that a page of many studies shows what is read by then."""
PREDICTED = " (predicted)"
"""What follows an answer that was not trained."""


class Watched:
    """A study that is watched.

    Args:
        directory: of the study.
        name: what it is called on the page.
        plugins: files that a question to it may load.

    Attributes:
        version: counts the changes that were seen.
        facts: counts those of them that may change a report.
        is_alive: whether its last search went on when it was looked at.
        read_at: when its report was made last, by a clock that nobody sets.
    """

    def __init__(self, directory: Path, name: str, plugins: Sequence[str]) -> None:
        self.directory, self.name = directory, name
        self.version = self.facts = 0
        self._plugins = list(plugins)
        self._live = Live(directory)
        self._signs = Signs(directory)
        self._lock = threading.RLock()
        self._seen: list[tuple[int, int, int] | None] | None = None
        self._run: LatestRun | None = None
        self.is_alive = False
        self._looked = -SECONDS
        self._content: tuple[int, dict[str, Any]] | None = None
        self.read_at = 0.0

    def look(self) -> int:
        """Look whether something has changed, at most once a second; return what counts the changes."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked < SECONDS:
                return self.version
            self._looked = now
            before = self.is_alive, self._live.steps
            sizes = [_state(self.directory / name) for name in (FILE_NAME, journal.FILE_NAME)]
            if sizes != self._seen:
                if self._seen is None or sizes[0] != self._seen[0]:
                    self._run = self._latest()
                    self.facts += 1
                if self._seen is not None and _inode(sizes[1]) != _inode(self._seen[1]):
                    self._live = Live(self.directory)  # another study has come into this place
                    self.facts += 1
                self._live.follow()
                self._seen = sizes
                self.version += 1
            self.is_alive = self._goes_on()
            if (self.is_alive, self._live.steps) != before:
                self.facts += 1
                self.version += 1
            return self.version

    def _goes_on(self) -> bool:
        """Tell whether the last search goes on: by its signs of life where it gives any, else by its process."""
        if self._run is None or self._run.state != RunState.RUNNING:
            return False
        signs = self._signs.is_alive()
        return self._run.is_alive if signs is None else signs

    def _latest(self) -> LatestRun | None:
        """Read what is recorded of the last search; nothing is written, and nobody has to wait."""
        try:
            store = Store(self.directory, create=False)
        except ShapeDnnError:
            return None
        try:
            return store.runs.latest()
        except (ShapeDnnError, sqlite3.Error):
            return self._run
        finally:
            store.close()

    def live(self) -> dict[str, Any]:
        """Return what goes on, as JSON values."""
        with self._lock:
            return {**self._live.content(is_alive=self.is_alive), "facts": self.facts, "version": self.version}

    @property
    def is_read(self) -> bool:
        """Whether the report is as new as the facts."""
        return self._content is not None and self._content[0] == self.facts

    def content(self) -> dict[str, Any]:
        """Return the report as it is now, as JSON values, with the answer in short; made anew only if facts are new."""
        with _READING, self._lock:
            if not self.is_read:
                facts = self.facts
                self._content = facts, self._read()
                self.read_at = time.monotonic()
            return self._last()

    def _last(self) -> dict[str, Any]:
        facts, content = self._content or (0, _empty(self.name, ""))
        return {**content, "facts": facts}

    def _read(self) -> dict[str, Any]:
        settings = {"plugin": self._plugins} if self._plugins else {}
        try:
            with StudyQuestion.open(self.directory, settings, as_searched=True, latest=True) as known:
                best = known.answer.best
                answer = "" if best is None else _named(best.shape.depth, best.shape.width)
                if best is not None and best.quality is None:
                    answer += PREDICTED
                return {**page.content(Overview.of_study(known)), "answer": answer, "error": ""}
        except ShapeDnnError as error:
            return _empty(self.name, encodable(str(error)))

    def in_short(self) -> dict[str, Any]:
        """Return the row of the study among others, and what of it is drawn, as JSON values, as it was read last."""
        with self._lock:
            content, live, is_read = self._last(), self.live(), self._content is not None
        known = content["data"]["overview"] if content["data"] else {"shapes": [], "metrics": []}
        quality = known.get("quality", live["quality"])  # the report knows it, also where there is no journal
        names = [(metric["name"], metric["unit"], f"m{i}") for i, metric in enumerate(known["metrics"])]
        names.append((quality["name"], quality["unit"], "quality"))
        trained = [row for row in known["shapes"] if row["quality"] is not None]
        answer = content["answer"].removesuffix(PREDICTED)
        best = next((row for row in known["shapes"] if answer == _named(row["depth"], row["fraction"])), None)
        return {
            "id": identity(self.directory),
            "name": self.name,
            "state": live["state"],
            "text": live["text"],
            "answer": content["answer"]
            or content["error"]
            or ("not read yet" if not is_read else "none" if live["state"] == "finished" else "none yet"),
            "trained": len(trained),
            "shapes": len(known["shapes"]),
            "doubt": self._live.doubt,
            "metrics": [{"name": name, "unit": unit} for name, unit, _ in names],
            "better": quality.get("better", "higher"),
            "best": {name: None if best is None else best[column] for name, _, column in names},
            "points": [
                {"shape": row["name"], **{name: row[column] for name, _, column in names}} for row in trained
            ],
        }  # fmt: skip


def _empty(name: str, error: str) -> dict[str, Any]:
    return {"title": name, "header": "", "main": "", "data": None, "answer": "", "error": error}


_READING = threading.Lock()
"""One report at a time: they take the processor, and plugins were not asked whether they bear more."""


class Directory:
    """The studies in a directory and below, those too that appear while they are watched.

    Args:
        root: the directory; a study itself, or one with some below it.
        plugins: files that questions may load.

    Raises:
        UsageError: there is no study.
    """

    def __init__(self, root: Path, plugins: Sequence[str] = ()) -> None:
        self._root, self._plugins = root, plugins
        self.is_single = (root / FILE_NAME).is_file()
        self._lock = threading.Lock()
        self._studies: dict[str, Watched] = {}
        self._searched = -SEARCHING
        self.version = 0
        if not root.is_dir():
            raise UsageError(f"{str(root)!r} is not a directory", setting="study")
        if not self.studies():
            message = f"there is no study in {str(root)!r} or below it (no {FILE_NAME}); begin a search first"
            raise UsageError(message, setting="study")
        if self.is_single:
            Store(root, create=False).close()  # says at once what is wrong with it

    def studies(self) -> dict[str, Watched]:
        """Return the studies that are there, in order of their names, by how they are addressed."""
        with self._lock:
            now = time.monotonic()
            if now - self._searched >= SEARCHING:
                self._searched = now
                found = {identity(path): path for path in self._find()}
                if found.keys() != self._studies.keys():
                    self.version += 1
                self._studies = {
                    key: self._studies.get(key) or Watched(path, self._name(path), self._plugins)
                    for key, path in found.items()
                }
            return dict(self._studies)

    def _find(self) -> Iterator[Path]:
        if self.is_single:
            yield self._root
            return
        for path in sorted(self._root.rglob(FILE_NAME)):
            if path.is_file():
                yield path.parent

    def _name(self, path: Path) -> str:
        return encodable(path.resolve().name if self.is_single else str(path.relative_to(self._root)))

    def in_short(self) -> list[dict[str, Any]]:
        """Return the row of every study, in order.

        Reports of those that have changed are made anew for as long as :data:`READING`, those first that have waited
        longest. If some are left, whoever looks finds that something has changed, and asks again.
        """
        studies = list(self.studies().values())
        end = time.monotonic() + READING
        for study in sorted(studies, key=lambda each: each.read_at):
            study.content()
            if time.monotonic() >= end:
                break
        with self._lock:
            self.version += not all(study.is_read for study in studies)
        return [study.in_short() for study in studies]

    def look(self) -> tuple[int, ...]:
        """Look at every study; return what differs whenever one of them has changed."""
        studies = self.studies()
        return self.version, *(study.look() for study in studies.values())


def identity(directory: Path) -> str:
    """Return by what a study is addressed."""
    return hashlib.blake2b(os.fsencode(directory.resolve()), digest_size=6).hexdigest()


def _named(depth: int, width: object) -> str:
    return f"depth {depth}, width {width}"


def _inode(state: tuple[int, int, int] | None) -> int | None:
    return None if state is None else state[2]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
