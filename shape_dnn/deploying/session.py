"""A runner on a target: what is asked of it, whatever happens to the connection meanwhile."""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.connection import Connection, HangingError, Reply
from shape_dnn.deploying.copying import Files
from shape_dnn.deploying.interpreter import DiedError, UnreachableError
from shape_dnn.deploying.loaded import Model, warm_up_limits
from shape_dnn.errors import DeploymentError, TargetError, TargetLostError
from shape_dnn.kinds import Deployment, Target
from shape_dnn.work import alive

PAUSES = (0.0, 1.0, 4.0, 10.0, 20.0, 30.0)
"""Seconds before each further try to reach a target that was lost, counted anew after each success."""
IDLE_SECONDS = 60.0
"""Silence after which a runner ends: whoever started it is gone."""
PING_SECONDS = 15.0
QUICK_SECONDS = 60.0
"""Most that a request takes which runs nothing."""
SLOW_SECONDS = 900.0
"""Most that a request takes which loads or runs an artifact."""
MOST_DEATHS = 3
"""How often in a row a runner may die with an artifact before that is the artifact's fault."""
COOL_SECONDS = 120.0
"""Most that is waited for a processor to cool down."""
COOLER = 5.0
"""Degrees Celsius below the limit to which it is left to cool."""
LOCK_SECONDS = 2.0
"""How long a runner waits for the target to be free before it is asked once more."""
ROOT = "/"
"""Where a target shows its ``/proc`` and ``/sys``."""


class Session:
    """A runner on a target, which it has for itself, with the runtime of a deployment.

    A connection that breaks is taken up again, and what was loaded is loaded again, so that whoever asks notices
    nothing but the time it takes. Used as a context manager.

    Args:
        deployment: names the runtime, and what it is loaded with.
        target: where.
        waiting: seconds to wait for another study that has the target.
        alone: whether the target is needed for oneself, as where something is timed.

    Raises:
        TargetError: on entry, if the target cannot be reached or used; the message says the remedy.
    """

    def __init__(self, deployment: Deployment, target: Target, waiting: float = 0.0, *, alone: bool = True) -> None:
        self.target = target
        self.threads = deployment.threads
        self._waiting, self._alone = waiting, alone
        self._start: dict[str, Any] = {
            "runtime": deployment.runtime,
            "settings": dict(deployment.settings),
            "threads": deployment.threads,
            "cores": list(target.cores),
            "alone": alone,
            "idle": IDLE_SECONDS,
            "root": ROOT,
            "python": target.python,
            "former": 0,
        }
        self._token = secrets.token_hex(8)
        self._connection: Connection | None = None
        self._files = Files(target)
        self._busy = threading.RLock()
        self._ended = threading.Event()
        self._fingerprint: Mapping[str, object] = {}
        self._former_died = False
        self._loaded: set[str] = set()
        self._models = 0
        self._too_hot_at: float | None = None

    def __enter__(self) -> Self:
        """Connect."""
        self._persist(self._condition)
        threading.Thread(target=self._ping, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the runner, and let others have the target."""
        self._ended.set()
        with self._busy:
            if (connection := self._ready()) is not None:
                with contextlib.suppress(TargetError):
                    connection.request("bye", QUICK_SECONDS)
            self._disconnect()

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """What determines measurements there: machine, processor, cores, system, runtime versions, as JSON values."""
        return self._fingerprint

    @property
    def condition(self) -> Mapping[str, object]:
        """Clocks, temperature and whatever else may change at any time, as JSON values."""
        found: Mapping[str, object] = self._persist(
            lambda: self._connected().request("condition", QUICK_SECONDS)
        ).answer
        return found

    @property
    def warnings(self) -> list[str]:
        """What makes measurements there worse than they need be, with the remedy."""
        governor = self._fingerprint["governor"]
        if governor in (None, "performance"):
            return []
        remedy = "for steady times run 'cpupower frequency-set -g performance' there"
        return [f"{self.target.name}: the governor of the processor is {governor}; {remedy}"]

    def load(self, artifact: Artifact) -> Model:
        """Have the runner load an artifact; its files are sent unless the target has them.

        Raises:
            DeploymentError: the runtime cannot load it; says why.
            TargetError: a full disk, a runner that dies again and again, or no connection any more.
        """
        self._models += 1
        model = Model(self, artifact, str(self._models))
        model.load()
        return model

    def memory(self, artifact: Artifact) -> int:
        """Return the peak of resident bytes beyond the loaded runtime while an artifact is loaded and run."""
        self._models += 1
        name = str(self._models)

        def attempt() -> Reply:
            connection = self._connected()
            return connection.request("memory", SLOW_SECONDS, model=name, place=self._files.place(connection, artifact))

        return int(self._persist(attempt, artifact).answer["bytes"])

    def ask(self, model: Model, do: str, payload: Sequence[bytes] = (), **content: Any) -> Reply:
        """Ask something of a loaded artifact, which is loaded again if the runner does not know it any more.

        Raises:
            DeploymentError: the artifact is at fault, also where the runner dies with it again and again.
            TargetError: the target is.
        """

        def attempt() -> Reply:
            self._reload(model)
            size = sum(map(len, payload))
            return self._connected().request(do, SLOW_SECONDS, payload, size, model=model.name, **content)

        return self._persist(attempt, model.artifact)

    def forget(self, model: Model) -> None:
        """Have the runner unload an artifact, if it knows it."""
        with self._busy:
            if (connection := self._ready()) is not None and model.name in self._loaded:
                self._loaded.discard(model.name)
                with contextlib.suppress(TargetLostError):
                    connection.request("unload", QUICK_SECONDS, model=model.name)

    def cool_down(self) -> float | None:
        """Wait until the processor is cool again, and return the seconds that took; None if it was not too hot."""
        if self._too_hot_at is None:
            return None
        below = min(self.target.hottest, self._too_hot_at) - COOLER

        def attempt() -> Reply:
            return self._connected().request("cool", COOL_SECONDS + QUICK_SECONDS, below=below, most=COOL_SECONDS)

        found = self._persist(attempt).answer
        self._too_hot_at = None
        return float(found["seconds"])

    def note(self, temperature: float | None, *, throttled: bool) -> None:
        """Take into account what was told of heat."""
        if throttled or (temperature is not None and temperature > self.target.hottest):
            self._too_hot_at = self.target.hottest if temperature is None else temperature

    def _persist(self, attempt: Callable[[], Reply], artifact: Artifact | None = None) -> Reply:
        """Repeat what was interrupted until it succeeds."""
        pauses, deaths = iter(PAUSES), 0
        lost: TargetLostError | None = None
        with self._busy:
            while True:
                try:
                    self._connected()
                    deaths += lost is not None and (isinstance(lost, HangingError) or self._former_died)
                    if artifact is not None and deaths >= MOST_DEATHS:
                        name = artifact.directory.name
                        raise DeploymentError(f"{name} ended the runner {deaths} times in a row: {lost}")
                    return attempt()
                except TargetLostError as error:
                    self._disconnect()
                    lost, pause = error, next(pauses, None)
                    # What never worked is not to be waited for.
                    if pause is None or (not self._fingerprint and isinstance(error, UnreachableError | DiedError)):
                        raise
                    _wait(pause)

    def _condition(self) -> Reply:
        return self._connected().request("condition", QUICK_SECONDS)

    def _ready(self) -> Connection | None:
        """Return the connection, if there is one; end one whose request was cut short, as by an unreadable file."""
        if self._connection is not None and self._connection.is_waiting:
            self._disconnect()
        return self._connection

    def _connected(self) -> Connection:
        """Return the connection, made anew if it was lost."""
        if (former := self._ready()) is not None:
            return former
        connection = Connection(self.target)
        try:
            connection.request("start", QUICK_SECONDS, **self._start)
            if self._alone:
                self._lock(connection)
            hello = connection.request("hello", SLOW_SECONDS).answer
            self._compare(hello["fingerprint"])
        except BaseException:
            connection.close()
            raise
        self._fingerprint = hello["fingerprint"]
        self._former_died = bool(hello["former_died"])
        self._start["former"] = connection.pid
        self._loaded.clear()
        self._connection = connection
        return connection

    def _lock(self, connection: Connection) -> None:
        """Have the target for oneself.

        Raises:
            TargetError: somebody else has it.
        """
        until = time.monotonic() + self._waiting
        while True:
            most = max(0.0, min(LOCK_SECONDS, until - time.monotonic()))
            holder = connection.request("lock", QUICK_SECONDS, token=self._token, who=_who(), most=most).answer
            if holder is None:
                return
            if time.monotonic() >= until:
                message = f"another study has it ({holder}); wait for its end, or end it"
                raise TargetError(f"{self.target.name} is busy: {message}")

    def _compare(self, fingerprint: Mapping[str, object]) -> None:
        for name, before in self._fingerprint.items():
            if fingerprint.get(name) != before:
                message = f"its {name} was {before!r} and is {fingerprint.get(name)!r} now; start again"
                raise TargetError(f"{self.target.name} is another machine than before the connection broke: {message}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _reload(self, model: Model) -> None:
        """Have the runner know an artifact, as warm as it was."""
        connection = self._connected()
        if model.name in self._loaded:
            return
        connection.request("load", SLOW_SECONDS, model=model.name, place=self._files.place(connection, model.artifact))
        if model.is_warm:
            connection.request("warm_up", SLOW_SECONDS, model=model.name, **warm_up_limits())
        self._loaded.add(model.name)

    def _ping(self) -> None:
        """Let the runner hear that somebody is here, while nothing is asked of it."""
        while not self._ended.wait(PING_SECONDS):
            if self._busy.acquire(blocking=False):
                try:
                    if (connection := self._ready()) is not None:
                        with contextlib.suppress(TargetError):  # the next request will find out
                            connection.request("ping", QUICK_SECONDS)
                finally:
                    self._busy.release()


def _wait(seconds: float) -> None:
    """Wait, and show signs of life meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        alive()
        time.sleep(min(1.0, left))


def _who() -> str:
    """Say who has a target from now on."""
    now = datetime.now(UTC).isoformat(" ", "minutes")
    return f"{getpass.getuser()}@{socket.gethostname()}, process {os.getpid()}, since {now}"
