"""An interpreter on a target, started through pipes or through the system's ssh, and why it ended."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping

from shape_dnn.errors import TargetError, TargetLostError
from shape_dnn.kinds import Target

CONNECT_SECONDS = 20
"""Until ssh gives up reaching a host."""
SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": CONNECT_SECONDS,
    "LogLevel": "INFO",
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
}
_LOST = re.compile(
    r"closed by remote host|Shared connection|client_loop: |not responding|Connection reset|Broken pipe|mux_client|"
    r"Connection to \S+ (closed|timed out)|Connection closed by"
)
"""How ssh says that a connection ended which was there."""


class UnreachableError(TargetLostError):
    """There was no connection in the first place."""


class DiedError(TargetLostError):
    """The runner ended by itself, or so it seems from here: ssh that shares a connection does not tell."""


def start(target: Target, code: str) -> subprocess.Popen[bytes]:
    """Start an interpreter with a program, and with pipes to its standard streams.

    Args:
        target: where.
        code: the program, without single quotes.

    Raises:
        TargetError: there is no such interpreter here, or no ssh.
    """
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
                given = (("-F", target.ssh_config), ("-p", target.port))
                command = " ".join(["ssh", *(f"{flag} {value}" for flag, value in given if value), _account(target)])
                return error(f"{name}: {remedy.format(target=target, command=command)} ({_last(said)})")
        if _LOST.search(said):
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


def _account(target: Target) -> str:
    return f"{target.user}@{target.host}" if target.user else target.host


def _last(said: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
