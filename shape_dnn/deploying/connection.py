"""A process on a target that runs the runner, through pipes or through the system's ssh."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import json
import os
import queue
import re
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from shape_dnn.deploying import runner
from shape_dnn.errors import DeploymentError, TargetError, TargetLostError
from shape_dnn.kinds import Target
from shape_dnn.work import alive

CONNECT_SECONDS = 20
"""Until ssh gives up reaching a host."""
START_SECONDS = 90.0
"""Until an interpreter there must have greeted."""
PAYLOAD_RATE = 50_000
"""Bytes in a second that any connection moves."""
SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": CONNECT_SECONDS,
    "LogLevel": "INFO",
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
}
LOST = re.compile(
    r"closed by remote host|Shared connection|client_loop: |not responding|Connection reset|Broken pipe|mux_client|"
    r"Connection to \S+ (closed|timed out)|Connection closed by"
)
"""How ssh says that a connection ended which was there."""


class UnreachableError(TargetLostError):
    """There was no connection in the first place."""


class DiedError(TargetLostError):
    """The runner ended by itself, or so it seems from here: ssh that shares a connection does not tell."""


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
        self._process = _start(target, runner.COMMAND.format(size=len(program)))
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
        with contextlib.suppress(OSError):  # why it is gone is found out by whoever waits for the answer
            for part in parts:
                rest = memoryview(part)
                while rest:
                    alive()
                    self._wait_for_room(seconds)
                    rest = rest[os.write(self._input.fileno(), rest) :]

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
        return explanation(self._target, self._python, status, said, has_greeted=self._number > 0)


def explanation(target: Target, python: str, status: int, said: str, *, has_greeted: bool) -> TargetError:
    """Say why a process ended which should have gone on.

    Args:
        target: where it was.
        python: interpreter.
        status: of the process, or of ssh.
        said: on standard error, by whoever it was.
        has_greeted: whether the runner ran.
    """
    name = target.name
    if not target.is_here and status == 255:
        for pattern, error, remedy in _TROUBLES if not has_greeted else ():
            if re.search(pattern, said):
                command = f"ssh{f' -p {target.port}' if target.port else ''} {_account(target)}"
                return error(f"{name}: {remedy.format(target=target, command=command)} ({_last(said)})")
        if LOST.search(said):
            return TargetLostError(f"{name}: the connection to {target} broke ({_last(said)})")
        if not has_greeted:
            return UnreachableError(f"{name}: ssh cannot reach {target} ({_last(said)})")
    if not has_greeted and status in (126, 127):
        remedy = "set target.python to an interpreter"
        return TargetError(f"{name}: {python} cannot be run on {target}; {remedy} ({_last(said)})")
    if not has_greeted:
        return TargetError(f"{name}: {python} on {target} ended with status {status}: {_last(said)}")
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    if not target.is_here and status == 255:
        how = "by a signal"
    return DiedError(f"{name}: the runner on {target} was ended {how}; there may be too little memory ({_last(said)})")


_TROUBLES: tuple[tuple[str, type[TargetError], str], ...] = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        TargetError,
        "the host key of {target.host} is another one than before; if it may be, remove the old one with ssh-keygen -R",
    ),
    (
        "Host key verification failed|host key is known",
        TargetError,
        "the host key of {target.host} is not known; run '{command}' once, and compare it",
    ),
    (
        "Permission denied|Too many authentication failures",
        TargetError,
        "{target.host} lets this user not in; '{command}' must work without a password: see ssh-copy-id and ssh-add",
    ),
    (
        "Bad configuration option|terminating, .* bad configuration|Can't open user config",
        TargetError,
        "ssh cannot read its configuration",
    ),
    (
        "Could not resolve|refused|timed out|No route|unreachable|kex_exchange|Connection closed|Connection reset",
        UnreachableError,
        "{target} cannot be reached; see whether it is on, and whether '{command}' works",
    ),
)
"""What ssh says where it does not come through, what it is, and the remedy."""


def _start(target: Target, code: str) -> subprocess.Popen[bytes]:
    if target.is_here:
        command = [os.path.expanduser(target.python) or sys.executable, "-u", "-c", code]  # noqa: PTH111
    else:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise TargetError(f"{target.name}: there is no ssh here; install OpenSSH's client (openssh-client)")
        there = f"{quoted(target.python)} -u -c '{code}'"
        command = [ssh, "-T", *_options(target), "--", target.host, there]
    try:
        # A group of its own: who interrupts the driver with Ctrl-C lets it say goodbye.
        return subprocess.Popen(  # noqa: S603 - what the user asked for
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        message = f"{command[0]} cannot be started ({error.strerror}); set target.python to an interpreter"
        raise TargetError(f"{target.name}: {message}") from None


def _options(target: Target) -> list[str]:
    given: Mapping[str, object] = {"-F": os.path.expanduser(target.ssh_config), "-p": target.port, "-l": target.user}  # noqa: PTH111
    options = [part for name, value in SSH_OPTIONS.items() for part in ("-o", f"{name}={value}")]
    return options + [part for flag, value in given.items() if value for part in (flag, str(value))]


def quoted(python: str) -> str:
    """Write a path so that any shell reads it as it is, apart from somebody's home directory at its begin."""
    home, slash, rest = python.partition("/") if python.startswith("~") else ("", "", python or "python3")
    return home + slash + (shlex.quote(rest) if rest else "")


def _account(target: Target) -> str:
    return f"{target.user}@{target.host}" if target.user else target.host


def _last(said: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def wait(seconds: float) -> None:
    """Wait, and show signs of life meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        alive()
        time.sleep(min(1.0, left))


def who() -> str:
    """Say who has a target from now on."""
    now = datetime.now(UTC).isoformat(" ", "minutes")
    return f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}, since {now}"
