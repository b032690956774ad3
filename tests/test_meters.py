from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from shape_dnn import Measurement, PluginError, Shape, UsageError, Workload, measure, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.events import Event, Measured
from shape_dnn.measuring import peak_memory
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.plugins import checked_meters
from shape_dnn.settings import Settings
from shape_dnn.testing import MeterContract

SHAPE = Shape(10, Fraction(1, 4))


class TestSize(MeterContract):
    name = "size"


class TestMemory(MeterContract):
    name = "memory"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestMemoryOnCuda(MeterContract):
    name, device = "memory", "cuda:0"


class Chain(WideResNet):
    """Three layers whose memory can be worked out by hand."""

    def build(self, shape: Shape, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))


@pytest.mark.parametrize(("precision", "width"), [("float32", 4), ("bfloat16", 2)])
def test_peak_memory_is_what_lives_at_the_worst_moment(precision: str, width: int) -> None:
    workload = Workload(Chain(), (1, 8, 8), 10, 3, "cpu")
    weights = 4 * 9 + 4 + 2 * 4 * 9 + 2
    images, hidden = 3 * 64, 3 * 4 * 64
    # Worst while the activation reads what the first convolution wrote; the images are kept for the next call.
    peak = weights + images + 2 * hidden
    assert peak_memory.computed(workload, SHAPE, Numerics(precision)) == width * peak


def test_memory_grows_with_the_batch_by_its_activations_alone() -> None:
    def megabytes(batch: int) -> float:
        ((_, measurement),) = Memory().measure(Workload(WideResNet(), (3, 32, 32), 10, batch, "cpu"), [SHAPE])
        assert measurement.value is not None
        return measurement.value

    assert megabytes(3) - megabytes(2) == pytest.approx(megabytes(2) - megabytes(1))
    assert Memory().identity(Workload(WideResNet(), (3, 32, 32), 10, 1, "cpu")) == {"method": "computed"}


DEADLY = """
import os, signal
from shape_dnn import Instrument, Measurement, Plugin, hookimpl

class Deadly(Instrument):
    metric, unit, cost = "latency", "ms", 1.0

    def identity(self, workload):
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            if shape.depth == 16:
                os.kill(os.getpid(), signal.SIGKILL)
            yield shape, Measurement(float(shape.depth))

@hookimpl
def shape_dnn_meters():
    yield Plugin("deadly", "dies of one depth", Deadly)
"""


def test_a_shape_that_ends_the_measuring_process_harms_no_other(own_directory: Path) -> None:
    (own_directory / "deadly.py").write_text(DEADLY)
    settings = {"depth": "10:29:6", "width": "1/4:1/2:1/4", "device": "cpu", "plugin": "deadly.py"}
    events: list[Event] = []
    found = measure(["latency"], **settings, meter="latency=deadly", notify=events.append)
    assert [found[Shape(depth, Fraction(1, 4))]["latency"].value for depth in (10, 16, 22, 28)] == [10, None, 22, 28]
    assert "killed by SIGKILL" in found[Shape(16, Fraction(1, 4))]["latency"].status
    assert sum(isinstance(event, Measured) for event in events) == 4


VANISHING = """
from pathlib import Path
from shape_dnn import Instrument, Measurement, Plugin, hookimpl

class Vanishing(Instrument):
    metric, unit, cost = "latency", "ms", 1.0

    def identity(self, workload):
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            if shape.depth == 22 and Path(GONE).exists():
                raise RuntimeError("CUDA error: no CUDA-capable device is detected")
            yield shape, Measurement(float(shape.depth))

@hookimpl
def shape_dnn_meters():
    yield Plugin("vanishing", "loses its device", Vanishing)
"""


def test_a_device_that_disappears_ends_the_run_and_loses_nothing_that_was_measured(
    own_directory: Path, shape_dnn: Callable[..., Any]
) -> None:
    gone = own_directory / "gone"
    gone.touch()
    (own_directory / "vanishing.py").write_text(VANISHING.replace("GONE", repr(str(gone))))
    arguments = ["--depth", "10:29:6", "--width", "1/4:1/2:1/4", "--device", "cpu", "--plugin", "vanishing.py"]
    arguments += ["--meter", "latency=vanishing"]
    ran = shape_dnn("--max-latency", "1s", *arguments, "--train", "1", "--epochs", "1")
    assert ran.status == 4
    assert "RuntimeError: CUDA error: no CUDA-capable device is detected" in ran.error
    gone.unlink()
    ran = shape_dnn("measure", "--metrics", "latency", *arguments, "--format", "json")
    assert [row["latency"] for row in ran.json] == [10, 16, 22, 28]
    assert "latency   1/2 (22, 1/4)" in ran.err, "two of the four were known"


RESTLESS = """
from pathlib import Path
from shape_dnn import Instrument, Measurement, Plugin, hookimpl

class Restless(Instrument):
    metric, unit, cost = "latency", "ms", 1.0

    def identity(self, workload):
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            quiet = Path(QUIET).exists() or shape.depth == 10
            yield shape, Measurement(1.0 if quiet else 9.0, status="ok" if quiet else "contended")

@hookimpl
def shape_dnn_meters():
    yield Plugin("restless", "is disturbed", Restless)
"""


def test_what_was_disturbed_is_measured_again_when_asked(own_directory: Path, shape_dnn: Callable[..., Any]) -> None:
    quiet = own_directory / "quiet"
    (own_directory / "restless.py").write_text(RESTLESS.replace("QUIET", repr(str(quiet))))
    arguments = ["measure", "--metrics", "latency", "--depth", "10:23:6", "--width", "1/4:1/2:1/4", "--device", "cpu"]
    arguments += ["--plugin", "restless.py", "--meter", "latency=restless", "--format", "json"]
    ran = shape_dnn(*arguments)
    assert [row["latency_status"] for row in ran.json] == ["ok", "contended", "contended"]
    assert "latency of 3 shapes: 2 contended, the others ok" in ran.err
    quiet.touch()
    assert [row["latency"] for row in shape_dnn(*arguments).json] == [1, 9, 9], "what is known is kept"
    ran = shape_dnn(*arguments, "--remeasure")
    assert [row["latency"] for row in ran.json] == [1, 1, 1]
    assert "latency   2/2" in ran.err


def test_a_limit_on_memory_needs_no_more_than_its_meter() -> None:
    settings = {"depth": "10:23:6", "width": "1/4:1:1/4", "device": "cpu", "train": "1", "epochs": 1}
    every = measure(["memory"], **{k: v for k, v in settings.items() if k not in {"train", "epochs"}})
    limit = sorted(row["memory"].value or 0 for row in every.values())[4]
    result = tune(**settings, max=f"memory={limit}MB", goal="size", option="dataset.limit=100")
    assert result.answer.stages[0].after == 5
    assert all(row["memory"] <= limit for row in result.rows())


@pytest.mark.parametrize(
    ("measurement", "fault"),
    [
        (Measurement(1.0, 0.5, 1.5), ""),
        (Measurement(None, status="out of memory"), ""),
        (Measurement(None), "no value, and the status ok"),
        (Measurement(5.0, 1.0, 2.0), "5 outside its interval from 1 to 2"),
        (Measurement(1.5, 2.0, 1.0), "1.5 outside its interval from 2 to 1"),
        (Measurement(float("nan")), "nan, which is not a number from 0"),
        (Measurement(-1.0), "-1.0, which is not a number from 0"),
        (Measurement(True), "True, which is not a number from 0"),
        (Measurement(10**400), "which is not a number from 0"),
        (Measurement(1.0, status=""), "the status '', which is not a line of text"),
        (Measurement(1.0, status="a\nb"), "which is not a line of text"),
        (Measurement(1.0, status=None), "the status None"),  # type: ignore[arg-type]
        (Measurement(1.0, details={"x": float("nan")}), "details that are not JSON"),
        (Measurement(1.0, details={"x": {1, 2}}), "details that are not JSON"),
        (1.0, "a float instead of a shape_dnn.Measurement"),
    ],
    ids=str,
)
def test_what_a_meter_returns_is_checked(measurement: object, fault: str) -> None:
    found = checked_meters.fault_of(measurement)
    assert (found == "") == (fault == "")
    assert fault in found


@pytest.mark.parametrize("answer", [None, {1: "x"}, {"x": object}, {"x": float("nan")}], ids=str)
def test_what_a_meter_says_its_values_depend_on_is_checked(answer: object) -> None:
    class Odd(Memory):
        def identity(self, workload: Workload) -> dict[str, object]:
            return answer  # type: ignore[return-value]

    with pytest.raises(PluginError, match="identity of .* returned"):
        checked_meters.identity(Odd(), Workload(WideResNet(), (1, 8, 8), 10, 1, "cpu"))


SECONDS = """
from shape_dnn import Formula, Plugin, hookimpl

class Seconds(Formula):
    metric, unit, cost = "latency", "s", 1.0
    def compute(self, workload, shapes): return [10.0 for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("stopwatch", "is", Seconds)
"""


def test_a_meter_of_a_known_metric_in_another_unit_is_refused() -> None:
    Path("stopwatch.py").write_text(SECONDS)
    settings = Settings.create({"plugin": "stopwatch.py", "meter": "latency=stopwatch", "max_latency": "12ms"})
    complaint = "meter 'stopwatch' of stopwatch.py has the unit 's', .* latency are in ms; declare unit = 'ms'"
    with pytest.raises(PluginError, match=complaint):
        _ = Assembly(settings).query


def test_a_meter_called_otherwise_than_its_metric_is_chosen_by_the_metric() -> None:
    Path("stopwatch.py").write_text(SECONDS.replace('"latency", "s"', '"laps", "rounds at most"'))
    limited = {"plugin": "stopwatch.py", "depth": "10:17:6", "width": "1/4:3/4:1/4"}
    with pytest.raises(UsageError, match="stopwatch' measures laps, not stopwatch; to use it write --meter laps=stopw"):
        tune(**limited, max={"stopwatch": 12}, dry_run=True)
    with pytest.raises(UsageError, match="no metric 'laps'; .* is chosen by --meter laps=NAME"):
        tune(**limited, max={"laps": 12}, dry_run=True)
    assert tune(**limited, max={"laps": "12 rounds at most"}, meter={"laps": "stopwatch"}, dry_run=True)


def test_the_contract_of_meters_finds_another_unit() -> None:
    meter = Memory()
    meter.metric, meter.unit = "latency", "s"
    with pytest.raises(PluginError, match="has the unit 's'"):
        MeterContract().test_says_what_it_measures(meter)


def test_notebooks_terminals_and_pandas_are_given_tables_of_what_was_measured() -> None:
    from IPython.lib.pretty import pretty

    found = measure(["size"], depth="10:17:6", width="1/4:1/2:1/4")
    assert [row["size_status"] for row in found.rows()] == ["ok", "ok"]
    assert "<table>" in found._repr_html_()
    assert str(found).splitlines()[:3] == ["2 shapes", "", "depth   width      size"]
    assert pretty(found) == str(found), "in a terminal of IPython, which knows how to write a dictionary"
    assert found.to_pandas()["size"].tolist() == [values["size"].value for values in found.values()]
