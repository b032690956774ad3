"""What is said to a runner on a target, and what it answers."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from shape_dnn.deploying import interpreter, runner
from shape_dnn.deploying.interpreter import DiedError
from shape_dnn.errors import DeploymentError, TargetError
from shape_dnn.kinds import Target
from shape_dnn.work import alive

START_SECONDS = 90.0
"""Until an interpreter there must have greeted."""
PAYLOAD_RATE = 50_000
"""Bytes in a second that any connection moves."""


class HangingError(DiedError):
    """The runner did not answer in time."""


@dataclass(frozen=True)
class Reply:
    """What a runner answered.

    Attributes:
        answer: JSON values.
        payload: raw bytes.
    """

    answer: Any
    payload: bytes = b""


class Connection:
    """A runner that has greeted.

    Args:
        target: where.

    Attributes:
        pid: number of the runner's process there.
        is_waiting: whether it was asked something that it has not answered.

    Raises:
        TargetError: it cannot be started there; the message says the remedy.
        TargetLostError: this may pass by itself.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._number = 0
        self.is_waiting = False
        program = runner.program()
        self._process = interpreter.start(target, runner.COMMAND.format(size=len(program)))
        assert self._process.stdin is not None  # noqa: S101 - pipes were asked for
        self._input: IO[bytes] = self._process.stdin
        os.set_blocking(self._input.fileno(), False)  # whoever does not read must not keep whoever writes
        self._noise: deque[bytes] = deque(maxlen=50)
        self._heard: queue.SimpleQueue[tuple[dict[str, Any], bytes] | None] = queue.SimpleQueue()
        self._listeners = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._keep_noise)]
        for listener in self._listeners:
            listener.start()
        try:
            self._send([program], START_SECONDS)
            greeting = self._next(START_SECONDS)
            self._check(greeting)
            self.pid = int(greeting["pid"])
        except BaseException:
            self.close()
            raise

    @property
    def _python(self) -> str:
        return self._target.python or ("python3" if not self._target.is_here else sys.executable)

    def _check(self, greeting: Mapping[str, object]) -> None:
        if "old" in greeting:
            message = f"{self._python} is Python {greeting['old']}, and 3.9 is needed; set target.python to a newer one"
            raise TargetError(f"{self._target.name}: {message}")

    def request(self, do: str, limit: float, payload: Iterable[bytes] = (), size: int = 0, **content: Any) -> Reply:
        """Ask for something, and wait for the answer.

        Args:
            do: what.
            limit: seconds after which the runner counts as hanging: without reading on, or without an answer, beside
                the time that the payload takes.
            payload: raw bytes that belong to it, in parts.
            size: of the payload.
            content: the rest of what is asked.

        Raises:
            DeploymentError: the artifact is at fault.
            TargetError: the target is.
            TargetLostError: the connection is gone, or the runner.
        """
        self._number += 1
        self.is_waiting = True
        line = json.dumps({"id": self._number, "do": do, "bytes": size, **content}).encode("ascii") + b"\n"
        self._send(itertools.chain([line], payload), limit)
        found = self._next(limit + size / PAYLOAD_RATE)
        if found.get("id") != self._number:
            raise DiedError(f"{self._target.name}: the runner answered something else than what was asked")
        self.is_waiting = False
        if "refused" in found:
            error = DeploymentError if found["refused"] == "artifact" else TargetError
            raise error(f"{self._target.name}: {found['message']}")
        return Reply(found["answer"], found["payload"])

    def close(self) -> None:
        """End the runner."""
        with contextlib.suppress(OSError):
            self._input.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # A master that ssh leaves behind to share the connection keeps standard error open for as long as it likes.
        for listener, pipe in zip(self._listeners, (self._process.stdout, self._process.stderr), strict=True):
            listener.join(timeout=1)
            if pipe is not None and not listener.is_alive():
                pipe.close()

    def _send(self, parts: Iterable[bytes], seconds: float) -> None:
        """Write, past the buffer of the pipe's file, whose end would wait for a reader too.

        Args:
            parts: what to write.
            seconds: without a byte taken after which the runner counts as hanging.
        """
        for part in parts:
            rest = memoryview(part)
            while rest:
                alive()
                self._wait_for_room(seconds)
                try:
                    rest = rest[os.write(self._input.fileno(), rest) :]
                except OSError:  # why it is gone is found out by whoever waits for the answer
                    return

    def _wait_for_room(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_WRITE)
            while not selector.select(timeout=1.0):
                alive()
                if time.monotonic() >= until:
                    raise self._hanging(f"read nothing for {seconds:.0f} s")

    def _hanging(self, how: str) -> HangingError:
        self._process.kill()
        return HangingError(f"{self._target.name}: the runner {how}")

    def _next(self, seconds: float) -> dict[str, Any]:
        """Return what is heard next, with its payload."""
        until = time.monotonic() + seconds
        while True:
            alive()
            try:
                heard = self._heard.get(timeout=1.0)
            except queue.Empty:
                if time.monotonic() < until:
                    continue
                raise self._hanging(f"did not answer within {seconds:.0f} s") from None
            if heard is None:
                self._heard.put(None)  # whoever asks again is told again
                raise self._why_it_ended()
            return heard[0] | {"payload": heard[1]}

    def _listen(self) -> None:
        """Read what the runner says; what a login shell says before is left out."""
        assert self._process.stdout is not None  # noqa: S101
        output = self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            for line in output:
                if line.startswith(runner.GREETING.encode("ascii")):
                    self._heard.put((json.loads(line)["shape-dnn runner"], b""))
                    break
                self._noise.append(line)
            for line in output:
                content = json.loads(line)
                size = content.get("bytes", 0)
                payload = output.read(size)
                if len(payload) < size:
                    break
                self._heard.put((content, payload))
        self._heard.put(None)

    def _keep_noise(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._noise.append(line[:2000])

    def _why_it_ended(self) -> TargetError:
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return DiedError(f"{self._target.name}: the runner said what cannot be read")
        self._listeners[1].join(timeout=1)
        said = b"".join(self._noise).decode("utf-8", "replace")
        return interpreter.explanation(self._target, self._python, status, said, has_greeted=self._number > 0)
