"""One study, one answer: a search begins with what is known, and a question, a report and an export agree with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import own
import pytest
from test_main_job import HERE

from shape_dnn import NothingCompliesError, Shape, ask, export, measure, record, tune
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.answers.table import summarize
from shape_dnn.errors import StudyError
from shape_dnn.events import Event, TrainingFinished
from shape_dnn.report import write_report
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAININGS, Family

SEARCH: dict[str, Any] = {
    "depth": "10:17:6", "width": "1/8:5/8:1/8", "epochs": 1, "device": "cpu", "plugin": "here.py", "executor": "here",
    "option": {"dataset.limit": 150, "recipe.precision": "float32"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def here() -> None:
    Path("here.py").write_text(HERE)


def overview(path: Path) -> dict[str, Any]:
    """Return the data of a report."""
    text = path.read_text(encoding="utf-8")
    start = text.index(">", text.index('id="data"')) + 1
    return json.loads(text[start : text.index("</script>", start)])["overview"]  # type: ignore[no-any-return]


def test_after_another_question_search_question_report_and_export_agree() -> None:
    tune(**SEARCH, sampler="wider", train=3, goal="size", min_accuracy="5%")
    second = {"goal": "accuracy", "max_size": "0.03MB"}
    found = tune(**SEARCH, **second).to_dict()
    assert found["cost"]["new_trainings"] < found["cost"]["trained"], "it begins with what the first one trained"
    asked = ask("shape-dnn-study", **second, plugin="here.py").to_dict()
    for part in ("shapes", "best", "stages"):
        assert asked[part] == found[part], part
    report = overview(Path("shape-dnn-study/report.html"))
    assert report["verified"]
    rows = {(row["depth"], row["width"]): row for row in report["shapes"]}
    for row in found["shapes"]:
        assert rows[row["depth"], row["width"]]["mean"] == row["predicted_accuracy"]
        assert rows[row["depth"], row["width"]]["quality"] == row["accuracy"]
    out = export("shape-dnn-study", plugin="here.py", formats=["safetensors"])
    assert json.loads((out / "card.json").read_text())["shape"]["depth"] == found["best"]["depth"]
    again = tune(**SEARCH, **second).to_dict()
    assert again["cost"].pop("new_trainings") == 0
    found["cost"].pop("new_trainings")
    assert again == found
    small = {(row["depth"], row["width"]) for row in found["shapes"]}
    within = sum((row["depth"], row["width"]) in small for row in found["trained"])
    beyond = len(found["trained"]) - within
    assert beyond, "or the test says nothing"
    others = f"{beyond} shapes" if beyond > 1 else "one shape"
    counted = f"trained {within} of {found['cost']['candidates']} candidates and {others} beyond the limits, "
    after = summarize(tune(**SEARCH, **second)).after
    assert any(line.startswith(counted) for line in after), after
    first = tune(**SEARCH, sampler="wider", train=3, goal="size", min_accuracy="5%")
    assert first.new_trainings == 0
    assert ask("shape-dnn-study", goal="size", min_accuracy=5, plugin="here.py").best == first.best


class Stop(Exception):
    pass


def test_an_interrupted_search_goes_on_to_the_answer_of_one_that_was_not() -> None:
    question = {"goal": "accuracy", "max_size": "0.05MB", "together": 1}

    def after(number: int) -> Callable[[Event], None]:
        seen: list[Event] = []

        def notify(event: Event) -> None:
            seen.extend([event] if isinstance(event, TrainingFinished) else [])
            if len(seen) == number:
                raise Stop

        return notify

    whole = tune(**SEARCH, **question, study="whole").to_dict()
    for number in (1, 3):
        with pytest.raises(Stop):
            tune(**SEARCH, **question, study=f"after {number}", notify=after(number))
        with pytest.raises(Stop):
            tune(**SEARCH, **question, study=f"after {number}", notify=after(1))
        result = tune(**SEARCH, **question, study=f"after {number}", workers=3).to_dict()
        for part in ("trained", "shapes", "best", "certificate"):
            assert result[part] == whole[part], part
        assert result["cost"]["trained"] == whole["cost"]["trained"]
        assert result["cost"]["new_trainings"] == whole["cost"]["trained"] - number - 1


def test_another_question_after_an_interrupt_begins_with_everything() -> None:
    store = Store(Path("study"))
    store.context("training", {})
    settings = {"goal": "size", "workers": 1}

    def resolved(settings: Mapping[str, Any]) -> dict[str, Any]:
        return {**settings, "depth": settings.get("depth") or "1:4:1"}

    def begin(**changes: object) -> int:
        run = store.runs.begin("tune", {**settings, **changes}, {})
        began = store.runs.begin_search(run, "question", {"workers"}, resolved)
        store.database.connection.execute(
            "INSERT INTO training (context, depth, width, attempt, reason, provenance, recorded)"
            " VALUES (1, ?, '1', 1, '', ?, 0)", (10 + run, store._provenance({})),
        )  # fmt: skip
        store.runs.end(run, {TRAININGS: 1}, str(changes.get("state", "interrupted")))
        return began

    assert begin() == 0
    assert begin(workers=2) == 0, "the same search goes on"
    assert begin(depth="1:4:1") == 0, "this range is meant where none is given"
    assert begin(goal="accuracy") == 3, "this is another one"
    assert begin() == 4, "another was between"
    assert begin(state="done") == 5
    assert begin(state="done") == 6, "the one before came to its end"
    run = store.runs.last()
    assert run is not None
    assert store.runs.was_searched("question", run)
    assert not store.runs.was_searched("another", run)
    assert not store.runs.was_searched("question", replace(run, contexts={TRAININGS: 2})), "it had other trainings"
    assert not store.runs.was_searched("question", replace(run, settings={"depth": "10:60:6"})), "and another space"


def test_a_dry_run_tells_what_the_results_will_decide(shape_dnn: Callable[..., Any]) -> None:
    flags = ["--depth", "10:60:6", "--width", "1:6:1", "--device", "cpu", "--goal", "accuracy", "--dry-run"]
    active = shape_dnn(*flags)
    assert "would train 3 of 45 candidates first:" in active.out
    assert "at most 15 in all before verification, 3 times fewer trainings than all" in active.out
    cost = shape_dnn(*flags, "--format", "json").json["cost"]
    assert (cost["trained"], cost["most"], cost["speedup"]) == (3, 15, 3.0)
    few = [*flags[:1], "10:17:6", *flags[2:]]
    assert "at most 10 in all before verification\n" in shape_dnn(*few).out, "which are all"
    assert "would train 10 of 10 candidates:" in shape_dnn(*few, "--sampler", "interval").out
    paper = shape_dnn(*flags, "--sampler", "interval")
    assert "would train 15 of 45 candidates, 3 times fewer trainings than all:" in paper.out
    costly = shape_dnn(*flags[:-3], "--goal", "latency", "--dry-run")
    assert "it also depends on latency, which is not measured yet of every shape" in costly.out
    limited = shape_dnn(*flags[:-3], "--goal", "size", "--max-latency", "1ms", "--max", "memory=1GB", "--dry-run")
    assert "it also depends on latency and memory, which are not measured yet of every shape" in limited.out
    assert "latency <= 1 ms: 45 -> 45 shapes, 0 dropped; not measured yet of every shape\n" in limited.out


FAILING = """
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Failing(WideResNet):
    def build(self, shape, input_shape, classes):
        if shape.depth == 16:
            raise ValueError("not today")
        return super().build(shape, input_shape, classes)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("failing", "cannot build the deeper ones", Failing)
"""


def test_failed_trainings_that_are_to_be_made_again_count_as_new_ones() -> None:
    Path("failing.py").write_text(FAILING)
    search = {**SEARCH, "arch": "failing", "plugin": ["here.py", "failing.py"], "width": "1/8:3/8:1/8"}
    search["sampler"] = "interval"
    plain = "yield Outcome(task, task.run(lambda progress: report(task, progress)))"
    Path("here.py").write_text(HERE.replace(plain, CATCHING))
    first = tune(**search)
    assert len(first.to_dict()["failed"]) == 2
    assert tune(**search, dry_run=True).new_trainings == 0
    assert tune(**search, dry_run=True, retry_failed=True).new_trainings == 2


CATCHING = """try:
                result = Outcome(task, task.run(lambda progress: report(task, progress)))
            except Exception as error:
                result = Outcome(task, error=error)
            yield result"""


def test_a_metric_may_be_called_like_the_trainings() -> None:
    families = [
        Family("training-time"), Family("latency"), TRAININGS, Family(None, 2), Family(None, 0, Shape.parse("10,1/4")),
        Family(None, 1, Shape.parse("16,3")),
    ]  # fmt: skip
    texts = [str(family) for family in families]
    assert texts == [
        "training-time",
        "latency",
        "training",
        "training 2",
        "training from (10, 1/4)",
        "training 1 from (16, 3)",
    ]
    assert list(map(Family.parse, texts)) == families
    Path("timer.py").write_text(TIMER)
    search = {**SEARCH, "plugin": ["here.py", "timer.py"]}
    found = tune(**search, max={"training-time": "50"}, goal="training-time")
    assert found.best is not None
    asked = ask("shape-dnn-study", max=["training-time=50"], goal="training-time", plugin=["here.py", "timer.py"])
    assert asked.best == found.best
    assert [row["training-time"] for row in asked.rows()] == [row["training-time"] for row in found.rows()]


TIMER = """
from shape_dnn import Instrument, Measurement, Plugin, hookimpl

class Timer(Instrument):
    metric, unit, cost = "training-time", "min", 1.0

    def identity(self, workload):
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            yield shape, Measurement(float(shape.depth * shape.width))

@hookimpl
def shape_dnn_meters():
    yield Plugin("training-time", "how long a training takes", Timer)
"""


def test_nothing_is_measured_once_a_search_is_done() -> None:
    Path("timer.py").write_text(TIMER.replace("for shape in shapes:", "check()\n        for shape in shapes:") + CHECK)
    search = {**SEARCH, "plugin": ["here.py", "timer.py"], "width": "1/8:3/8:1/8"}
    result = tune(**search, min_accuracy="99.9%", goal="training-time")
    assert result.answer.closest is not None
    assert not result.shapes
    (state,) = Store(Path("shape-dnn-study")).database.read("SELECT state FROM run")
    assert state == ("done",)


CHECK = """
import contextlib, sqlite3
def check():
    with contextlib.closing(sqlite3.connect("shape-dnn-study/study.sqlite")) as study:
        (state,) = study.execute("SELECT state FROM run").fetchone()
    assert state == "running", state
"""


def test_metrics_measured_in_one_way_are_not_told_as_those_measured_in_another() -> None:
    timer = TIMER.replace(
        "    def identity", "    def __init__(self, minutes=1.0): self.minutes = minutes\n    def identity"
    )
    timer = timer.replace("depth * shape.width", "depth * self.minutes")
    timer = timer.replace(", Timer)", ", Timer, {'minutes': Option(help='for each layer')})").replace(
        "Plugin", "Option, Plugin", 1
    )
    Path("timer.py").write_text(timer)
    search = {**SEARCH, "plugin": ["here.py", "timer.py"], "train": 2}
    other = {**search["option"], "meter.training-time.minutes": "3"}

    def known_after(**settings: Any) -> list[float]:
        tune(**{**search, **settings})
        shown = overview(Path("shape-dnn-study/report.html"))
        columns = [f"m{i}" for i, metric in enumerate(shown["metrics"]) if metric["name"] == "training-time"]
        return [row[column] for row in shown["shapes"] for column in columns]

    measured = known_after(max="training-time=50")
    assert len(measured) == 8
    assert known_after() == measured, "what is known of the same is known"
    assert known_after(option=other) == []
    assert known_after(option=other, max="training-time=50") == [3 * time for time in measured]
    assert known_after() == measured


SPELT = [{"depth": "1:4:1"}, {"width": "1.0:3:1"}, {"depth": "1:7/2:1", "width": "1:3:1"}]
"""The usual ranges of :data:`own.HEAD`, in other words."""


@pytest.mark.parametrize("ranges", SPELT)
def test_a_range_that_is_the_usual_one_makes_no_other_space(ranges: dict[str, str]) -> None:
    question = {"goal": "loss", "max_size": "1MB"}
    search = {"trainer": str(own.write(own.BUILD, own.TRAIN)), "device": "cpu"}

    def was_searched() -> bool:
        with StudyQuestion.open("shape-dnn-study", question) as known:
            return known.was_searched

    tune(**search, **question)
    tune(**search, **ranges, goal="size")
    assert was_searched()
    tune(**search, **{**ranges, "width": "1:2:1"}, goal="size")
    assert not was_searched(), "this is another space"


def test_a_report_of_a_study_says_whether_its_question_was_searched() -> None:
    tune(**{**SEARCH, "width": "1/8:3/8:1/8"}, goal="size")
    (same,) = write_report("shape-dnn-study", plugin="here.py")
    assert overview(Path(same))["verified"]
    (other,) = write_report("shape-dnn-study", "other.html", plugin="here.py", goal="size", min_accuracy="50%")
    assert not overview(Path(other))["verified"]
    tune(**{**SEARCH, "width": "1/8:3/8:1/8", "epochs": 2}, goal="accuracy")
    (longer,) = write_report("shape-dnn-study", "longer.html", plugin="here.py", goal="size")
    assert not overview(Path(longer))["verified"], "it was asked of trainings of another length"


WORK = """
from shape_dnn import Formula, Plugin, hookimpl

class Work(Formula):
    metric, unit, cost, factor = "work", "", 0.5, 1
    def compute(self, workload, shapes):
        return [float(self.factor * shape.depth * workload.batch_size) for shape in shapes]

class Hundredfold(Work):
    factor = 100

@hookimpl
def shape_dnn_meters():
    yield Plugin("work", "depth by batch size", Work)
    yield Plugin("hundredfold", "a hundred times that", Hundredfold)
"""


def own_search(**more: Any) -> dict[str, Any]:
    """Return settings of a search with trainings that cost nothing."""
    Path("work.py").write_text(WORK)
    trainer = str(own.write(own.BUILD, own.EXAMPLE, own.TRAIN))
    return {"trainer": trainer, "plugin": "work.py", "depth": "1:4:1", "width": "1:3:1", **more}


def test_a_question_leaves_out_what_another_meter_has_measured() -> None:
    question = {"goal": "loss", "max": ["work=2"]}
    found = tune(**own_search(**question))
    measure(["work"], **own_search(meter=["work=hundredfold"]))
    asked = ask("shape-dnn-study", **question, plugin="work.py")
    assert {row["work"] for row in asked.rows()} == {1.0, 2.0}
    assert asked.shapes == found.shapes


def test_the_same_question_under_other_conditions_was_not_searched() -> None:
    question = {"goal": "loss", "max": ["work=2"]}
    tune(**own_search(**question, sampler="interval", train=2))
    asked_as = {"plugin": "work.py"}
    assert ask("shape-dnn-study", **question, **asked_as).verified
    tune(**own_search(goal="loss", sampler="interval", train=2, batch_size=2))
    with StudyQuestion.open("shape-dnn-study", {**question, **asked_as}) as known:
        assert not known.was_searched
    tune(**own_search(goal="loss", sampler="interval", train=2))
    with StudyQuestion.open("shape-dnn-study", {**question, **asked_as}) as known:
        assert known.was_searched


def test_a_study_in_use_is_left_as_it_is_by_whoever_wants_to_convert_what_it_has() -> None:
    tune(**own_search(goal="loss"))
    files = sorted(Path("shape-dnn-study").rglob("*"))
    holder = Store(Path("shape-dnn-study"))
    holder.runs.lock()
    try:
        for begin in (tune, partial(record, "table.csv")):
            with pytest.raises(StudyError, match="in use"):
                begin(**own_search(), deploy="onnxruntime")
    finally:
        holder.close()
    assert sorted(Path("shape-dnn-study").rglob("*")) == files


LEVEL = """
from shape_dnn import AccuracyModel, Option, Plugin, Prediction, hookimpl

class Level(AccuracyModel):
    def __init__(self, at: float = 50.0):
        self.at = at
    def fit(self, shapes, accuracies): pass
    def predict(self, shapes): return [Prediction(self.at) for _ in shapes]

@hookimpl
def shape_dnn_accuracy_models(): yield Plugin("level", "the same for all", Level, {"at": Option(50.0)})
"""


def test_a_question_keeps_the_options_of_the_model_until_another_model_is_asked_for() -> None:
    Path("level.py").write_text(LEVEL)
    search = {**own_search(goal="loss", sampler="interval", train=2), "plugin": ["work.py", "level.py"]}
    tune(**search, model="level", option={"model.at": 0.7})
    asked_as = {"plugin": ["work.py", "level.py"]}
    assert {row["predicted_loss"] for row in ask("shape-dnn-study", **asked_as).rows()} == {0.7}
    assert {row["predicted_loss"] for row in ask("shape-dnn-study", **asked_as, model="level").rows()} == {50.0}


def test_what_a_study_knows_is_shown_whatever_is_asked() -> None:
    tune(**own_search(goal="loss", max_latency="100s"))
    asked = {row["depth"]: row["latency"] for row in ask("shape-dnn-study", goal="loss", plugin="work.py").rows()}
    limited = ask("shape-dnn-study", goal="loss", plugin="work.py", max_latency="100s").rows()
    assert asked == {row["depth"]: row["latency"] for row in limited}
    assert None not in asked.values()


def test_a_question_warns_of_nothing_that_another_limit_drops(recwarn: pytest.WarningsRecorder) -> None:
    tune(**own_search(goal="loss", max=["work=2"], max_latency="100s"))  # deeper shapes were never measured
    recwarn.clear()
    question = {"goal": "loss", "max": ["work=2"], "max_latency": "100s", "plugin": "work.py"}
    assert {row["depth"] for row in ask("shape-dnn-study", **question).rows()} == {1, 2}
    assert not recwarn.list
    with pytest.warns(UserWarning, match="does not know the latency of 2 of 6 shapes; these are left out"):
        ask("shape-dnn-study", **{**question, "max": []})


def test_a_question_that_was_searched_lacks_nothing(recwarn: pytest.WarningsRecorder) -> None:
    tune(**own_search(goal="latency", max=["work=2"]))
    recwarn.clear()
    with StudyQuestion.open("shape-dnn-study", {"goal": "latency", "plugin": "work.py"}) as known:
        known.__dict__["was_searched"] = True  # as if a search had found that the others cannot matter
        known.check()
        assert not recwarn.list
        known.__dict__["was_searched"] = False
        with pytest.warns(UserWarning, match="does not know the latency of 2 of 6 shapes"):
            known.check()


def test_search_and_question_say_the_same_of_limits_that_nothing_meets() -> None:
    for question in ({"goal": "latency", "max": ["work=0"]}, {"pareto": "latency,loss", "max": ["work=0"]}):
        with pytest.raises(NothingCompliesError) as searched:
            tune(**own_search(**question)).raise_if_empty()
        with pytest.raises(NothingCompliesError) as asked:
            ask("shape-dnn-study", plugin="work.py", **question).raise_if_empty()
        assert str(asked.value) == str(searched.value)


def test_a_plan_shows_what_is_trained_and_promises_no_more_where_that_suffices() -> None:
    search = own_search(goal="loss")
    found = {row["depth"]: row["loss"] for row in tune(**search).rows()}
    planned = tune(**search, dry_run=True)
    assert {row["depth"]: row["loss"] for row in planned.rows()} == found
    text = str(planned)
    assert "would train nothing first: what is known suffices" in text
    assert "depends on the results" not in text
