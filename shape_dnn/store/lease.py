"""Who works on a study on a network file system, where locks are not to be relied on: one process, wherever it runs.

The file ``lease`` names the process that holds it by a token, and is replaced by whoever takes over, never rewritten
or removed by its holder. The holder gives a sign of life every few seconds in a file of its own, ``lease.TOKEN``, and
writes there that it has ended. A process that cannot be looked up, since it runs on another machine, is dead when it
has given no sign for a while, by the clock of whoever waits for one; no two clocks are ever compared.

Of several that want to take over from the same dead holder, one creates ``lease.TOKEN.claim-1``. A holder that only
seemed dead finds its lease gone before it writes the next time, and stops.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from shape_dnn.errors import StudyError
from shape_dnn.system import durable
from shape_dnn.system.text import process_named

LEASE = "lease"
BEAT = 5.0
"""Seconds between two signs of life."""
PATIENCE = 60.0
"""Seconds without a sign of life after which a process on another machine is dead."""
ENDED = "ended"
CLOCK_ERROR = 2.0
"""Seconds by which the time differs, at most, that the system and a program tell of the same moment."""


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease.

    Attributes:
        host: name of its machine.
        place: what tells this start of the machine, and the part of it where its number is known, from all others.
        pid: its number there.
        started: when it started, by a clock of the machine that nobody sets, if it has one.
        token: of the lease; empty while the file is being written.
    """

    host: str = ""
    place: str = ""
    pid: int = 0
    started: float = 0.0
    token: str = ""

    @classmethod
    def this(cls) -> Holder:
        """Return this process, with a new token."""
        import psutil

        pid = psutil.Process().pid
        return cls(socket.gethostname(), _place(), pid, _started(pid) or 0.0, secrets.token_hex(8))

    def __str__(self) -> str:
        return process_named(self.pid, self.host) if self.token else "another process"

    @property
    def is_dead(self) -> bool | None:
        """Whether it has ended; None where that cannot be looked up from here."""
        import psutil

        if not self.token or self.place != _place():
            return None
        try:
            started = _started(self.pid)
        except psutil.NoSuchProcess:
            return None if _is_hidden(self.pid) else True
        except psutil.Error:
            return None
        return started is None or abs(started - self.started) > CLOCK_ERROR


class Lease:
    """The right to work on a study.

    Args:
        directory: of the study.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LEASE
        self._own: Holder | None = None
        self._ended = threading.Event()
        self._signs: threading.Thread | None = None
        self.holder = Holder()
        """Who had it before, or has it."""
        self.is_taken_over = False
        """Whether it was taken from a process that had not released it."""

    @property
    def is_held(self) -> bool:
        """Whether this process took it, and has not released it. A copy of this process has not."""
        return self._own is not None and self._own.pid == os.getpid()

    def acquire(self) -> bool:
        """Take the lease, from its holder if that is dead; return whether that came about.

        Where the holder runs on another machine, this waits until it has given a sign of life, or none for a minute.

        Raises:
            StudyError: the directory cannot be written.
        """
        if self.is_held:
            return True
        own, taken = Holder.this(), False
        try:
            self._beat_file(own).write_text("0", encoding="utf-8")
            taken = self._create(own) or self._take_over(own)
        except OSError as error:
            raise StudyError(f"{str(self._path)!r} cannot be written: {error.strerror or error}") from error
        finally:
            if not taken:
                with suppress(OSError):
                    self._beat_file(own).unlink(missing_ok=True)
        if taken:
            self._own, self._ended = own, threading.Event()
            self._signs = threading.Thread(target=self._live, args=(own, self._ended), name="lease", daemon=True)
            self._signs.start()
        return taken

    def check(self) -> None:
        """See that this process still holds the lease.

        Raises:
            StudyError: it does not: another one took it for dead.
        """
        try:
            holder = self._read()
        except OSError as error:
            raise StudyError(f"{str(self._path)!r} cannot be read: {error.strerror or error}") from error
        if not self.is_held or holder != self._own:
            raise StudyError(
                f"study {str(self._path.parent)!r} was taken over by {holder}, since this process gave no sign of life "
                f"for {PATIENCE:.0f} s; what is recorded is kept"
            )

    def release(self) -> None:
        """Let others have it; nothing happens where this process does not hold it."""
        if self._own is None or not self.is_held:
            return
        self._ended.set()
        if self._signs is not None:
            self._signs.join(1.0)  # so that its last sign is not written over this one
        self._sign(self._own, ENDED)
        self._own = None

    def is_taken(self) -> bool:
        """Tell whether a process holds it, this one included, or may do so."""
        if self.is_held:
            return True
        known = self.told()
        return known is not None and not known[0].is_dead and known[1] != ENDED

    def told(self) -> tuple[Holder, str | None] | None:
        """Return who holds it or held it last, and the last sign of life; None if there is no lease."""
        try:
            holder = self._read()
            return holder, self._beat(holder)
        except OSError:
            return None

    def _create(self, own: Holder) -> bool:
        """Make the file where there is none."""
        try:
            with self._path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(asdict(own)))
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError:
            return False
        return True

    def _take_over(self, own: Holder) -> bool:
        """Replace the lease of a holder that is dead; return whether that came about."""
        partial = self._path.with_name(f"lease.{own.token}.partial")
        attempt = 1
        while True:
            former = self._read()
            self.holder = former
            if not self._has_ended(former):
                return False
            claim = self._path.with_name(f"lease.{former.token}.claim-{attempt}")
            try:
                with claim.open("x"):
                    pass
            except FileExistsError:
                # Somebody is taking over, or has died doing so.
                attempt = attempt + 1 if self._outlasts(former) else 1
                continue
            partial.write_text(json.dumps(asdict(own)), encoding="utf-8")
            for made in (partial, self._beat_file(own)):
                durable.permit_as(made, self._path)
            if self._read() == former:
                break
            for left in (claim, partial):
                left.unlink(missing_ok=True)
            attempt = 1
        self.is_taken_over = self._beat(former) != ENDED
        partial.replace(self._path)
        for left in self._path.parent.glob(f"lease.{former.token}*"):
            left.unlink(missing_ok=True)
        return self._read() == own

    def _outlasts(self, former: Holder) -> bool:
        """Return whether a lease was not replaced for so long that whoever has claimed it is dead."""
        since = time.monotonic()
        while time.monotonic() < since + PATIENCE:
            if self._read() != former:
                return False
            time.sleep(0.05)
        return True

    def _has_ended(self, holder: Holder) -> bool:
        """Return whether a holder is dead, after waiting for a sign of life of one that cannot be looked up."""
        known = holder.is_dead
        if known is not None:
            return known or self._beat(holder) == ENDED
        first, since = self._beat(holder), time.monotonic()
        if first == ENDED:
            return True
        warnings.warn(
            f"study {str(self._path.parent)!r} is held by {holder}, or was when that was lost: "
            f"waiting for a sign of life, {PATIENCE:.0f} s at most",
            stacklevel=2,
        )
        while time.monotonic() < since + PATIENCE:
            time.sleep(min(1.0, BEAT / 2))
            beat = self._beat(holder)
            if beat == ENDED or self._read() != holder:
                return True  # whoever has it now is looked at in turn
            if beat != first:
                return False
        return True

    def _live(self, own: Holder, ended: threading.Event) -> None:
        """Give signs of life until the lease is released."""
        for number in itertools.count(1):
            if ended.wait(BEAT):
                return
            self._sign(own, str(number))

    def _sign(self, own: Holder, text: str) -> None:
        """Write a sign of life, or the last one, while the lease is still there.

        If that fails, the next one may succeed, or this process is dead for others in a minute: before it writes to the
        study, it looks at the lease anyway.
        """
        with suppress(OSError):
            if self._read() == own:
                self._beat_file(own).write_text(text, encoding="utf-8")

    def _read(self) -> Holder:
        text = self._path.read_text(encoding="utf-8", errors="replace")
        try:
            return Holder(**json.loads(text))
        except (ValueError, TypeError):
            return Holder()

    def _beat(self, holder: Holder) -> str | None:
        try:
            return self._beat_file(holder).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def _beat_file(self, holder: Holder) -> Path:
        return self._path.with_name(f"lease.{holder.token}")


class Signs:
    """Signs of life of whoever works on a study, followed by one who only watches, and waits for nothing.

    Args:
        directory: of the study.
    """

    def __init__(self, directory: Path) -> None:
        self._lease = Lease(directory)
        self._last: tuple[Holder, str | None] | None = None
        self._since = 0.0

    def is_alive(self) -> bool | None:
        """Tell whether somebody works on it; None where it has no lease, so that this is told in another way.

        A process on another machine counts as alive until it has given no sign for a minute of watching.
        """
        known = self._lease.told()
        if known is None:
            return None
        holder, beat = known
        if beat == ENDED or holder.is_dead:
            return False
        if known != self._last:
            self._last, self._since = known, time.monotonic()
        return holder.is_dead is False or time.monotonic() - self._since < PATIENCE


def _place() -> str:
    """Return what two processes have in common that know each other by their numbers."""
    import psutil

    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"


def _started(pid: int) -> float | None:
    """Return when a process started; None if it has ended and its parent has not noticed.

    Raises:
        psutil.Error: it is not there, or cannot be seen.
    """
    import psutil

    process = psutil.Process(pid)
    if process.status() == psutil.STATUS_ZOMBIE:
        return None
    try:  # in ticks since the machine started, which no setting of its clock changes
        return float(
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
        )
    except OSError:
        return process.create_time()


def _is_hidden(pid: int) -> bool:
    """Return whether there is a process of another user that the system does not show."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
