from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

BROKEN = """
from shape_dnn import Formula, Instrument, MeterError, Plugin, hookimpl

class NoSensor(Instrument):
    metric, unit, cost = "heat", "K", 3.0

    def identity(self, workload):
        raise MeterError("there is no thermometer; buy one")

    def measure(self, workload, shapes):
        yield from ()

class Wrong(Formula):
    metric, unit, cost = "wrong", "", 3.0

    def compute(self, workload, shapes):
        return 1 / 0

class Seconds(Formula):
    metric, unit, cost = "latency", "s", 1.0

    def compute(self, workload, shapes):
        return [1.0 for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("stopwatch", "is in seconds", Seconds)
    yield Plugin("no-sensor", "cannot", NoSensor)
    yield Plugin("wrong", "fails", Wrong)
    yield Plugin("absent", "is not there", "nowhere:Meter")
"""


def test_each_meter_says_whether_it_works_here_and_one_that_does_not_harms_none(
    own_directory: Path, shape_dnn: Callable[..., Any]
) -> None:
    (own_directory / "broken.py").write_text(BROKEN)
    ran = shape_dnn("doctor", "--plugin", "broken.py", "--format", "json")
    assert ran.status == 0, ran.err
    found = {row["meter"]: row for row in ran.json["meters"] if row["device"] == "cpu"}
    assert {name for name, row in found.items() if row["state"] == "available"} == {"size", "memory", "latency"}
    assert found["no-sensor"]["reason"] == "there is no thermometer; buy one"
    assert "ZeroDivisionError" in found["wrong"]["reason"]
    assert "has the unit 's'" in found["stopwatch"]["reason"]
    assert "nowhere" in found["absent"]["reason"]
    assert "shape-dnn-zeus" in found["energy"]["reason"]
    assert {"python", "torch", "cpu"} <= set(ran.json["system"])
    assert set(ran.json["signs"].values()) <= {True, False}


def test_it_is_readable_too(shape_dnn: Callable[..., Any]) -> None:
    for output in ("table", "csv"):
        ran = shape_dnn("doctor", "--format", output)
        assert ran.status == 0
        assert "latency" in ran.out


def test_a_plugin_file_that_is_not_there_is_said(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("doctor", "--plugin", "nowhere.py")
    assert ran.status == 2
    assert "--plugin" in ran.error
