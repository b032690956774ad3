"""A recording: every shape is trained with every seed, and the table can be replayed at once."""

from __future__ import annotations

import csv
import os
import re
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import shape_dnn
from shape_dnn import Shape, TableFile, bench, record, tune
from shape_dnn.api.new_plugin import example
from shape_dnn.events import Event, Measured, TrainingFinished
from shape_dnn.plugins.registry import Registry
from shape_dnn.store.facts import Store
from shape_dnn.study.tables import Table, read_curves

FLAGS = ["--depth", "10:17:6", "--width", "1/4:3/4:1/4", "--epochs", "1", "--device", "cpu", "-o", "dataset.limit=400"]
SMALL: dict[str, Any] = {
    "depth": "10:17:6", "width": "1/4:3/4:1/4", "epochs": 1, "device": "cpu", "option": {"dataset.limit": 400},
    "plugin": "here.py", "executor": "here",
}  # fmt: skip


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """Have an executor that needs no other process, and let interrupts arrive, which a background job ignores."""
    Path("here.py").write_text(example("shape_dnn_executors"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def content(path: Path | str) -> list[dict[str, str]]:
    """Return the rows of a table but for what a stopwatch told."""
    lines = [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(lines)]


def test_a_recorded_table_is_replayed_at_once(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("record", "mine.csv", *FLAGS, "--seeds", "2", "--metrics", "size,layers", "--plugin", "layers.py")
    assert ran.status == 2, "the file of the plugin is not there"
    assert not Path("mine.csv").exists()
    Path("layers.py").write_text(LAYERS)
    ran = shape_dnn("record", "mine.csv", *FLAGS, "--seeds", "2", "--metrics", "size,layers", "--plugin", "layers.py")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines() == ["mine.csv", "mine-curves.csv"]
    table, curves = Table.read(Path("mine.csv")), read_curves(Path("mine-curves.csv"))
    assert table.columns == ("depth", "width", "seed", "accuracy", "size", "layers", "seconds")
    assert [len(rows) for rows in table.rows.values()] == [2] * 4
    assert {(s, int(row["seed"] or 0)): (row["accuracy"],) for s, rows in table.rows.items() for row in rows} == curves
    assert all(row["layers"] == shape.depth for shape, rows in table.rows.items() for row in rows)
    replayed = shape_dnn("--replay", "mine.csv", "--goal", "size", "--seed", "1", "--format", "json").json
    searched = tune(goal="size", depth="10:17:6", width="1/4:3/4:1/4", epochs=1, device="cpu", seed=1,
                    option={"dataset.limit": 400})  # fmt: skip
    assert searched.new_trainings == 0, "the study has all that was recorded"
    assert (Shape(replayed["best"]["depth"], searched.shapes[0].width)) == searched.best
    assert replayed["best"]["accuracy"] == pytest.approx(searched.to_dict()["best"]["accuracy"], abs=1e-3)


LAYERS = """
from shape_dnn import Formula, Plugin, hookimpl

class Layers(Formula):
    metric, unit, cost = "layers", "layers", 0.0
    def compute(self, workload, shapes):
        return [float(shape.depth) for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("layers", "number of layers", Layers)
"""


def test_a_table_says_how_it_came_about() -> None:
    file = record("mine.csv", seeds=1, **SMALL)
    assert file == TableFile(Path("mine.csv"), Path("mine-curves.csv"))
    for path in (file.path, file.curves):
        assert path is not None
        columns, recipe, origin = path.read_text().splitlines()[:3]
        assert columns == (
            "# validation accuracy in percent, size in MB, seconds of a training; --arch wrn --dataset digits "
            "--depth 10:17:6 --width 1/4:3/4:1/4 --epochs 1 -o dataset.limit=400 --plugin here.py --device cpu --seeds 1"
        )
        assert recipe.startswith("# recipe: epochs 1, batch_size 32, lr 0.2, schedule one-cycle")
        assert recipe.endswith("precision float32, tf32 True"), "what was decided, and not auto"
        assert re.match(r"# \d{4}-\d\d-\d\d, one thread of .*, Python 3\.\d+\.\d+, torch 2\.\S+, .*", origin)
        assert origin.endswith(f"shape-dnn {shape_dnn.__version__}")


OWN = """
from torch import nn
from shape_dnn import Quality

QUALITY = Quality("loss", better="lower", minimum=0.0)
DEPTH, WIDTH = "1:4:1", "1:4:1"

def build(shape):
    return nn.Linear(1, shape.depth)

def train(shape, run, told=3):
    for step in range(1, told + 1):
        run.report(10 * step, 5 / shape.depth + 1 / step)
    return 5 / shape.depth
"""


def test_a_table_says_what_shipped(shape_dnn: Callable[..., Any]) -> None:
    shape = ("--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--seeds", "1")
    ran = shape_dnn("record", "mine.csv", *FLAGS, *shape, "--deploy", "onnxruntime", "--target", "here=local")
    assert ran.status == 0, ran.error
    assert "--deploy onnxruntime --target here=local " in Path("mine.csv").read_text().splitlines()[0]
    assert shape_dnn("--replay", "mine.csv", "--goal", "size", "--deploy", "onnxruntime").status == 0
    assert "which is onnxruntime" in shape_dnn("--replay", "mine.csv", "--goal", "size", "--deploy", "openvino").error


def test_trainings_of_ones_own_are_recorded_in_their_unit_however_often_they_report(
    shape_dnn: Callable[..., Any],
) -> None:
    Path("own.py").write_text(OWN)
    flags = ["--trainer", "own.py", "--seeds", "1", "--study", "own", "--overwrite"]
    ran = shape_dnn("record", "mine.csv", *flags)
    assert ran.status == 0, ran.err
    assert "loss 5.000" in ran.err
    assert "%" not in ran.err
    loss = Table.read(Path("mine.csv")).quality
    assert read_curves(Path("mine-curves.csv"), loss)[Shape(1, Fraction(1)), 0] == (6.0, 5.5, 5.33333333333)
    assert [(row["epoch"], row["step"]) for row in content("mine-curves.csv")[:3]] == [
        ("1", "10"),
        ("2", "20"),
        ("3", "30"),
    ]
    bench("mine.csv", questions=1, noise=0.1, workers=1)
    silent = shape_dnn("record", "mine.csv", *flags, "-o", "trainer.told=0")
    assert silent.out.splitlines() == ["mine.csv"]
    assert not Path("mine-curves.csv").exists(), "those of the table that was replaced are of no use"
    bench("mine.csv", questions=1, noise=0.1, workers=1)


def test_trainings_without_networks_are_recorded_without_sizes(shape_dnn: Callable[..., Any]) -> None:
    Path("own.py").write_text(OWN.replace("def build", "def build_nothing"))
    ran = shape_dnn("record", "mine.csv", "--trainer", "own.py", "--seeds", "1")
    assert ran.status == 0, ran.err
    written = Path("mine.csv").read_text()
    assert "\ndepth,width,seed,loss,seconds\n" in written
    assert "# loss, seconds of a training; " in written
    replayed = shape_dnn("--replay", "mine.csv", "--goal", "loss")
    assert "best: depth 3, width " in replayed.out
    for metric in ("size", "latency"):
        ran = shape_dnn("record", "sized.csv", "--trainer", "own.py", "--metrics", metric, "--study", "another")
        assert ran.err.splitlines() == [
            f"shape-dnn: error: --trainer: own.py has no build(shape), without which no {metric} is known"
        ]


class Interrupt:
    """Does as if somebody pressed Ctrl-C at the end of a training."""

    def __init__(self, after: int) -> None:
        self.after, self.trained = after, 0

    def __call__(self, event: Event) -> None:
        self.trained += isinstance(event, TrainingFinished)
        if self.trained == self.after and isinstance(event, TrainingFinished):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_recording_that_was_interrupted_goes_on_to_the_same_table(after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        record("mine.csv", seeds=2, notify=Interrupt(after), **SMALL)
    assert not list(Path().glob("*.csv")), "a table is written whole or not at all"
    trained: list[Event] = []
    record("mine.csv", seeds=2, notify=trained.append, **SMALL)
    assert sum(isinstance(event, TrainingFinished) for event in trained) == 8 - after, "what is finished is kept"
    record("whole.csv", seeds=2, **SMALL, study="other")
    assert len(content("mine.csv")) == 8
    assert content("mine.csv") == content("whole.csv")
    assert content("mine-curves.csv") == content("whole-curves.csv")
    comments = [re.findall(r"^# .*", Path(name).read_text(), re.MULTILINE) for name in ("mine.csv", "whole.csv")]
    assert comments[0] == comments[1]


def test_the_command_is_interrupted_and_repeated(shape_dnn: Callable[..., Any]) -> None:
    Path("interrupting.py").write_text(example("shape_dnn_executors") + INTERRUPTING)
    flags = [*FLAGS, "--seeds", "2", "--plugin", "interrupting.py", "--executor", "interrupting"]
    ran = shape_dnn("record", "mine.csv", *flags)
    assert ran.status == 130
    assert "interrupted; everything finished is kept, and the same command goes on from there" in ran.err
    assert not Path("mine.csv").exists()
    statuses = [shape_dnn("record", "mine.csv", *flags).status for _ in range(8)]
    assert statuses == [130] * 7 + [0], "each call makes one of the eight trainings, and the last one finds all"
    record("whole.csv", seeds=2, **SMALL, study="other")
    assert content("mine.csv") == content("whole.csv")


INTERRUPTING = """
import os, signal

class Interrupting(Here):
    def run(self, tasks, workers, report):
        for outcome in super().run(tasks, workers, report):
            if type(outcome.task).__name__ == "TrainingTask":
                os.kill(os.getpid(), signal.SIGINT)
            yield outcome

@hookimpl(specname="shape_dnn_executors")
def interrupting():
    yield Plugin("interrupting", "is interrupted after every training", Interrupting)
"""


def test_what_is_there_is_not_overwritten_unless_that_is_wanted(shape_dnn: Callable[..., Any]) -> None:
    one = [*FLAGS[4:], "--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--seeds", "1"]
    for name in ("mine.csv", "mine-curves.csv"):
        Path(name).write_text("precious")
        ran = shape_dnn("record", "mine.csv", *one)
        assert ran.status == 2
        assert f"FILE.csv: '{name}' is there already; --overwrite replaces it" in ran.error
        assert Path(name).read_text() == "precious"
        assert not Path("shape-dnn-study").exists(), "told before anything is trained"
        Path(name).rename(f"{name}.kept")
    Path("mine.csv").write_text("worthless")
    assert shape_dnn("record", "mine.csv", *one, "--overwrite").status == 0
    assert len(content("mine.csv")) == 1
    for place, complaint in (
        ("shape-dnn-study", "is there already, and is no file"),
        (".", "is there already, and is no file"),
        ("mine.csv/table.csv", "cannot write 'mine.csv/table.csv'"),
    ):
        ran = shape_dnn("record", place, *one, "--overwrite")
        assert ran.status == 2
        assert complaint in ran.error


def test_limits_say_which_shapes_are_recorded() -> None:
    events: list[Event] = []
    record("mine.csv", seeds=1, max_size="0.05MB", notify=events.append, **SMALL)
    assert [(row["depth"], row["width"]) for row in content("mine.csv")] == [("10", "1/4"), ("16", "1/4")]
    assert sum(isinstance(event, TrainingFinished) for event in events) == 2
    with pytest.raises(shape_dnn.NothingCompliesError, match="no shape of the space is within the limits"):
        record("none.csv", max_size="1B", **SMALL)
    assert not Path("none.csv").exists()


def test_a_measured_metric_is_a_column_and_measured_once() -> None:
    events: list[Event] = []
    option = {"dataset.limit": 400, "meter.seconds": 0.02}
    record("mine.csv", seeds=2, metrics=["latency"], notify=events.append, **{**SMALL, "option": option})
    assert sum(isinstance(event, Measured) for event in events) == 4
    rows = content("mine.csv")
    assert rows[0].keys() == {"depth", "width", "seed", "accuracy", "size", "latency"}
    assert all(float(row["latency"]) > 0 for row in rows)
    assert len({row["latency"] for row in rows if (row["depth"], row["width"]) == ("10", "1/4")}) == 1
    assert "latency in ms" in Path("mine.csv").read_text().splitlines()[0]


FAILING = """
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Failing(WideResNet):
    def build(self, shape, input_shape, classes):
        if shape.depth == 16:
            raise RuntimeError("no such luck")
        return super().build(shape, input_shape, classes)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("failing", "fails at depth 16", Failing)
"""


def test_a_training_that_failed_has_no_accuracy() -> None:
    Path("failing.py").write_text(FAILING)
    record("mine.csv", seeds=1, **{**SMALL, "plugin": ["here.py", "failing.py"], "arch": "failing"})
    assert [(row["depth"], bool(row["accuracy"])) for row in content("mine.csv")] == [("10", True), ("16", False)] * 2
    assert tune(replay="mine.csv", goal="size").verified


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--metrics", "accuracy"], "--metrics: accuracy is no metric that is measured"),
        (["--metrics", "seconds"], "--metrics: seconds is no metric that is measured"),
        (["--metrics", "latency,latency"], "--metrics: latency is named twice"),
        (["--metrics", "heat"], "--meter: no meter is called 'heat'"),
        (["--seeds", "0"], "--seeds: '0' is not accepted: it should be a whole number from 1 to 1000"),
        (["--min", "accuracy=90"], "--min: accuracy is what is recorded; leave it out"),
        (["--config", "search.yaml"], r"search\.yaml:1:\d+: accuracy is what is recorded; leave it out"),
        (["--replay", "t.csv"], "--replay: .*has no such option"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    shape_dnn: Callable[..., Any], arguments: list[str], complaint: str
) -> None:
    Path("search.yaml").write_text("min_accuracy: 90%\n")
    ran = shape_dnn("record", "mine.csv", *FLAGS, *arguments)
    assert ran.status == 2
    assert re.search(complaint, ran.error), ran.error
    assert not Path("mine.csv").exists()


def test_settings_that_contradict_a_recording_are_refused() -> None:
    for name, value in {"terminator": "median", "transfer": "1/4", "fit_depths": 3}.items():
        with pytest.raises(shape_dnn.UsageError, match=f"{name}: .*; leave it out"):
            record("mine.csv", **SMALL, **{name: value})
    assert Registry().names("terminator"), "there is a terminator to refuse"


def test_a_table_that_cannot_be_written_leaves_the_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shape_dnn.system.durable.write_text", full)
        with pytest.raises(
            shape_dnn.ShapeDnnError, match="'mine-curves.csv' cannot be written: No space left on device"
        ):
            record("mine.csv", seeds=1, **SMALL)
    store = Store(Path("shape-dnn-study"), create=False)
    assert store.summary()["trained"] == 4
    store.close()
    events: list[Event] = []
    record("mine.csv", seeds=1, notify=events.append, **SMALL)
    assert not any(isinstance(event, TrainingFinished) for event in events)
