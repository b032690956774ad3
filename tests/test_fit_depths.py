"""Measuring some depths of each width and predicting the others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import Measurement, Shape, ask, measure, tune
from shape_dnn.events import Event, Fitted, Measured
from shape_dnn.measuring import depth_line

# Latency is a line in depth at every width but 3/4, where it jumps at depth 40; the log says what was measured.
METER = """
import json
from pathlib import Path

from shape_dnn import Instrument, Measurement, Plugin, hookimpl

class Line(Instrument):
    metric, unit, cost, linear_in_depth = "latency", "ms", 1.0, True

    def identity(self, workload):
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            with Path(LOG).open("a") as log:
                log.write(json.dumps([shape.depth, str(shape.width)]) + "\\n")
            jump = 5 if shape.width == 0.75 and shape.depth >= 40 else 0
            yield shape, Measurement(float(1 + shape.depth * shape.width / 10 + jump))

@hookimpl
def shape_dnn_meters():
    yield Plugin("line", "a line in depth", Line)
"""
DEPTHS, WIDTHS = range(10, 71, 6), ("1/4", "1/2", "3/4", "1")


def true_latency(shape: Shape) -> float:
    return float(1 + shape.depth * shape.width / 10 + (5 if shape.width == Fraction(3, 4) and shape.depth >= 40 else 0))


@pytest.fixture
def settings(own_directory: Path) -> dict[str, Any]:
    log = own_directory / "log"
    log.touch()
    (own_directory / "meter.py").write_text(METER.replace("LOG", repr(str(log))))
    return {
        "depth": "10:71:6", "width": "1/4:5/4:1/4", "device": "cpu", "plugin": "meter.py", "meter": "latency=line",
        "epochs": 1, "train": "1", "option": "dataset.limit=100", "fit_depths": 4,
    }  # fmt: skip


def measured() -> list[Shape]:
    lines = [json.loads(line) for line in Path("log").read_text().splitlines()]
    return [Shape(depth, Fraction(width)) for depth, width in lines]


def test_a_limit_needs_only_the_shapes_that_decide_it(settings: dict[str, Any]) -> None:
    events: list[Event] = []
    result = tune(**settings, max_latency="3.5ms", notify=events.append)
    everything = [Shape(depth, Fraction(width)) for width in WIDTHS for depth in DEPTHS]
    assert set(result.shapes) == {shape for shape in everything if true_latency(shape) <= 3.5}
    asked = measured()
    assert len(asked) == len(set(asked)), "nothing is measured twice"
    assert Shape(34, Fraction(3, 4)) in asked, "the line of this width breaks here"
    assert Shape(40, Fraction(3, 4)) in asked
    near = [s for s in everything if abs(3.5 / true_latency(s) - 1) < depth_line.TOLERANCE]
    assert set(near) <= set(asked), "what is near the limit is measured"
    assert len(asked) < 0.75 * len(everything)
    (fitted,) = (event for event in events if isinstance(event, Fitted))
    assert (fitted.measured, fitted.predicted) == (len(asked), len(everything) - len(asked))
    for row in result.rows():
        shape = Shape(row["depth"], Fraction(row["width"]))
        assert row["estimated"] == ([] if shape in asked else ["latency"])
        assert row["latency"] == pytest.approx(true_latency(shape))


def test_the_shape_that_is_returned_as_best_was_measured(settings: dict[str, Any]) -> None:
    few = {**settings, "depth": "10:47:6", "width": "1/4:3/4:1/4"}
    for goal in ("latency", "accuracy"):
        result = tune(**few, max_latency="3ms", goal=goal, study=goal)
        assert result.best in measured()
        assert result.to_dict()["best"]["estimated"] == []
    result = tune(**{**few, "depth": "22:60:6", "width": "1/4:1/2:1/4"}, goal="latency", study="latency")
    assert result.best == Shape(22, Fraction(1, 4))


def test_a_question_is_answered_with_the_same_predictions(settings: dict[str, Any]) -> None:
    found = tune(**settings, max_latency="3.5ms")
    before = measured()
    answer = ask("shape-dnn-study", max_latency="3.5ms", plugin=settings["plugin"])
    assert measured() == before
    assert answer.shapes == found.shapes
    assert [row["estimated"] for row in answer.rows()] == [row["estimated"] for row in found.rows()]


def test_measure_marks_what_is_predicted(settings: dict[str, Any], shape_dnn: Callable[..., Any]) -> None:
    arguments = ["--depth", "10:71:6", "--width", "1/4:1/2:1/4", "--device", "cpu", "--plugin", "meter.py"]
    arguments += ["--meter", "latency=line", "--fit-depths", "3", "--metrics", "latency", "--format", "json"]
    ran = shape_dnn("measure", *arguments)
    statuses = {row["depth"]: row["latency_status"] for row in ran.json}
    assert {depth for depth, status in statuses.items() if status == "ok"} == {10, 40, 70}
    assert set(statuses.values()) == {"ok", "predicted"}
    assert all(row["latency_low"] < row["latency"] < row["latency_high"] for row in ran.json if row["depth"] == 16)
    assert "latency of 3 shapes is measured, of 8 predicted by lines in depth" in ran.err


def test_what_the_study_knows_is_not_measured_again(settings: dict[str, Any]) -> None:
    flags = {name: settings[name] for name in ("depth", "width", "device", "plugin", "meter", "fit_depths")}
    first = measure(["latency"], **flags)
    before = measured()
    assert measure(["latency"], **flags) == first
    assert measured() == before


def test_without_the_setting_everything_is_measured(settings: dict[str, Any]) -> None:
    events: list[Event] = []
    result = tune(**{**settings, "fit_depths": None}, max_latency="3.5ms", notify=events.append)
    assert sum(isinstance(event, Measured) for event in events) == len(DEPTHS) * len(WIDTHS)
    assert not any("estimated" in row for row in result.rows())


def test_what_was_disturbed_is_measured_again_also_where_lines_may_stand_for_measurements(
    settings: dict[str, Any],
) -> None:
    flags = {name: settings[name] for name in ("depth", "width", "device", "plugin", "meter", "fit_depths")}
    measure(["latency"], **flags)
    before = measured()
    assert before
    with closing(sqlite3.connect("shape-dnn-study/study.sqlite")) as connection, connection:
        connection.execute("UPDATE measurement SET status = 'contended' WHERE id <= 2")
    measure(["latency"], **flags)
    assert measured() == before
    measure(["latency"], **flags, remeasure=True)
    assert sorted(measured()[len(before) :]) == sorted(before[:2])


# The line itself


def known(values: Mapping[int, float | None]) -> dict[Shape, Measurement]:
    return {
        Shape(d, Fraction(1)): Measurement(v, status="ok" if v is not None else "out of memory")
        for d, v in values.items()
    }


COLUMN = [Shape(depth, Fraction(1)) for depth in range(10, 100, 6)]


def explore(true: Callable[[int], float], number: int) -> dict[Shape, Measurement]:
    """Measure what is asked for until nothing is."""
    found: dict[Shape, Measurement] = {}
    while chosen := depth_line.next_to_measure(COLUMN, found, number):
        assert not set(chosen) & set(found)
        found |= known({shape.depth: true(shape.depth) for shape in chosen})
    return found


@given(st.floats(0.01, 10), st.floats(0.001, 5), st.integers(3, 8))
def test_a_line_is_predicted_as_it_is_from_as_many_depths_as_asked(intercept: float, slope: float, number: int) -> None:
    found = explore(lambda depth: intercept + slope * depth, number)
    assert len(found) == number
    predictions = depth_line.predict(COLUMN, found)
    assert set(predictions) == set(COLUMN) - set(found)
    for shape, prediction in predictions.items():
        assert prediction.status == "predicted"
        assert prediction.value == pytest.approx(intercept + slope * shape.depth)


@pytest.mark.parametrize(
    ("true", "most"),
    [
        (lambda d: d + 0.02 * max(0, d - 50) ** 2, 11),  # steeper once a cache is full
        (lambda d: d + 30 * (d > 60), 11),  # a jump
        (lambda d: float(d * d), 15),
    ],
)
def test_where_the_line_bends_more_is_measured_and_no_prediction_is_far_off(
    true: Callable[[int], float], most: int
) -> None:
    found = explore(true, 4)
    assert len(found) <= most
    for shape, prediction in depth_line.predict(COLUMN, found).items():
        assert prediction.value == pytest.approx(true(shape.depth), rel=depth_line.TOLERANCE)


@pytest.mark.parametrize("values", [{10: 1.0, 94: 9.4}, {10: 1.0, 52: 6.5, 94: 9.4}, {10: 1.0, 52: 5.2, 94: None}])
def test_a_line_that_does_not_hold_or_cannot_be_checked_predicts_nothing(values: dict[int, float | None]) -> None:
    predictions = depth_line.predict(COLUMN, known(values))
    assert {shape for shape in predictions if shape.depth > 52} == set()
    if values.get(52) != 5.2:
        assert predictions == {}


def test_a_prediction_is_as_uncertain_as_what_it_rests_on() -> None:
    wide = {shape: Measurement(m.value, 0.9 * (m.value or 0), 1.1 * (m.value or 0), "budget") for shape, m in
            known({10: 1.0, 52: 5.2, 94: 9.4}).items()}  # fmt: skip
    for prediction in depth_line.predict(COLUMN, wide).values():
        assert prediction.value is not None
        assert prediction.high == pytest.approx(1.1 * prediction.value)


def test_zero_is_a_value_like_any_other() -> None:
    predictions = depth_line.predict(COLUMN, known({10: 0.0, 52: 0.0, 94: 0.0}))
    assert {prediction.value for prediction in predictions.values()} == {0.0}
    assert depth_line.predict(COLUMN, known({10: 0.0, 52: 0.0, 94: 9.0})) == {}


def test_depths_are_chosen_evenly_with_both_ends() -> None:
    shapes = [Shape(depth, Fraction(width)) for width in (1, 2) for depth in range(10, 71, 6)]
    chosen = depth_line.next_to_measure(shapes, {}, 4)
    assert [shape.depth for shape in chosen if shape.width == 1] == [10, 28, 52, 70]
    assert len(chosen) == 8
    assert depth_line.next_to_measure(shapes[:3], {}, 4) == shapes[:3]


FORMULA = """
from shape_dnn import Formula, Plugin, hookimpl

class Steps(Formula):
    metric, unit, cost, linear_in_depth = "steps", "", 0.5, True
    asked = 0

    def compute(self, workload, shapes):
        Steps.asked += 1
        if Steps.asked > 1000:
            raise RuntimeError("asked without end")
        return [float(shape.depth * shape.width) for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("steps", "steps of a network", Steps)
"""


def test_what_is_computed_is_computed_for_every_depth() -> None:
    Path("formula.py").write_text(FORMULA)
    result = tune(
        depth="10:71:6", width="1/4:1/2:1/4", device="cpu", plugin="formula.py", max="steps=10", epochs=1, train="1",
        option="dataset.limit=100", fit_depths=3,
    )  # fmt: skip
    assert {shape.depth for shape in result.shapes} == {10, 16, 22, 28, 34, 40}
    assert not result.is_estimated("steps", result.shapes[0])
