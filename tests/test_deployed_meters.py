"""Metrics of what ships: artifacts, measured where they run, by the same care as networks."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from own import BUILD, EXAMPLE, SINE, write
from sshd_fixture import Sshd
from torch import nn

from shape_dnn import DeploymentError, Measurement, MeterError, Shape, TargetError, Workload, measure, tune
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.deployments.onnxruntime import OnnxRuntime
from shape_dnn.builtin.deployments.torch import Torch
from shape_dnn.builtin.meters.file_size import FileSize
from shape_dnn.builtin.meters.latency import Latency
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.builtin.meters.size import CountedSize
from shape_dnn.deploying import acquaintance, artifacts, latency, session
from shape_dnn.deploying.energy import ArtifactEnergyMeter
from shape_dnn.deploying.session import Session
from shape_dnn.display.progress import Progress
from shape_dnn.events import Event, Measured, Remarked
from shape_dnn.kinds import Deployment, Shipping, Target
from shape_dnn.measuring import energy
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.groups import GROUP
from shape_dnn.measuring.power import Reading
from shape_dnn.measuring.rounds import LEAST_VISITS, Visit
from shape_dnn.measuring.sensors import Sensor
from shape_dnn.testing import MeterContract

Run = Callable[..., Any]
SHAPES = [Shape(10, Fraction(1, 4)), Shape(10, Fraction(1, 2)), Shape(16, Fraction(1, 4))]
SPACE: Mapping[str, str] = {"depth": "10:17:6", "width": "1/4:3/4:1/4"}
FLAGS = ["--depth", "10:17:6", "--width", "1/4:3/4:1/4", "--deploy", "onnxruntime"]
TWO = ["--target", "one=local", "--target", "two=local", "-o", "target.two.cores=0"]
"""The same machine by two names, of which all that differs is which core is taken."""
QUICK = ["-o", "meter.latency.seconds=0.01"]


def workload_of(deployment: Deployment, target: Target | None = None, batch_size: int = 2) -> Workload:
    shipping = Shipping(deployment, target or Target(), Path("artifacts").resolve())
    return Workload(WideResNet(), (1, 8, 8), 10, batch_size, "cpu", shipping)


class OnnxContract(MeterContract):
    def workload(self, batch_size: int = 2) -> Workload:
        return workload_of(OnnxRuntime(), batch_size=batch_size)


class TestLatency(OnnxContract):
    name, options = "latency", {"seconds": 0.01}


class TestMemory(OnnxContract):
    name = "memory"


class TestFileSize(OnnxContract):
    name = "file-size"


class TestFileSizeOfNetworksInTorch(MeterContract):
    name = "file-size"


class TestSize(OnnxContract):
    name = "size"


# Latency


def test_a_latency_keeps_all_that_is_needed_to_judge_it() -> None:
    found = dict(Latency(seconds=0.01).measure(workload_of(OnnxRuntime(threads=1)), SHAPES))
    for measurement in found.values():
        details: Any = measurement.details
        assert measurement.value is not None
        assert measurement.status in {"ok", "budget", "contended", "throttled"}
        assert len(details["samples_ms"]) == len(details["conditions"]) == details["visits"] >= LEAST_VISITS
        assert all({"clock_mhz", "temperature_c"} <= set(condition) for condition in details["conditions"])
        assert len(details["warm_up_ms"]) >= 2
        assert len(details["cores"]) == details["threads"] == 1
        assert {"governor", "anchor_ms", "anchor_samples_ms", "signs"} <= set(details)
        assert set(details["versions"]) == {"onnxruntime", "numpy"}


def test_the_seconds_that_a_target_was_left_to_cool_down_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "cool_down", lambda _: 12.5)
    ((_, measurement),) = Latency(seconds=0.01).measure(workload_of(OnnxRuntime()), SHAPES[:1])
    conditions: Any = measurement.details["conditions"]
    assert {condition["cooled_s"] for condition in conditions} == {12.5}


class Choosy(OnnxRuntime):
    """Cannot have one of the shapes, which it knows by the width of its stem; another ends whatever runs it."""

    def __init__(self, refused: int, deadly: int, ending: str) -> None:
        super().__init__()
        self.refused, self.deadly, self.ending = refused, deadly, ending

    @property
    def runtime(self) -> str:
        death = f"""
def _load(directory, settings, load=load):
    import os
    model = load(directory, settings)
    if os.path.exists(os.path.join(directory, "deadly")):
        {self.ending}
    return model
load = _load
"""
        return super().runtime + death

    def convert(self, network: nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        stem = next(module for module in network.modules() if isinstance(module, nn.Conv2d)).out_channels
        if stem == self.refused:
            raise DeploymentError("no operator Foo in the layer 'stem'")
        super().convert(network, example, calibration, directory)
        if stem == self.deadly:
            (directory / "deadly").touch()


DYING = {
    "os._exit(3)": ("does not run", "ended the runner"),
    "raise MemoryError('Failed to allocate memory for 99 bytes')": ("out of memory", "Failed to allocate memory"),
    "model.run = lambda arrays: 1 / 0": ("does not run", "ZeroDivisionError"),
}


@pytest.mark.parametrize("ending", DYING)
@pytest.mark.parametrize("meter", [Latency(seconds=0.01), Memory()], ids=["latency", "memory"])
def test_a_shape_that_does_not_run_has_no_value_and_the_others_are_measured(
    ending: str, meter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PAUSES", (0.0,) * 6)
    shapes = [Shape(10, Fraction(width, 4)) for width in (1, 2, 3)]
    found = dict(meter.measure(workload_of(Choosy(refused=8, deadly=12, ending=ending)), shapes))
    status, why = DYING[ending]
    assert found[shapes[0]].value is not None, "it is as good as any"
    assert [found[shape].value for shape in shapes[1:]] == [None, None]
    assert [found[shape].status for shape in shapes[1:]] == ["does not run", status]
    assert "no operator Foo in the layer 'stem'" in str(found[shapes[1]].details["why"])
    if not (isinstance(meter, Memory) and ending == "os._exit(3)"):
        assert why in str(found[shapes[2]].details["why"])


class FakeModel:
    """Takes a millisecond."""

    conditions: Sequence[object] = ()

    def __init__(self, there: FakeSession) -> None:
        self._there = there

    def warm_up(self) -> list[float]:
        return [1e-3, 1e-3]

    def visit(self) -> Visit:
        self._there.visits_left -= 1
        if self._there.visits_left < 0:
            raise TargetError("pi: no route to host")
        return Visit((1e-3,) * 3, 0.06)

    def time(self) -> float:
        return 1e-3

    def unload(self) -> None:
        self._there.loaded -= 1


class FakeSession:
    """A target that is gone after some visits."""

    fingerprint = {"governor": None, "versions": {}}
    condition: Mapping[str, object] = {}
    threads, target = 1, Target("pi")

    def __init__(self, visits: int) -> None:
        self.visits_left, self.loaded, self.most = visits, 0, 0

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def load(self, _artifact: object) -> FakeModel:
        self.loaded += 1
        self.most = max(self.most, self.loaded)
        return FakeModel(self)


@pytest.mark.parametrize(
    ("shapes", "visits", "known"),
    [(3, 3 * LEAST_VISITS - 1, 2), (GROUP + 2, GROUP * LEAST_VISITS + 1, GROUP), (3, 4, 0)],
    ids=["in the last round", "in the second group", "before anything is known"],
)
def test_where_the_target_is_gone_what_was_measured_is_handed_over_before_the_error(
    shapes: int, visits: int, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = FakeSession(visits)
    monkeypatch.setattr(latency, "session", lambda _: there)
    monkeypatch.setattr(artifacts, "untrained", lambda *_: None)
    monkeypatch.setattr(latency, "anchor_of", lambda _: None)
    found: list[tuple[Shape, Measurement]] = []
    wanted = [Shape(10 + 6 * i, Fraction(1)) for i in range(shapes)]
    with pytest.raises(TargetError, match="pi: no route to host"):
        found.extend(Latency(seconds=0.0).measure(workload_of(OnnxRuntime()), wanted))
    assert len({shape for shape, _ in found}) == known
    assert all(measurement.value == pytest.approx(1.0) for _, measurement in found)
    assert there.most <= GROUP + 1, "the anchor, and those of one group"


def test_a_metric_is_measured_as_before_where_nothing_but_torch_ships() -> None:
    alone = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")
    in_process = workload_of(Torch(precision="float32"))
    for meter in (Latency(), Memory()):
        assert meter.identity(alone) == meter.identity(in_process)
        assert "target" not in meter.identity(alone)


# Targets


def test_a_target_is_asked_once_for_all_metrics_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []
    enter = Session.__enter__
    monkeypatch.setattr(Session, "__enter__", lambda self: (entered.append(self.target.name), enter(self))[1])
    workload = workload_of(OnnxRuntime())
    first = Latency().identity(workload)
    assert (Memory().identity(workload), Latency().remarks(workload)) == (
        first,
        acquaintance.meet(workload.shipping).warnings,
    )  # type: ignore[arg-type]
    assert entered == ["local"]
    assert {"machine", "processor", "governor", "versions"} <= set(first["target"])  # type: ignore[call-overload]
    Latency().identity(workload_of(OnnxRuntime()))
    assert entered == ["local"] * 2, "another search asks anew"
    del workload
    gc.collect()
    assert len(acquaintance._met) <= 1


def test_who_measures_is_told_of_a_governor_that_changes_the_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for core in range(512):
        place = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        place.mkdir(parents=True)
        (place / "scaling_governor").write_text("powersave\n")
    monkeypatch.setattr(session, "ROOT", str(tmp_path))
    events: list[Event] = []
    show = Progress()
    measure(["latency"], notify=lambda event: (events.append(event), show(event))[0], deploy="onnxruntime",
            option=["meter.latency.seconds=0.01"], depth="10:11:6", width="1/4:1/2:1/4")  # fmt: skip
    (remark,) = [event for event in events if isinstance(event, Remarked)]
    assert "local: the governor of the processor is powersave" in remark.text
    assert events.index(remark) < next(i for i, event in enumerate(events) if isinstance(event, Measured))
    assert capsys.readouterr().err.count("powersave") == 1


# Size


def test_size_counts_the_bytes_of_the_precision_and_file_size_those_on_disk() -> None:
    sizes = {}
    for precision in ("float32", "int8"):
        found = measure(["size", "file-size"], deploy="onnxruntime", option=[f"deploy.precision={precision}"], **SPACE)
        sizes[precision] = {shape: values["size"].value for shape, values in found.items()}
        shape, values = max(found.items())
        (place,) = Path("shape-dnn-study/artifacts").glob(f"*/{shape.depth}-1_2")
        files = [path for path in place.rglob("files/*") if path.is_file()]
        assert values["file-size"].value == sum(path.stat().st_size for path in files) / 1e6
        place.rename("seen" + precision)
    assert sizes["int8"] == {shape: size / 4 for shape, size in sizes["float32"].items() if size is not None}


def test_a_question_to_a_study_has_the_sizes_of_its_precision(shape_dnn: Run) -> None:
    options = ["--deploy", "torch", "-o", "deploy.precision=bfloat16", "--depth", "10:11:6", "--width", "1/4:1/2:1/4"]
    searched = shape_dnn(*options, "--goal", "size", "--epochs", "1", "--format", "json")
    assert searched.status == 0, searched.err
    asked = shape_dnn("ask", "shape-dnn-study", "--goal", "size", "--format", "json")
    assert asked.json["best"]["size"] == searched.json["best"]["size"]
    whole = measure(["size"], depth="10:11:6", width="1/4:1/2:1/4")
    assert [2 * asked.json["best"]["size"]] == [values["size"].value for values in whole.values()]


def test_a_counted_size_is_another_fact_only_where_its_bytes_are_others() -> None:
    assert CountedSize().identity(workload_of(OnnxRuntime())) == {}
    assert CountedSize().identity(workload_of(OnnxRuntime(precision="float16"))) == {"bytes": 2}


def test_networks_of_a_trainer_of_ones_own_have_a_file_size_and_a_latency(shape_dnn: Run) -> None:
    write(SINE, BUILD, EXAMPLE)
    ran = shape_dnn(
        "measure", "--trainer", "my_training.py", "--depth", "1:2:1", "--width", "1:2:1", "--deploy", "onnxruntime",
        "--metrics", "size,file-size,latency", "--format", "json", *QUICK,
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert all(row[name] > 0 for row in ran.json for name in ("size", "file-size", "latency"))


def test_the_size_of_files_is_a_fact_for_all_targets_and_devices(shape_dnn: Run) -> None:
    flags = ["measure", *FLAGS, "--metrics", "file-size", "--format", "json", "--verbose"]
    first = shape_dnn(*flags)
    second = shape_dnn(*flags, *TWO)
    assert first.json == second.json
    assert first.err.count("file-size   1/4") == 1
    assert "4 shapes was not measured now" in second.err
    assert all(0 < row["size"] < row["file-size"] for row in shape_dnn(*flags, "--metrics", "size,file-size").json)


def test_torch_ships_a_file_whose_size_is_limited_like_any_metric(shape_dnn: Run) -> None:
    space = ["--depth", "10:17:6", "--width", "1/4:1/2:1/4"]
    rows = shape_dnn("measure", *space, "--metrics", "file-size", "--format", "json").json
    small, large = sorted(row["file-size"] for row in rows)
    ran = shape_dnn(
        *space, "--max", f"file-size={1e3 * small + 1}kB", "--goal", "file-size", "--dry-run", "--format", "json"
    )
    assert [(row["depth"], row["file-size"]) for row in ran.json["shapes"]] == [(10, small)]
    assert small < large


def test_file_size_of_torch_says_what_its_file_is_made_by() -> None:
    alone = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")
    program = FileSize().identity(alone)
    assert program == FileSize().identity(workload_of(Torch(mode="graph", threads=2)))
    assert program != FileSize().identity(workload_of(Torch(precision="float16")))
    assert FileSize().identity(workload_of(OnnxRuntime())) == {}


# Energy


class Steady(Sensor):
    """A hundred watts, whatever runs."""

    def __init__(self) -> None:
        self._last = energy.time.monotonic()

    def readings(self) -> list[Reading]:
        now = energy.time.monotonic()
        self._last, before = now, self._last
        times = [before + i * (now - before) / 4 for i in range(1, 5)]
        return [Reading(time, joules=100 * time) for time in times]

    def describe(self) -> dict[str, object]:
        return {"sensor": "steady"}

    def close(self) -> None:
        pass


class Steadily(ArtifactEnergyMeter):
    def open_sensor(self, workload: Workload) -> Sensor:
        return Steady()


def test_energy_is_that_of_the_artifact_run_by_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    for constant in ("IDLE_SECONDS", "SETTLE_LEAST", "SETTLE_MOST", "WINDOW_LEAST", "WINDOW_STEP"):
        monkeypatch.setattr(energy, constant, 0.1)
    called = []
    meter, workload = Steadily(Numerics(), 0.1), workload_of(Choosy(8, 99, "pass"))
    monkeypatch.setattr("shape_dnn.deploying.energy.models.Model.run", lambda _self, arrays: called.append(len(arrays)))
    found = dict(meter.measure(workload, SHAPES[:2]))
    assert found[SHAPES[0]].value is not None
    assert found[SHAPES[0]].value > 0
    assert set(called) == {1}, "the runtime ran the example"
    assert (found[SHAPES[1]].value, found[SHAPES[1]].status) == (None, "does not run")
    assert {"fingerprint", "sensor", "versions"} == set(meter.identity(workload))


def test_energy_of_another_machine_is_refused() -> None:
    workload = workload_of(OnnxRuntime(), Target("pi", "raspberry"))
    with pytest.raises(MeterError, match=r"measured on this machine alone: the sensor of ssh://raspberry cannot be"):
        Steadily(Numerics(), 0.1).identity(workload)


# Several targets


def test_limits_goals_and_results_name_their_target(shape_dnn: Run) -> None:
    ran = shape_dnn(
        *FLAGS, *TWO, *QUICK, "--max", "latency@two=1s", "--max", "file-size=2MB", "--goal", "latency@one + 2*latency@two",
        "--epochs", "1", "--format", "json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert [stage["metric"] for stage in ran.json["stages"]] == ["file-size", "latency@two"], "the cheapest first"
    best = ran.json["best"]
    assert best["score"] == pytest.approx(best["latency@one"] + 2 * best["latency@two"])
    assert min(row["score"] for row in ran.json["shapes"]) == best["score"]
    asked = shape_dnn(
        "ask", "shape-dnn-study", "--max", "latency@one=900us", "--goal", "latency@one", "--format", "csv"
    )
    assert asked.status == 0, asked.err
    assert "latency@one" in asked.out.splitlines()[0].split(",")
    table = shape_dnn("ask", "shape-dnn-study", "--goal", "latency@two")
    assert "latency@two" in table.out
    assert "[ms]" in table.out
    page = shape_dnn("report", "shape-dnn-study", "--output", "page.html")
    assert page.status == 0, page.err
    assert {"name": "latency@one", "unit": "ms"} in metrics_of(Path("page.html").read_text())


@pytest.mark.parametrize(("searched", "asked"), [("latency", "latency@pi"), ("latency@pi", "latency")])
def test_with_one_target_a_metric_has_two_names(searched: str, asked: str, shape_dnn: Run) -> None:
    flags = [*FLAGS, *QUICK, "--target", "pi=local", "--epochs", "1", "--max", f"{searched}=1s", "--goal", "size"]
    found = shape_dnn(*flags, "--format", "json")
    assert found.status == 0, found.err
    again = shape_dnn("ask", "shape-dnn-study", "--max", f"{asked}=1s", "--goal", "size", "--format", "json")
    assert again.status == 0, again.err
    assert again.json["best"][asked] == found.json["best"][searched]
    assert shape_dnn("report", "shape-dnn-study", "--output", "page.html", "--max", f"{asked}=1s").status == 0
    assert {"name": asked, "unit": "ms"} in metrics_of(Path("page.html").read_text())


def metrics_of(page: str) -> list[dict[str, str]]:
    found, _ = json.JSONDecoder().raw_decode(page, page.index("[", page.index('"metrics"')))
    return list(found)


def test_what_one_study_knows_of_a_machine_holds_for_it_by_any_name(shape_dnn: Run) -> None:
    flags = ["measure", *FLAGS, *QUICK, "--format", "json", "--verbose"]
    alone = shape_dnn(*flags, "--target", "pi=local", "--metrics", "latency@pi")
    assert alone.status == 0, alone.err
    both = shape_dnn(*flags, *TWO, "--metrics", "latency@one,latency@two")
    assert [row["latency@one"] for row in both.json] == [row["latency@pi"] for row in alone.json]
    assert "latency@one of 4 shapes was not measured now" in both.err


def test_another_machine_is_measured_beside_this_one(shape_dnn: Run, sshd: Sshd) -> None:
    ran = shape_dnn(
        "measure", *FLAGS, *QUICK, "--format", "json", "--metrics", "latency@here,latency@pi,memory@pi,file-size",
        "--target", "here=local", "--target", f"pi={sshd.target}", "-o", f"target.pi.python={sys.executable}",
        "-o", f"target.pi.ssh_config={sshd.config}",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    assert all(row[name] > 0 for row in ran.json for name in ("latency@here", "latency@pi", "memory@pi", "file-size"))


def test_a_front_may_be_between_targets(shape_dnn: Run) -> None:
    ran = shape_dnn(*FLAGS, *TWO, *QUICK, "--pareto", "latency@one,file-size", "--epochs", "1", "--format", "json")
    assert ran.status == 0, ran.err
    assert all(row["latency@one"] > 0 for row in ran.json["shapes"])


def test_filters_of_targets_are_as_cheap_as_their_metric(shape_dnn: Run) -> None:
    ran = shape_dnn(*FLAGS, *TWO, *QUICK, "--max", "latency@one=1s", "--max", "memory@two=1GB", "--max", "size=1GB",
                    "--dry-run", "--format", "json")  # fmt: skip
    assert ran.status == 0, ran.err
    assert [limit["metric"] for limit in ran.json["stages"]][:1] == ["size"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--max-latency", "2ms"], "--max-latency: there are 2 targets, so say where: --max latency@one=VALUE or --max latency@two"),
        (["--max", "memory=2MB"], "--max: there are 2 targets, so say where: --max memory@one=VALUE or --max memory@two=VALUE"),
        (["--goal", "latency"], "--goal: there are 2 targets, so say where: latency@one or latency@two"),
        (["--goal", "latency@one + latency"], "--goal: there are 2 targets, so say where: latency@one or latency@two"),
        (["--pareto", "memory,latency@one"], "--pareto: there are 2 targets, so say where: memory@one or memory@two"),
        (["--goal", "latency@three + 1"], "--goal: latency@three: there is no target 'three'; here are: one, two"),
        (["--max", "latency@three=2ms"], "--max: latency@three: there is no target 'three'; here are: one, two"),
        (["--max", "latency@one=2MB"], "--max: '2MB' is not a limit on latency@one"),
        (["--max", "size@one=2MB"], "--max: size@one: size is the same wherever it runs; write size"),
        (["--goal", "file-size@two"], "--goal: file-size@two: file-size is the same wherever it runs; write file-size"),
        (["--max", "accuracy@one=2"], "there is no metric 'accuracy@one'"),
        (["--max", "weight@one=2"], "there is no metric 'weight@one'; known are accuracy, energy, file-size"),
        (["-o", "meter.threads=2", "--max", "latency@one=1ms"], "-o: meter.threads is of networks as torch runs them here, and artifacts are measured; write deploy.threads"),
        (["-o", "meter.latency.mode=eager", "--max", "latency@one=1ms"], "meter.latency.mode is of networks as torch runs them here, and artifacts are measured; leave it out"),
    ],
)  # fmt: skip
def test_what_does_not_say_where_is_refused_in_one_line(shape_dnn: Run, flags: list[str], complaint: str) -> None:
    ran = shape_dnn(*FLAGS, *TWO, *flags, "--dry-run")
    assert ran.status == 2
    assert complaint in ran.error


def test_measure_wants_to_know_where_as_well(shape_dnn: Run) -> None:
    for metrics, complaint in [
        ("size,latency", "--metrics: there are 2 targets, so say where: latency@one or latency@two"),
        ("latency@three", "--metrics: latency@three: there is no target 'three'; here are: one, two"),
    ]:
        ran = shape_dnn("measure", *FLAGS, *TWO, "--metrics", metrics)
        assert (ran.status, complaint in ran.error) == (2, True), ran.err


def test_numerics_of_meters_are_theirs_where_networks_are_measured_in_process(shape_dnn: Run) -> None:
    space = ["--depth", "10:11:6", "--width", "1/4:1/2:1/4"]
    ran = shape_dnn("measure", *space, "--metrics", "latency", "-o", "meter.threads=1", *QUICK, "--format", "json")
    assert ran.status == 0, ran.err


def test_one_search_in_python_measures_where_it_is_told() -> None:
    events: list[Event] = []
    result = tune(deploy="onnxruntime", target=["one=local"], max=["latency=1s"], goal="file-size", epochs=1,
                  option=["meter.latency.seconds=0.01"], notify=events.append, **SPACE)  # fmt: skip
    assert result.best == min(result.shapes)
    assert {event.metric for event in events if isinstance(event, Measured)} == {"file-size", "latency"}
