from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from shape_dnn import Epoch, Measurement, Shape, Training, UsageError
from shape_dnn.errors import StudyError
from shape_dnn.records import Stop
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.store.schema import MIGRATIONS, SCHEMA_VERSION

SHAPE = Shape(10, Fraction(1, 3))


def test_facts_outlive_the_process() -> None:
    store = Store(Path("study"))
    context = store.context("latency", {"device": "cpu", "batch_size": 1})
    measurement = Measurement(1.5, 1.4, 1.6, "ok", {"samples_ms": [1.4, 1.6]})
    store.add_measurement(context, SHAPE, measurement, {"torch": "2"})
    training = Training(SHAPE, 97.5, "", (Epoch(1, 2.0, 90.0), Epoch(2, 1.0, 97.5)), 3.25)
    trained = store.context("training", {"seed": 0})
    store.add_training(trained, training, {"torch": "2"})
    store.add_test(trained, SHAPE, 96.0)
    store.close()
    again = Store(Path("study"), create=False)
    assert again.measurements(context) == {SHAPE: measurement}
    assert again.trainings(trained) == {SHAPE: training}
    assert again.test(trained, SHAPE) == 96.0


def test_everything_that_determines_a_fact_is_part_of_its_identity() -> None:
    store = Store(Path("study"))
    identity = {"device": "cpu", "options": {"a": 1, "b": 2}}
    same = {"options": {"b": 2, "a": 1}, "device": "cpu"}
    assert store.context("latency", identity) == store.context("latency", same)
    numbers = {store.context("latency", {**identity, "batch_size": size}) for size in (1, 2)}
    numbers |= {store.context("energy", identity), store.context("latency", identity)}
    assert len(numbers) == 4


def test_a_further_attempt_stands_beside_the_former() -> None:
    store = Store(Path("study"))
    context = store.context("training", {})
    store.add_training(context, Training(SHAPE, None, "killed", (Epoch(1, 2.0, 50.0),)), {})
    assert store.summary()["failed"] == 1
    store.add_training(context, Training(SHAPE, 95.0), {})
    assert store.trainings(context)[SHAPE].quality == 95.0
    assert store.summary() | {"updated": 0} == {
        "state": "empty",
        "measured": 0,
        "trained": 1,
        "failed": 0,
        "updated": 0,
    }


def test_nothing_is_overwritten() -> None:
    store = Store(Path("study"))
    context = store.context("latency", {})
    store.add_measurement(context, SHAPE, Measurement(1.0, status="contended"), {})
    store.add_measurement(context, SHAPE, Measurement(2.0), {})
    assert store.measurements(context)[SHAPE].value == 2.0, "the last one counts"
    rows = store.database.connection.execute(
        "SELECT attempt, value, status FROM measurement ORDER BY attempt"
    ).fetchall()
    assert rows == [(1, 1.0, "contended"), (2, 2.0, "ok")]


def test_a_test_accuracy_is_read_once() -> None:
    store = Store(Path("study"))
    context = store.context("training", {})
    store.add_training(context, Training(SHAPE, 95.0), {})
    store.add_test(context, SHAPE, 94.0)
    store.add_test(context, SHAPE, 99.0)
    assert store.test(context, SHAPE) == 94.0


def test_a_run_that_ends_without_saying_so_is_interrupted() -> None:
    store = Store(Path("study"))
    run = store.runs.begin("tune", {"arch": "wrn"}, {"classes": 10})
    assert store.summary()["state"] == "running"
    assert Store(Path("study")).summary()["state"] == "running"
    store.database._lock.release()  # as the system does when the process dies
    assert store.summary()["state"] == "interrupted"
    store.runs.end(run, {TRAININGS: 1}, "done")
    assert store.summary()["state"] == "done"
    last = store.runs.last()
    assert last is not None
    assert (last.settings, last.contexts, last.state) == ({"arch": "wrn"}, {TRAININGS: 1}, "done")


def test_a_question_takes_measurements_of_other_runs_of_the_same_problem_and_no_trainings() -> None:
    """The problem of a run says nothing of epochs or data, by which trainings differ and metrics do not."""
    store, problem = Store(Path("study")), {"architecture": "wrn", "classes": 10}
    former = store.runs.begin("tune", {"epochs": 1}, {**problem, "recipe": {"epochs": 1}})
    grown, second = Family(donor=SHAPE), Family(seed=1)
    store.runs.end(former, {Family("latency"): 1, TRAININGS: 2, grown: 3, second: 4}, "interrupted")
    store.runs.begin("tune", {"epochs": 9}, {**problem, "recipe": {"epochs": 9}})
    run = store.runs.last(latest=True)
    assert run is not None
    assert run.settings == {"epochs": 9}
    assert run.contexts == {Family("latency"): 1}


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")


def newer(path: Path) -> None:
    Store(path.parent).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (garbage, "not a database"),
        (another_program, "another program"),
        (newer, f"its format is {SCHEMA_VERSION + 1}.*upgrade"),
    ],
)
def test_what_is_no_study_is_refused_and_left_as_it_is(make: object, complaint: str) -> None:
    path = Path("study") / FILE_NAME
    path.parent.mkdir()
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(UsageError, match=complaint):
        Store(path.parent)
    assert path.read_bytes() == before


def test_a_directory_that_cannot_be_written_is_refused() -> None:
    Path("file").write_text("")
    with pytest.raises(UsageError, match="study: cannot write to 'file"):
        Store(Path("file/study"))
    with pytest.raises(UsageError, match="no study in 'nowhere'"):
        Store(Path("nowhere"), create=False)
    assert not Path("nowhere").exists()


def lacks_a_table(path: Path) -> None:
    Store(path.parent).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE measurement")


def makes_no_sense(path: Path) -> None:
    store = Store(path.parent)
    store.runs.begin("tune", {}, {})
    store.database.connection.execute("UPDATE run SET settings = 'this is not JSON'")
    store.add_training(store.context("training", {}), Training(SHAPE, 95.0), {})
    store.database.connection.execute("UPDATE training SET width = 'wide'")
    store.close()


@pytest.mark.parametrize("damage", [lacks_a_table, makes_no_sense])
def test_a_damaged_study_is_named_and_does_not_hide_the_others(damage: object, shape_dnn: object) -> None:
    Store(Path("good")).close()
    path = Path("bad") / FILE_NAME
    path.parent.mkdir()
    damage(path)  # type: ignore[operator]
    with pytest.raises(StudyError, match=r"bad/study\.sqlite"):  # noqa: PT012 - one of them meets the damage
        store = Store(path.parent)
        store.measurements(1)
        store.trainings(1)
    ran = shape_dnn("studies", "--format", "json")  # type: ignore[operator]
    assert ran.status == 0
    assert {row["path"] for row in ran.json} == {"bad", "good"}
    assert shape_dnn("ask", "bad").status != 0  # type: ignore[operator]


HOLD = """
import sys
from pathlib import Path
from shape_dnn.store.facts import Store
store = Store(Path("study"))
store.runs.begin("tune", {}, {})
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_study_in_use_by_this_very_process_is_refused_and_so_named() -> None:
    """As of a notebook that searches in another thread."""
    store = Store(Path("study"))
    store.runs.begin("tune", {}, {})
    with pytest.raises(StudyError, match=rf"in use by process {os.getpid()} on \S+, which is this one; wait for it"):
        Store(Path("study")).runs.begin("tune", {}, {})


def test_a_study_in_use_by_another_process_is_refused_and_taken_over_when_that_dies() -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        store = Store(Path("study"))
        with pytest.raises(StudyError, match=f"in use by process {holder.pid} on {socket.gethostname()}; wait for it"):
            store.runs.begin("tune", {}, {})
        assert store.summary()["state"] == "running"
        holder.kill()
    assert store.summary()["state"] == "interrupted"
    store.runs.begin("tune", {}, {})
    states = [state for (state,) in store.database.connection.execute("SELECT state FROM run ORDER BY id")]
    assert states == ["interrupted", "running"]


FROZEN = Path(__file__).parent / "data"


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_study_of_every_former_format_is_brought_up_to_date(version: int) -> None:
    directory = Path("study")
    directory.mkdir()
    shutil.copy(FROZEN / f"study-format-{version}.sqlite", directory / FILE_NAME)
    store = Store(directory, create=False)
    run = store.runs.last()
    assert run is not None
    latencies = store.measurements(run.contexts[Family("latency")])
    quarter = Fraction(1, 4)
    assert {shape: m.value for shape, m in latencies.items()} == {
        Shape(10, quarter): 1.0, Shape(16, quarter): 1.6, Shape(22, quarter): None,
    }  # fmt: skip
    trainings = store.trainings(run.contexts[TRAININGS])
    assert trainings[Shape(10, quarter)].curve == (Epoch(1, 0.5, 90.0), Epoch(2, 0.4, 95.5))
    assert trainings[Shape(16, quarter)].reason == "loss became nan"
    assert store.test(run.contexts[TRAININGS], Shape(10, quarter)) == 95.0
    (copy,) = directory.glob("*.format-*.sqlite")
    assert copy.name == f"study.format-{version}.sqlite"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    new = Store(Path("new"))
    tables = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'measurement' ORDER BY name"
    assert store.database.connection.execute(tables).fetchall() == new.database.connection.execute(tables).fetchall()
    assert (
        store.database.connection.execute("PRAGMA table_info(measurement)").fetchall()
        == new.database.connection.execute("PRAGMA table_info(measurement)").fetchall()
    )


def test_a_migration_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Path("study")
    directory.mkdir()
    shutil.copy(FROZEN / "study-format-1.sqlite", directory / FILE_NAME)
    before = (directory / FILE_NAME).read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(MIGRATIONS, 1, MIGRATIONS[1] + ";\nINSERT INTO nowhere VALUES (1)")  # type: ignore[arg-type]
        with pytest.raises(StudyError, match="nowhere"):
            Store(directory)
    assert (directory / FILE_NAME).read_bytes() == before
    assert Store(directory).summary()["measured"] == 3


def test_on_a_network_file_system_there_is_a_lease_in_place_of_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    here = SimpleNamespace(mountpoint=str(Path.cwd()), fstype="nfs4")
    root = SimpleNamespace(mountpoint="/", fstype="ext4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [here, root])
    Store(Path("study")).close()
    assert Path("study/lease").is_file()
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: [root])
    Store(Path("local")).close()
    assert not Path("local/lease").exists()


def test_studies_count_trainings_once_and_none_that_was_stopped_as_failed() -> None:
    store = Store(Path("study"))
    trained, shipped = (store.context(TRAINING, {"seed": 0, **more}) for more in ({}, {"deployment": {"name": "x"}}))
    for context in (trained, shipped):
        store.add_training(context, Training(SHAPE, 91.0), {})
        store.add_training(context, Training(Shape(16, Fraction(1)), None, "the loss became nan"), {})
        store.add_training(context, Training(Shape(22, Fraction(1)), None, "stopped", stop=Stop("asha")), {})
    assert (store.summary()["trained"], store.summary()["failed"]) == (1, 1)


def test_a_path_that_is_too_long_for_sqlite_is_said_to_be(tmp_path: Path) -> None:
    def directory(length: int) -> Path:
        """Return a directory whose study file has a path of so many bytes."""
        third, rest = divmod(length - len(f"{tmp_path}////study.sqlite"), 3)
        return tmp_path / ("é" * (third // 2) + "x" * (third % 2)) / ("y" * third) / ("z" * (third + rest))

    Store(directory(504)).close()
    with pytest.raises(StudyError, match=r"\(its whole path has 505 bytes; SQLite takes 504 at most\)"):
        Store(directory(505))


def test_a_study_that_is_moved_while_it_is_in_use_is_said_to_be(tmp_path: Path) -> None:
    store = Store(tmp_path / "study")
    (tmp_path / "study").rename(tmp_path / "another place")
    with pytest.raises(StudyError, match=r"study\.sqlite' was moved or removed while it was in use"):
        store.context("latency", {})
    assert not (tmp_path / "study").exists()


def test_a_full_disk_is_said_to_be_full(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(Path("study"))
    store.database.connection.execute("PRAGMA max_page_count = 1")
    context = store.context("latency", {})
    with pytest.raises(StudyError, match=r"study\.sqlite.*full"):  # noqa: PT012 - one of many is too many
        for depth in range(2000):
            store.add_measurement(context, Shape(depth, Fraction(1)), Measurement(1.0, details={"x": "y" * 500}), {})
