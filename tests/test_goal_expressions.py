"""Goals that users write themselves."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import UsageError, tune
from shape_dnn.builtin.goals import Accuracy
from shape_dnn.goal_expressions import Expression, Lexicographic, parse
from shape_dnn.kinds import Goal

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
        ("width*size", "there is no metric 'width'"),
    ],
)
def test_goals_that_cannot_be_computed_are_refused_in_a_search(goal: str, complaint: str) -> None:
    Path("table.csv").write_text(TABLE)
    with pytest.raises(UsageError, match=re.escape(complaint)):
        tune(replay="table.csv", goal=goal)


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
    [("accuracy,size", "needs a step"), ("size:1", "takes no step"), ("accuracy:0,size", "above 0"),
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
    assert all(candidate.accuracy is not None for candidate in result.answer.complying), "every one is verified"
    assert result.best is None
