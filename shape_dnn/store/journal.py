"""The journal of a study: what happened during its searches, a line of JSON each, for those who watch and tell of it.

Nothing is decided by it: facts are in the database alone, and a study without a journal, or with a damaged one, is as
good as any. Of what comes in thousands, such as epochs, it has a part.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from shape_dnn import events
from shape_dnn.errors import ShapeDnnError, describe
from shape_dnn.events import Event
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch, Measurement, Stop, Training
from shape_dnn.shape import Shape
from shape_dnn.store import decoding
from shape_dnn.system.text import encodable, one_line

FILE_NAME = "journal.jsonl"
FORMAT = 1
EPOCHS = 20
"""Epochs of a training that are told of, about; where nobody knows how many there will be, of each doubling."""
MEASUREMENTS = 100
"""Measurements of a metric that are told of, at most, and parts of a dataset."""
LONGEST = 1 << 24
"""Bytes of a line; what is longer is nothing that a search has written."""

LATEST = 1e11
"""Seconds since 1970 before which everything happens; later ones are no dates to every system."""
LARGEST = 1 << 53
"""Numbers that count something are below it, as whole ones that every program reads alike."""


class Entry(NamedTuple):
    """Something that happened.

    Attributes:
        time: when, in seconds since 1970; to be shown, not to be decided by.
        run: number of the run in the study.
        event: what. A training has the last point of its learning curve at most, a search no result.
    """

    time: float
    run: int
    event: Event


class Journal:
    """Takes down what happens during a search.

    If it cannot be written, that is said once, and the search goes on without: what it finds is recorded elsewhere.

    Args:
        directory: of the study.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._file: int | None = None
        self._run = 0

    @contextmanager
    def of_run(self, number: int, started: events.SearchStarted) -> Iterator[None]:
        """Take down a search, from its beginning to its end, whatever end that is.

        Args:
            number: of the run in the study, which must be locked.
            started: what it begins with.
        """
        self._run = number
        self._open()
        self.append(started)
        try:
            yield
            self.append(events.SearchFinished({}, ()))
        except BaseException as error:
            self.append(events.SearchInterrupted(_reason(error)))
            raise
        finally:
            self._close()

    def append(self, event: Event) -> None:
        """Take down an event, if it happens during a run and is worth a line."""
        if self._file is None or not _is_told(event):
            return
        record = {"v": FORMAT, "run": self._run, "time": round(time.time(), 3), "event": type(event).__name__}
        fields = {name: _plain(getattr(event, name)) for name in FIELDS[type(event)]}
        line = json.dumps({**record, **fields}, separators=(",", ":"), default=str)
        try:
            _write(self._file, line.encode() + b"\n")
        except OSError as error:
            self._complain(error)

    def _open(self) -> None:
        try:
            self._file = _open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            end = os.lseek(self._file, 0, os.SEEK_END)
            if end and os.pread(self._file, 1, end - 1) != b"\n":  # whoever wrote last was killed meanwhile
                _write(self._file, b"\n")
        except OSError as error:
            self._complain(error)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _complain(self, error: OSError) -> None:
        self._close()
        message = f"the journal {str(self._path)!r} cannot be written: {error.strerror}; the search goes on without it"
        warnings.warn(message, stacklevel=3)


def read(directory: Path, after: int = 0) -> tuple[list[Entry], int]:
    """Read what was added to the journal of a study; it may be one that is being written, or that of a stranger.

    What makes no sense is left out, and what a later version wrote.

    Args:
        directory: of the study.
        after: what this returned the last time; 0 for everything.

    Returns:
        The entries, and after what to read on the next time. That is less than ``after`` if the journal was replaced
        by another one, which is then read from its beginning.
    """
    try:
        file = os.fdopen(_open(directory / FILE_NAME, os.O_RDONLY), "rb")
    except OSError:
        return [], 0
    with file:
        file.seek(after if after <= os.fstat(file.fileno()).st_size else 0)
        entries = [entry for line in _lines(file) if (entry := _entry(line)) is not None]
        return entries, file.tell()


def copy(source: Path, target: Path) -> None:
    """Give a study that has no journal that of another one; what goes wrong is said."""
    path = source / FILE_NAME
    if path.is_file() and not path.is_symlink() and not (target / FILE_NAME).exists():
        try:
            shutil.copyfile(path, target / FILE_NAME)
        except OSError as error:
            warnings.warn(f"{str(path)!r} cannot be copied: {error.strerror}", stacklevel=2)


def _open(path: Path, flags: int) -> int:
    """Open a file that is one, and not a link or a pipe that somebody has put there.

    Raises:
        OSError: it cannot be opened.
    """
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file")
    return file


def _write(file: int, line: bytes) -> None:
    """Write a line whole.

    Raises:
        OSError: it cannot be written, or a part of it only.
    """
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Give the lines that are whole, and leave the file after the last of them."""
    while line := file.readline(LONGEST):
        if not line.endswith(b"\n") and len(line) < LONGEST:
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield line


def _entry(line: bytes) -> Entry | None:
    try:
        record = decoding.mapping(line.decode())
        kind = KINDS[record["event"]]
        if record["v"] != FORMAT:
            return None
        there = FIELDS[kind].keys() - (LATER - record.keys())
        values = {name: FIELDS[kind][name](record[name]) for name in there}
        lacking: dict[str, Any] = {"result": {}, "files": ()} if kind is events.SearchFinished else {}
        return Entry(_time(record["time"]), _whole(record["run"]), kind(**values, **lacking))
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return ""
    return one_line(str(error)) if isinstance(error, ShapeDnnError) else describe(error)


def _is_told(event: Event) -> bool:
    """Tell whether an event is worth a line."""
    match event:
        case events.EpochFinished(_, epoch, None):
            return epoch.number % (1 << max(0, epoch.number.bit_length() - 5)) == 0
        case events.EpochFinished(_, epoch, int(epochs)):
            return _is_part(epoch.number, epochs, EPOCHS)
        case events.Measured(done=done, total=total) | events.DatasetRead(done=done, total=total):
            return _is_part(done, total, MEASUREMENTS)
    return type(event) in FIELDS


def _is_part(done: int, total: int, parts: int) -> bool:
    return done * parts // max(total, 1) > (done - 1) * parts // max(total, 1)


def _plain(value: object) -> object:
    """Return JSON values that are read again by :data:`FIELDS`."""
    match value:
        case Shape(depth, width):
            return [depth, str(width)]
        case Epoch(number, loss, quality):
            return [number, loss, quality]
        case Training(shape, quality, reason, curve, seconds):
            last = _plain(curve[-1]) if curve else None
            fields = {"quality": quality, "reason": reason, "seconds": seconds, "stopped": value.stopped, "last": last}
            return {"shape": _plain(shape), **fields}
        case Measurement(number, low, high, status):
            return {"value": number, "low": low, "high": high, "status": status}
        case Quality():
            return value.whole_record
        case tuple():
            return [_plain(each) for each in value]
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < LARGEST:
        raise ValueError(f"a number is {value!r:.60}")
    return value


def _finite(value: object) -> float:
    number = _number(value)
    if number is None:
        raise ValueError("a number is missing")
    return number


def _number(value: object) -> float | None:
    """Read a number; one that is not finite, such as the loss of a training that went wrong, is as good as none."""
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"a number is {value!r:.60}")
    return float(value) if abs(value) < float("inf") else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {value!r:.60}")
    return encodable(value)


def _time(value: object) -> float:
    number = _finite(value)
    if not 0 <= number < LATEST:
        raise ValueError(f"a time is {number!r}")
    return number


def _shape(value: list[Any]) -> Shape:
    depth, width = value
    return decoding.shape(depth, width)


def _optional(read_it: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read_it(value)


def _epoch(value: list[Any]) -> Epoch:
    number, loss, quality = value
    if not _whole(number):
        raise ValueError("an epoch has the number 0")
    return Epoch(number, _number(loss), _finite(quality))


def _training(value: Mapping[str, Any]) -> Training:
    last = value["last"]
    return Training(
        _shape(value["shape"]),
        _number(value["quality"]),
        _text(value["reason"]),
        () if last is None else (_epoch(last),),
        _number(value["seconds"]),
        stop=Stop("") if value["stopped"] else None,
    )


def _measurement(value: Mapping[str, Any]) -> Measurement:
    number, low, high = (_number(value[name]) for name in ("value", "low", "high"))
    return Measurement(number, low, high, _text(value["status"]))


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"a mapping is {value!r:.60}")
    return value


def _shapes(value: list[Any]) -> tuple[Shape, ...]:
    return tuple(map(_shape, value))


FIELDS: Mapping[type[Event], Mapping[str, Callable[[Any], Any]]] = {
    events.SearchStarted: {"settings": _mapping, "shapes": _whole, "quality": Quality.of_record},
    events.DatasetRead: {"dataset": _text, "done": _whole, "total": _whole},
    events.StageFinished: {"metric": _text, "limit": _text, "unit": _text, "before": _whole, "after": _whole},
    events.Remarked: {"metric": _text, "text": _text},
    events.Measured: {"metric": _text, "unit": _text, "shape": _shape, "measurement": _measurement,
                      "done": _whole, "total": _whole},
    events.Fitted: {"metric": _text, "measured": _whole, "predicted": _whole},
    events.Chosen: {"shape": _shape, "reason": events.Reason, "expected": _number, "std": _number,
                    "complies": _number, "better": _number},
    events.TrainingsPlanned: {"shapes": _shapes, "known": _whole, "failed": _whole, "seeds": _whole},
    events.TrainingsPrepared: {"precision": _text, "reason": _text, "memory": _whole},
    events.EpochFinished: {"shape": _shape, "epoch": _epoch, "epochs": _optional(_whole), "seed": _whole},
    events.TrainingLost: {"shape": _shape, "machine": _text, "seed": _whole},
    events.TrainingFinished: {"training": _training, "done": _whole, "total": _whole, "seed": _whole},
    events.Converted: {"shape": _shape, "quality": _finite, "before": _finite, "loses_too_much": bool,
                       "done": _whole, "total": _whole, "seed": _whole},
    events.TrainedAgain: {"shape": _shape, "quality": _finite, "again": _finite},
    events.Judged: {"trained": _whole, "doubt": _finite, "best": _optional(_shape), "tolerance": _finite},
    events.Tested: {"shape": _shape, "quality": _finite, "seed": _whole},
    events.SearchFinished: {},
    events.SearchInterrupted: {"reason": _text},
}  # fmt: skip
"""How what is in a line is read, by the kind of its event; other kinds are not taken down."""
LATER = frozenset({"seed", "seeds"})
"""Fields that journals lack which were written before there were any; they have defaults."""
KINDS = {kind.__name__: kind for kind in FIELDS}
