"""Merging and deleting studies, and many processes at one of them."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import Epoch, Measurement, Shape, Training, UsageError
from shape_dnn.api import studies
from shape_dnn.errors import StudyError
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAININGS

ONE, TWO, THREE = (Shape(depth, Fraction(1, 3)) for depth in (10, 16, 22))
CURVE = (Epoch(1, 2.0, 50.0), Epoch(2, 1.0, 90.0))


def study(name: str, accuracies: dict[Shape, float | None], latencies: dict[Shape, float]) -> Store:
    store = Store(Path(name))
    run = store.runs.begin("tune", {"study": name}, {"classes": 10})
    trained, measured = store.context("training", {"seed": 0}), store.context("latency", {"of": "cpu"})
    for shape, value in latencies.items():
        store.add_measurement(measured, shape, Measurement(value, details={"by": name}), {"study": name})
    for shape, accuracy in accuracies.items():
        store.add_training(trained, Training(shape, accuracy, "" if accuracy else "killed", CURVE), {"study": name})
        if accuracy:
            store.add_test(trained, shape, accuracy - 1)
            store.files.weights(trained, shape).parent.mkdir(exist_ok=True)
            store.files.weights(trained, shape).write_text(f"{name}: {shape}")
            store.files.artifact(trained, shape).mkdir(parents=True, exist_ok=True)
            (store.files.artifact(trained, shape) / "model.onnx").write_text(f"{name}: {shape}")
    store.runs.begin_search(run, "question", set())
    store.runs.end(run, {"training": trained, "latency": measured}, "done")
    return store


def facts(store: Store) -> tuple[object, ...]:
    trained, measured = store.context("training", {"seed": 0}), store.context("latency", {"of": "cpu"})
    trainings = store.trainings(trained)
    return (
        {shape: (t.quality, t.reason, t.curve, store.test(trained, shape)) for shape, t in trainings.items()},
        {shape: (m.value, m.details["by"]) for shape, m in store.measurements(measured).items()},
    )


def test_a_study_gains_what_another_one_knows_and_keeps_what_it_has() -> None:
    Store(Path("into")).context("something", {"that": "makes the numbers of contexts differ"})
    study("source", {ONE: 91.0, TWO: 92.0, THREE: 93.0}, {ONE: 1.0, TWO: 2.0}).close()
    study("into", {ONE: 81.0, TWO: None}, {ONE: 5.0, THREE: 3.0}).close()
    before = Path("source", FILE_NAME).read_bytes()
    merged = studies.merge(Path("source"), Path("into"))
    assert merged == (1, 2, 2)
    store = Store(Path("into"))
    assert facts(store) == (
        {ONE: (81.0, "", CURVE, 80.0), TWO: (92.0, "", CURVE, 91.0), THREE: (93.0, "", CURVE, 92.0)},
        {ONE: (5.0, "into"), TWO: (2.0, "source"), THREE: (3.0, "into")},
    )
    trained = store.context("training", {"seed": 0})
    assert [store.files.weights(trained, shape).read_text() for shape in (ONE, TWO)] == [
        f"into: {ONE}",
        f"source: {TWO}",
    ]
    shipped = [(store.files.artifact(trained, shape) / "model.onnx").read_text() for shape in (ONE, TWO)]
    assert shipped == [f"into: {ONE}", f"source: {TWO}"]
    run = store.runs.last()
    assert run is not None
    assert run.settings == {"study": "into"}, "questions still refer to its own search"
    attempts = "SELECT attempt, quality FROM training WHERE depth = 16 ORDER BY attempt"
    assert store.database.connection.execute(attempts).fetchall() == [(1, None), (2, 92.0)], "a failure stays known"
    assert Path("source", FILE_NAME).read_bytes() == before
    store.close()
    assert studies.merge(Path("source"), Path("into")) == (0, 0, 5), "again is not more"


def test_a_new_study_becomes_like_the_one_that_is_merged_into_it() -> None:
    source = study("source", {ONE: 91.0, TWO: None}, {ONE: 1.0})
    source.close()
    studies.merge(Path("source"), Path("new"))
    new, source = Store(Path("new")), Store(Path("source"))
    assert facts(new) == facts(source)
    assert new.summary() == source.summary()
    one, other = new.runs.last(), source.runs.last()
    assert one is not None
    assert other is not None
    assert one.settings == other.settings
    assert new.trainings(one.contexts[TRAININGS]) == source.trainings(other.contexts[TRAININGS])
    assert new.runs.was_searched("question", one)
    assert not list(Path("new").rglob("*.partial"))


def test_a_study_in_use_is_neither_merged_nor_deleted() -> None:
    study("source", {ONE: 91.0}, {}).close()
    busy = study("busy", {TWO: 91.0}, {})
    busy.runs.begin("tune", {}, {})
    for attempt in (
        lambda: studies.merge(Path("source"), Path("busy")),
        lambda: studies.merge(Path("busy"), Path("source")),
        lambda: studies.delete(Path("busy")),
    ):
        with pytest.raises(StudyError, match="'busy' is in use by process"):
            attempt()
    assert facts(busy) == ({TWO: (91.0, "", CURVE, 90.0)}, {})


def test_a_merge_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    study("source", {ONE: 91.0}, {ONE: 1.0}).close()
    study("into", {TWO: 92.0}, {}).close()
    before = Path("into", FILE_NAME).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StudyError, match="No space left on device"):
            studies.merge(Path("source"), Path("into"))
    assert Path("into", FILE_NAME).read_bytes() == before
    assert studies.merge(Path("source"), Path("into")) == (1, 1, 0)


def test_a_study_stays_where_nobody_can_tell_whether_something_of_it_still_runs() -> None:
    study("mine", {ONE: 91.0}, {ONE: 1.0}).close()
    Path("mine/executor/nobody").mkdir(parents=True)
    with pytest.raises(
        StudyError,
        match=r"may still run, and cannot be ended: no executor is called 'nobody'.*delete 'mine/executor/nobody' yourself",
    ):
        studies.delete(Path("mine"))
    assert Path("mine", FILE_NAME).exists()
    Path("mine/executor/nobody").rename("mine/executor/local")  # which leaves nothing
    assert studies.delete(Path("mine")) == []


def test_only_what_belongs_to_a_study_is_deleted(shape_dnn: Callable[..., Any]) -> None:
    study("mine", {ONE: 91.0}, {ONE: 1.0}).close()
    Path("mine/notes.txt").write_text("mine too")
    Path("elsewhere").mkdir()
    Path("elsewhere/images.npy").write_text("shared")
    Path("mine/images").symlink_to(Path("elsewhere").resolve())
    ran = shape_dnn("studies", "delete", "mine")
    assert ran.status == 2
    assert "--yes is needed to delete 'mine' where nobody can be asked" in ran.error
    assert Path("mine", FILE_NAME).exists()
    assert "deleted the study 'mine'; 'notes.txt' in it stayed" in shape_dnn("studies", "delete", "mine", "--yes").out
    assert [path.name for path in Path("mine").iterdir()] == ["notes.txt"]
    assert Path("elsewhere/images.npy").exists()
    study("all", {ONE: 91.0}, {}).close()
    assert shape_dnn("studies", "delete", "all", "--yes").status == 0
    assert not Path("all").exists()


def test_a_study_that_is_the_working_directory_is_deleted_with_it(
    shape_dnn: Callable[..., Any], monkeypatch: Any
) -> None:
    study("mine", {ONE: 91.0}, {}).close()
    monkeypatch.chdir("mine")
    assert shape_dnn("studies", "delete", ".", "--yes").status == 0
    monkeypatch.chdir("..")
    assert not Path("mine").exists()
    study("there", {ONE: 91.0}, {}).close()
    Path("link").symlink_to("there")
    assert shape_dnn("studies", "delete", "link", "--yes").status == 0
    assert not list(Path("there").iterdir())


def test_a_study_stays_where_nothing_can_be_typed(shape_dnn: Callable[..., Any], monkeypatch: Any) -> None:
    study("mine", {ONE: 91.0}, {}).close()
    monkeypatch.setattr("sys.stdin", None)  # closed by whoever started the command
    ran = shape_dnn("studies", "delete", "mine")
    assert ran.status == 2
    assert "--yes is needed to delete 'mine' where nobody can be asked" in ran.error


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [("n\n", 0, "nothing was deleted"), ("y\n", 0, "deleted the study"), ("", 130, "interrupted")],
)
def test_a_study_stays_where_it_is_unless_whoever_is_asked_agrees(
    answer: str, status: int, said: str, shape_dnn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the input is for click what Ctrl-C is."""
    study("mine", {ONE: 91.0}, {}).close()
    keyboard = io.StringIO(answer)
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", keyboard)
    ran = shape_dnn("studies", "delete", "mine")
    assert ran.status == status
    assert said in ran.out + ran.err
    assert ("interrupted" in ran.err) == (status == 130)
    assert Path("mine", FILE_NAME).exists() == (answer != "y\n")


def test_whoever_is_asked_is_told_of_the_study_itself_and_not_of_one_below_it(
    shape_dnn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study("mine", {ONE: 91.0, TWO: 92.0}, {}).close()
    study("mine/before", {ONE: 91.0}, {ONE: 1.0, TWO: 2.0, THREE: 3.0}).close()
    keyboard = io.StringIO("n\n")
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", keyboard)
    assert "Delete 'mine' with 0 measurements and 2 trainings for good?" in shape_dnn("studies", "delete", "mine").err


def test_what_is_no_study_is_neither_merged_nor_deleted() -> None:
    study("source", {ONE: 91.0}, {}).close()
    Path("other").mkdir()
    Path("other", FILE_NAME).write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(UsageError, match="is not a study file; delete it yourself if you mean to"):
        studies.delete(Path("other"))
    with pytest.raises(UsageError, match="there is no study in 'nowhere'"):
        studies.delete(Path("nowhere"))
    with pytest.raises(UsageError, match="there is no study in 'nowhere'"):
        studies.merge(Path("nowhere"), Path("source"))
    with pytest.raises(UsageError, match="cannot be merged into itself"):
        studies.merge(Path("source"), Path("other/../source"))
    assert Path("other", FILE_NAME).exists()
    assert not Path("nowhere").exists()


def test_studies_are_merged_by_the_command(shape_dnn: Callable[..., Any]) -> None:
    study("source", {ONE: 91.0}, {ONE: 1.0}).close()
    ran = shape_dnn("studies", "merge", "source", "into")
    assert ran.status == 0
    assert "added 1 measurement and 1 training to 'into'" in ran.out
    rows = shape_dnn("studies", "--format", "json").json
    assert [(row["path"], row["measured"], row["trained"]) for row in rows] == [("into", 1, 1), ("source", 1, 1)]
    assert shape_dnn("studies", "source").status == 0
    assert "is not a directory" in shape_dnn("studies", "nowhere").error


HAMMER = """
import sys
from fractions import Fraction
from pathlib import Path
from shape_dnn import Epoch, Measurement, Shape, Training
from shape_dnn.store.facts import Store

me = int(sys.argv[1]) + 1
store = Store(Path("study"))
for i in range(20):
    context = store.context("latency", {"round": i})
    trained = store.context("training", {"round": i})
    store.add_measurement(context, Shape(10, Fraction(1)), Measurement(float(me)), {"process": me})
    store.add_training(trained, Training(Shape(me, Fraction(1)), 50.0, "", (Epoch(1, 1.0, 50.0),)), {"process": me})
    assert store.trainings(trained)[Shape(me, Fraction(1))].quality == 50.0
    assert store.summary()["measured"] > i
"""


def test_of_what_16_processes_write_into_one_study_at_once_nothing_is_lost() -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", HAMMER, str(i)], stderr=subprocess.PIPE, text=True) for i in range(16)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 16
    store = Store(Path("study"))
    for i in range(20):
        trainings = store.trainings(store.context("training", {"round": i}))
        assert {shape.depth for shape in trainings} == set(range(1, 17))
        query = "SELECT attempt, value FROM measurement WHERE context = ?"
        rows = store.database.connection.execute(query, (store.context("latency", {"round": i}),)).fetchall()
        assert {attempt for attempt, _ in rows} == set(range(1, 17))
        assert {value for _, value in rows} == set(range(1, 17))
