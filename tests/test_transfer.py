"""Verification that starts from the weights of a smaller shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import Shape, Training, UsageError, ask, export, tune
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.events import EpochFinished, Event
from shape_dnn.kinds import Workload
from shape_dnn.records import Stop
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.study.known import KnownFacts

SEARCH: dict[str, Any] = {
    "depth": "10:23:6",
    "width": "1/4:1:1/4",
    "epochs": 4,
    "device": "cpu",
    "sampler": "wider",
    "train": 3,
    "goal": "accuracy",
    "option": {"dataset.limit": 400},
}
FLAGS = ["--depth", "10:23:6", "--width", "1/4:1:1/4", "--epochs", 4, "--device", "cpu", "--sampler", "wider",
         "--train", 3, "--goal", "accuracy", "-o", "dataset.limit=400"]  # fmt: skip
LARGEST = """
from shape_dnn import AccuracyModel, Plugin, Prediction, hookimpl
class Larger(AccuracyModel):
    def fit(self, shapes, accuracies): pass
    def predict(self, shapes): return [Prediction(99 + float(shape.depth * shape.width) / 100) for shape in shapes]
@hookimpl
def shape_dnn_accuracy_models(): yield Plugin("larger", "the larger the better", Larger)
"""


def test_what_verification_trains_starts_from_smaller_weights_and_takes_fewer_epochs(
    shape_dnn: Callable[..., Any],
) -> None:
    Path("larger.py").write_text(LARGEST)
    search = {**SEARCH, "plugin": "larger.py", "model": "larger"}
    events: list[Event] = []
    first = tune(**search, transfer="1/2", notify=events.append)
    largest = Shape(22, Fraction(3, 4))
    assert largest in {training.shape for training in first.answer.trainings}
    epochs = [event for event in events if isinstance(event, EpochFinished) and event.shape == largest]
    assert [event.epochs for event in epochs] == [2, 2]
    assert first.transferred is not None
    assert first.transferred.shapes == (largest,)
    assert first.transferred.bias is not None
    assert first.new_trainings == 5, "three, the answer, and one more to compare"
    printed = first.to_dict()
    assert printed["transfer"]["shapes"] == [{"depth": 22, "width": float(largest.width)}]
    assert len(printed["trained"]) == 4
    if first.best == largest:
        assert first.answer.test_quality is not None
    (grown,) = [row for row in printed["trained"] if row["depth"] == 22 and row["width"] == 0.75]
    asked = {(row["depth"], row["width"]): row for row in ask("shape-dnn-study", plugin="larger.py").rows()}
    assert asked[22, 0.75]["accuracy"] == grown["accuracy"]
    out = export("shape-dnn-study", plugin="larger.py", shape=largest, formats=["safetensors"])
    card = json.loads((out / "card.json").read_text())
    assert card["metrics"]["accuracy"] == grown["accuracy"]
    assert card["training"]["donor"] is not None
    assert card["training"]["recipe"]["epochs"] == 2

    again = tune(**search, transfer="1/2")
    assert again.new_trainings == 0
    assert again.to_dict() == {**printed, "cost": {**printed["cost"], "new_trainings": 0}}
    shown = shape_dnn(*FLAGS, "--plugin", "larger.py", "--model", "larger", "--transfer", "0.5")
    assert (
        "one shape was trained from the weights of a smaller one; one that was also trained from scratch" in shown.out
    )
    scratch = tune(**search)
    assert scratch.new_trainings == 1, "what started from other weights is no training from scratch"
    assert scratch.transferred is None
    assert ask("shape-dnn-study", goal="size", plugin="larger.py").shapes


def test_what_grew_from_a_shape_that_was_trained_for_longer_is_another_training() -> None:
    Path("larger.py").write_text(LARGEST)
    search = {**SEARCH, "depth": "10:11:6", "train": 2, "plugin": "larger.py", "model": "larger"}
    tune(**{**search, "epochs": 2}, transfer="1/2")  # one epoch, from weights of two
    short = {**search, "epochs": 1, "transfer": 1}  # one epoch, from weights of one
    found, alone = tune(**short), tune(**short, study="another")
    assert found.new_trainings == alone.new_trainings > 2
    assert {**found.to_dict(), "report": None} == {**alone.to_dict(), "report": None}


def test_what_grew_counts_where_another_search_stopped_the_training_from_scratch() -> None:
    shape, store = Shape(16, Fraction(1)), Store(None)
    scratch, grown = (store.context(TRAINING, {"seed": 0, "donor": donor}) for donor in (None, "10,1"))
    store.add_training(scratch, Training(shape, None, "stopped by asha", stop=Stop("asha")), {})
    store.add_training(grown, Training(shape, 91.0), {})
    families = {TRAININGS: scratch, Family(donor=Shape(10, Fraction(1))): grown}
    facts = KnownFacts(store, Workload(WideResNet(), (1, 8, 8), 10, 1, "cpu"), {}, families, None, Stop("none"), False)
    for trainings in (facts.known([shape]), facts.verify([shape])):
        assert [training.quality for training in trainings] == [91.0]
    found = facts.find(shape)
    assert found is not None
    assert found[0].donor == Shape(10, Fraction(1)), "its weights and its test accuracy are there"


def test_a_shape_that_no_other_can_grow_into_is_trained_from_scratch() -> None:
    result = tune(**{**SEARCH, "train": 1, "depth": "10:11:6", "width": "1/4:1/2:1/8", "goal": "size"}, transfer=1)
    assert result.verified
    assert result.transferred is None or result.transferred.bias is None


REFUSING = """
from shape_dnn import Outcome, Plugin, hookimpl
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import TrainingError
class Refusing(Local):
    def run(self, tasks, workers, report):
        for outcome in super().run(tasks, workers, report):
            is_judged = type(outcome.task).__name__ == "JudgingTask" and str(outcome.task.shape) == "(22, 3/4)"
            yield Outcome(outcome.task, error=TrainingError("it cannot be judged")) if is_judged else outcome
@hookimpl
def shape_dnn_executors(): yield Plugin("refusing", "refuses what is judged of one shape", Refusing)
"""


def test_what_grew_and_cannot_be_judged_costs_its_own_shape_alone() -> None:
    Path("refusing.py").write_text(LARGEST + REFUSING)
    search = {**SEARCH, "epochs": 1, "plugin": "refusing.py", "model": "larger", "executor": "refusing"}
    search["option"] = {"dataset.limit": 400, "deploy.precision": "int8", "deploy.calibration": 32}
    result = tune(**search, transfer=1, deploy="onnxruntime")
    assert [(row["depth"], row["width"]) for row in result.to_dict()["failed"]] == [(22, 0.75)]
    assert result.best is not None


@pytest.mark.parametrize("text", ["0", "2", "-1/2", "x"])
def test_the_part_of_the_epochs_is_checked(text: str) -> None:
    with pytest.raises(UsageError, match="not a part of the epochs"):
        tune(**SEARCH, transfer=text)


def test_a_table_has_no_weights() -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n")
    with pytest.raises(UsageError, match="a recorded table has no weights"):
        tune(replay="table.csv", transfer="1/2")


def test_growing_takes_a_larger_network() -> None:
    wrn = WideResNet()
    small, wide, deep = (Shape(*shape) for shape in ((16, 1), (16, 2), (22, 1)))  # type: ignore[arg-type]
    assert wrn.can_grow(small, wide)
    assert wrn.can_grow(small, deep)
    assert not wrn.can_grow(wide, small)
    assert not wrn.can_grow(wide, deep)
