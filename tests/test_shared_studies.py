"""Studies on network file systems: one process writes at a time, wherever it runs, and readers disturb nobody."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from crashes import SEARCH, Tally, kill_at_random, killer, outcome, start, what_counts
from nfs_client import remembering_absence
from sshd_fixture import SSHD, Sshd

from shape_dnn import Measurement, Shape
from shape_dnn.errors import StudyError, UsageError
from shape_dnn.store import database, lease, snapshot
from shape_dnn.store.facts import Store
from shape_dnn.store.lease import Holder, Lease, Signs
from shape_dnn.watching import studies as watching

SSHFS, UNSHARE, FUSERMOUNT = shutil.which("sshfs"), shutil.which("unshare"), shutil.which("fusermount3")
FIRST, SECOND, VALUE = Shape(10, Fraction(1)), Shape(16, Fraction(1)), Measurement(1.0)

# What other processes run. Each prints a line when it has begun.

HOLD = """
import sys
from pathlib import Path
from shape_dnn.errors import StudyError
from shape_dnn.store import database, lease
from shape_dnn.store.facts import Store
from shape_dnn.store.lease import Lease

lease.PATIENCE, lease.BEAT = PATIENCE, 0.1
database.is_on_network = lambda directory: True

def hold(directory):
    try:
        store = Store(Path(directory))
    except StudyError as error:
        print(error, flush=True)
    else:
        print("held", flush=True)
        sys.stdin.readline()  # then somebody wants to know whether it can still write
        try:
            store.context("latency", {})
        except StudyError as error:
            print(error, flush=True)
        else:
            print("written", flush=True)
    sys.stdin.read()
"""
BEAT_ON = """
import itertools, time
for number in itertools.count():
    open(PATH, "w").write(str(number))
    if number == 0:
        print("begun", flush=True)
    time.sleep(0.1)
"""
WRITE_HALF = """
import sqlite3, sys
connection = sqlite3.connect("file:" + PATH + "?vfs=unix-none", uri=True, isolation_level=None)
connection.execute("PRAGMA cache_size = 4")  # so that pages are written before a transaction ends
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE account SET amount = 0")
print("begun", flush=True)
sys.stdin.read()
"""
TRANSFERS = """
import random, sqlite3
connection = sqlite3.connect("file:" + PATH + "?vfs=unix-none", uri=True, isolation_level=None)
connection.execute("PRAGMA cache_size = 4")  # so that pages are written before a transaction ends
connection.execute("CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, amount INTEGER, moved INTEGER, more TEXT)")
with connection:
    connection.execute("BEGIN")
    if not connection.execute("SELECT count(*) FROM account").fetchone()[0]:
        connection.executemany("INSERT INTO account (amount, moved, more) VALUES (100, 0, ?)", [("x" * 500,)] * 1000)
print("begun", flush=True)
number = 0
while True:
    number += 1
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(50):
        amount, one, other = random.randrange(10), random.randrange(1, 1001), random.randrange(1, 1001)
        connection.execute("UPDATE account SET amount = amount - ?, moved = ? WHERE id = ?", (amount, number, one))
        connection.execute("UPDATE account SET amount = amount + ? WHERE id = ?", (amount, other))
    connection.execute("COMMIT")
"""


def start_elsewhere(code: str, *prefix: str) -> subprocess.Popen[str]:
    """Start Python code in a process of its own."""
    command = [*prefix, sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def ending(running: subprocess.Popen[str]) -> Iterator[None]:
    """Have a process end, and whatever it started."""
    with running:
        try:
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(running.pid).children(recursive=True):
                    process.kill()
            running.kill()


@contextmanager
def elsewhere(code: str, *prefix: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run Python code in a process of its own; yield that, and the first line that it prints."""
    running = start_elsewhere(code, *prefix)
    with ending(running):
        yield running, line_of(running)


def line_of(running: subprocess.Popen[str]) -> str:
    """Return the next line that a process prints."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


def holding(directory: Path, patience: float = 60.0) -> str:
    """Return code that opens a study for writing."""
    return HOLD.replace("= PATIENCE,", f"= {patience},") + f"hold({str(directory)!r})"


@pytest.fixture
def on_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes every directory for one on a network file system."""
    monkeypatch.setattr(database, "is_on_network", lambda _directory: True)


def impatient(monkeypatch: pytest.MonkeyPatch, patience: float = 1.0) -> None:
    """Has whoever waits for signs of life wait less."""
    monkeypatch.setattr(lease, "PATIENCE", patience)
    monkeypatch.setattr(lease, "BEAT", 0.1)


def held_elsewhere(directory: Path, *, beats: str | None = None) -> Holder:
    """Write the lease of a process on another machine."""
    holder = Holder("node3", "another start of another machine", 12, 34.5, "0123abcd")
    (directory / "lease").write_text(json.dumps(vars(holder)))
    if beats is not None:
        (directory / "lease.0123abcd").write_text(beats)
    return holder


# The lease


def test_one_process_holds_it_at_a_time_and_releases_it_for_the_next(tmp_path: Path) -> None:
    one, other = Lease(tmp_path), Lease(tmp_path)
    assert one.acquire()
    assert not other.acquire()
    assert str(other.holder) == f"process {os.getpid()} on {os.uname().nodename}, which is this one"
    assert other.is_taken()
    one.release()
    assert not other.is_taken()
    assert other.acquire()
    assert not other.is_taken_over
    assert not one.acquire()


def test_a_process_that_was_killed_here_loses_it_at_once(tmp_path: Path) -> None:
    with elsewhere(holding(tmp_path)) as (running, _):
        assert not Lease(tmp_path).acquire()
        running.kill()
        running.wait()
    mine = Lease(tmp_path)
    assert mine.acquire()
    assert mine.is_taken_over


@pytest.mark.filterwarnings("ignore:study .* is held by")
def test_a_process_on_another_machine_that_gives_signs_of_life_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, patience=60)
    held_elsewhere(tmp_path, beats="1")
    with elsewhere(BEAT_ON.replace("PATH", repr(str(tmp_path / "lease.0123abcd")))):
        mine = Lease(tmp_path)
        assert not mine.acquire()
    assert str(mine.holder) == "process 12 on node3"


def test_a_process_on_another_machine_that_gives_none_loses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    held_elsewhere(tmp_path, beats="7")
    mine = Lease(tmp_path)
    with pytest.warns(
        UserWarning, match="is held by process 12 on node3, or was when that was lost: waiting for a sign"
    ):
        assert mine.acquire()
    assert mine.is_taken_over
    assert not (tmp_path / "lease.0123abcd").exists()


def test_one_that_has_released_it_on_another_machine_is_not_waited_for(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, beats=lease.ENDED)
    assert Lease(tmp_path).acquire()  # a warning would be an error here


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}', "\udce4"])
def test_a_lease_that_was_never_written_whole_is_one_of_a_dead_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    impatient(monkeypatch)
    (tmp_path / "lease").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.warns(UserWarning, match="is held by another process"):
        assert Lease(tmp_path).acquire()


def test_whoever_is_slow_to_take_over_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, patience=60)
    held_elsewhere(tmp_path, beats=lease.ENDED)
    slow, quick = Lease(tmp_path), Lease(tmp_path)
    replacing, may_replace = threading.Event(), threading.Event()
    replace = Path.replace

    def replace_slowly(path: Path, target: Path) -> Path:
        replacing.set()
        assert may_replace.wait(60)
        return replace(path, target)

    with monkeypatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(Path, "replace", replace_slowly)
        first = pool.submit(slow.acquire)
        assert replacing.wait(60)
        second = pool.submit(quick.acquire)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        may_replace.set()
        assert (first.result(), second.result()) == (True, False)
    slow.release()


def test_a_copy_of_the_process_that_holds_it_neither_holds_nor_releases_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, own = Lease(tmp_path), os.getpid()
    assert mine.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: own + 1)
        held_by_copy = mine.is_held
        mine.release()
    assert (held_by_copy, mine.is_held) == (False, True)
    assert not Lease(tmp_path).acquire()
    mine.release()


def test_a_released_lease_stays_released_whatever_sign_was_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.0001)
    for _ in range(50):
        mine = Lease(tmp_path)
        assert mine.acquire()
        mine.release()
        assert not Lease(tmp_path).is_taken()


def test_a_process_that_ended_without_its_parent_noticing_is_dead(tmp_path: Path) -> None:
    with elsewhere(holding(tmp_path)) as (running, _):
        running.kill()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(running.pid).status() == psutil.STATUS_ZOMBIE
        assert Lease(tmp_path).acquire()


@pytest.mark.filterwarnings("ignore:study .* is held by")
def test_a_claim_that_was_left_by_a_process_that_died_keeps_nobody_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    held_elsewhere(tmp_path, beats="7")
    (tmp_path / "lease.0123abcd.claim-1").touch()
    assert Lease(tmp_path).acquire()


def test_of_many_that_take_over_from_a_dead_process_one_comes_in(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, beats=lease.ENDED)
    with ExitStack() as stack:
        running = [start_elsewhere(holding(tmp_path)) for _ in range(6)]
        for process in running:
            stack.enter_context(ending(process))
        said = [line_of(process) for process in running]
    assert said.count("held") == 1
    assert sum(" is in use by process " in line for line in said) == 5


def test_whoever_takes_over_leaves_what_others_may_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_network: None
) -> None:
    """Several people may work on a study, one after the other."""
    Store(tmp_path).close()
    for path in tmp_path.glob("lease*"):
        path.chmod(0o664)
    (tmp_path / "study.sqlite").chmod(0o664)
    held_elsewhere(tmp_path, beats=lease.ENDED)
    (tmp_path / "lease.0123abcd").unlink()  # so that it is lost, and the file renewed
    former = (tmp_path / "study.sqlite").stat().st_ino
    impatient(monkeypatch, 0.2)
    with pytest.warns(UserWarning, match="is held by process 12"):
        store = Store(tmp_path)
    store.close()
    assert (tmp_path / "study.sqlite").stat().st_ino != former
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert modes == dict.fromkeys(modes, 0o664)
    assert {"lease", "study.sqlite"} < set(modes)


def test_a_process_that_only_seemed_dead_writes_nothing_any_more(tmp_path: Path, on_network: None) -> None:
    late = Store(tmp_path)
    context = late.context("latency", {})
    late.add_measurement(context, FIRST, VALUE, {})
    held_elsewhere(tmp_path, beats="1")  # as if it had been taken over while this process was suspended
    with pytest.raises(StudyError, match=r"was taken over by process 12 on node3, since this process gave no sign"):
        late.add_measurement(context, FIRST, VALUE, {})
    late.close()
    assert Store(tmp_path, create=False).summary()["measured"] == 1


def test_whoever_watches_tells_by_signs_of_life_whether_a_process_of_another_machine_works_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    signs = Signs(tmp_path)
    assert signs.is_alive() is None
    held_elsewhere(tmp_path, beats="7")
    assert signs.is_alive()
    now += lease.PATIENCE - 1
    assert signs.is_alive()
    (tmp_path / "lease.0123abcd").write_text("8")
    assert signs.is_alive()
    now += lease.PATIENCE - 1
    assert signs.is_alive()
    now += 2
    assert not signs.is_alive()
    (tmp_path / "lease.0123abcd").write_text("9")
    assert signs.is_alive(), "it was only suspended"
    (tmp_path / "lease.0123abcd").write_text(lease.ENDED)
    assert not signs.is_alive()


def test_a_search_that_was_killed_on_another_machine_is_watched_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_network: None
) -> None:
    """Whatever the clocks of both machines say."""
    store = Store(tmp_path)
    store.runs.begin("tune", {}, {})
    with store.database.transaction():
        store.database.execute("UPDATE run SET host = 'node3', pid = 12, started = 4e9")
    store.close()
    held_elsewhere(tmp_path, beats="7")
    monkeypatch.setattr(watching, "SECONDS", 0.0)
    impatient(monkeypatch, patience=0.5)
    watched = watching.Watched(tmp_path, "study", [])
    watched.look()
    assert watched.is_alive
    time.sleep(0.6)
    before = watched.look()
    assert not watched.is_alive
    (tmp_path / "lease.0123abcd").write_text("8")
    assert watched.look() > before
    assert watched.is_alive


# The file


def test_a_file_that_cannot_be_opened_leaves_no_lease(tmp_path: Path, on_network: None) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"no database " * 100)
    for _ in range(2):
        with pytest.raises(UsageError, match="cannot be used as a study"):
            Store(tmp_path)
    assert not Lease(tmp_path).is_taken()


def test_a_study_that_was_once_on_a_network_file_system_keeps_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "is_on_network", lambda _directory: True)
        Store(tmp_path).close()
    store = Store(tmp_path)  # on the machine whose disk it lies on
    assert Lease(tmp_path).is_taken()
    store.close()


@pytest.mark.parametrize(
    ("mounted", "is_shared"),
    [(["ext4"], False), (["autofs", "nfs4"], True), (["nfs4", "ext4"], False), (["fuse.glusterfs"], True),
     (["fuse.sshfs"], True), (["lustre"], True), (["fuse.encfs"], False)],
)  # fmt: skip
def test_which_file_systems_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: list[str], is_shared: bool
) -> None:
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4")]
    mounts += [SimpleNamespace(mountpoint=str(tmp_path.resolve()), fstype=kind) for kind in mounted]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    assert database.is_on_network(tmp_path / "study") == is_shared


def test_who_writes_keeps_out_others_until_it_is_closed(tmp_path: Path, on_network: None) -> None:
    store = Store(tmp_path)
    with pytest.raises(StudyError, match=rf"is in use by process {os.getpid()} on .*, which is this one; wait for it"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_who_reads_sees_what_was_recorded_until_then_and_writes_nothing(tmp_path: Path, on_network: None) -> None:
    writer = Store(tmp_path)
    context = writer.context("latency", {})
    writer.add_measurement(context, FIRST, VALUE, {})
    reader = Store(tmp_path, create=False)
    writer.add_measurement(context, SECOND, VALUE, {})
    assert len(reader.measurements(context)) == 1
    with pytest.raises(StudyError, match="was opened for reading"):
        reader.add_measurement(context, FIRST, VALUE, {})
    reader.close()
    assert len(Store(tmp_path, create=False).measurements(context)) == 2
    writer.close()


def test_a_reader_that_locks_the_study_works_on_the_study_itself(tmp_path: Path, on_network: None) -> None:
    Store(tmp_path).close()
    store = Store(tmp_path, create=False)
    store.runs.lock()
    store.add_measurement(store.context("latency", {}), FIRST, VALUE, {})
    store.close()
    assert Store(tmp_path, create=False).summary()["measured"] == 1


def test_copies_are_consistent_while_another_process_writes_without_locks(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    with elsewhere(TRANSFERS.replace("PATH", repr(str(path)))) as (running, _):
        counters: set[object] = set()
        while len(counters) < 10:  # until it has written so often meanwhile
            copy = tmp_path / "copy.sqlite"
            snapshot.take(path, copy)
            with closing(sqlite3.connect(copy)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert connection.execute("SELECT sum(amount) FROM account").fetchone() == (100_000,)
                counters.add(connection.execute("SELECT max(moved) FROM account").fetchone())
            copy.unlink()
            assert running.poll() is None


def test_whoever_takes_over_finds_the_last_transaction_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / "accounts.sqlite"
    for _ in range(5):
        with elsewhere(TRANSFERS.replace("PATH", repr(str(path)))) as (running, _):
            time.sleep(0.05)
            running.kill()
            running.wait()
        inode = path.stat().st_ino
        snapshot.renew(path)
        assert path.stat().st_ino != inode
        assert [entry.name for entry in path.parent.iterdir()] == ["accounts.sqlite"]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT sum(amount) FROM account").fetchone() == (100_000,)


@pytest.mark.parametrize("how", [snapshot.take, lambda path, copy: snapshot.renew(path) or path.replace(copy)])
def test_a_journal_that_came_since_nobody_saw_one_is_not_overlooked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[Path, Path], object]
) -> None:
    path, copy = tmp_path / "accounts.sqlite", tmp_path / "copy.sqlite"
    with elsewhere(TRANSFERS.replace("PATH", repr(str(path)))) as (running, _):
        running.kill()
        running.wait()
    snapshot.renew(path)
    remembering_absence(monkeypatch)
    snapshot.take(path, copy)
    with pytest.raises(FileNotFoundError):
        path.with_name("accounts.sqlite-journal").stat()
    with elsewhere(WRITE_HALF.replace("PATH", repr(str(path)))):
        how(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT sum(amount) FROM account").fetchone() == (100_000,)


# Two machines


def has_pid_namespaces() -> bool:
    """Return whether processes can be started that know each other by no number, as on two machines."""
    return UNSHARE is not None and not subprocess.run([UNSHARE, "--pid", "--fork", "true"], check=False).returncode


@pytest.mark.skipif(not has_pid_namespaces(), reason="no PID namespaces without unshare and its privileges")
def test_two_machines(tmp_path: Path) -> None:
    apart = [str(UNSHARE), "--pid", "--fork", "--mount-proc"]
    with elsewhere(holding(tmp_path, 2), *apart) as (holder, said):
        assert said == "held"
        with elsewhere(holding(tmp_path, 60), *apart) as (_, other_said):
            assert "is in use by process" in other_said  # since it gives signs of life
        family = [psutil.Process(holder.pid), *psutil.Process(holder.pid).children(recursive=True)]
        for process in reversed(family):
            process.suspend()
        with elsewhere(holding(tmp_path, 2), *apart) as (heir, heir_said):
            assert heir_said == "held"
            for process in family:
                process.resume()
            assert "was taken over by process" in ask_to_write(holder)
            assert ask_to_write(heir) == "written"


def ask_to_write(running: subprocess.Popen[str]) -> str:
    """Have a process that holds a study write; return what it says of it."""
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()
    return line_of(running)


# A network file system


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A directory that a real sshfs mounts from a real server."""
    if SSHD is None or SSHFS is None or FUSERMOUNT is None or not Path("/dev/fuse").exists():
        pytest.skip("no sshfs, sshd or FUSE")
    keys, remote, here = (tmp_path / name for name in ("keys", "remote", "mounted"))
    for directory in (keys, remote, here):
        directory.mkdir(mode=0o700)
    server = Sshd(keys)
    server.start()
    try:
        source = f"{server.user}@127.0.0.1:{remote}"
        command = [SSHFS, source, str(here), "-F", str(server.config), "-p", str(server.port)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("sshfs mounts nothing here")
        yield here
        subprocess.run([FUSERMOUNT, "-u", "-z", str(here)], check=True)
    finally:
        server.stop()


def test_a_search_killed_on_a_network_file_system_goes_on_there(
    mounted: Path, tmp_path: Path, shape_dnn: Callable[..., Any]
) -> None:
    study, tally = mounted / "study", Tally()
    assert outcome(start(study, *killer(tmp_path, 1, ("TrainingFinished",)))) is None
    tally.look(study)
    answer = what_counts(shape_dnn(*SEARCH, "--study", str(study)).json)
    tally.close(study)
    assert (tally.kills, tally.lost, tally.repeated, tally.unreadable) == (1, 0, 0, 0)
    assert answer == what_counts(shape_dnn(*SEARCH, "--study", "local").json)
    told = [shape_dnn("ask", where, "--goal", "size", "--format", "json").json for where in (str(study), "local")]
    here, there = ([row["accuracy"] for row in answered["shapes"]] for answered in told)
    assert here == there == [accuracy for _, _, accuracy in sorted(answer[0], key=lambda row: (row[1], row[0]))]


@pytest.mark.nightly
def test_a_hundred_kills_on_a_network_file_system(mounted: Path) -> None:
    begun = time.monotonic()
    undisturbed = outcome(start(Path("local")))
    tally, answers = kill_at_random(mounted, kills=100, seed=2, longest=time.monotonic() - begun)
    assert tally.kills >= 100
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    assert answers
    assert all(answer == undisturbed for answer in answers)
