"""Where many trainings run at once, people are shown numbers that tell of all, and the driver looks at none twice."""

from __future__ import annotations

import json
import random
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import simulated_cluster
from rich.console import Console
from threadpoolctl import threadpool_info, threadpool_limits

from shape_dnn import Shape, tune
from shape_dnn.display import progress as lines
from shape_dnn.display.drawing import Scene
from shape_dnn.display.progress import Progress
from shape_dnn.display.tally import MANY
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import (
    EpochFinished,
    Event,
    SearchStarted,
    TrainingFinished,
    TrainingLost,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.records import Epoch, Stop, Training
from shape_dnn.search.fitting import one_thread
from shape_dnn.store import journal
from shape_dnn.watching.live import CURVES, FAILED, Live

SHAPES = [Shape(10 + i // 50, Fraction(1 + i % 50, 10)) for i in range(1000)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def planned(number: int) -> list[Event]:
    return [SearchStarted({}, 10_000), TrainingsPlanned(tuple(SHAPES[:number]), 0, 0), TrainingsPrepared("", "", 0)]


def epoch(shape: Shape, number: int = 1, quality: float = 50.0) -> EpochFinished:
    return EpochFinished(shape, Epoch(number, 1.0, quality), 12)


def finished(shape: Shape, done: int, total: int, quality: float | None = 60.0, **more: Any) -> TrainingFinished:
    return TrainingFinished(
        Training(shape, quality, "" if quality else "its loss is not a number", **more), done, total
    )


def drawn(happened: list[Event], height: int = 40, width: int = 120) -> list[str]:
    scene = Scene(Clock())
    for event in happened:
        scene.take(event)
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(scene.draw(width, height))
    return [line.rstrip() for line in captured.get().splitlines()]


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]


# What is drawn


def test_of_a_thousand_trainings_at_once_a_few_and_the_numbers_are_drawn() -> None:
    happened = [*planned(1000), *map(epoch, SHAPES), *(epoch(shape, 2) for shape in SHAPES[500:])]
    happened += [finished(shape, i, 1000, 60 + i / 10) for i, shape in enumerate(SHAPES[100:140], start=1)]
    happened += [finished(SHAPES[140], 41, 1000, None), finished(SHAPES[141], 42, 1000, None, stop=Stop("median"))]
    happened += [TrainingLost(shape, f"node {i % 3}") for i, shape in enumerate(SHAPES[200:212])]
    text = drawn(happened)
    assert len(text) <= 10
    assert "42/1,000" in text[0]
    assert text[1].strip() == (
        "946 run, 40 finished, 1 failed, 1 stopped early, 12 lost with 3 machines and made again"
    )
    assert text[2].strip() == f"best accuracy so far: 64.00 % of {SHAPES[139]}"
    assert [line.strip().split(")")[0] + ")" for line in text[4:]] == [str(shape) for shape in SHAPES[:5]], (
        "those that have run longest"
    )


def test_up_to_ten_trainings_are_drawn_one_by_one() -> None:
    text = drawn([*planned(1000), *map(epoch, SHAPES[:MANY])])
    assert len(text) == 1 + MANY
    assert all(any(str(shape) in line for line in text) for shape in SHAPES[:MANY])


@pytest.mark.parametrize("height", [1, 5, 8, 12])
def test_trainings_that_do_not_fit_on_a_small_terminal_are_told_of_together(height: int) -> None:
    text = drawn([*planned(10), *map(epoch, SHAPES[:8])], height, 50)
    told = [line for line in text if "8 run" in line]
    assert len(told) == (height < 14)
    assert len(text) <= max(height, 5)


def test_a_small_batch_after_a_large_one_is_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for event in [*planned(1000), *map(epoch, SHAPES)]:
            progress(event)
        for i, shape in enumerate(SHAPES, start=1):
            progress(finished(shape, i, 1000))
        for event in [TrainingsPlanned((SHAPES[0],), 0, 0), finished(SHAPES[0], 1, 1, 70.0)]:
            progress(event)
    assert said(capsys)[-1] == f"trained 1/1 {SHAPES[0]} 70.00 %"


# What is told in lines


def test_a_thousand_trainings_are_told_of_in_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("shape_dnn.display.progress.time.monotonic", clock)
    with Progress(verbose=True) as progress:
        for event in planned(1000):
            progress(event)
        for number in range(1, 13):
            for shape in SHAPES:
                clock.now += 0.01
                progress(epoch(shape, number))
        for i, shape in enumerate(SHAPES, start=1):
            progress(finished(shape, i, 1000, 50 + i / 100))
    told = said(capsys)
    assert told[0] == "training 1,000 shapes"
    together = [line for line in told if line.startswith("trained")]
    assert 120 / lines.LINE_SECONDS - 2 <= len(together) <= 120 / lines.LINE_SECONDS + 1
    assert together[3].startswith("trained 0/1,000: 1,000 run")
    assert together[-1] == f"trained 1,000/1,000: 1,000 finished; best accuracy so far: 60.00 % of {SHAPES[-1]}"
    assert len(told) - len(together) <= 2 + MANY, "before it shows that there are many"


def test_of_many_failures_the_first_are_told_and_the_others_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for event in [*planned(1000), *map(epoch, SHAPES)]:
            progress(event)
        for i, shape in enumerate(SHAPES, start=1):
            progress(finished(shape, i, 1000, None if i % 2 else 60.0))
    told = said(capsys)
    assert sum("its loss is not a number" in line for line in told) == lines.FAILURES
    assert sum("counted only" in line for line in told) == 1
    assert told[-1].startswith("trained 1,000/1,000: 500 finished, 500 failed")


@pytest.mark.parametrize(
    ("machines", "expected"),
    [
        (["a"], "one training was lost with one machine and is made again"),
        ([""], "one training was lost with its machine and is made again"),
        (["a"] * 4, "4 trainings were lost with one machine and are made again"),
        (["a", "b", "c"] * 4, "12 trainings were lost with 3 machines and are made again"),
        ([""] * 4, "4 trainings were lost with their machines and are made again"),
    ],
)
def test_trainings_that_are_lost_together_are_a_line(
    machines: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as progress:
        for event in [*planned(20), *(TrainingLost(s, m) for s, m in zip(SHAPES, machines, strict=False))]:
            progress(event)
        progress(finished(SHAPES[19], 1, 20))
    assert said(capsys)[1:] == [expected, f"trained 1/20 {SHAPES[19]} 60.00 %"]


def test_hundreds_of_lost_trainings_are_a_number_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for event in [*planned(1000), *map(epoch, SHAPES)]:
            progress(event)
        for number in range(100):
            for shape in SHAPES[10 * number : 10 * number + 5]:
                progress(TrainingLost(shape, f"node {number}"))
            progress(epoch(SHAPES[10 * number + 9], 2))
        for i, shape in enumerate(SHAPES, start=1):
            progress(finished(shape, i, 1000))
    told = [line for line in said(capsys) if "lost" in line]
    assert told == [
        "trained 1,000/1,000: 1,000 finished, 500 lost with 100 machines and made again; "
        f"best accuracy so far: 60.00 % of {SHAPES[0]}"
    ]


# What the driver counts


def test_how_many_trainings_ran_at_once_is_told_by_when_they_began_and_ended() -> None:
    """Where none of them reports an epoch."""
    for seed in range(20):
        rng, clock = random.Random(seed), Clock()
        spans = [(begin, begin + rng.uniform(0.5, 20)) for begin in (rng.uniform(0, 60) for _ in range(80))]
        left = TimeLeft(clock)
        for event in planned(len(spans)):
            left(event)
        for shape, (begin, end) in zip(SHAPES, sorted(spans, key=lambda span: span[1]), strict=False):
            clock.now = end
            left(finished(shape, 1, len(spans), seconds=end - begin))
        assert left.workers == max(sum(a <= begin < b for a, b in spans) for begin, _ in spans)


def test_a_training_that_is_lost_is_waited_for_from_its_beginning() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    for event in planned(1):
        left(event)
    for number in range(1, 12):
        clock.now = 10.0 * number
        left(epoch(SHAPES[0], number))
    assert left.seconds == pytest.approx(10.0)
    left(TrainingLost(SHAPES[0], "a"))
    assert left.seconds == pytest.approx(120.0, rel=0.2)


def test_many_small_matrices_take_one_thread_and_others_have_theirs_afterwards() -> None:
    def threads() -> list[int]:
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert set(threads()) == {1}
        assert threads() == before


# A whole search on a cluster whose nodes come and go


def searched(study: Path, stay: float, told: list[Event], depth: str = "10:70:6", seeds: int = 1) -> dict[str, Any]:
    result = tune(
        depth=depth, seeds=seeds, width="1/4:11/4:1/4", goal="accuracy", sampler="interval", model="paper", train=60,
        device="cpu", plugin=[simulated_cluster.__file__], executor="simulated", study=str(study), notify=told.append,
        option=["executor.nodes=4", f"executor.stay={stay}", "recipe.precision=float32"],
    )  # fmt: skip
    return result.to_dict()


def test_trainings_of_several_seeds_that_are_lost_are_made_again_with_their_own(tmp_path: Path) -> None:
    told: list[Event] = []
    calm = searched(tmp_path / "calm", 0.0, [], "10:23:6", 3)
    stormy = searched(tmp_path / "stormy", 3.0, told, "10:23:6", 3)
    lost = {(event.shape, event.seed) for event in told if isinstance(event, TrainingLost)}
    assert {seed for _, seed in lost} == {0, 1, 2}
    ended = [(event.training.shape, event.seed) for event in told if isinstance(event, TrainingFinished)]
    assert len(ended) == len(set(ended)) == 3 * len(stormy["trained"])
    assert lost <= set(ended)
    assert [stormy[part] for part in ("trained", "shapes", "best")] == [
        calm[part] for part in ("trained", "shapes", "best")
    ]


def test_machines_that_come_and_go_change_nothing_of_a_search(tmp_path: Path) -> None:
    told: list[Event] = []
    calm = searched(tmp_path / "calm", 0.0, [])
    stormy = searched(tmp_path / "stormy", 3.0, told)
    lost = [event for event in told if isinstance(event, TrainingLost)]
    assert len(lost) > 10
    assert {event.machine for event in lost} <= {f"node {i}" for i in range(4)}
    ended = [event.training.shape for event in told if isinstance(event, TrainingFinished)]
    assert len(ended) == len(set(ended)) >= 60, "nothing is lost or repeated"
    assert [stormy[part] for part in ("trained", "shapes", "best")] == [
        calm[part] for part in ("trained", "shapes", "best")
    ]
    entries, _ = journal.read(tmp_path / "stormy")
    assert [entry.event for entry in entries if isinstance(entry.event, TrainingLost)] == lost


# What is watched


def test_what_is_sent_of_a_thousand_trainings_is_a_few_curves_and_the_numbers(tmp_path: Path) -> None:
    book = journal.Journal(tmp_path)
    with book.of_run(1, SearchStarted({}, 10_000)):
        for event in [*planned(1000)[1:], *(epoch(s, n) for n in range(1, 11) for s in SHAPES)]:
            book.append(event)
        for i, shape in enumerate(SHAPES[500:700], start=1):
            book.append(finished(shape, i, 1000, None))
        for shape in SHAPES[700:712]:
            book.append(TrainingLost(shape, "ab"[shape.width.numerator % 2]))
        live = Live(tmp_path)
        live.follow()
        content = live.content(is_alive=True)
    assert [each["shape"] for each in content["running"]] == [str(shape) for shape in SHAPES[:CURVES]]
    assert content["waiting"] == 12
    assert re.search(r"200 of 1,000 done; 788 run, 200 failed, 12 lost with 2 machines", content["doing"])
    assert len(content["failures"]) == FAILED + 1
    assert content["failures"][0] == "150 before these"
    assert len(json.dumps(content)) < 20_000
