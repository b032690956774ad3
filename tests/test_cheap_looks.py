"""A search that looks at trainings on their way pays for what it trains, and believes a look as far as pairs bear it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shape_dnn.benchmarking.asking import ask
from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.judging import Run, judge
from shape_dnn.benchmarking.methods import parse
from shape_dnn.benchmarking.peers.looks import Calibration, Looks
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import draw
from shape_dnn.kinds import AccuracyModel, TableFile
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Prediction
from shape_dnn.shape import Shape

EPOCHS = 8
LOOKS = (1, 4)
"""After which the method looks of so many epochs by default."""


@pytest.fixture
def bumpy(own_directory: Path) -> Path:
    """Thirty shapes whose errors no plane follows, and of which curves tell the end: log errors shrink alike."""
    rng = np.random.default_rng(0)
    rows, curves = ["# noise: 0.1 points", "depth,width,accuracy,size,seconds"], ["depth,width,accuracy"]
    for depth in (8, 12, 18, 26, 38, 56):
        for width in (1, 2, 3, 4, 6):
            error = 60 / (depth**0.4 * width**0.5) * np.exp(0.15 * rng.standard_normal())
            rows.append(f"{depth},{width},{100 - error},{depth * width**2 / 100},{depth * width}")
            curves += [f"{depth},{width},{100 - error * (EPOCHS / e) ** 0.3}" for e in range(1, EPOCHS + 1)]
    path = own_directory / "bumpy.csv"
    path.write_text("\n".join(rows) + "\n")
    path.with_name("bumpy-curves.csv").write_text("\n".join(curves) + "\n")
    return path


def run_all(path: Path, spec: str, number: int = 8) -> tuple[RecordedTable, list[Any], list[Run]]:
    table, method = RecordedTable.read(TableFile(path)), parse(spec, Registry([]))
    questions = draw(table, number, seed=0)
    return table, questions, [ask(table, question, method, i) for i, question in enumerate(questions)]


class Watched(Seen):
    """Notes how far each shape is trained, call by call."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.calls: dict[Shape, list[int]] = {}

    def trained(self, shape: Shape) -> float:
        if shape not in self.finished:
            self.calls.setdefault(shape, []).append(EPOCHS)
        return super().trained(shape)

    def curve(self, shape: Shape, epochs: int) -> list[float]:
        if shape not in self.finished:
            self.calls.setdefault(shape, []).append(epochs)
        return super().curve(shape, epochs)


# The search


def test_it_answers_right_with_shapes_that_were_trained_to_the_end(bumpy: Path) -> None:
    table, questions, runs = run_all(bumpy, "freeze-thaw")
    outcomes = [judge(table, question, run) for question, run in zip(questions, runs, strict=True)]
    assert sum(outcome.within for outcome in outcomes) >= len(outcomes) - 1
    for run in runs:
        assert run.answer is None or run.parts[list(run.trained).index(run.answer)] == 1
    assert any(run.answer is not None for run in runs)


def test_where_looks_tell_the_end_it_takes_less_time_than_the_default(bumpy: Path) -> None:
    seconds = {}
    for spec in ("default", "freeze-thaw"):
        table, questions, runs = run_all(bumpy, spec)
        seconds[spec] = sum(judge(table, q, run).seconds for q, run in zip(questions, runs, strict=True))
    assert seconds["freeze-thaw"] < seconds["default"]


def test_one_that_never_looks_is_the_default(bumpy: Path) -> None:
    default, never = (run_all(bumpy, spec)[2] for spec in ("default", "freeze-thaw:100"))
    assert [(run.trained, run.parts, run.answer) for run in default] == [
        (run.trained, run.parts, run.answer) for run in never
    ]


@pytest.mark.parametrize(("spec", "look"), [("freeze-thaw:1", 1), ("freeze-thaw:50", 4)])
def test_seconds_are_those_of_the_parts_that_were_trained(spec: str, look: int, bumpy: Path) -> None:
    table, questions, runs = run_all(bumpy, spec)
    assert {part for run in runs for part in run.parts} == {look / EPOCHS, 1.0}, "some were left there"
    for question, run in zip(questions, runs, strict=True):
        spent = sum(part * table.seconds[i] for i, part in zip(run.trained, run.parts, strict=True))
        outcome = judge(table, question, run)
        assert outcome.seconds == pytest.approx(spent / table.seconds[question.candidates].sum())
        assert outcome.trainings == pytest.approx(sum(run.parts))


def test_no_epoch_is_trained_twice(bumpy: Path) -> None:
    table, method = RecordedTable.read(TableFile(bumpy)), parse("freeze-thaw", Registry([]))
    gone_on = 0
    for i, question in enumerate(draw(table, 6, seed=0)):
        seen = Watched(table, question)
        method.answer(seen, i)
        for shape, calls in seen.calls.items():
            assert calls == sorted(set(calls)), "each call goes on where the one before ended"
            assert set(calls) <= {*LOOKS, EPOCHS}
            assert seen.parts[shape] == calls[-1] / EPOCHS
            gone_on += len(calls) > 1 and calls[-1] == EPOCHS
    assert gone_on, "some were finished after a look"


def test_the_same_seed_gives_the_same_answer(bumpy: Path) -> None:
    assert run_all(bumpy, "freeze-thaw", 4)[2] == run_all(bumpy, "freeze-thaw", 4)[2]


def test_errors_are_searched_as_the_accuracies_that_they_are(bumpy: Path) -> None:
    rows, curves = (
        [line.split(",") for line in path.read_text().splitlines()[skipped:]]
        for path, skipped in ((bumpy, 2), (bumpy.with_name("bumpy-curves.csv"), 1))
    )
    for cells in (*rows, *curves):
        cells[2] = str(100 - float(cells[2]))
    errors = bumpy.with_name("errors.csv")
    head = ["# noise: 0.1 points", "# quality: error % lower 0:100"]
    errors.write_text("\n".join([*head, "depth,width,error,size,seconds", *map(",".join, rows)]))
    errors.with_name("errors-curves.csv").write_text("\n".join(["depth,width,error", *map(",".join, curves)]))
    of_accuracies, of_errors = (run_all(path, "freeze-thaw")[2] for path in (bumpy, errors))
    assert [(run.trained, run.parts, run.answer) for run in of_errors] == [
        (run.trained, run.parts, run.answer) for run in of_accuracies
    ]


def test_a_table_without_curves_is_refused_in_one_line(bumpy: Path, shape_dnn: Callable[..., Any]) -> None:
    bumpy.with_name("bumpy-curves.csv").unlink()
    ran = shape_dnn("bench", bumpy, "--method", "freeze-thaw", "--questions", 2)
    assert ran.status == 2
    assert "'freeze-thaw': needs learning curves, and table bumpy has none beside it" in ran.error


# What a look tells


def pairs(number: int, slope: float, rng: np.random.Generator) -> tuple[Calibration, float, float]:
    """Return pairs, and of one more shape the early and the last log error."""
    last = rng.standard_normal(number + 1)
    early = 3 + slope * last + 0.3 * rng.standard_normal(number + 1)
    return Calibration(early[:-1], last[:-1]), float(early[-1]), float(last[-1])


def test_the_interval_of_what_a_look_tells_holds_the_end_in_19_of_20_cases() -> None:
    rng, inside = np.random.default_rng(0), []
    for _ in range(1500):
        calibration, early, last = pairs(6, 0.8, rng)
        found = calibration.infer(early)
        inside.append(found is None or abs(last - found[0]) <= 1.96 * found[1])
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_a_look_that_tells_nothing_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    told = [calibration.infer(early) for calibration, early, _ in (pairs(6, 0.0, rng) for _ in range(1000))]
    assert sum(found is not None for found in told) < 40, "that is by chance in 1 of 40 cases"


def test_few_pairs_tell_little() -> None:
    rng = np.random.default_rng(0)

    def typical(number: int) -> float:
        found = [calibration.infer(early) for calibration, early, _ in (pairs(number, 0.8, rng) for _ in range(200))]
        return float(np.median([np.inf if each is None else each[1] for each in found]))

    widths = [typical(number) for number in (3, 4, 6, 12)]
    assert widths == sorted(widths, reverse=True)
    assert pairs(2, 0.8, rng)[0].infer(3.0) is None


@pytest.mark.parametrize(("early", "last"), [([1, 2, 3], [2, 2, 2]), ([3, 2, 1], [1, 2, 3]), ([2, 2, 2], [1, 2, 3])])
def test_pairs_without_a_rising_line_tell_nothing(early: Sequence[float], last: Sequence[float]) -> None:
    assert Calibration(np.array(early, float), np.array(last, float)).infer(2.0) is None


class Told(AccuracyModel):
    """Notes what it is told."""

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        self.fit_uncertain(shapes, accuracies, [0.0] * len(shapes))

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        self.told = dict(zip(shapes, zip(accuracies, stds, strict=True), strict=True))

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        return [Prediction(50.0, 1.0) for _ in shapes]


def test_a_model_is_told_of_looks_as_uncertain_accuracies() -> None:
    model, shapes = Told(), [Shape(depth, Fraction(1)) for depth in range(1, 7)]
    looks = Looks(model)
    ends = [60.0, 70.0, 80.0, 85.0, 90.0]
    for shape, end, off in zip(shapes, ends, (0.5, -0.5, 0.3, -0.4, 0.2), strict=False):
        looks.finish(shape, [end - 20 + off, end], end)
    looks.begun[shapes[5]] = [55.0]
    looks.fit(shapes[:5], ends)
    mean, std = model.told.pop(shapes[5])
    assert 70 < mean < 80, "between those that looked like it"
    assert 0 < std < 10
    assert list(model.told.values()) == [(end, 0.0) for end in ends]
    looks.finish(shapes[5], [55.0, 75.0], 75.0)
    looks.fit(shapes, [*ends, 75.0])
    assert model.told[shapes[5]] == (75.0, 0.0)
