"""Whatever is shown speaks of the quality by its name and its unit, and knows which way is better."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shape_dnn import NothingCompliesError, Quality, Result, Shape, events, export, tune
from shape_dnn.answers.reliability import missed_in_100
from shape_dnn.answers.table import summarize
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.observers.json_lines import JsonLines
from shape_dnn.builtin.observers.tensorboard import TensorBoard
from shape_dnn.cli.output import print_result
from shape_dnn.constraints import Constraint
from shape_dnn.display.drawing import Scene
from shape_dnn.display.progress import Progress
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import (
    EpochFinished,
    Event,
    SearchFinished,
    SearchStarted,
    TrainedAgain,
    TrainingFinished,
    TrainingsPlanned,
)
from shape_dnn.quality import ACCURACY
from shape_dnn.records import Accident, Epoch, Failing, Prediction, Training, Transferred
from shape_dnn.search.query import Answer, Candidate, Certificate, Stage

PERPLEXITY = Quality("perplexity", better="lower", minimum=1)
LOUDNESS = Quality("loudness", "dB")
SMALL, LARGE, FAILED = Shape(10, Fraction(1, 2)), Shape(16, Fraction(1)), Shape(40, Fraction(1, 4))
SURVIVORS = frozenset({SMALL, LARGE, FAILED, Shape(22, Fraction(1)), Shape(28, Fraction(1))})
LIMIT = Constraint("perplexity", True, 35.0)


def result(quality: Quality = PERPLEXITY, **changes: Any) -> Result:
    """A search for the smallest shape, of two that comply, one of them trained."""
    trained = Candidate(LARGE, 31.2, Prediction(31.456, 0.351))
    predicted = Candidate(SMALL, None, Prediction(33.987, 1.2))
    limit = replace(LIMIT, metric=quality.name, unit=quality.unit)
    answer = Answer(
        5, (Stage(limit, 5, 2),), SURVIVORS, (Training(LARGE, 31.2), Training(FAILED, None, "the loss became nan")),
        (predicted, trained), trained, test_quality=32.0, certificate=Certificate(0.95, 0.04, 0.351),
        failing=(Failing(SMALL, 300.0, LARGE, 31.2), Failing(FAILED, 912.3, LARGE, 31.2)),
        accidents=(Accident(LARGE, 402.7, 31.2),),
    )  # fmt: skip
    sizes = {SMALL: 0.2, LARGE: 0.9}
    told = {"goal": "size", "scores": sizes, "confidence": 0.95, "quality": quality}
    return Result(replace(answer, **changes), None, {"size": sizes}, {"size": "MB"}, (), 2, **told)


# Numbers


@pytest.mark.parametrize(
    ("quality", "value", "alone", "by_itself", "apart"),
    [
        (ACCURACY, 91.204, "91.20", "91.20 %", "91.20 points"),
        (ACCURACY, 0.3, "0.30", "0.30 %", "0.30 points"),
        (PERPLEXITY, 31.2, "31.20", "perplexity 31.20", "31 in perplexity"),
        (PERPLEXITY, 0.351, "0.3510", "perplexity 0.3510", "0.35 in perplexity"),
        (PERPLEXITY, 999.96, "1,000", "perplexity 1,000", "1,000 in perplexity"),
        (PERPLEXITY, 123456.7, "123,457", "perplexity 123,457", "123,457 in perplexity"),
        (PERPLEXITY, 3.2e9, "3.2e+09", "perplexity 3.2e+09", "3.2e+09 in perplexity"),
        (Quality("R²"), 0.48214, "0.4821", "R² 0.4821", "0.48 in R²"),
        (Quality("R²"), -1.5, "-1.500", "R² -1.500", "-1.5 in R²"),
        (Quality("loss", better="lower"), 2.7314, "2.731", "loss 2.731", "2.7 in loss"),
        (LOUDNESS, 0.0, "0.000", "0.000 dB", "0.0 dB"),
    ],
)
def test_a_value_has_as_many_digits_as_it_deserves(
    quality: Quality, value: float, alone: str, by_itself: str, apart: str
) -> None:
    assert quality.number(value) == alone
    assert quality.phrase(value) == by_itself
    assert quality.difference(value) == apart


@pytest.mark.parametrize("goal", [None, "size"])
def test_of_many_shapes_a_table_lists_the_best_and_says_where_the_others_are(goal: str | None) -> None:
    shapes = [Shape(depth, Fraction(1)) for depth in range(1, 251)]
    found = {shape: float((7 * shape.depth) % 251) for shape in shapes}  # every number from 1 to 250, once
    complying = tuple(Candidate(shape, None, None) for shape in shapes)
    best = next(candidate for candidate in complying if found[candidate.shape] == 120)  # which others were to beat
    answer = Answer(250, (), frozenset(shapes), (), complying, None if goal is None else best)
    scores = {} if goal is None else found
    summary = summarize(Result(answer, None, {"size": found}, {"size": "MB"}, (), 2, goal=goal, scores=scores))
    assert summary.title == "250 of 250 shapes comply"
    listed = [Shape(int(row[0]), Fraction(row[1])) for row in summary.rows]
    expected = shapes[:100] if goal is None else [s for s in shapes if found[s] <= 99 or found[s] == 120]
    assert listed == expected
    which = "the first" if goal is None else "the best by the goal"
    assert summary.after[0] == f"these are {which}; --format csv and the report list 150 others as well"
    assert summary.best == (None if goal is None else listed.index(best.shape))


def test_what_has_no_unit_has_its_name_in_the_heading() -> None:
    assert [quality.heading("trained") for quality in (ACCURACY, LOUDNESS, PERPLEXITY)] == [
        "trained [%]", "trained [dB]", "trained [perplexity]",
    ]  # fmt: skip


# Results


def test_json_names_the_quality_where_accuracy_would_stand() -> None:
    found = result().to_dict()
    assert found["quality"] == {"name": "perplexity", "unit": "", "better": "lower"}
    assert list(found)[:2] == ["space", "quality"]
    assert found["trained"] == [{"depth": 16, "width": 1.0, "perplexity": 31.2}]
    (unsure, trained) = found["shapes"]
    assert (unsure["perplexity"], unsure["predicted_perplexity"], unsure["predicted_std"]) == (None, 33.987, 1.2)
    assert 0.5 < unsure["probability"] < 1
    assert (trained["perplexity"], trained["probability"]) == (31.2, 1.0)
    assert (found["best"]["perplexity"], found["best"]["test_perplexity"]) == (31.2, 32.0)
    assert found["failing"][1] == {
        "depth": 40, "width": 0.25, "perplexity": 912.3, "smaller": {"depth": 16, "width": 1.0, "perplexity": 31.2},
    }  # fmt: skip
    assert found["accidents"] == [{"depth": 16, "width": 1.0, "perplexity": 402.7, "again": 31.2}]
    assert "accuracy" not in json.dumps(found)


def test_json_of_accuracy_says_no_more_than_it_did() -> None:
    found = result(ACCURACY).to_dict()
    assert "quality" not in found
    assert set(found["best"]) >= {"accuracy", "predicted_accuracy", "predicted_std", "test_accuracy"}


def test_a_table_speaks_of_perplexity_by_its_name() -> None:
    summary = summarize(result())
    assert summary.columns == ["depth", "width", "size [MB]", "predicted [perplexity]", "+/-", "trained [perplexity]",
                               "complies"]  # fmt: skip
    assert [row[3:6] for row in summary.rows] == [["33.99", "1.2", "-"], ["31.46", "0.35", "31.20"]]
    assert summary.best == 1
    text = "\n".join((*summary.before, *summary.after))
    assert "best: depth 16, width 1; trained perplexity 31.20, test perplexity 32.00" in text
    assert "what is within 0.35 in perplexity counts as equal" in text
    assert (
        "(16, 1) came out with perplexity 403 by accident; trained again with another seed it has perplexity 31.2"
        in text
    )
    assert "((40, 1/4) has perplexity 912, the smaller (16, 1) has perplexity 31.2)" in text, "the worst is told"
    assert "(40, 1/4) has no perplexity: the loss became nan" in text
    assert "%" not in text.replace("probability that a better shape was missed is 4.0 %", "")
    assert "accuracy" not in text


def test_a_table_gives_differences_in_the_unit_if_there_is_one() -> None:
    noisy = (Training(LARGE, 31.2, repetitions=(31.0, 31.4)), Training(SMALL, 30.0))
    shown = result(LOUDNESS, trainings=noisy, failing=(), accidents=())
    shown = replace(shown, transferred=Transferred((SMALL,), 0.123))
    summary = summarize(shown)
    assert summary.columns[3:6] == ["predicted [dB]", "+/-", "trained [dB]"]
    text = "\n".join(summary.after)
    assert "trained loudness 31.20 dB" in text
    assert "noise: 0.57 dB (two standard deviations), by 2 trainings of 1 shape" in text
    assert "came out +0.12 dB different" in text


def test_without_a_goal_and_a_training_the_quality_is_named_too() -> None:
    shown = replace(result(best=None, trainings=(), certificate=None), goal=None)
    text = "\n".join(summarize(shown).after)
    assert "the perplexity of 1 of 2 is only predicted" in text
    assert "without --goal (size, latency, energy, perplexity, …)" in text


def test_csv_has_columns_of_the_quality(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(result(), "csv")
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["perplexity"], row["predicted_perplexity"]) for row in rows] == [("", "33.987"), ("31.2", "31.456")]
    assert "accuracy" not in rows[0]


def test_where_nothing_complies_the_closest_is_told_by_the_quality() -> None:
    limits = (Stage(LIMIT, 5, 0),)
    nothing = result(complying=(), best=None, stages=limits, closest=Candidate(LARGE, 36.0, None), trainings=())
    expected = (
        r"perplexity <= 35 dropped the last 5 shapes; the closest is \(16, 1\) with a trained perplexity of 36\.00"
    )
    with pytest.raises(NothingCompliesError, match=f"{expected}$"):
        nothing.raise_if_empty()


@pytest.mark.parametrize(
    ("stage", "quality", "expected"),
    [
        (Stage(Constraint("accuracy", False, 98, "%"), 5, 0), 97.99996, "a trained accuracy of 97.99996 %"),
        (Stage(Constraint("accuracy", False, 98, "%"), 5, 0), 97.994, "a trained accuracy of 97.99 %"),
        (Stage(Constraint("size", True, 0.4, "MB"), 5, 0, (LARGE, 0.40000312)), None, "a size of 0.400003 MB"),
        (Stage(Constraint("flops", True, 1234000), 5, 0, (LARGE, 1234001.0)), None, "a flops of 1,234,001"),
    ],
)
def test_what_misses_a_limit_is_never_written_as_if_it_met_it(
    stage: Stage, quality: float | None, expected: str
) -> None:
    closest = None if quality is None else Candidate(LARGE, quality, None)
    nothing = result(complying=(), best=None, stages=(stage,), closest=closest, trainings=())
    with pytest.raises(NothingCompliesError, match=f" with {re.escape(expected)}$"):
        replace(nothing, quality=ACCURACY).raise_if_empty()


def test_what_came_of_searches_for_accuracy_says_nothing_of_another_quality() -> None:
    plugins = [{"kind": "sampler", "name": "active"}, {"kind": "accuracy_model", "name": "log-error"}]
    assert missed_in_100(0.04, plugins, ACCURACY) == 2
    assert missed_in_100(0.04, plugins, PERPLEXITY) is None


# What goes on


STEPS = tuple(EpochFinished(SMALL, Epoch(number, None, 60 / number), None) for number in (100, 200, 300))
STARTED = SearchStarted({"study": "study"}, 5, PERPLEXITY)


def lines(capsys: pytest.CaptureFixture[str], *happened: Event, **settings: Any) -> list[str]:
    progress = Progress(**settings)
    for event in happened:
        progress(event)
    progress.close()
    return [" ".join(line.split()) for line in capsys.readouterr().err.splitlines()]


def test_progress_tells_steps_whose_number_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    again, tested = TrainedAgain(LARGE, 402.66, 31.2), events.Tested(LARGE, 32.0)
    finished = TrainingFinished(Training(LARGE, 31.2, seconds=12.0), 1, 2)
    assert lines(capsys, STARTED, STEPS[0], finished, again, tested, verbose=True) == [
        "step 100 (10, 1/2) perplexity 0.6000",
        "trained 1/2 (16, 1) perplexity 31.20 12.0 s",
        "(16, 1) came out far above a smaller shape, with perplexity 402.7; trained again with another seed it has "
        "perplexity 31.20",
        "test set read for (16, 1): perplexity 32.00",
    ]


def test_progress_says_nothing_of_precision_and_memory_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, STARTED, events.TrainingsPrepared("", "", 0), verbose=True) == []


def test_progress_of_accuracy_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    epoch = EpochFinished(SMALL, Epoch(3, 1.5, 91.2), 10)
    finished = TrainingFinished(Training(LARGE, 91.2, seconds=12.0), 1, 2)
    started = SearchStarted({"study": "study"}, 5)
    assert lines(capsys, started, epoch, finished, TrainedAgain(LARGE, 10.0, 91.2), verbose=True) == [
        "epoch 3/10 (10, 1/2) 91.20 % loss 1.5",
        "trained 1/2 (16, 1) 91.20 % 12.0 s",
        "(16, 1) came out far below a smaller shape, with 10.00 %; trained again with another seed it has 91.20 %",
    ]


def drawn(scene: Scene) -> str:
    out = Console(width=120, color_system=None)
    with out.capture() as captured:
        out.print(scene.draw(120, 40))
    return captured.get()


def test_a_drawing_has_a_bar_only_where_the_end_is_known() -> None:
    scene = Scene()
    for event in (STARTED, TrainingsPlanned((SMALL, LARGE), 0, 0), *STEPS):
        scene.take(event)
    (line,) = [line for line in drawn(scene).splitlines() if "(10, 1/2)" in line]
    assert line.split() == ["(10,", "1/2)", "step", "300", "perplexity", "0.2000"]
    scene.take(EpochFinished(LARGE, Epoch(3, 1.0, 31.2), 10))
    rows = {line.split(")")[0] + ")": line for line in drawn(scene).splitlines() if "(1" in line}
    assert "step 300" in rows["  (10, 1/2)"]
    assert re.search(r"epoch  3/10 +perplexity 31\.20 +\S*━", rows["  (16, 1)"])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_of_unknown_lengths_is_told_by_the_trainings_that_finished() -> None:
    """Two trainings one after the other, of equal shapes but for the number of steps being told nowhere."""
    clock, shapes = Clock(), [SMALL, Shape(10, Fraction(3, 4))]
    left = TimeLeft(clock)
    left(TrainingsPlanned(tuple(shapes), 0, 0))
    for number in range(1, 11):
        clock.now = 10.0 * number
        left(EpochFinished(SMALL, Epoch(100 * number, None, 30.0), None))
        assert left.seconds is None, "nobody knows how long a training is"
    left(TrainingFinished(Training(SMALL, 30.0, seconds=100.0), 1, 2))
    estimates = {}
    for number in range(1, 10):
        clock.now = 100 + 10.0 * number
        left(EpochFinished(shapes[1], Epoch(100 * number, None, 30.0), None))
        estimates[100 - 10 * number] = left.seconds
    assert estimates == {seconds: pytest.approx(seconds) for seconds in estimates}


def test_the_time_left_of_trainings_that_report_nothing_is_told_by_those_that_finished() -> None:
    clock, shapes = Clock(), [Shape(10, Fraction(width, 8)) for width in range(4, 8)]
    left = TimeLeft(clock)
    left(TrainingsPlanned(tuple(shapes), 0, 0))
    clock.now = 100.0
    assert left.seconds is None
    for done, shape in enumerate(shapes[:2], start=1):
        clock.now = 100.0 * done
        left(TrainingFinished(Training(shape, 30.0, seconds=100.0), done, 4))
    assert left.seconds is not None
    assert 100 < left.seconds < 400


# Observers


def observed(observer: Any, quality: Quality, epochs: Sequence[Epoch], found: Result) -> None:
    observer.notify(SearchStarted({"study": "study"}, 5, quality))
    for epoch in epochs:
        observer.notify(EpochFinished(LARGE, epoch, None))
    observer.notify(TrainingFinished(Training(LARGE, 31.2, "", tuple(epochs)), 1, 1))
    observer.notify(TrainedAgain(LARGE, 402.0, 31.2))
    observer.notify(SearchFinished(found.to_dict(), ()))
    observer.close()


EPOCHS = (Epoch(1, None, 60.0, {"lr": 0.1}), Epoch(2, 3.5, 31.2))


def test_json_lines_have_the_quality_under_its_name() -> None:
    observed(JsonLines("events.jsonl"), PERPLEXITY, EPOCHS, result())
    started, first, second, finished, again, ended = map(json.loads, Path("events.jsonl").read_text().splitlines())
    assert started["quality"] == PERPLEXITY.record
    assert first["epoch"] == {"number": 1, "loss": None, "perplexity": 60.0, "more": {"lr": 0.1}}
    assert second["epoch"] == {"number": 2, "loss": 3.5, "perplexity": 31.2}
    assert finished["training"]["perplexity"] == 31.2
    assert finished["training"]["curve"][1]["perplexity"] == 31.2
    assert (again["perplexity"], again["again"]) == (402.0, 31.2)
    assert ended["result"]["best"]["perplexity"] == 31.2


def test_json_lines_of_accuracy_say_no_more_than_they_did() -> None:
    observed(JsonLines("events.jsonl"), ACCURACY, EPOCHS[1:], result(ACCURACY))
    started, epoch, *_ = map(json.loads, Path("events.jsonl").read_text().splitlines())
    assert set(started) == {"time", "event", "settings", "shapes"}
    assert epoch["epoch"] == {"number": 2, "loss": 3.5, "accuracy": 31.2}


def scalars(directory: Path) -> dict[str, list[tuple[int, float]]]:
    run = EventAccumulator(str(directory))
    run.Reload()
    tags = run.Tags()["scalars"]
    return {tag: [(point.step, pytest.approx(point.value, rel=1e-5)) for point in run.Scalars(tag)] for tag in tags}


def test_tensorboard_shows_the_quality_and_whatever_else_was_reported() -> None:
    observed(TensorBoard("runs"), PERPLEXITY, EPOCHS, result())
    (search,) = Path("runs").iterdir()
    shown = scalars(search / "16-1")
    assert {tag for tag in shown if "/" not in tag} == {"perplexity", "loss", "lr"}
    assert (shown["perplexity"], shown["loss"], shown["lr"]) == ([(1, 60.0), (2, 31.2)], [(2, 3.5)], [(1, 0.1)])
    assert (shown["final/perplexity"], shown["final/test_perplexity"]) == ([(2, 31.2)], [(2, 32.0)])
    assert not any("predicted" in tag for tag in shown)


def test_a_quality_called_loss_is_told_from_the_loss_of_the_training() -> None:
    loss = Quality("loss", better="lower")
    assert Epoch(1, 3.5, 31.2).numbers(loss) == {"training_loss": 3.5, "loss": 31.2}
    observed(JsonLines("events.jsonl"), loss, EPOCHS[1:], result(loss))
    _, epoch, *_ = map(json.loads, Path("events.jsonl").read_text().splitlines())
    assert epoch["epoch"] == {"number": 2, "training_loss": 3.5, "loss": 31.2}


# Exports


def test_a_card_names_the_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tune(depth="10:11:6", width="1/4:1/2:1/4", epochs=1, device="cpu", option="dataset.limit=300", goal="size")
    monkeypatch.setattr(Assembly, "quality", property(lambda _: LOUDNESS))  # as if it had been trained for that
    directory = export("shape-dnn-study", "out", shape="10,1/4", formats="safetensors")
    card = json.loads((directory / "card.json").read_text())
    assert card["quality"] == LOUDNESS.record
    assert card["metrics"]["loudness"] == found.answer.trainings[0].quality
    assert card["metrics"]["test_loudness"] == found.answer.test_quality
    assert "accuracy" not in card["metrics"]
