"""What hangs is given up: measurements, the questions before them, and evaluations; long honest work is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from test_training import SHAPE, digits_on_disk, task, trainer

from shape_dnn import MeterError, Shape, Workload, measure, tune
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.latency import Latency
from shape_dnn.builtin.meters.memory import Memory
from shape_dnn.events import Event, TrainingFinished
from shape_dnn.kinds import Conditions
from shape_dnn.measuring import energy
from shape_dnn.measuring.energy import EnergyMeter
from shape_dnn.measuring.forward_pass import Numerics
from shape_dnn.measuring.power import Reading
from shape_dnn.measuring.rounds import LEAST_VISITS
from shape_dnn.measuring.sensors import Sensor
from shape_dnn.measuring.task import MeasuringTask
from shape_dnn.plugins.sending import FromPlugin
from shape_dnn.plugins.sources import Choice
from shape_dnn.study.problem import Bench
from shape_dnn.training.task import EvaluationTask
from shape_dnn.work import Pulse, alive, showing_life

PATIENT = """
import queue, threading, time
from pathlib import Path
from shape_dnn import Executor, Instrument, Measurement, Outcome, Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.errors import ProcessDiedError
from shape_dnn.work import sendable

def hang():
    while not Path("enough").exists():
        time.sleep(0.02)

class Threads(Executor):
    '''One task after the other, each in a thread that is given up when the patience with it is over.'''

    elsewhere = ELSEWHERE

    def run(self, tasks, workers, report):
        for task in tasks:
            said = queue.SimpleQueue()
            threading.Thread(target=self.work, args=(task, said), name="task", daemon=True).start()
            yield self.wait(task, said, report)

    def work(self, task, said):
        try:
            said.put(Outcome(task, task.run(lambda what: said.put(what) or True)))
        except Exception as error:
            said.put(Outcome(task, error=sendable(error)))

    def wait(self, task, said, report):
        try:
            while not isinstance(what := said.get(timeout=task.patience), Outcome):
                report(task, what)
        except queue.Empty:
            return Outcome(task, error=ProcessDiedError("it hung, so it was ended"))
        return what

@hookimpl
def shape_dnn_executors():
    yield Plugin("threads", "threads of this process", Threads)

class Slow(Instrument):
    metric, unit, cost = "latency", "ms", 1.0

    def identity(self, workload):
        if Path("hang-identity").exists():
            hang()
        return {}

    def measure(self, workload, shapes):
        for shape in shapes:
            if shape.depth == 16:
                hang()
            yield shape, Measurement(float(shape.depth))

@hookimpl
def shape_dnn_meters():
    yield Plugin("slow", "hangs at one depth", Slow)

class Stuck(WideResNet):
    def build(self, shape, input_shape, classes):
        if Path("hang-build").exists():
            hang()
        return super().build(shape, input_shape, classes)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("stuck", "hangs when it is told to", Stuck)
"""
SETTINGS: dict[str, Any] = {
    "depth": "10:29:6", "width": "1/4:1/2:1/4", "device": "cpu", "plugin": "patient.py", "executor": "threads",
}  # fmt: skip
SHAPES = [Shape(depth, Fraction(1, 4)) for depth in (10, 16, 22, 28)]
SECOND = 1 / 60


@pytest.fixture(params=[False])
def patient(request: pytest.FixtureRequest) -> Iterator[None]:
    Path("patient.py").write_text(PATIENT.replace("ELSEWHERE", str(request.param)))
    yield
    Path("enough").touch()
    for thread in threading.enumerate():
        if thread.name == "task":
            thread.join()


@pytest.mark.usefixtures("patient")
def test_a_shape_whose_measurement_hangs_has_that_for_its_status_and_harms_no_other() -> None:
    found = measure(["latency"], **SETTINGS, meter="latency=slow", hang_minutes=SECOND)
    assert [found[shape]["latency"].value for shape in SHAPES] == [10, None, 22, 28]
    assert found[SHAPES[1]]["latency"].status == "it hung, so it was ended"


@pytest.mark.usefixtures("patient")
def test_a_worker_process_whose_measurement_hangs_is_ended() -> None:
    settings = {**SETTINGS, "depth": "16:17:6", "executor": "local"}
    (measurements,) = measure(["latency"], **settings, meter="latency=slow", hang_minutes=SECOND / 2).values()
    assert measurements["latency"].status.startswith("it hung: no sign of life for ")


@pytest.mark.usefixtures("patient")
def test_a_search_gives_up_an_evaluation_that_hangs_and_has_no_test_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pulse, "SECONDS", 0.0)

    def watch(event: Event) -> None:
        if isinstance(event, TrainingFinished):
            Path("hang-build").touch()

    settings = {**SETTINGS, "depth": "10:11:6", "arch": "stuck", "epochs": 1, "goal": "size"}
    option = {"dataset.limit": 200, "recipe.precision": "float32"}
    with pytest.warns(UserWarning, match=r"the test set could not be read for \(10, 1/4\): .*it hung"):
        result = tune(**settings, option=option, hang_minutes=3 * SECOND, notify=watch)
    assert result.best == SHAPES[0]
    assert result.answer.test_quality is None


@pytest.mark.parametrize(
    ("patient", "complaint"),
    [
        (False, r"^meter 'slow' of patient\.py hung: it did not say within \S+ minutes what its values depend on$"),
        (True, "^slow on the cluster: it hung, so it was ended$"),
    ],
    indirect=["patient"],
    ids=["here", "elsewhere"],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda **settings: measure(["latency"], **settings),
        lambda **settings: tune(**settings, max_latency="1s"),
        lambda **settings: tune(**settings, max_latency="1s", dry_run=True),
    ],
    ids=["measure", "tune", "plan"],
)
@pytest.mark.usefixtures("patient")
def test_a_meter_that_does_not_say_what_its_values_depend_on_is_named(ask: Callable[..., Any], complaint: str) -> None:
    Path("hang-identity").touch()
    with pytest.raises(MeterError, match=complaint):
        ask(**SETTINGS, meter="latency=slow", hang_minutes=SECOND / 10)


def test_signs_of_life_reach_whoever_waits_for_a_task_and_not_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[object] = []
    alive()
    with showing_life(lambda what: bool(signs.append(what))):
        alive()
        assert signs == []
        monkeypatch.setattr(Pulse, "SECONDS", 0.0)
        alive()
    alive()
    assert signs == [None]


class Steady(Sensor):
    """A counter of a device that always takes 100 W."""

    def __init__(self) -> None:
        self._last = energy.time.monotonic()

    def readings(self) -> list[Reading]:
        now = energy.time.monotonic()
        self._last, before = now, self._last
        times = [before + i * (now - before) / 4 for i in range(1, 5)]
        return [Reading(time, joules=100 * time) for time in times]


class Steadily(EnergyMeter):
    """Reads that."""

    def open_sensor(self, workload: Workload) -> Sensor:
        return Steady()


METERS: dict[str, tuple[Callable[[], Any], int]] = {
    "latency": (lambda: Latency(seconds=0.01), 2 * LEAST_VISITS),
    "memory": (Memory, 2),
    "energy": (lambda: Steadily(Numerics(), 0.1), 2 * energy.CHUNKS_LEAST),
}


@pytest.mark.parametrize("name", METERS)
def test_a_meter_shows_signs_of_life_while_it_works_on_a_shape(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for constant in ("IDLE_SECONDS", "SETTLE_LEAST", "SETTLE_MOST", "WINDOW_LEAST", "WINDOW_STEP"):
        monkeypatch.setattr(energy, constant, 0.1)
    make, least = METERS[name]
    workload = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")
    bench = Bench(
        Choice("meter", name),
        (),
        FromPlugin(Choice("architecture", "wrn"), ()),
        Conditions((1, 8, 8), 10, 2, "cpu"),
    )
    monkeypatch.setattr(Bench, "set_up", lambda _: nullcontext((make(), workload)))
    monkeypatch.setattr(Pulse, "SECONDS", 0.0)
    said: list[object] = []
    MeasuringTask(bench, tuple(SHAPES[:2])).run(lambda what: said.append(what) or True)
    assert said.count(None) >= least
    assert sum(what is not None for what in said) == 2


def test_an_evaluation_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pulse, "SECONDS", 0.0)
    task().run(lambda _: True)
    said: list[object] = []
    digits_on_disk()
    EvaluationTask(trainer(), SHAPE, 0, Path("weights/a.safetensors")).run(lambda what: not said.append(what))
    assert said
    assert set(said) == {None}
