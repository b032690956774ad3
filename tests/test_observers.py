"""What the built-in observers leave behind for people to look at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams

from shape_dnn import Shape, tune
from shape_dnn.builtin.observers.json_lines import JsonLines
from shape_dnn.builtin.observers.tensorboard import TensorBoard
from shape_dnn.events import Converted, EpochFinished, Event, Measured, SearchFinished, SearchStarted, TrainingFinished
from shape_dnn.records import Epoch, Measurement, Training

ONE: dict[str, Any] = {
    "depth": "10:11:6", "width": "1/4:1/2:1/4", "epochs": 1, "device": "cpu", "option": {"dataset.limit": 400},
}  # fmt: skip


def events_of(**settings: Any) -> list[Event]:
    events: list[Event] = []
    tune(**settings, notify=events.append)
    return events


def test_a_search_says_first_what_it_is_asked_and_last_what_came_of_it() -> None:
    events = events_of(**ONE, goal="size")
    started, finished = events[0], events[-1]
    assert isinstance(started, SearchStarted)
    assert (started.settings["goal"], started.settings["max_size"], started.shapes) == ("size", None, 1)
    assert isinstance(finished, SearchFinished)
    assert finished.result["best"]["depth"] == 10
    weights, report = finished.files
    assert report.name == "report.html"
    assert weights.suffix == ".safetensors"
    assert weights.is_file()

    again = events_of(**ONE, goal="size")
    assert again[-1].files == (weights, report), "also if they were there before"
    assert [type(event) for event in (again[0], again[-1])] == [SearchStarted, SearchFinished]


def test_a_replay_does_too_and_has_no_files_and_a_plan_says_nothing(table: Path) -> None:
    events = events_of(replay=table, max_size=2, goal="latency")
    assert events[0].shapes == 45
    assert events[-1].files == ()
    planned: list[Event] = []
    tune(replay=table, max_size=2, goal="latency", dry_run=True, notify=planned.append)
    assert not planned


def test_a_search_that_fails_does_not_come_to_an_end(table: Path) -> None:
    class Halt(Exception):
        pass

    events: list[Event] = []

    def halt(event: Event) -> None:
        events.append(event)
        if len(events) == 2:
            raise Halt

    with pytest.raises(Halt):
        tune(replay=table, max_size=2, notify=halt)
    assert not any(isinstance(event, SearchFinished) for event in events)


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, EOFError])
def test_what_notify_raises_while_a_worker_waits_is_no_death_of_the_worker(error: type[Exception]) -> None:
    told: list[Event] = []

    def notify(event: Event) -> None:
        told.append(event)
        if isinstance(event, EpochFinished):
            raise error("nobody reads what is printed")

    with pytest.raises(error, match="nobody reads"):
        tune(**ONE, notify=notify)
    assert isinstance(told[-1], EpochFinished)


def test_the_weights_of_a_shape_that_grew_are_those_it_grew_to() -> None:
    settings = {**ONE, "width": "1/4:1:1/4", "sampler": "wider", "train": 1, "goal": "0 - size"}
    grown = events_of(**settings, transfer=1)[-1]
    assert grown.result["transfer"]["shapes"] == [{"depth": 10, "width": 0.75}]
    scratch = events_of(**settings)[-1]
    assert [path.name for path in grown.files + scratch.files] == ["10-3_4.safetensors", "report.html"] * 2
    assert grown.files[0] != scratch.files[0]


def test_every_line_of_jsonl_is_json() -> None:
    tune(**ONE, goal="size", observer="jsonl")
    lines = [json.loads(line) for line in Path("shape-dnn-events.jsonl").read_text().splitlines()]
    assert lines[0]["settings"]["goal"] == "size"
    assert lines[-1]["result"]["verified"] is True
    assert all(Path(file).is_file() for file in lines[-1]["files"])


def shown(directory: Path) -> dict[str, EventAccumulator]:
    """Read every run of the only search, by its name; that of the search is called search."""
    (search,) = directory.iterdir()
    runs = {"search": search, **{path.name: path for path in search.iterdir() if path.is_dir()}}
    found = {name: EventAccumulator(str(path)) for name, path in runs.items()}
    for run in found.values():
        run.Reload()
    return found


def scalars(run: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    tags = run.Tags()["scalars"]
    return {tag: [(point.step, pytest.approx(point.value, rel=1e-5)) for point in run.Scalars(tag)] for tag in tags}


def text(run: EventAccumulator, tag: str) -> str:
    (point,) = run.Tensors(tag)
    return str(point.tensor_proto.string_val[0].decode())


def parameters(run: EventAccumulator) -> dict[str, float]:
    content = run.SummaryMetadata(hparams.SESSION_START_INFO_TAG).plugin_data.content
    found = hparams.parse_session_start_info_plugin_data(content).hparams
    return {name: value.number_value for name, value in found.items()}


def test_tensorboard_shows_the_curve_of_a_training_and_what_is_known_of_its_shape() -> None:
    events: list[Event] = []
    settings = {**ONE, "max_latency": "10s", "option": {"dataset.limit": 400, "meter.seconds": 0.02}}
    result = tune(**settings, goal="size", observer="tensorboard", notify=events.append)
    (epoch,) = [event.epoch for event in events if isinstance(event, EpochFinished)]
    (row,) = result.rows()
    runs = shown(Path("runs"))
    assert set(runs) == {"search", "10-0.25"}
    assert scalars(runs["10-0.25"]) == {
        "loss": [(1, epoch.loss)],
        "accuracy": [(1, epoch.quality)],
        "final/accuracy": [(1, row["accuracy"])],
        "final/test_accuracy": [(1, result.answer.test_quality)],
        "metric/latency": [(0, row["latency"])],
        "metric/score": [(0, row["score"])],
        "metric/size": [(0, row["size"])],
    }
    assert parameters(runs["10-0.25"]) == {"depth": 10, "width": 0.25}
    assert '"max_latency": "10s"' in text(runs["search"], "question")
    assert '"verified": true' in text(runs["search"], "answer")


def test_tensorboard_shows_a_replay_and_trainings_that_were_known_before(table: Path) -> None:
    result = tune(replay=table, max_size=2, goal="latency", observer="tensorboard", option={"observer.directory": "tb"})
    runs = shown(Path("tb"))
    del runs["search"]
    assert {name: scalars(run)["final/accuracy"][0][1] for name, run in runs.items()} == {
        f"{t.shape.depth}-{t.shape.width}": t.quality for t in result.answer.trainings
    }


def test_tensorboard_gives_a_training_that_begins_again_another_run() -> None:
    observer, shape = TensorBoard("runs"), Shape(10, Fraction(1, 3))
    for number in (1, 2, 1):
        observer.notify(EpochFinished(shape, Epoch(number, 2.0, 50.0), 2))
    observer.notify(TrainingFinished(Training(shape, None, "the loss became nan"), 1, 1))
    observer.notify(Measured("latency", "ms", shape, Measurement(1.5), 1, 1))
    observer.close()
    runs = shown(Path("runs"))
    assert scalars(runs["10-0.333333"]) == {"loss": [(1, 2), (2, 2)], "accuracy": [(1, 50), (2, 50)]}
    assert scalars(runs["10-0.333333_2"]) == {"loss": [(1, 2)], "accuracy": [(1, 50)], "metric/latency": [(0, 1.5)]}
    assert "the loss became nan" in text(runs["10-0.333333_2"], "reason")


def test_tensorboard_gives_each_seed_a_run_though_their_trainings_run_side_by_side() -> None:
    observer, shape = TensorBoard("runs"), Shape(10, Fraction(1, 2))
    observer.notify(Measured("latency", "ms", shape, Measurement(1.5), 1, 1))
    for number in (1, 2):
        for seed in (7, 8):
            observer.notify(EpochFinished(shape, Epoch(number, 2.0, 10.0 * seed + number), 2, seed))
    for seed in (7, 8):
        observer.notify(TrainingFinished(Training(shape, 90.0 + seed), 1, 2, "", seed))
    observer.close()
    runs = shown(Path("runs"))
    assert {name: scalars(run) for name, run in runs.items() if name != "search"} == {
        name: {
            "loss": [(1, 2), (2, 2)], "accuracy": [(1, 10 * seed + 1), (2, 10 * seed + 2)],
            "metric/latency": [(0, 1.5)], "final/accuracy": [(2, 90 + seed)],
        }
        for name, seed in (("10-0.5", 7), ("10-0.5_2", 8))
    }  # fmt: skip


def test_no_name_is_markup_in_tensorboard() -> None:
    observer = TensorBoard("runs")
    observer.notify(SearchStarted({"study": "x\n# <b>big</b> [link](http://x)\u2028# more", "goal": "`size`"}, 3))
    observer.close()
    lines = text(shown(Path("runs"))["search"], "question").splitlines()
    assert len(lines) == 5
    assert all(line.startswith("    ") for line in lines), "all of it is code"


def test_a_directory_that_cannot_be_written_is_an_error_of_one_line(shape_dnn: Callable[..., Any], table: Path) -> None:
    Path("runs").write_text("a file")
    ran = shape_dnn("--replay", table, "--observer", "tensorboard")
    assert ran.status == 2
    assert "observer.directory=runs: cannot be written" in ran.error


def test_without_tensorboard_its_observer_names_the_command_that_installs_it(table: Path) -> None:
    code = (
        "import sys; sys.modules['tensorboard'] = None; from shape_dnn.cli import main; "
        f"main(['--replay', {str(table)!r}, '--observer', 'tensorboard'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 4, ran.stderr
    assert "pip install 'shape-dnn[tensorboard]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_tensorboard_is_written_without_torch() -> None:
    code = "import sys, shape_dnn.builtin.observers.tensorboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_ships_is_the_last_word_on_a_shape_and_stands_beside_what_it_was_before() -> None:
    shape = Shape(10, Fraction(1, 2))
    events = [
        SearchStarted({}, 1),
        EpochFinished(shape, Epoch(1, 0.5, 90.0), 1),
        TrainingFinished(Training(shape, 90.0), 1, 1),
        Converted(shape, 88.5, 90.0, True, 1, 1),
    ]
    board, lines = TensorBoard("runs"), JsonLines("events.jsonl")
    for event in events:
        board.notify(event)
        lines.notify(event)
    board.close()
    lines.close()
    numbers = scalars(shown(Path("runs"))["10-0.5"])
    assert [value for _, value in numbers["final/accuracy"]] == [90, 88.5]
    assert numbers["final/float_accuracy"] == [(0, 90)]
    told = json.loads(Path("events.jsonl").read_text().splitlines()[-1])
    assert (told["event"], told["accuracy"], told["before"], told["loses_too_much"]) == ("Converted", 88.5, 90.0, True)
