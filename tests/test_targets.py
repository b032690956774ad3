"""Artifacts run where they ship: here or by ssh, whatever happens to the connection, the disk or the runner there."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import errno
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sshd_fixture import Sshd, free_port, make_key

from shape_dnn import devices
from shape_dnn.deploying import copying, interpreter, runner, session
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.deploying.interpreter import quoted
from shape_dnn.deploying.runner.cache import Cache
from shape_dnn.deploying.runner.machine import Machine
from shape_dnn.deploying.session import Session
from shape_dnn.errors import DeploymentError, TargetError, TargetLostError
from shape_dnn.kinds import Deployment, Target

RUNTIME = """
import os, signal, sys

REQUIRES = {"numpy": "1.20"}

def versions():
    import numpy
    return {"numpy": numpy.__version__}

class Scale:
    def __init__(self, factor, ballast):
        self.factor, self.ballast = factor, ballast

    def run(self, arrays):
        print("a library that prints")
        if os.path.exists("{traps}/run"):
            os.kill(os.getpid(), signal.SIGKILL)
        return [array * self.factor for array in arrays]

def load(directory, settings):
    import numpy
    text = open(os.path.join(directory, "weights", "factor.txt")).read()
    factor, _, megabytes = text.partition(" ")
    if factor == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if factor == "unknown":
        raise ValueError("factor should be a number")
    return Scale(float(factor), numpy.ones(int(megabytes or 0) * 131072))
"""


class Fake(Deployment):
    """Ships factors that inputs are multiplied by."""

    def __init__(self, traps: Path, more: str = "", threads: int = 1) -> None:
        self._source = RUNTIME.replace("{traps}", str(traps)) + more
        self.threads = threads

    @property
    def runtime(self) -> str:
        return self._source

    def identity(self) -> Mapping[str, object]:
        return {}

    def convert(self, network: Any, example: Any, calibration: Any, directory: Path) -> None:
        raise AssertionError("the artifacts of these tests are written by hand")


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


@pytest.fixture
def artifact(tmp_path: Path) -> Callable[[str], Artifact]:
    """Make an artifact that multiplies, is said to be so many megabytes large, or is ``deadly`` or ``unknown``."""

    def make(factor: str) -> Artifact:
        directory = tmp_path / "artifacts" / factor.replace(" ", "-")
        (directory / "files" / "weights").mkdir(parents=True)
        (directory / "files" / "weights" / "factor.txt").write_text(factor)
        np.savez(directory / "example.npz", **{"0": np.ones((1, 3, 8, 8), np.float32)})
        return Artifact(directory)

    return make


@pytest.fixture
def there(sshd: Sshd) -> Target:
    """The machine of the test, as seen through ssh."""
    return Target("pi", "127.0.0.1", sshd.user, sshd.port, sys.executable)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon."""
    monkeypatch.setattr(session, "PAUSES", (0.0, 0.1, 0.2, 0.4, 0.8, 1.6))


ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(3)]


def works(running: Session, artifact: Artifact, factor: float = 3) -> None:
    """Everything that can be asked of an artifact is answered."""
    model = running.load(artifact)
    assert all(seconds > 0 for seconds in model.warm_up())
    visit = model.visit()
    assert visit.blocks
    assert min(visit.blocks) > 0
    assert visit.seconds >= sum(visit.blocks)
    assert model.time() > 0
    for found, given in zip(model.run(ARRAYS), ARRAYS, strict=True):
        assert np.array_equal(found, given * factor)
    assert len(model.conditions) == 1
    assert running.memory(artifact) >= 0
    model.unload()


def lock(cache: Path) -> dict[str, Any]:
    """Read who has a target."""
    content: dict[str, Any] = json.loads((cache / f"lock-{platform.node()}").read_text())
    return content


def here() -> Path:
    """The cache of this machine as a target."""
    return Path(os.environ["XDG_CACHE_HOME"]) / "shape-dnn"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.01)


# What is asked, and what is answered


def test_an_artifact_runs_here(fake: Fake, artifact: Callable[[str], Artifact]) -> None:
    with Session(fake, Target()) as running:
        works(running, artifact("3"))
        assert running.fingerprint["versions"] == {"numpy": np.__version__}
        assert running.fingerprint["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
        assert running.fingerprint["cores"]["pinned"] == 1  # type: ignore[index]
        assert json.loads(json.dumps(running.fingerprint)) == running.fingerprint
        assert set(running.condition) >= {"clock_mhz", "temperature_c", "load"}


@pytest.mark.skipif(devices.cores() < 2, reason="there is one processor")
def test_runners_beside_each_other_are_not_all_given_the_same_processor(fake: Fake) -> None:
    with Session(fake, Target(), alone=False) as one, Session(fake, Target(), alone=False) as other:
        assert [each.condition["cores"] for each in (one, other)] == [sorted(os.sched_getaffinity(0))] * 2


def test_an_artifact_runs_by_ssh_and_is_sent_once(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    one = artifact("3")
    with Session(fake, there) as running:
        works(running, one)
    files = {path: path.stat().st_ino for path in (sshd.cache / "files").iterdir()}
    assert len(files) == 2
    assert not list((sshd.cache / "work").iterdir())
    with Session(fake, there) as running:
        works(running, one)
    assert {path: path.stat().st_ino for path in (sshd.cache / "files").iterdir()} == files


def test_the_same_target_has_the_same_fingerprint(fake: Fake) -> None:
    with Session(fake, Target()) as running:
        first = running.fingerprint
    with Session(fake, Target()) as running:
        assert running.fingerprint == first


def test_memory_is_that_of_the_artifact_beyond_the_runtime(fake: Fake, artifact: Callable[[str], Artifact]) -> None:
    with Session(fake, Target()) as running:
        small, large = running.memory(artifact("3")), running.memory(artifact("3 64"))
    assert 0 <= small < 16 * 2**20
    assert 64 * 2**20 <= large < 96 * 2**20


def test_whatever_a_login_shell_prints_does_not_spoil_the_answers(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd, tmp_path: Path
) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\necho \'Welcome!\'\nprintf \'{"no": "line"}\'\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    noisy.chmod(0o755)
    sshd.stop()
    sshd.force(str(noisy))
    sshd.start()
    with Session(fake, there) as running:
        works(running, artifact("3"))


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish", "csh", "tcsh", "zsh"])
def test_any_login_shell_starts_the_interpreter(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    python = tmp_path / "it's a $HOME & more" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    program = b"print(7)"
    command = f"{quoted(str(python))} -u -c '{runner.COMMAND.format(size=len(program))}'"
    found = subprocess.run([shell, "-c", command], input=program, capture_output=True, check=True)
    assert found.stdout == b"7\n"


def test_the_home_directory_there_is_meant_by_a_tilde() -> None:
    assert quoted("~/my venv/bin/python") == "~/'my venv/bin/python'"
    assert quoted("~pi/bin/python") == "~pi/bin/python"
    assert quoted("") == "python3"


def test_what_is_sent_can_be_read_by_python_3_9() -> None:
    for name in runner.MODULES:
        source = Path(runner.__file__).with_name(f"{name}.py").read_text()
        ast.parse(source, feature_version=(3, 9))
    ast.parse(runner.program(), feature_version=(3, 3))


# What is wrong there


def refused(deployment: Deployment, target: Target) -> str:
    """The one line that says why a target cannot be used."""
    with pytest.raises(TargetError) as caught, Session(deployment, target):
        pass
    message = str(caught.value)
    assert message.startswith(target.name)
    assert "\n" not in message
    return message


def test_a_missing_runtime_is_named_with_the_way_to_install_it(tmp_path: Path) -> None:
    more = "\nREQUIRES = {'no_such_runtime': '2.1'}\nimport no_such_runtime\n"
    source = Fake(tmp_path, more.replace("REQUIRES", "WANTS"))
    source._source = source._source.replace('{"numpy": "1.20"}', '{"no_such_runtime": "2.1"}')
    message = refused(source, Target(python=sys.executable))
    assert f"{sys.executable} -m pip install 'no_such_runtime>=2.1'" in message


def test_a_runtime_that_is_too_old_is_named_with_both_versions(tmp_path: Path) -> None:
    source = Fake(tmp_path)
    source._source = source._source.replace("1.20", "99.1")
    message = refused(source, Target())
    assert f"numpy {np.__version__} is too old, 99.1 is needed" in message
    assert "pip install 'numpy>=99.1'" in message


def test_an_interpreter_that_is_too_old_is_named(fake: Fake, tmp_path: Path) -> None:
    old = tmp_path / "python"
    pretend = "import sys; sys.version_info = (3, 8, 0); exec(sys.argv[1])"
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -u -c '{pretend}' \"$3\"\n")
    old.chmod(0o755)
    assert f"{old} is Python 3.8, and 3.9 is needed" in refused(fake, Target(python=str(old)))


def test_an_interpreter_that_is_not_there_is_named(fake: Fake, there: Target) -> None:
    assert "/no/such/python cannot be started" in refused(fake, Target(python="/no/such/python"))
    missing = Target("pi", there.host, there.user, there.port, "/no/such/python")
    assert "/no/such/python cannot be run on ssh://" in refused(fake, missing)
    assert "target.python" in refused(fake, missing)


def test_cores_that_are_not_there_are_named(fake: Fake, tmp_path: Path) -> None:
    assert "there is no core 4000" in refused(fake, Target(cores=(4000,)))
    assert "4000 threads are too many" in refused(Fake(tmp_path, threads=4000), Target())


def test_a_cache_that_cannot_be_written_is_named(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    message = refused(fake, Target())
    assert "cannot be written" in message
    assert "XDG_CACHE_HOME" in message


def test_an_artifact_that_the_runtime_refuses_is_the_artifacts_fault(
    fake: Fake, artifact: Callable[[str], Artifact]
) -> None:
    with Session(fake, Target()) as running:
        with pytest.raises(DeploymentError, match="cannot load it: factor should be a number"):
            running.load(artifact("unknown"))
        with pytest.raises(DeploymentError, match="factor should be a number"):
            running.memory(artifact("unknown 1"))
        works(running, artifact("3"))


def test_hosts_that_cannot_be_reached_or_trusted_are_named_with_the_remedy(
    fake: Fake, there: Target, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.trust(None)
    assert "the host key of 127.0.0.1 is not known" in refused(fake, there)
    make_key(tmp_path / "other")
    sshd.trust(tmp_path / "other.pub")
    assert "the host key of 127.0.0.1 is another one than before" in refused(fake, there)
    sshd.trust(sshd.directory / "host_key.pub")
    sshd.authorize(None)
    assert f"'ssh -p {sshd.port} {sshd.user}@127.0.0.1' must work without a password" in refused(fake, there)
    nobody = Target("pi", "127.0.0.1", sshd.user, free_port())
    assert f"{nobody} cannot be reached" in refused(fake, nobody)
    assert "no-such-host.invalid cannot be reached" in refused(fake, Target("pi", "no-such-host.invalid"))
    broken = tmp_path / "broken"
    broken.write_text("NoSuchOption yes\n")
    assert "cannot read its configuration" in refused(fake, Target("pi", "127.0.0.1", ssh_config=str(broken)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install OpenSSH's client" in refused(fake, there)


def test_the_configuration_of_ssh_says_where_a_host_is(fake: Fake, sshd: Sshd, tmp_path: Path) -> None:
    own = tmp_path / "config"
    names = f"Host board\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n"
    own.write_text(names + sshd.config.read_text())
    silent = Target("nowhere", "nowhere.invalid", ssh_config=str(own))
    assert f"whether 'ssh -F {own} nowhere.invalid' works" in refused(fake, silent)
    with Session(fake, Target("board", "board", python=sys.executable, ssh_config=str(own))) as running:
        assert running.fingerprint


def cut_while_waiting(running: Session, sshd: Sshd, times: int) -> None:
    """Cut each connection as soon as it is waited for an answer."""
    last: object = None
    for _ in range(times):
        while (now := running._connection) in (None, last) or not now.is_waiting:
            time.sleep(0.001)
        last = now
        sshd.cut()


def test_a_connection_that_ssh_shares_is_taken_up_again(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    with tempfile.TemporaryDirectory() as directory:  # a path that is short enough for a socket
        sharing = f"Host *\n  ControlMaster auto\n  ControlPersist 60\n  ControlPath {directory}/%C\n"
        own = sshd.directory / "sharing"
        own.write_text(sharing + sshd.config.read_text())
        shared = dataclasses.replace(there, ssh_config=str(own))
        try:
            with Session(fake, shared) as running:
                model = running.load(artifact("3"))
                # More often than a runner may die with an artifact: here ssh cannot tell the one from the other.
                harm = threading.Thread(target=cut_while_waiting, args=(running, sshd, 4))
                harm.start()
                while harm.is_alive():
                    assert model.visit().blocks
                harm.join()
                works(running, artifact("4"), 4)
            with Session(fake, shared) as running:
                works(running, artifact("5"), 5)
        finally:
            leave = ["ssh", "-F", str(own), "-p", str(sshd.port), "-O", "exit", f"{sshd.user}@127.0.0.1"]
            subprocess.run(leave, capture_output=True, check=False)


# Faults


def visits_all(
    running: Session, artifacts: list[Artifact], harm: Callable[[], None], moments: int, again: float = 0.0
) -> None:
    """Visit artifacts while something goes wrong at random moments; nothing is lost, nothing comes twice.

    Harm is done ``moments`` times to a connection that works, and in some part of the cases ``again`` soon afterwards.
    """
    generator = random.Random(moments)
    ended, failed, answered = threading.Event(), threading.Event(), threading.Event()

    def harm_often() -> None:
        last: object = None
        for moment in range(moments):
            if moment % 3 == 0:  # a target that fails more often in a row than it is tried is lost, and rightly so
                answered.clear()
                while not answered.wait(0.01) and not failed.is_set():
                    pass
            while running._connection in (None, last) and not failed.is_set():
                time.sleep(0.01)
            last = running._connection
            time.sleep(generator.uniform(0, 0.6))
            harm()
            if generator.random() < again:
                time.sleep(generator.uniform(0, 0.6))
                harm()
        ended.set()

    models = [running.load(artifact) for artifact in artifacts]
    for model in models:
        model.warm_up()
    asked = 0
    worker = threading.Thread(target=harm_often)
    worker.start()
    try:
        while not ended.is_set() or asked < 5:
            asked += 1
            for factor, model in enumerate(models, 2):
                assert min(model.visit().blocks) > 0
                answered.set()
                assert len(model.conditions) == asked
                for found, given in zip(model.run(ARRAYS), ARRAYS, strict=True):
                    assert np.array_equal(found, given * factor)
    except BaseException:
        failed.set()
        raise
    finally:
        worker.join()


@pytest.mark.parametrize("moments", [8, pytest.param(50, marks=pytest.mark.nightly)])
def test_a_connection_that_breaks_loses_nothing(
    moments: int, fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    with Session(fake, there) as running:
        visits_all(running, [artifact("2"), artifact("3")], sshd.cut, moments, again=0.25)
    assert sshd.log.count("Accepted publickey") > moments


def test_a_connection_that_is_silent_counts_as_broken(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(interpreter.SSH_OPTIONS, "ServerAliveInterval", 1)
    with Session(fake, there) as running:
        model = running.load(artifact("3"))
        sshd.stall()
        assert model.visit().blocks
        works(running, artifact("4"), 4)


def test_a_runner_that_is_killed_loses_nothing(fake: Fake, artifact: Callable[[str], Artifact]) -> None:
    killed = []

    def kill_runner() -> None:
        with contextlib.suppress(OSError, ValueError):  # there may be none at the moment
            pid = lock(here())["pid"]
            kill(pid)
            killed.append(pid)

    with Session(fake, Target()) as running:
        visits_all(running, [artifact("2"), artifact("3")], kill_runner, 2)
    assert len(set(killed)) > 1


def test_a_runner_that_stops_reading_is_started_anew(
    fake: Fake, artifact: Callable[[str], Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a pipe holds is on its way to it then."""
    big = np.ones((1, 1 << 20), np.float32)
    with Session(fake, Target()) as running:
        model = running.load(artifact("3"))
        stopped = lock(here())["pid"]
        monkeypatch.setattr(session, "SLOW_SECONDS", 10.0)
        os.kill(stopped, signal.SIGSTOP)
        assert np.array_equal(model.run([big])[0], big * 3)
        assert lock(here())["pid"] != stopped


def test_a_connection_that_stalls_while_files_are_sent_is_made_anew(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(interpreter.SSH_OPTIONS, "ServerAliveInterval", 0)  # ssh itself does not notice
    monkeypatch.setattr(copying, "SECONDS", 10.0)
    with Session(fake, there) as running:
        works(running, artifact("3"))
        big = artifact("4")
        (big.directory / "files" / "weights" / "more").write_bytes(bytes(32 << 20))
        sending = copying._parts

        def stall(path: Path) -> Iterator[bytes]:
            if path.name == "more":
                monkeypatch.setattr(copying, "_parts", sending)
                sshd.stall()
            yield from sending(path)

        monkeypatch.setattr(copying, "_parts", stall)
        works(running, big, 4)


def test_an_artifact_that_cannot_be_read_here_is_named_and_spoils_no_other(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = copying._parts

    def fail(path: Path) -> Iterator[bytes]:
        if path.name == "more":
            yield bytes(1 << 20)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        yield from reading(path)

    monkeypatch.setattr(copying, "_parts", fail)
    with Session(fake, there) as running:
        torn = artifact("4")
        (torn.directory / "files" / "weights" / "more").write_bytes(bytes(32 << 20))
        with pytest.raises(DeploymentError, match=r"artifacts/4 cannot be read: Input/output error"):
            running.load(torn)
        works(running, artifact("3"))


def test_an_artifact_that_ends_the_runner_each_time_is_named(
    fake: Fake, artifact: Callable[[str], Artifact], tmp_path: Path
) -> None:
    with Session(fake, Target()) as running:
        good = running.load(artifact("3"))
        with pytest.raises(DeploymentError, match=r"deadly ended the runner 3 times in a row: .* by signal 9"):
            running.load(artifact("deadly"))
        with pytest.raises(DeploymentError, match="ended with status -9"):
            running.memory(artifact("deadly 1"))
        assert np.array_equal(good.run(ARRAYS)[0], ARRAYS[0] * 3)
        (tmp_path / "run").touch()
        with pytest.raises(DeploymentError, match="3 ended the runner 3 times in a row"):
            good.visit()


def test_an_artifact_that_ends_the_runner_there_is_named(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target
) -> None:
    with Session(fake, there) as running:
        with pytest.raises(DeploymentError, match="deadly ended the runner 3 times in a row"):
            running.load(artifact("deadly"))
        works(running, artifact("3"))


def test_a_target_that_stays_away_is_given_up(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    with Session(fake, there) as running:
        model = running.load(artifact("3"))
        sshd.stop()
        with pytest.raises(TargetLostError, match="cannot be reached"):
            model.visit()
        sshd.start()
        assert model.visit().blocks


def test_another_machine_under_the_same_name_is_noticed(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    with Session(fake, there) as running:
        model = running.load(artifact("3"))
        running._fingerprint = {**running.fingerprint, "processor": "another one"}
        sshd.cut()
        with pytest.raises(TargetError, match="is another machine than before .* processor was 'another one'"):
            model.visit()


def test_a_full_disk_there_is_said_so_and_ends_when_there_is_room(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    one = artifact("3")
    with Session(fake, there) as running:
        partial = f".partial-{platform.node()}-{lock(sshd.cache)['pid']}"
        (sshd.cache / "files" / partial).symlink_to("/dev/full")
        with pytest.raises(TargetError, match=r"the disk of .*shape-dnn is full; free some of it"):
            running.load(one)
        works(running, one)


def test_a_file_system_that_is_too_small_is_said_so(
    fake: Fake, artifact: Callable[[str], Artifact], there: Target, sshd: Sshd
) -> None:
    sshd.cache.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(sshd.cache)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        one, large = artifact("3"), artifact("4")
        (large.directory / "files" / "more").write_bytes(random.Random(0).randbytes(2_000_000))
        with Session(fake, there) as running:
            with pytest.raises(TargetError, match=r"the disk of .* is full"):
                running.load(large)
            works(running, one)
    finally:
        subprocess.run(["umount", str(sshd.cache)], check=True)


def test_a_clock_that_jumps_changes_nothing(artifact: Callable[[str], Artifact], tmp_path: Path) -> None:
    more = "\nimport time, random\ntime.time = lambda: random.uniform(-1e9, 1e9)\n"
    with Session(Fake(tmp_path, more), Target()) as running:
        works(running, artifact("3"))


# One study at a time


def test_two_studies_do_not_have_one_target_at_once(fake: Fake, there: Target, sshd: Sshd) -> None:
    with Session(fake, there):
        message = refused(fake, there)
        assert "another study has it" in message
        assert f"process {os.getpid()}" in message
    with Session(fake, there) as running:
        assert running.fingerprint


def test_a_study_waits_for_another(fake: Fake) -> None:
    with Session(fake, Target()) as first:
        second = Session(fake, Target(), waiting=120)
        entered = threading.Event()

        def enter() -> None:
            with second:
                entered.set()

        worker = threading.Thread(target=enter)
        worker.start()
        assert first.condition
        assert not entered.is_set()
    worker.join()
    assert entered.is_set()


def test_a_runner_that_died_does_not_keep_the_target(fake: Fake) -> None:
    with Session(fake, Target()):
        kill(lock(here())["pid"])
        with Session(fake, Target()) as second:
            assert second.fingerprint


def test_a_runner_ends_when_it_hears_nothing(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(session, "PING_SECONDS", 3600)
    with Session(fake, Target()) as first:
        assert first._connection is not None
        first._connection._process.wait(60)
        with Session(fake, Target()):
            pass
        assert first.condition


def test_a_runner_is_kept_alive_while_the_driver_does_something_else(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "IDLE_SECONDS", 5.0)
    monkeypatch.setattr(session, "PING_SECONDS", 0.1)
    with Session(fake, Target()) as running:
        before = running._connection
        time.sleep(6)
        assert running.condition
        assert running._connection is before


# What a machine tells


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[Mapping[str, object]], Machine]:
    def plant(files: Mapping[str, object]) -> Machine:
        for name, content in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return Machine(str(tmp_path / "root"))

    return plant


CPU = "sys/devices/system/cpu"


def test_the_quickest_cores_with_the_highest_numbers_are_chosen(tree: Callable[..., Machine]) -> None:
    clocks = [1_800_000] * 4 + [2_400_000] * 4
    board = tree({f"{CPU}/cpu{core}/cpufreq/cpuinfo_max_freq": clock for core, clock in enumerate(clocks)})
    assert board.choose(range(8), 1) == [7]
    assert board.choose(range(8), 2) == [6, 7]
    assert board.choose(range(8), 6) == [2, 3, 4, 5, 6, 7]


def test_one_hyper_thread_of_each_core_comes_first(tree: Callable[..., Machine]) -> None:
    server = tree({f"{CPU}/cpu{core}/topology/thread_siblings_list": f"{core % 4},{core % 4 + 4}" for core in range(8)})
    assert server.choose(range(8), 1) == [7]
    assert server.choose(range(8), 4) == [4, 5, 6, 7]
    pairs = tree({f"{CPU}/cpu{core}/topology/thread_siblings_list": f"{core & ~1}-{core | 1}" for core in range(8)})
    assert pairs.choose(range(8), 4) == [1, 3, 5, 7]


def test_a_board_is_described(tree: Callable[..., Machine]) -> None:
    board = tree(
        {
            "proc/cpuinfo": "processor : 0\nCPU part : 0xd05\n\nprocessor : 1\nCPU part : 0xd0b\n\nHardware : BCM2835",
            "proc/device-tree/model": "Raspberry Pi 5 Model B\0",
            "proc/meminfo": "MemAvailable:  1000 kB",
            f"{CPU}/online": "0-1",
            f"{CPU}/cpu1/cpufreq/cpuinfo_max_freq": 2_400_000,
            f"{CPU}/cpu1/cpufreq/scaling_cur_freq": 1_500_000,
            f"{CPU}/cpu1/cpufreq/scaling_governor": "ondemand",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": 61_500,
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
            "sys/class/thermal/thermal_zone1/temp": 99_000,
            "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0",
            "sys/class/thermal/cooling_device0/cur_state": 0,
        }
    )
    board.cores = [1]
    found = board.fingerprint()
    assert found["model"] == "Raspberry Pi 5 Model B"
    assert found["processor"] == "Hardware BCM2835, CPU parts 0xd05, 0xd0b"
    assert found["cores"] == {"pinned": 1, "part": "0xd0b", "highest_mhz": [2400]}
    assert (found["cpus"], found["governor"]) == (2, "ondemand")
    condition = board.condition()
    assert (condition["clock_mhz"], condition["temperature_c"], condition["free_memory"]) == (1500, 61.5, 1_024_000)
    assert board.throttled() == 0
    tree({"sys/class/thermal/cooling_device0/cur_state": 2})
    assert board.throttled() == 1


def test_a_machine_that_tells_nothing_is_described_by_nothing(tree: Callable[..., Machine]) -> None:
    silent = tree({"nothing": ""})
    state = silent.state()
    assert {name for name, value in state.items() if value is None} == {"busy", "stolen", "pressure", "throttled"}
    assert silent.condition()["temperature_c"] is None


@pytest.fixture
def hot(tree: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The thermometer of this machine, which a test may write to; its governor saves power."""
    thermometer = tmp_path / "root" / "sys/class/hwmon/hwmon0/temp1_input"
    tree({"sys/class/hwmon/hwmon0/name": "coretemp", "sys/class/hwmon/hwmon0/temp1_input": 50_000})
    for core in os.sched_getaffinity(0):
        tree({f"{CPU}/cpu{core}/cpufreq/scaling_governor": "powersave"})
    monkeypatch.setattr(session, "ROOT", str(tmp_path / "root"))
    return thermometer


def test_a_processor_that_is_too_hot_cools_down_before_the_next_visit(
    fake: Fake, artifact: Callable[[str], Artifact], hot: Path
) -> None:
    with Session(fake, Target(hottest=60)) as running:
        model = running.load(artifact("3"))
        model.visit()
        hot.write_text("81000\n")
        model.visit()
        threading.Timer(0.5, hot.write_text, ["58000\n"]).start()  # below the limit, but not by much
        threading.Timer(1.5, hot.write_text, ["54000\n"]).start()
        model.visit()
    temperatures = [condition["temperature_c"] for condition in model.conditions]
    assert temperatures == [50, 81, 54]
    assert ["cooled_s" in condition for condition in model.conditions] == [False, False, True]


def test_a_governor_that_saves_power_is_warned_of(fake: Fake, hot: Path) -> None:
    with Session(fake, Target()) as running:
        assert running.fingerprint["governor"] == "powersave"
        [warning] = running.warnings
    assert "powersave" in warning
    assert "cpupower frequency-set -g performance" in warning


# What is kept there


def test_old_files_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setattr("shape_dnn.deploying.runner.cache.MOST", 250)
    cache = Cache(str(tmp_path / "cache"))
    cache.open()
    contents = [bytes([i]) * 100 for i in range(4)]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    for i, (digest, content) in enumerate(zip(digests, contents, strict=True)):
        assert cache.put(digest, lambda take, content=content: take(content), kept=[digests[0]])  # type: ignore[misc]
        os.utime(cache.files / digest, (i, i))
    assert cache.missing(digests) == digests[1:3]


def test_a_file_that_arrives_damaged_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "cache"))
    cache.open()
    assert not cache.put("0" * 64, lambda take: take(b"something else"), kept=[])
    assert cache.missing(["0" * 64]) == ["0" * 64]
    assert not list(cache.files.iterdir())


def test_runners_side_by_side_leave_each_other_alone(tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    first = Cache(str(directory))
    first.open()
    (first.work / "model").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left = first.work.with_name(f"{platform.node()}-{gone.pid}")
    elsewhere = first.work.with_name(f"another-machine-{gone.pid}")
    partial = first.files / f".partial-{left.name}"
    for path in (left, elsewhere):
        path.mkdir()
    partial.touch()
    Cache(str(directory)).open()
    assert (first.work / "model").is_dir()
    assert elsewhere.is_dir()
    assert not left.exists()
    assert not partial.exists()
