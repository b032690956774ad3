"""A real sshd of the test's own on the loopback interface: its keys, configuration and log, and ways to break it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER_CONFIG = """\
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
# The directory lies below /tmp, which anybody may write to.
StrictModes no
UsePAM {pam}
PermitUserRC no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv XDG_CACHE_HOME={directory}/cache
LogLevel VERBOSE
"""

CLIENT_CONFIG = """\
Host *
  IdentityFile {directory}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {directory}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking ask
"""

# sshd insists on being started by its absolute path, and sbin is not on every PATH.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
SSH = shutil.which("ssh")


class Sshd:
    """An OpenSSH server that runs as a child of the test and lets the current user in with a key made for it.

    The client's part lies beside the server's: `config` for `ssh -F`, and `bin`, which holds an `ssh` that reads that
    file (the real one looks for ~/.ssh in the user's home as the system knows it, whatever HOME says).
    """

    def __init__(self, directory: Path) -> None:
        """Writes keys and configuration files to `directory`, which must be empty and open to the user alone."""
        self.directory = directory
        self.user = getpass.getuser()
        self.port = free_port()
        self.config = directory / "ssh_config"
        self.known_hosts = directory / "known_hosts"
        self.authorized_keys = directory / "authorized_keys"
        self.bin = directory / "bin"
        self.cache = directory / "cache" / "shape-dnn"
        self._log = directory / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        make_key(directory / "host_key")
        make_key(directory / "key")
        # Without PAM, a server that is not root's takes the account it runs as for a locked one (seen with nobody).
        pam = "no" if os.geteuid() == 0 else "yes"
        (directory / "sshd_config").write_text(SERVER_CONFIG.format(directory=directory, pam=pam))
        self.config.write_text(CLIENT_CONFIG.format(directory=directory))
        self.authorize(directory / "key.pub")
        self.trust(directory / "host_key.pub")
        self._write_client()

    def force(self, command: str) -> None:
        """Has the server run `command` by /bin/sh whatever is asked for, which that finds in SSH_ORIGINAL_COMMAND."""
        with (self.directory / "sshd_config").open("a") as file:
            file.write(f"ForceCommand {command}\n")

    @property
    def target(self) -> str:
        """The address of the server as --target takes it."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the server has said so far."""
        return self._log.read_text(errors="replace")

    def authorize(self, public_key: Path | None) -> None:
        """Lets the holder of `public_key` in and nobody else; None: nobody at all."""
        self.authorized_keys.write_text(public_key.read_text() if public_key else "")

    def trust(self, public_key: Path | None) -> None:
        """Makes `public_key` the one that the client expects of the server; None: it knows none."""
        line = f"[127.0.0.1]:{self.port} {public_key.read_text()}" if public_key else ""
        self.known_hosts.write_text(line)

    def start(self) -> None:
        """Starts the server and returns when it listens.

        Raises:
            RuntimeError: It ended or did not listen within 30 s; the message is its log.
        """
        if os.geteuid() == 0:
            # Debian's service makes this directory at boot; the server of root refuses to start without it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [str(SSHD), "-D", "-e", "-f", str(self.directory / "sshd_config"), "-p", str(self.port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        give_up = time.monotonic() + 30
        while "Server listening on" not in self.log:
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise RuntimeError(f"sshd does not listen: {self.log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends the server and every open session. The remote commands see the end of their input."""
        if self._process is None:
            return
        self.cut()
        self._process.kill()
        self._process.wait()
        self._process = None

    def cut(self) -> None:
        """Kills the server's end of every open session, as a lost machine would; the server goes on listening."""
        self._signal_sessions(signal.SIGKILL)

    def stall(self) -> None:
        """Stops every open session from answering without closing it, as a pulled cable would."""
        self._signal_sessions(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets stalled sessions go on."""
        self._signal_sessions(signal.SIGCONT)

    def sessions(self) -> list[int]:
        """Process ids of the server's own processes below the listening one, remote commands excluded."""
        return sshd_children(self._process.pid) if self._process else []

    def _signal_sessions(self, number: signal.Signals) -> None:
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):  # ended between the listing and the signal
                os.kill(pid, number)

    def _write_client(self) -> None:
        self.bin.mkdir()
        client = self.bin / "ssh"
        client.write_text(f'#!/bin/sh\nexec {SSH} -F {self.config} "$@"\n')
        client.chmod(0o755)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path) -> None:
    """Writes an Ed25519 key without passphrase to `path` and its public half to `path`.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def sshd_children(parent: int) -> list[int]:
    """The processes of OpenSSH below `parent`, parents first. A session may have two."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended while we looked, or read
        for child in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
            if Path(f"/proc/{child}/comm").read_text().startswith("sshd"):
                found += [child, *sshd_children(child)]
    return found


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A running server whose `ssh` is the first on PATH."""
    if not SSHD or not SSH:
        pytest.skip("needs OpenSSH's server and client: apt-get install openssh-server openssh-client")
    directory = tmp_path / "ssh"
    directory.mkdir(mode=0o700)
    server = Sshd(directory)
    monkeypatch.setenv("PATH", str(server.bin), prepend=os.pathsep)
    server.start()
    yield server
    server.stop()
