"""Lines of JSON, each with as many bytes of raw payload after it as its ``bytes`` says."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

CHUNK = 1 << 20


class ClosedError(Exception):
    """Whoever is on the other side is gone, or silent for too long."""


class Pipe:
    """The runner's end.

    Args:
        source: descriptor to read from.
        sink: descriptor to write to.

    Attributes:
        idle: seconds without a byte after which the other side counts as gone; None to wait forever.
        left: bytes of payload that are not read yet.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink
        self._buffer = b""
        self.idle: float | None = None
        self.left = 0

    @classmethod
    def of_this_process(cls) -> Pipe:
        """Take standard input and output away from whatever else runs in this process, and may print."""
        pipe = cls(os.dup(0), os.dup(1))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        return pipe

    def read(self) -> dict[str, Any]:
        """Return the next request; what is left of the payload of the former one is passed over.

        Raises:
            ClosedError: there is none.
        """
        self.payload(len)
        while b"\n" not in self._buffer:
            self._buffer += self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        content: dict[str, Any] = json.loads(line)
        self.left = int(content.get("bytes", 0))
        return content

    def payload(self, take: Callable[[bytes], object]) -> None:
        """Hand over the payload of the request in parts.

        Raises:
            ClosedError: it is not all there.
        """
        while self.left:
            self._buffer = self._buffer or self._more()
            part, self._buffer = self._buffer[: self.left], self._buffer[self.left :]
            self.left -= len(part)
            take(part)

    def write(self, content: dict[str, Any], payload: bytes = b"") -> None:
        """Answer.

        Raises:
            ClosedError: nobody listens any more.
        """
        if payload:
            content = dict(content, bytes=len(payload))
        self.send(json.dumps(content).encode("ascii") + b"\n" + payload)

    def send(self, text: bytes) -> None:
        """Write bytes as they are.

        Raises:
            ClosedError: nobody listens any more.
        """
        rest = memoryview(text)
        try:
            while rest:
                rest = rest[os.write(self._sink, rest) :]
        except OSError as error:
            raise ClosedError(str(error)) from None

    def _more(self) -> bytes:
        """Wait for bytes."""
        if not select.select([self._source], [], [], self.idle)[0]:
            raise ClosedError(f"nothing was heard for {self.idle} s")
        found = os.read(self._source, CHUNK)
        if not found:
            raise ClosedError("the end of the input")
        return found
