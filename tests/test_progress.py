"""What people see while a search runs, and how long it still takes."""

from __future__ import annotations

import heapq
import io
import itertools
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from rich.console import Console

from shape_dnn import Shape, tune
from shape_dnn.display import drawing
from shape_dnn.display.drawing import Notebook, Scene
from shape_dnn.display.progress import Progress
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import (
    DatasetRead,
    EpochFinished,
    Measured,
    SearchStarted,
    StageFinished,
    TrainingFinished,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.records import Epoch, Measurement, Stop, Training

SHAPES = [Shape(depth, width) for depth in (40, 28, 16, 10) for width in (Fraction(2), Fraction(1), Fraction(1, 2))]
EPOCHS = 10


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def seconds_of(shape: Shape) -> float:
    return shape.depth * (0.5 + float(shape.width))


@pytest.mark.parametrize(("workers", "seeds"), [(1, 1), (2, 1), (4, 1), (2, 3), (6, 3)])
def test_the_time_left_of_a_batch_is_right_within_a_factor_of_two(workers: int, seeds: int) -> None:
    """Shapes whose trainings differ in length by more than ten, after a start of some seconds."""
    clock, events = Clock(), []
    free = [2.0] * workers
    for shape, seed in itertools.product(SHAPES, range(seeds)):
        began = heapq.heappop(free)
        end = began + seconds_of(shape)
        heapq.heappush(free, end)
        for number in range(1, EPOCHS + 1):
            when = began + number / EPOCHS * seconds_of(shape)
            events.append((when, EpochFinished(shape, Epoch(number, 1.0, 90.0), EPOCHS, seed)))
        training = Training(shape, 90.0, "", (), seconds_of(shape))
        events.append((end, TrainingFinished(training, 1, seeds * len(SHAPES), "", seed)))
    events.sort(key=lambda event: event[0])
    finish = events[-1][0]
    left = TimeLeft(clock)
    left(TrainingsPlanned(tuple(SHAPES), 0, 0, seeds))
    left(TrainingsPrepared("float32", "", 0))
    assert left.seconds is None, "nothing was seen yet"
    checked = 0
    for when, event in events:
        clock.now = when
        left(event)
        if 0.25 * finish < when < 0.9 * finish:
            estimate = left.seconds
            assert estimate is not None
            assert 0.5 < estimate / (finish - when) < 2, (when, finish, estimate)
            checked += 1
    assert checked > 50


def test_the_time_left_of_measuring_is_right_within_a_factor_of_two() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    for done in range(1, 41):
        clock.now = 3.0 + done
        left(Measured("latency", "ms", SHAPES[0], Measurement(1.0), done, 40))
        if 10 <= done < 39:
            estimate = left.seconds
            assert estimate is not None
            assert 0.5 < estimate / (40 - done) < 2


def test_the_time_left_of_a_second_metric_is_right_where_not_every_measurement_is_told() -> None:
    """As in a journal, which has a hundred measurements of a metric."""
    clock = Clock()
    left = TimeLeft(clock)
    for metric, pace in (("latency", 1.0), ("energy", 3.0)):
        for done in range(10, 1001, 10):
            clock.now += 10 * pace
            left(Measured(metric, "", SHAPES[0], Measurement(1.0), done, 1000))
            if 20 <= done < 1000:
                assert left.seconds == pytest.approx(pace * (1000 - done))


def test_a_dataset_that_has_read_nothing_yet_has_no_time_left() -> None:
    now = 0.0
    left = TimeLeft(lambda: now)
    now = 3.0
    left(DatasetRead("slow", 0, 100))
    now = 4.0
    assert left.seconds is None
    now = 8.0
    left(DatasetRead("slow", 50, 100))
    now = 9.0
    assert left.seconds == pytest.approx(4.0)


def test_a_terminal_shows_what_runs_and_is_left_as_it_was() -> None:
    command = [sys.executable, "-m", "shape_dnn", "--depth", "10:11:6", "--width", "1/2:1:1/2", "--epochs", "3",
               "--device", "cpu", "-o", "dataset.limit=300"]  # fmt: skip
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(mine, 4096)
            except OSError:  # the other end was closed
                break
            if not part:
                break
            seen += part
        assert process.stdout is not None
        process.stdout.read()
    os.close(mine)
    assert process.returncode == 0
    text = seen.decode()
    assert "(10, 1/2)" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is back"


def test_without_a_terminal_there_are_lines_without_control_characters(shape_dnn: Callable[..., Any]) -> None:
    arguments = ["--depth", "10:11:6", "--width", "1/2:1:1/2", "--epochs", "1", "--device", "cpu"]
    arguments += ["-o", "dataset.limit=300"]
    ran = shape_dnn(*arguments, "--verbose")
    assert re.search(r"epoch +1/1 \(10, 1/2\)", ran.err)
    assert "\x1b" not in ran.err
    assert "\r" not in ran.err
    quiet = shape_dnn(*arguments, "--quiet")
    assert quiet.err == ""
    assert "1 of 1 shapes comply" in quiet.out
    both = shape_dnn(*arguments, "--quiet", "--verbose")
    assert both.status == 2
    assert "--quiet and --verbose contradict each other" in both.err


def test_a_notebook_shows_the_latest_lines_and_what_runs_in_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs: list[list[dict[str, str]]] = []

    class Output:
        def __init__(self, content: dict[str, str], **_: object) -> None:
            outputs.append([content])

        def update(self, content: dict[str, str], **_: object) -> None:
            outputs[-1].append(content)

    monkeypatch.setattr("IPython.display.display", Output)
    monkeypatch.setattr(drawing, "FRAMES", 1e9)
    scene = Scene(Clock())
    notebook = Notebook(scene)
    scene.take(StageFinished("size", "<= 1", "MB", 20, 12))
    scene.take(TrainingsPlanned(tuple(SHAPES), 0, 0))
    notebook.show(["training 12 shapes"])
    for shape in SHAPES:
        scene.take(EpochFinished(shape, Epoch(5, 1.0, 90.0), EPOCHS))
    scene.interrupt()
    notebook.show([f"line {number} <b>" for number in range(20)])
    notebook.close()
    (contents,) = outputs
    assert contents[0]["text/plain"].splitlines()[:2] == ["training 12 shapes", "size <= 1 MB: 20 -> 12"]
    text = contents[-1]["text/plain"]
    assert "line 19 <b>" in text
    assert "line 11 <b>" not in text, "only the latest"
    assert "line 19 &lt;b&gt;" in contents[-1]["text/html"]
    assert "(40, 2)" in text
    assert "epoch  5/10" in text
    assert "interrupt again to stop at once" in text


def test_trainings_of_one_shape_are_told_apart_by_their_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    scene, shape = Scene(Clock()), SHAPES[0]
    events = [TrainingsPlanned((shape,), 1, 0, 3), *(EpochFinished(shape, Epoch(5, 1.0, 90.0), 10, s) for s in (4, 6))]
    with Progress() as progress:
        for event in [*events, TrainingFinished(Training(shape, 91.0, seconds=2.0), 1, 2, "", 6)]:
            progress(event)
            scene.take(event)
    assert capsys.readouterr().err.splitlines() == [
        "training one shape with 3 seeds: 2 trainings; 1 known from before",
        "trained   1/2 (40, 2) seed 6  91.00 %    2.0 s",
    ]
    console = Console(file=io.StringIO(), width=80)
    console.print(scene.draw(80, 20))
    assert [line.split("epoch")[0].strip() for line in console.file.getvalue().splitlines() if "epoch" in line] == [  # type: ignore[attr-defined]
        "(40, 2) seed 4"
    ]


def test_a_training_that_was_stopped_early_is_not_said_to_have_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress(TrainingFinished(Training(SHAPES[0], None, "stopped by asha after epoch 2", stop=Stop("asha")), 1, 2))
        progress(TrainingFinished(Training(SHAPES[1], None, "its loss became nan"), 2, 2))
    assert capsys.readouterr().err.splitlines() == [
        "trained   1/2 (40, 2)      stopped by asha after epoch 2",
        "trained   2/2 (40, 1)      failed: its loss became nan",
    ]


def test_what_a_plugin_says_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress(TrainingFinished(Training(SHAPES[0], None, "[bold]loud[/bold] \x1b[31mred"), 1, 1))
    said = capsys.readouterr().err
    assert "[bold]loud[/bold]" in said
    assert "\x1b" not in said


def test_only_a_value_that_is_not_exact_has_an_interval(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress(Measured("size", "MB", SHAPES[0], Measurement(1.5, 1.5, 1.5), 1, 2))
        progress(Measured("latency", "ms", SHAPES[0], Measurement(1.5, 1.4, 1.6), 2, 2))
    size, latency = capsys.readouterr().err.splitlines()
    assert size.endswith(" 1.5 MB")
    assert latency.endswith(" 1.5 ms (1.4 to 1.6)")


def test_how_far_a_dataset_is_read_is_a_line_now_and_then_and_nothing_for_a_small_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("shape_dnn.display.progress.time.monotonic", clock)
    with Progress() as progress:
        for second, total in ((0, 900), (100, 60_000)):
            clock.now = second
            progress(SearchStarted({}, 1))
            for part in range(1, 17):
                clock.now += 0.05 if total == 900 else 1
                progress(DatasetRead("folder", total * part // 16, total))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"read {done:,} of 60,000 images of folder" for done in (18750, 37500, 56250)]


def test_a_terminal_draws_how_far_a_dataset_is_read() -> None:
    clock = Clock()
    scene = Scene(clock)
    for done in range(1, 9):
        clock.now = 2.0 * done
        scene.take(DatasetRead("folder", 1000 * done, 16_000))
    console = Console(file=io.StringIO(), width=100)
    console.print(scene.draw(100, 40))
    drawn = console.file.getvalue()
    assert "reading folder" in drawn
    assert "8,000/16,000" in drawn
    assert "about 15 s left of this reading" in drawn
    scene.take(DatasetRead("folder", 16_000, 16_000))
    assert not scene.active


def test_a_result_is_a_table_when_it_is_printed_in_a_notebook_and_as_a_data_frame(
    tmp_path: Any, shape_dnn: Callable[..., Any]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("depth,width,accuracy,latency\n10,1,90,1\n16,1,91,2\n22,1,92,3\n")
    result = tune(replay=str(table), max_latency="2.5ms", goal="accuracy")
    printed = shape_dnn("--replay", table, "--max-latency", "2.5ms", "--goal", "accuracy").out
    assert [line.split() for line in str(result).splitlines() if line.strip("─- ")] == [
        line.split() for line in printed.splitlines() if line.strip("─- ")
    ]
    assert "1 shape " in shape_dnn("space", "--depth", "10:11:6", "--width", "1:2:1").out
    html = result._repr_html_()
    assert html.count("<tr>") == 3
    assert "<b>16</b>" in html
    assert "latency &lt;= 2.5 ms" in html
    frame = result.to_pandas()
    assert list(frame["depth"]) == [10, 16]
    assert list(frame["latency"]) == [1.0, 2.0]
    assert frame["size"].isna().all()
