from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sshd_fixture import Sshd

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
    assert {name for name, row in found.items() if row["state"] == "available"} == {
        "size",
        "file-size",
        "memory",
        "latency",
    }
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


SHIPPING = """
from shape_dnn import Deployment, Plugin, hookimpl

class Ours(Deployment):
    runtime = '''
REQUIRES = {"our_runtime": "2.1"}

def versions():
    import our_runtime
    return {"our_runtime": our_runtime.__version__}
'''

    def identity(self):
        return {}

    def convert(self, network, example, calibration, directory):
        raise AssertionError("a doctor looks, and converts nothing")

@hookimpl
def shape_dnn_deployments():
    yield Plugin("ours", "a runtime of one's own", Ours)
"""


def test_a_target_says_whether_what_ships_runs_there(
    own_directory: Path, sshd: Sshd, shape_dnn: Callable[..., Any]
) -> None:
    (own_directory / "ours.py").write_text(SHIPPING)
    there = ("--target", f"board={sshd.target}", "-o", f"target.python={sys.executable}")
    asked = ("doctor", "--plugin", "ours.py", "--deploy", "ours", *there)
    ran = shape_dnn(*asked, "--format", "json")
    assert ran.status == 0, ran.err
    [found] = ran.json["targets"]
    assert (found["target"], found["address"], found["state"]) == ("board", sshd.target, "unavailable")
    assert f"{sys.executable} -m pip install 'our_runtime>=2.1'" in found["reason"]
    module = sshd.directory / "modules" / "our_runtime.py"
    module.parent.mkdir()
    module.write_text("__version__ = '2.10'\n")
    wrapper = sshd.directory / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={module.parent} exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    ran = shape_dnn(*asked[:-1], f"target.python={wrapper}", "--format", "json")
    [found] = ran.json["targets"]
    assert (found["state"], found["reason"]) == ("available", "")
    assert found["fingerprint"]["versions"] == {"our_runtime": "2.10"}
    assert "temperature_c" in found["condition"]
    ran = shape_dnn(*asked[:-1], f"target.python={wrapper}")
    assert "our_runtime" in ran.out


def test_without_a_target_none_is_tried(shape_dnn: Callable[..., Any]) -> None:
    assert shape_dnn("doctor", "--format", "json").json["targets"] == []


def test_what_is_said_of_a_target_wrongly_is_named(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("doctor", "--target", "sh://board")
    assert (ran.status, "--target: 'sh://board' is not a target" in ran.error) == (2, True)
    ran = shape_dnn("doctor", "--plugin", "absent.py", "--target", "local")
    assert ran.status != 0
    assert "absent.py" in ran.error
