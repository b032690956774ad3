"""Runs kept in files, so that no question is asked twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import shape_dnn
from shape_dnn.benchmarking.judging import Run
from shape_dnn.benchmarking.method import Method
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Ask
from shape_dnn.errors import UsageError
from shape_dnn.store.decoding import canonical

DECIDING = (
    *(f"{room}/**/*.py" for room in ("assembly", "builtin", "kinds", "search", "benchmarking/peers")),
    *(f"benchmarking/{name}.py" for name in ("asking", "facts", "method", "own", "problems", "questions")),
    *(f"{name}.py" for name in ("constraints", "plugins/checked", "quality", "records", "settings", "shape")),
)
"""Files of this package whose code determines runs."""


class Kept:
    """The runs of one method on one table: a file of JSON lines, the first of which says what it holds.

    Lines that cannot be read, such as one that was being written when the power failed, count as not there.

    Args:
        directory: of all results; None to keep nothing.
        table: that is asked about.
        method: that is asked.
        ask: what is asked for.
        seed: of the questions.

    Attributes:
        runs: by the number of the question.
    """

    def __init__(self, directory: Path | None, table: RecordedTable, method: Method, ask: Ask, seed: int) -> None:
        self.runs: dict[int, Run] = {}
        self._path: Path | None = None
        if directory is None:
            return
        identity = {
            "table": table.name, "content": table.digest, "ask": ask, "seed": seed, "by": method.identity,
            "shape-dnn": shape_dnn.__version__, "code": _code(),
        }  # fmt: skip
        head = json.loads(canonical(identity))
        name = hashlib.sha256(canonical(identity).encode()).hexdigest()[:16]
        label = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{table.name}-{method.spec}")[:80]
        self._path = directory / f"{label}-{ask}-{seed}-{name}.jsonl"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                self._append(head)
            self._read()
        except OSError as error:
            raise _unusable(error) from None

    def add(self, runs: Mapping[int, Run]) -> None:
        """Keep runs by the numbers of their questions.

        Raises:
            UsageError: the file cannot be written.
        """
        self.runs.update(runs)
        try:
            self._append(*({"question": number, **run.to_dict()} for number, run in runs.items()))
        except OSError as error:
            raise _unusable(error) from None

    def _append(self, *lines: Mapping[str, object]) -> None:
        if self._path is None:
            return
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        with self._path.open("ab+") as file:
            file.seek(max(0, file.tell() - 1))
            torn = file.read(1) not in (b"", b"\n")
            file.write((b"\n" if torn else b"") + text.encode())

    def _read(self) -> None:
        assert self._path is not None  # noqa: S101 - read only if there is one
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                values = json.loads(line)
                number = values.pop("question")
                self.runs[number] = Run.from_dict(values)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest the code that determines runs, which changes while someone works on it and its version does not."""
    package = Path(shape_dnn.__file__).parent
    digest = hashlib.sha256()
    for pattern in DECIDING:
        for path in sorted(package.glob(pattern)):
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _unusable(error: OSError) -> UsageError:
    return UsageError(f"cannot use {error.filename!r}: {error.strerror}", setting="results")
