from __future__ import annotations

import sqlite3
from fractions import Fraction
from pathlib import Path

import pytest

from shape_dnn import Epoch, Measurement, Shape, Training, UsageError
from shape_dnn.store import FILE_NAME, SCHEMA_VERSION, Store

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
    assert store.trainings(context)[SHAPE].accuracy == 95.0
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
    store.add_measurement(context, SHAPE, Measurement(1.0), {})
    with pytest.raises(sqlite3.IntegrityError):
        store.add_measurement(context, SHAPE, Measurement(2.0), {})
    assert store.measurements(context)[SHAPE].value == 1.0


def test_a_test_accuracy_is_read_once() -> None:
    store = Store(Path("study"))
    context = store.context("training", {})
    store.add_training(context, Training(SHAPE, 95.0), {})
    store.add_test(context, SHAPE, 94.0)
    store.add_test(context, SHAPE, 99.0)
    assert store.test(context, SHAPE) == 94.0


def test_a_run_that_ends_without_saying_so_is_interrupted() -> None:
    store = Store(Path("study"))
    run = store.begin_run({"arch": "wrn"}, {"classes": 10})
    assert store.summary()["state"] == "running"
    store._connection.execute("UPDATE run SET pid = 999999999")
    assert store.summary()["state"] == "interrupted"
    store.end_run(run, {"training": 1}, "done")
    assert store.summary()["state"] == "done"
    last = store.last_run()
    assert last is not None
    assert (last.settings, last.contexts, last.state) == ({"arch": "wrn"}, {"training": 1}, "done")


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)


def another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def newer(path: Path) -> None:
    Store(path.parent).close()
    with sqlite3.connect(path) as connection:
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
