"""Goals that users write themselves."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import PluginError, UsageError, ask, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.goal_expressions import Expression, Lexicographic, parse
from shape_dnn.builtin.goals import Accuracy
from shape_dnn.kinds import Goal
from shape_dnn.settings import Settings

TABLE = """depth,width,accuracy,size,latency,energy
10,1,90,1,10,5
10,2,95,4,11,4
16,1,94,2,15,6
16,2,96,8,16,9
22,2,96.2,11,22,14
"""


def named(name: str) -> Goal | None:
    return Accuracy() if name == "accuracy" else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("latency + 0.2*energy", 2.2),
        ("latency*(100-accuracy)", 20.0),
        ("-latency**2/energy - 1", -5.0),
        ("max(latency, energy) + min(1, latency, energy)", 3.0),
        ("sqrt(4*energy) + log(exp(latency)) + abs(-energy)", 5.0),
        ("multiply_adds/1e3", 7.0),
    ],
)
def test_an_expression_is_computed_over_metrics(text: str, value: float) -> None:
    metrics = {"latency": 2.0, "energy": 1.0, "accuracy": 90.0, "multiply-adds": 7000.0}
    goal = Expression(text)
    assert goal.score({name: metrics[name] for name in goal.metrics}) == pytest.approx(value)


def test_the_metrics_are_those_the_expression_names() -> None:
    assert Expression("latency + 0.2*energy + latency").metrics == ("energy", "latency")


ON_TARGETS = {
    "latency@pi": 20.0,
    "latency@pi.local": 30.0,
    "latency@raspberry-pi": 40.0,
    "latency@pi-2": 50.0,
    "file-size@pi": 2.0,
    "latency": 7.0,
    "pi": 3.0,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("latency@pi + latency@pi.local", 50.0),
        ("0.2*latency@pi", 4.0),
        ("latency@pi**2", 400.0),
        ("latency@raspberry-pi-latency@pi", 20.0),
        ("latency@pi-2", 50.0),
        ("latency@pi - 2", 18.0),
        ("max(latency@pi,latency@pi-2)", 50.0),
        ("pi*latency@pi", 60.0),
        ("\u00b5*0 + latency@pi", 20.0),
        ("(latency@pi\n + latency@pi.local)", 50.0),
        ("file_size@pi + file-size@pi", 4.0),
        ("mmmmmmmmmm*0 + latency@pi", 20.0),
    ],
)
def test_an_expression_names_metrics_on_targets_whatever_those_are_called(text: str, value: float) -> None:
    known = {**ON_TARGETS, "\u03bc": 1.0, "mmmmmmmmmm": 1.0}
    goal = Expression(text, known)
    assert goal.score({name: known[name] for name in goal.metrics}) == value


@pytest.mark.parametrize(
    ("text", "metric"), [("latency@p + 1", "latency@p"), ("latency + latency@pi.locale", "latency@pi.locale")]
)
def test_an_unknown_target_is_left_to_whoever_knows_them(text: str, metric: str) -> None:
    assert metric in Expression(text, ON_TARGETS).metrics


@pytest.mark.parametrize(
    "text", ["latency@(pi)", "latency @ pi", "latency@pi@pi", "2@pi", "(latency)@pi", "latency@pi(2)"]
)
def test_nothing_else_has_a_target(text: str) -> None:
    with pytest.raises(UsageError, match="accepted are numbers, metrics"):
        Expression(text, ON_TARGETS)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("__import__('os').system('true')", "contains"),
        ("latency.real", "contains 'latency.real'"),
        ("latency[0]", "contains"),
        ("lambda: latency", "contains"),
        ("latency if energy else size", "contains"),
        ("latency < energy", "contains"),
        ("[latency]", "contains"),
        ("'latency'", "contains"),
        ("True + latency", "contains 'True'"),
        ("latency % 2", "contains"),
        ("open(latency)", "contains"),
        ("sqrt(latency, energy)", "contains"),
        ("max(latency)", "contains"),
        ("max(latency, key=energy)", "contains"),
        ("latency +", "is not an expression"),
        ("latency 2", "is not an expression at character 9"),
        ("", "is not an expression"),
        ("2 + 3", "names no metric"),
        ("(" * 300 + "latency" + ")" * 300, "is not an expression"),
        ("latency+" * 200 + "latency", "more than 1000 characters"),
    ],
)
def test_anything_but_arithmetic_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match="accepted are numbers, metrics") as caught:
        Expression(text)
    assert complaint in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_give_a_goal_or_a_refusal(text: str) -> None:
    try:
        goal = parse(text, named)
    except UsageError:
        return
    assert goal.metrics


@pytest.mark.parametrize("text", ["1/(latency-2)", "log(latency-2)", "latency**1e9", "exp(1000*latency)"])
def test_an_expression_without_a_value_says_where(text: str) -> None:
    with pytest.raises(UsageError, match="has no value for latency 2"):
        Expression(text).score({"latency": 2.0})


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e6)), min_size=2, max_size=2))
def test_the_second_goal_decides_between_shapes_alike_in_the_first(pairs: list[tuple[float, float]]) -> None:
    goal = parse("accuracy:0.5,size", named)
    first, second = ({"accuracy": accuracy, "size": size} for accuracy, size in pairs)
    steps = [math.floor(-accuracy / 0.5 + 1e-9) for accuracy, _ in pairs]
    if steps[0] != steps[1]:
        assert (goal.score(first) < goal.score(second)) == (steps[0] < steps[1])
    elif abs(pairs[0][1] - pairs[1][1]) > 1:
        assert (goal.score(first) < goal.score(second)) == (pairs[0][1] < pairs[1][1])


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1.0, 1e6, 1e13, 1e18])
def test_the_second_goal_may_be_of_any_size(size: float) -> None:
    goal = parse("accuracy:0.5,size", named)
    scores = [goal.score({"accuracy": 99.0, "size": factor * size}) for factor in (0.9, 1.0, 1.001, 2.0)]
    assert scores == sorted(set(scores))


@pytest.mark.parametrize(
    ("goal", "complaint"),
    [
        ("9" * 400 + "*size", "contains a number that is too large"),
        ("1e999*size", "contains a number that is too large"),
        ("1e308*1e308*size", "has no value for size"),
        ("accuracy:1e-320,size", "is too small for values of"),
        ("depth", "no goal is called 'depth'"),
        ("seed+size", "there is no metric 'seed'"),
        ("file-size*2 + latency", "; in an expression file-size is written file_size"),
        ("width*size", "there is no metric 'width'"),
    ],
)
def test_goals_that_cannot_be_computed_are_refused_in_a_search(goal: str, complaint: str) -> None:
    Path("table.csv").write_text(TABLE)
    with pytest.raises(UsageError, match=re.escape(complaint)):
        tune(replay="table.csv", goal=goal)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sampler": "interval", "train": 7},
        {"sampler": "interval", "train": 7, "model": "log-linear", "confidence": None},
    ],
)
def test_a_shape_for_which_a_goal_has_no_value_is_not_the_best_and_ends_no_search(more: dict[str, Any]) -> None:
    rows = [
        f"{d},{w / 4},{90 - 50 / d - 4 / w if d > 10 else 0},{d * w * w}" for d in range(10, 60, 6) for w in range(1, 9)
    ]
    Path("table.csv").write_text("depth,width,accuracy,size\n" + "\n".join(rows) + "\n")
    result = tune(replay="table.csv", goal="size/accuracy", **more)
    scored = {row["depth"]: row["score"] for row in result.rows() if row["accuracy"] is not None}
    assert result.best is not None
    assert result.best.depth > 10
    assert scored[10] is None
    assert None not in {score for depth, score in scored.items() if depth > 10}


@pytest.mark.parametrize("goal", ["sqrt(100-accuracy)", "log(100.1-accuracy)", "size/sqrt(accuracy-88)"])
def test_a_goal_need_not_have_a_value_for_accuracies_that_no_shape_has(goal: str) -> None:
    rows = [f"{d},{w / 4},{99.9 - 50 / d - 4 / w},{d * w * w}" for d in range(10, 60, 6) for w in range(1, 9)]
    Path("table.csv").write_text("depth,width,accuracy,size\n" + "\n".join(rows) + "\n")
    result = tune(replay="table.csv", goal=goal, min_accuracy=90)
    assert result.verified
    assert len(result.answer.trainings) < 30


def test_a_difference_of_metrics_needs_no_spaces() -> None:
    Path("table.csv").write_text(TABLE)
    assert tune(replay="table.csv", goal="size-accuracy").best == tune(replay="table.csv", goal="size - accuracy").best


def test_three_goals_are_ordered() -> None:
    goal = parse("latency:1, energy:1, size", named)
    assert isinstance(goal, Lexicographic)
    rows = [(0.5, 9.5, 9.0), (1.5, 0.5, 5.0), (1.6, 0.6, 6.0), (1.7, 1.5, 1.0), (2.1, 0.0, 0.0)]
    scores = [goal.score(dict(zip(("latency", "energy", "size"), row, strict=True))) for row in rows]
    assert scores == sorted(set(scores))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("accuracy,size", "needs a step"), ("size:1", "has a step, but no goal follows"), ("accuracy:0,size", "above 0"),
     ("accuracy:x,size", "above 0"), ("accuracy:0.5,", "is not an expression")],
)  # fmt: skip
def test_steps_are_checked(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse(text, named)


@pytest.mark.parametrize(
    ("goal", "best"),
    [
        ("latency + energy", (10, 1)),
        ("size*(100-accuracy)", (10, 1)),
        ("accuracy:2.5,size", (16, 2)),
        ("energy", (10, 2)),
        ("-accuracy", (22, 2)),
    ],
)
def test_a_search_by_an_expression_finds_the_best_shape(tmp_path: Path, goal: str, best: tuple[int, int]) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    result = tune(replay=str(table), goal=goal, sampler="interval", model="ridge")
    assert result.best == best


def test_a_front_holds_the_shapes_that_no_other_beats(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    result = tune(replay=str(table), pareto="latency,accuracy", max_size=10, sampler="interval", model="ridge")
    assert sorted((shape.depth, int(shape.width)) for shape in result.shapes) == [(10, 1), (10, 2), (16, 2)]
    assert all(candidate.quality is not None for candidate in result.answer.complying), "every one is verified"
    assert result.best is None


THRIFT = """
from shape_dnn import Formula, Goal, Plugin, hookimpl

class Resident(Formula):
    metric, unit, cost = "METER", "MB", 0.2
    def compute(self, workload, shapes): return [float(shape.depth) for shape in shapes]

class Thrift(Goal):
    metrics = ("METRIC",)
    def score(self, values): return 2 * values["METRIC"]

@hookimpl
def shape_dnn_meters():
    yield Plugin("METER", "is", Resident)

@hookimpl
def shape_dnn_goals():
    yield Plugin("GOAL", "is", Thrift)
"""


def goal_of(text: str, goal: str = "thrift", metric: str = "peak-rss", meter: str = "peak-rss") -> Goal:
    """Read a goal where a stranger's file declares another goal and a meter."""
    code = THRIFT.replace("GOAL", goal).replace("METRIC", metric).replace("METER", meter)
    Path("strange.py").write_text(code)
    parts = Assembly(Settings.create({"plugin": "strange.py", "goal": text, "device": "cpu"}))
    parts.check()
    assert parts.goal is not None
    _ = parts.meters
    return parts.goal


@pytest.mark.parametrize(
    ("goal", "complaint"),
    [
        ("size + latency", "goal.weight is an option of a plugin, and the goal 'size . latency' is written out"),
        (None, "goal.weight is given without --goal"),
        ("size", "goal.weight is not an option of goal 'size'"),
        ("accuracy:0.5,size", "goal.weight is not an option of goal 'accuracy'"),
    ],
)
def test_an_option_that_no_goal_takes_is_refused(table: Path, goal: str | None, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        tune(replay=table, goal=goal, option="goal.weight=2")
    tune(depth="10:11:6", width="1/4:1/2:1/4", epochs=1, device="cpu")
    with pytest.raises(UsageError, match=complaint):
        ask("shape-dnn-study", goal=goal, option="goal.weight=2")


@pytest.mark.parametrize("text", ["latency", "accuracy:0.5,latency"])
def test_a_goal_that_two_plugins_claim_is_refused_naming_both(text: str) -> None:
    with pytest.raises(PluginError, match="shape-dnn .* and strange.py both declare goal 'latency'"):
        goal_of(text, goal="latency", metric="latency")


def test_a_metric_that_two_meters_claim_is_refused_naming_both() -> None:
    with pytest.raises(PluginError, match="shape-dnn .* and strange.py both declare meter 'memory'"):
        goal_of("2*memory", metric="memory", meter="memory")


@pytest.mark.parametrize("text", ["thrift", "accuracy:0.5,thrift"])
def test_a_goal_whose_package_failed_or_is_blocked_says_so(
    text: str, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = THRIFT.partition("@hookimpl\ndef shape_dnn_goals")[0].replace("METER", "thrift")
    failing += "@hookimpl\ndef shape_dnn_goals():\n    raise OSError('gone')\n"
    install("acme-goals", "0.3", {"thrift": "acme_goals"}, {"acme_goals": failing})
    for allowed, complaint in (
        ("acme-goals", "acme-goals 0.3, which failed to load"),
        ("", "acme-goals 0.3 is blocked"),
    ):
        monkeypatch.setenv("SHAPE_DNN_PLUGINS", allowed)
        with pytest.raises(PluginError, match=complaint):
            _ = Assembly(Settings.create({"goal": text})).goal


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("peak-rss", 10.0),
        ("peak_rss + 1", 11.0),
        ("thrift", 20.0),
        ("size-latency", -6.0),
    ],
)
def test_a_metric_is_a_goal_by_its_exact_name(text: str, score: float) -> None:
    values = {"peak-rss": 10.0, "size": 1.0, "latency": 7.0}
    goal = goal_of(text)
    assert goal.score({name: values[name] for name in goal.metrics}) == score


def test_the_exact_name_of_a_metric_counts_in_a_list_too() -> None:
    goal = goal_of("peak-rss:5,accuracy")
    assert goal.metrics == ("accuracy", "peak-rss")
    better, worse = ({"peak-rss": rss, "accuracy": accuracy} for rss, accuracy in ((11, 99), (10, 98)))
    assert goal.score(better) < goal.score(worse)


def test_a_metric_with_a_meter_of_another_name_is_a_goal() -> None:
    code = THRIFT.replace('"METER", "is"', '"gauge", "is"').replace("METER", "peak-rss").replace("GOAL", "thrift")
    Path("strange.py").write_text(code)
    settings = Settings.create({"plugin": "strange.py", "meter": "peak-rss=gauge", "goal": "peak-rss"})
    goal = Assembly(settings).goal
    assert goal is not None
    assert goal.metrics == ("peak-rss",)


@pytest.mark.parametrize("column", ["peak-rss", "peak_rss", "Peak RSS"])
def test_any_column_of_a_table_is_a_goal_by_its_exact_name(column: str) -> None:
    Path("table.csv").write_text(f"depth,width,accuracy,{column}\n10,1,90,3\n16,1,91,2\n22,1,92,5\n")
    assert str(tune(replay="table.csv", goal=column).best) == "(16, 1)"
    assert str(ask_goal(f"{column}:4,accuracy")) == "(16, 1)"


def ask_goal(goal: str) -> object:
    return tune(replay="table.csv", goal=goal).best


def test_an_underscore_of_a_metric_may_be_its_own() -> None:
    Path("table.csv").write_text("depth,width,accuracy,peak_rss\n10,1,90,3\n16,1,91,2\n22,1,92,5\n")
    assert str(ask_goal("-2*peak_rss")) == "(22, 1)"


def test_a_metric_that_a_goal_misspells_is_its_own_fault() -> None:
    complaint = "goal 'thrift' of strange.py asks for a metric 'latancy', and there is none; did you mean latency?"
    with pytest.raises(PluginError, match=re.escape(complaint)):
        goal_of("thrift", metric="latancy")
    with pytest.raises(
        PluginError,
        match="'xyz', and there is none; known are accuracy, energy, file-size, graph-latency, latency, memory, p",
    ):
        goal_of("thrift", metric="xyz")
