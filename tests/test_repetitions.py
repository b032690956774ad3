"""Several trainings of each shape, with different seeds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_main_job import SMALL

from shape_dnn import Shape, Training, UsageError, ask, tune
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.events import EpochFinished, Event, TrainingFinished, TrainingsPlanned
from shape_dnn.records import Noise, Stop
from shape_dnn.search.fitting import predict
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAININGS
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.seeds import mean_over_seeds

SHAPES = [Shape(depth, Fraction(width)) for width in (1, 2, 3) for depth in (10, 16, 22, 28)]


def test_the_noise_is_that_of_the_trainings_of_one_shape() -> None:
    rng = np.random.default_rng(0)
    trainings = []
    for shape in SHAPES * 20:
        accuracies = tuple(float(90 + shape.depth / 10 + rng.normal(0, 0.4)) for _ in range(3))
        trainings.append(Training(shape, statistics.fmean(accuracies), repetitions=accuracies))
    noise = Noise.estimate([*trainings, Training(SHAPES[0], 12.0), Training(SHAPES[1], None, "it failed")])
    assert noise is not None
    assert noise.points == pytest.approx(2 * 0.4, rel=0.1)
    assert (noise.shapes, noise.trainings) == (240, 720)
    assert Noise.estimate([Training(shape, 90.0) for shape in SHAPES]) is None, "one training says nothing of noise"


def test_a_shape_weighs_in_the_fit_by_the_number_of_its_trainings() -> None:
    once = [Training(shape, 90.0) for shape in SHAPES[1:]]
    outlier = [Training(SHAPES[0], 80.0, repetitions=(80.0,) * number) for number in (1, 9)]
    few, many = (predict(LogLinear(), [*once, training], [SHAPES[0]])[0].mean for training in outlier)
    assert abs(many - 80) < abs(few - 80)


def test_a_replay_takes_so_many_repetitions_of_its_table() -> None:
    rows = [f"{s.depth},{s.width},{seed},{90 + s.depth / 10 + seed}" for s in SHAPES for seed in range(3)]
    Path("table.csv").write_text("depth,width,seed,accuracy\n" + "\n".join(rows) + "\n")
    answer = tune(replay="table.csv", seeds=3, sampler="interval", model="ridge").to_dict()
    assert all(row["accuracy"] == pytest.approx(90 + row["depth"] / 10 + 1) for row in answer["trained"])
    assert answer["noise"] == {"points": pytest.approx(2.0), "shapes": 12, "trainings": 36}
    assert answer["cost"]["trained"] == 12
    with pytest.raises(UsageError, match=r"4 is more than the 3 trainings of shape \(10, 1\) in table\.csv"):
        tune(replay="table.csv", seeds=4)


def test_what_was_not_trained_with_every_seed_yet_has_no_quality() -> None:
    """A search that was killed between two seeds is asked, and its report written."""
    store, of_seeds = Store(None), []
    for seed, trained in enumerate((SHAPES[:2], SHAPES[:1])):
        context = store.context("training", {"seed": seed})
        for shape in trained:
            store.add_training(context, Training(shape, 90.0 + seed), {})
        of_seeds.append(KnownFacts(store, None, {}, {TRAININGS: context}, None, Stop(""), False, 2))  # type: ignore[arg-type]
    facts = mean_over_seeds(of_seeds)
    for found in (facts.known(SHAPES), facts.train(SHAPES), facts.verify(SHAPES)):
        assert found == [Training(SHAPES[0], 90.5, repetitions=(90.0, 91.0))]


def test_a_shape_of_which_one_training_failed_has_no_accuracy() -> None:
    rows = [f"{s.depth},{s.width},{seed},{90 + seed}" for s in SHAPES[1:] for seed in range(3)]
    lucky = [f"{SHAPES[0].depth},{SHAPES[0].width},{seed},{'99' if seed == 0 else ''}" for seed in range(3)]
    Path("table.csv").write_text("depth,width,seed,accuracy\n" + "\n".join([*lucky, *rows]) + "\n")
    result = tune(replay="table.csv", seeds=3, sampler="interval", goal="accuracy")
    assert result.best != SHAPES[0], "those that failed may be the worst"
    assert [t.shape for t in result.answer.trainings if t.reason] == [SHAPES[0]]


def test_a_plan_counts_trainings_of_every_seed(shape_dnn: Callable[..., Any]) -> None:
    rows = [f"{s.depth},{s.width},{seed},{90 + seed}" for s in SHAPES for seed in range(3)]
    Path("table.csv").write_text("depth,width,seed,accuracy\n" + "\n".join(rows) + "\n")
    shown = shape_dnn("--replay", "table.csv", "--seeds", 3, "--dry-run", "--sampler", "interval").out
    assert "would train 12 of 12 candidates 3 times" in shown


SIDE_BY_SIDE = """
import random

from shape_dnn import Executor, Outcome, Plugin, hookimpl
from shape_dnn.training.task import TrainingTask

class SideBySide(Executor):
    def run(self, tasks, workers, report):
        if isinstance(tasks[0], TrainingTask):
            with open("batches.txt", "a") as file:
                print(*sorted((task.seed, task.shape.depth) for task in tasks), sep="; ", file=file)
            tasks = random.Random(0).sample(tasks, len(tasks))  # they end in any order
        for task in tasks:
            yield Outcome(task, task.run(lambda progress: report(task, progress)))

@hookimpl
def shape_dnn_executors():
    yield Plugin("side-by-side", "in this process", SideBySide)
"""


def test_the_trainings_of_all_seeds_run_side_by_side_and_come_to_the_same_as_one_after_the_other() -> None:
    Path("plugin.py").write_text(SIDE_BY_SIDE)
    settings = {**SMALL, "width": "1/4:1/2:1/4", "depth": "10:17:6", "plugin": "plugin.py", "executor": "side-by-side"}
    asked = {"sampler": "interval", "goal": "accuracy"}
    tune(**settings, **asked, seed=4, train=1, study="three")
    Path("batches.txt").unlink()
    told: list[Event] = []
    three = tune(**settings, **asked, seed=4, seeds=3, study="three", notify=told.append)
    assert Path("batches.txt").read_text() == "(4, 16); (5, 10); (5, 16); (6, 10); (6, 16)\n"
    (planned,) = [event for event in told if isinstance(event, TrainingsPlanned)]
    assert (len(planned.shapes), planned.known, planned.seeds, planned.missing) == (2, 1, 3, 5)
    finished = [event for event in told if isinstance(event, TrainingFinished)]
    assert [(event.done, event.total) for event in finished] == [(done, 5) for done in range(1, 6)]
    curves = Counter((event.shape, event.seed) for event in told if isinstance(event, EpochFinished))
    assert set(curves.values()) == {SMALL["epochs"]}
    assert curves.keys() == {(event.training.shape, event.seed) for event in finished}
    for place, seed in enumerate((4, 5, 6)):
        alone = tune(**settings, **asked, seed=seed, study="alone")
        assert alone.new_trainings == 2
        assert [t.repetitions[place] for t in three.answer.trainings] == [t.quality for t in alone.answer.trainings]


def test_every_shape_is_trained_with_every_seed_and_no_training_is_made_twice(shape_dnn: Callable[..., Any]) -> None:
    settings = {**SMALL, "width": "1/4:1/2:1/4", "depth": "10:17:6"}
    single = tune(**settings, sampler="interval", goal="accuracy")
    both = tune(**settings, sampler="interval", goal="accuracy", seeds=2)
    assert (single.new_trainings, both.new_trainings) == (2, 2), "the first seed was there already"
    other = tune(**settings, sampler="interval", goal="accuracy", seed=1)
    assert other.new_trainings == 0
    for result in both.answer.trainings:
        parts = [next(t.quality for t in one.answer.trainings if t.shape == result.shape) for one in (single, other)]
        assert result.repetitions == tuple(parts)
        assert result.quality == pytest.approx(statistics.fmean(part for part in parts if part is not None))
    assert both.answer.noise is not None
    planned = tune(**settings, sampler="interval", goal="accuracy", seeds=3, dry_run=True)
    assert planned.new_trainings == 2
    assert tune(**settings, sampler="interval", goal="accuracy", seeds=2).new_trainings == 0
    asked = ask("shape-dnn-study", goal="accuracy")
    assert asked.answer.best is not None
    assert asked.answer.best.quality == both.answer.best.quality  # type: ignore[union-attr]
    assert asked.answer.test_quality == both.answer.test_quality
    shown = shape_dnn(
        *(f"--{name}={value}" for name, value in settings.items() if name != "option"),
        *("-o", "dataset.limit=300", "--sampler", "interval", "--seeds", 2),
    )
    assert "noise: " in shown.out
    assert "points (two standard deviations), by 4 trainings of 2 shapes" in " ".join(shown.out.split())
