"""Early termination: which trainings are stopped, and what becomes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shape_dnn import Constraint, Epoch, Shape, Training, tune
from shape_dnn.builtin import goals
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.accuracy_models.power_law import PowerLaw
from shape_dnn.builtin.terminators import LearningCurve, Median, Never, SuccessiveHalving
from shape_dnn.events import Event, TrainingsPlanned, ignore
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Stop
from shape_dnn.search.fitting import predict
from shape_dnn.search.learning_curves import extrapolate
from shape_dnn.store.facts import Store
from shape_dnn.study.known import KnownFacts, stop_by
from shape_dnn.study.watcher import Watcher

EPOCHS = 12
STOP = Stop("some terminator")
SHAPES = [Shape(depth, Fraction(width, 2)) for width in range(1, 6) for depth in (10, 16, 22, 28)]


def curve(final: float, length: int = EPOCHS, noise: float = 0.0, seed: int = 0) -> tuple[Epoch, ...]:
    """Return epochs whose error falls from 60 points to the last one along one form."""
    rng = np.random.default_rng(seed)
    errors = [(100 - final) + (60 - (100 - final)) * math.exp(-0.5 * n) for n in range(EPOCHS)]
    return tuple(
        Epoch(n + 1, 1.0, float(100 - error * math.exp(rng.normal(0, noise))))
        for n, error in enumerate(errors[:length])
    )


def finished(finals: Sequence[float], noise: float = 0.0) -> list[Training]:
    curves = [curve(final, noise=noise, seed=i) for i, final in enumerate(finals)]
    return [Training(s, max(e.quality for e in c), curve=c) for s, c in zip(SHAPES, curves, strict=False)]


def test_an_extrapolation_is_right_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside, errors, spreads = [], [], []
    for trial in range(200):
        others = finished(list(rng.uniform(80, 97, 6)), noise=0.05)
        truth = curve(float(rng.uniform(80, 97)), noise=0.05, seed=1000 + trial)
        end = extrapolate(truth[:7], EPOCHS, others)
        assert end is not None
        assert end.std is not None
        reached = max(epoch.quality for epoch in truth)
        inside.append(abs(end.mean - reached) <= 1.645 * end.std)
        errors.append(abs(end.mean - reached))
        spreads.append(abs(np.mean([t.quality for t in others]) - reached))  # type: ignore[arg-type]
    assert np.mean(inside) >= 0.85
    assert np.mean(errors) < np.mean(spreads) / 2


def test_nothing_is_extrapolated_from_too_little() -> None:
    assert extrapolate(curve(90.0, 3), EPOCHS, finished([90.0, 91.0])) is None
    assert extrapolate((), EPOCHS, finished([90.0] * 5)) is None
    end = extrapolate(curve(90.0, 3), EPOCHS, finished([90.0] * 5))
    assert end is not None
    assert end.mean == pytest.approx(90.0, abs=0.5)


def test_nothing_better_than_the_best_is_promised() -> None:
    others = [Training(shape, 100.0, curve=(Epoch(1, 1.0, 99.0), Epoch(2, 1.0, 100.0))) for shape in SHAPES[:4]]
    end = extrapolate((Epoch(1, 1.0, 100.0),), 2, others)
    assert end is not None
    assert end.mean == 100.0


def test_what_is_extrapolated_is_what_trainings_come_to_and_not_the_best_of_their_epochs() -> None:
    """A trainer of one's own may return what it reached last, though that was worse than what it had before."""

    def overfitted(final: float) -> tuple[Epoch, ...]:
        return (*curve(final)[:-1], Epoch(EPOCHS, 1.0, final - 10))

    others = [Training(s, v - 10, curve=overfitted(v)) for s, v in zip(SHAPES, (82.0, 85.0, 88.0, 91.0), strict=False)]
    end = extrapolate(overfitted(86.5)[:8], EPOCHS, others)
    assert end is not None
    assert end.mean == pytest.approx(76.5, abs=1.0)


@pytest.mark.parametrize(("final", "stopped"), [(60.0, True), (94.0, False)])
def test_median_stops_what_is_worse_than_half_were(final: float, stopped: bool) -> None:
    others = finished([85.0, 87.0, 90.0])
    rule = Median(grace=5)
    assert not rule.should_stop(curve(final, 4), EPOCHS, others), "every training gets so many epochs"
    assert not rule.should_stop(curve(final, 5), EPOCHS, others[:2]), "two are too few"
    assert rule.should_stop(curve(final, 9), EPOCHS, others) == stopped


def test_halving_lets_one_of_three_pass_each_rung() -> None:
    rule = SuccessiveHalving(grace=1, reduction=3)
    passed = []
    seen: list[Training] = []
    finals = list(np.random.default_rng(0).permutation(np.linspace(70, 96, 12)))
    for shape, final in zip(SHAPES, finals, strict=False):
        length = next((n for n in range(1, EPOCHS + 1) if rule.should_stop(curve(final, n), EPOCHS, seen)), EPOCHS)
        passed.append(length)
        seen.append(Training(shape, None if length < EPOCHS else float(final), curve=curve(final, length)))
    assert set(passed) <= {1, 3, 9, EPOCHS}, "it decides at 1, 3 and 9 epochs"
    assert passed[:2] == [EPOCHS, EPOCHS], "the first have nobody to be compared with"
    assert sum(passed) <= 12 * EPOCHS / 2
    assert passed[int(np.argmax(finals))] == EPOCHS, "the best is not stopped"


@pytest.mark.parametrize(
    ("limit", "goal", "final", "stopped"),
    [
        (95.0, goals.Size(), 80.0, True),
        (95.0, goals.Size(), 97.0, False),
        (70.0, goals.Size(), 80.0, False),
        (None, goals.Accuracy(), 80.0, True),
        (None, goals.Accuracy(), 92.0, False),
        (None, goals.Size(), 80.0, False),
        (None, None, 80.0, False),
        (95.0, None, 80.0, True),
    ],
)
def test_what_cannot_matter_is_stopped(limit: float | None, goal: Any, final: float, stopped: bool) -> None:
    rule = LearningCurve()
    rule.consider([] if limit is None else [Constraint("accuracy", False, limit)], goal)
    others = finished([86.0, 88.0, 90.0, 91.0, 92.0])
    assert rule.should_stop(curve(final, 6), EPOCHS, others) == stopped
    assert not rule.should_stop(curve(final, 1), EPOCHS, others)
    assert not rule.should_stop(curve(final, 6), EPOCHS, others[:2]), "nothing can be said yet"


def test_a_stopped_training_enters_the_fit_as_what_its_curve_promises() -> None:
    def accuracy(shape: Shape) -> float:
        return 96 - 40 / shape.depth - 3 / float(shape.width)

    whole = [Training(s, accuracy(s), curve=curve(accuracy(s))) for s in SHAPES[:8]]
    stopped = [Training(s, None, "it was stopped", curve(accuracy(s), 6), stop=STOP) for s in SHAPES[8:]]
    failed = [Training(s, None, "it failed", curve=curve(10.0, 6)) for s in SHAPES[8:]]

    def error(model: Any, trainings: list[Training]) -> float:
        predictions = predict(model, trainings, SHAPES[8:])
        return float(np.mean([abs(p.mean - accuracy(s)) for p, s in zip(predictions, SHAPES[8:], strict=True)]))

    assert error(LogLinear(), [*whole, *stopped]) < error(LogLinear(), whole)
    assert error(LogLinear(), [*whole, *failed]) == error(LogLinear(), whole), "a failure says nothing"
    assert error(PowerLaw(), [*whole, *stopped]) == error(PowerLaw(), whole), "it learns from finished ones alone"
    far = [Training(s, None, "it was stopped", curve(accuracy(s), 1), stop=STOP) for s in SHAPES[8:]]
    promised = predict(LogLinear(), [*whole, *far], SHAPES[8:])
    certain = predict(LogLinear(), [*whole, *(Training(s, accuracy(s)) for s in SHAPES[8:])], SHAPES[8:])
    assert np.mean([p.std for p in promised]) > np.mean([p.std for p in certain])  # type: ignore[misc]


def test_what_was_stopped_for_one_question_is_trained_for_another() -> None:
    settings: dict[str, Any] = {
        "depth": "10:17:6", "width": "1/8:3/8:1/16", "epochs": 6, "device": "cpu", "workers": 1, "sampler": "wider",
        "option": {"dataset.limit": 400, "terminator.grace": 1, "terminator.risk": 0.4}, "terminator": "curve",
        "train": "100%",
    }  # fmt: skip
    hard = tune(**settings, min_accuracy=99.9)
    stopped = [t for t in hard.answer.trainings if t.stopped]
    assert stopped
    assert all("stopped by curve for 'accuracy >= 99.9 %, no goal' after epoch" in t.reason for t in stopped)
    assert len([t for t in hard.answer.trainings if t.quality is not None]) >= 3
    told: list[Event] = []
    assert tune(**settings, min_accuracy=99.9, notify=told.append).new_trainings == 0
    planned = [event for event in told if isinstance(event, TrainingsPlanned)]
    assert sum(event.known for event in planned) == len(hard.answer.trainings)
    assert not any(event.failed for event in planned), "what was stopped has not failed"
    easy = tune(**settings, min_accuracy=1)
    assert easy.new_trainings == len(stopped)
    assert not any(t.stopped for t in easy.answer.trainings)


def test_a_terminator_sees_what_finished_and_what_runs_but_not_the_training_itself() -> None:
    seen: list[Sequence[Training]] = []

    class Spy(Never):
        def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
            seen.append(others)
            return len(others) > 100  # it looks

    done = {shape: Training(shape, 90.0, curve=curve(90.0)) for shape in SHAPES[:3]}
    done[SHAPES[3]] = Training(SHAPES[3], None, "out of memory")
    watcher = Watcher(done, Spy(), 12, ignore)
    running = {SHAPES[6]: 4, SHAPES[4]: 2, SHAPES[2]: 1, SHAPES[7]: 5, SHAPES[5]: 3}
    for shape, number in running.items():
        for epoch in curve(80.0, number):
            watcher.watch(SimpleNamespace(shape=shape, seed=0), epoch)  # type: ignore[arg-type]
        if shape == SHAPES[6]:
            watcher.end(Training(shape, 80.0, curve=curve(80.0)))
        if shape == SHAPES[7]:
            watcher.forget([shape])  # its machine is gone
    others = seen[-1]
    assert [other.shape for other in others] == [*sorted([*SHAPES[:2], SHAPES[6]]), *sorted([SHAPES[2], SHAPES[4]])]
    assert {other.shape: (len(other.curve), other.quality) for other in others} == {
        SHAPES[0]: (12, 90.0), SHAPES[1]: (12, 90.0), SHAPES[2]: (1, None), SHAPES[4]: (2, None),
        SHAPES[6]: (12, 80.0),
    }  # fmt: skip
    assert len(others) == 5
    assert list(others[:2]) == [others[0], others[1]]


def test_a_training_that_was_to_stop_and_died_is_judged_anew_when_it_is_started_again() -> None:
    """Otherwise it would end after its first epoch, said to be stopped after that one."""

    class Late(Never):
        def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
            return len(curve) >= 3

    watcher, task = Watcher({}, Late(), 12, ignore), SimpleNamespace(shape=SHAPES[0], seed=0)
    assert [watcher.watch(task, epoch) for epoch in curve(80.0, 3)] == [True, True, False]  # type: ignore[arg-type]
    watcher.forget([SHAPES[0]])  # its process died on the way
    assert [watcher.watch(task, epoch) for epoch in curve(80.0, 3)] == [True, True, False]  # type: ignore[arg-type]


def test_what_was_stopped_counts_as_made_only_for_the_same_terminator_with_the_same_options() -> None:
    registry = Registry([])

    def stop(name: str, **options: object) -> Stop:
        return stop_by(registry.load("terminator", name, options), "accuracy >= 90 %")

    def made(by: Stop, training: Training) -> bool:
        store = Store(None)
        return KnownFacts(store, None, {}, {}, None, by, False).is_made(training)  # type: ignore[arg-type]

    stopped = Training(SHAPES[0], None, "stopped by median after epoch 1", stop=stop("median"))
    assert made(stop("median"), stopped)
    assert not made(stop("median", grace=5), stopped)
    assert not made(stop("asha"), stopped)
    assert not made(stop("none"), stopped)
    assert made(stop("none"), Training(SHAPES[0], None, "the loss became nan"))
    assert stop("curve").question == "accuracy >= 90 %"
    store = Store(Path("study"))
    context = store.context("training", {})
    store.add_training(context, stopped, {})
    assert store.trainings(context)[SHAPES[0]] == stopped
