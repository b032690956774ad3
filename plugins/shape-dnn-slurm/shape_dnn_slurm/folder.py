"""What driver and job tell each other: files of a directory that both see.

Each file has one writer, is there before its reader first looks, and is opened anew for every look, so that what NFS
keeps of it is brought up to date. No connection between machines is needed, and either side may end and come back.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from shape_dnn.system import durable
from shape_dnn.work import Task

Kind = Literal["began", "given", "alive", "said", "again", "ended"]
"""A job began on a node, says what memory it was given, shows life, reports something, is about to be started again, or
has left its outcome.
"""
_LENGTH = struct.Struct("<Q")


class Message(NamedTuple):
    """Something that a job tells.

    Attributes:
        kind: of message.
        content: what it reports; of ``began`` the name of the node, of ``given`` the memory in MB, and of ``again``
            whether its time is over.
    """

    kind: Kind
    content: object = None


class Answer(NamedTuple):
    """What a driver answers.

    Attributes:
        read: how many reports it has read.
        go_on: whether the task is to go on.
        driver: name of the one that reads what this job tells; another one may be there, and not know of it yet.
    """

    read: int
    go_on: bool
    driver: str


@dataclass(frozen=True)
class Record:
    """What a later driver must know of a job.

    Attributes:
        number: of the job, as Slurm writes it.
        work: name of what it does, by which another attempt at the same is known; empty if none can take it over.
        minutes: its time limit.
        memory: MB that it asked for; 0 for what the cluster gives.
        requeues: whether it is started again where it is preempted or out of time.
    """

    number: str
    work: str
    minutes: int
    memory: int
    requeues: bool


class Folder:
    """Files of one job.

    Args:
        path: its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.task, self.outcome, self.reports = path / "task.pkl", path / "outcome.pkl", path / "reports"
        self._answers, self._record = path / "answers", path / "job.json"

    # Of the driver

    def create(self, task: Task, driver: str) -> None:
        """Write what a job needs to begin."""
        self.path.mkdir(parents=True)
        for each in (self.reports, self._record):  # what a machine has looked for in vain, it may not see for a minute
            each.touch()
        self.answer(Answer(0, True, driver))
        durable.write(self.task, pickle.dumps(task))

    def register(self, record: Record) -> None:
        """Say which job this is; before that it does nothing."""
        durable.write(self._record, json.dumps(vars(record)).encode())

    def answer(self, answer: Answer) -> None:
        """Answer all reports that have been read.

        The file keeps its length, so that whoever reads it finds the former answer or this one.
        """
        descriptor = os.open(self._answers, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, f"{answer.read:018d}{'+' if answer.go_on else '-'}{answer.driver}".encode())
        finally:
            os.close(descriptor)

    # Of the job

    def tell(self, message: Message) -> None:
        """Append a message, at once and as a whole."""
        content = pickle.dumps(tuple(message))
        descriptor = os.open(self.reports, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, _LENGTH.pack(len(content)) + content)
        finally:
            os.close(descriptor)

    def mend(self) -> None:
        """Cut off what an earlier start of this job has not told to its end."""
        messages = Messages(self)
        messages.new()
        os.truncate(self.reports, messages.offset)

    # Of both

    def answered(self) -> Answer:
        """Return what a driver has answered last."""
        text = self._answers.read_text()
        return Answer(int(text[:18]), text[18] == "+", text[19:])

    def record(self) -> Record | None:
        """Return what is known of the job; None if none is known to have been submitted."""
        with contextlib.suppress(FileNotFoundError, ValueError):  # it is not there, or not yet as a whole
            return Record(**json.loads(self._record.read_text()))
        return None

    @property
    def has_begun(self) -> bool:
        """Whether the job runs, or has run."""
        return any(message.kind == "began" for message in Messages(self).new())

    def output(self, number: int) -> Path:
        """Return where a task writes one of its outputs."""
        return self.path / f"output-{number}"


class Messages:
    """Reads what a job tells.

    Args:
        folder: of the job.

    Attributes:
        offset: where the first message begins that was not read.
    """

    def __init__(self, folder: Folder) -> None:
        self._path, self.offset = folder.reports, 0

    def new(self) -> list[Message]:
        """Return what was told since the last time."""
        with self._path.open("rb") as file:
            file.seek(self.offset)
            content = file.read()
        found, place = [], 0
        while len(content) - place >= _LENGTH.size:
            end = place + _LENGTH.size + _LENGTH.unpack_from(content, place)[0]
            if end > len(content):
                break
            kind, told = pickle.loads(content[place + _LENGTH.size : end])  # noqa: S301 - of a job of this user
            found.append(Message(kind, told))
            place = end
        self.offset += place
        return found


class Heartbeat:
    """A file that changes as long as a driver is there.

    Args:
        directory: of all jobs.

    Attributes:
        driver: name of this one.
    """

    def __init__(self, directory: Path) -> None:
        self._path, self._beats = directory / "driver", 0
        self.driver = os.urandom(8).hex()

    def beat(self) -> None:
        """Change it."""
        self._beats += 1
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, f"{self.driver} {self._beats:018d}".encode())
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Change it every second meanwhile, however long Slurm takes to answer."""
        ended = threading.Event()

        def beat_on() -> None:
            while not ended.wait(1.0):
                with contextlib.suppress(OSError):  # the next one may succeed
                    self.beat()

        self.beat()
        beating = threading.Thread(target=beat_on, name="heartbeat", daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()

    def read(self) -> str:
        """Return what it is now."""
        with contextlib.suppress(OSError):
            return self._path.read_text()
        return ""


def load(path: Path) -> Any:
    """Read what was pickled by a job or a driver of this user."""
    return pickle.loads(path.read_bytes())  # noqa: S301
