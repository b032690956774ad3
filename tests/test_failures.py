"""Trainings that fail without an error: some shapes cannot be trained, and some come out badly by accident."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from test_main_job import HERE
from test_one_study import overview
from test_outlook import Surface

from shape_dnn import Shape, Training, ask, export, tune
from shape_dnn.builtin import goals
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.samplers.active import Active
from shape_dnn.events import Event, SearchFinished, TrainedAgain, TrainingFinished
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.search.failures import count
from shape_dnn.search.modes import search
from shape_dnn.search.query import Answer, Modelling, Query
from shape_dnn.study.seeds import mean_over_seeds
from shape_dnn.study.tables import Replay, Table


def at(depth: int, width: str | int, accuracy: float | None) -> Training:
    return Training(Shape(depth, Fraction(width)), accuracy, "" if accuracy is not None else "it failed")


def failing(trainings: Sequence[Training], quality: Quality = ACCURACY) -> set[Shape]:
    return {each.shape for each in count(trainings, quality=quality).failing}


# The rule


def test_a_network_far_worse_than_a_smaller_one_fails_to_train() -> None:
    assert failing([at(10, "1/4", 91.1), at(58, "1/4", 9.1)]) == {Shape(58, Fraction(1, 4))}
    assert failing([at(10, "1/4", 91.1), at(10, 4, 9.1)]) == {Shape(10, Fraction(4))}, "wider is larger as well"


@pytest.mark.parametrize(
    ("trainings", "why"),
    [
        ([at(10, "1/4", 9.1), at(58, "1/4", 91.1)], "a smaller network may well be worse"),
        ([at(10, 1, 91.1), at(58, "1/4", 9.1)], "neither is smaller than the other"),
        ([at(10, 1, 91.1), at(10, 1, 9.1)], "they are the same shape"),
        ([at(10, 1, 97.0), at(58, 1, 78.0)], "of 20 points it lacks one"),
        ([at(10, 1, 60.0), at(58, 1, 20.0)], "the error is twice as large, and not three times"),
        ([at(10, 1, None), at(58, 1, 9.1)], "the smaller one has no accuracy"),
        ([at(10, 1, 91.1), at(58, 1, None)], "one that came to an error is known to have failed"),
        ([], "there is none"),
    ],
)
def test_a_network_does_not_fail_to_train(trainings: Sequence[Training], why: str) -> None:
    assert not failing(trainings), why


def test_a_third_of_the_error_and_20_points_are_enough() -> None:
    assert failing([at(10, 1, 90.0), at(16, 1, 70.0)])
    assert not failing([at(10, 1, 90.0), at(16, 1, 70.1)])
    assert failing([at(10, 1, 70.0), at(16, 1, 10.0)])
    assert failing([at(10, 1, 99.1), at(16, 1, 79.1)]), "whatever rounding does to the last digit"
    assert not failing([at(10, 1, 69.9), at(16, 1, 10.0)])


accuracies = st.dictionaries(
    st.builds(Shape, st.integers(1, 4), st.builds(Fraction, st.integers(1, 3))), st.floats(0, 100), min_size=1
)


@given(accuracies, accuracies, st.randoms(use_true_random=False))
def test_how_trainings_count_depends_on_no_order_and_is_stable(
    first: dict[Shape, float], second: dict[Shape, float], chance: random.Random
) -> None:
    trainings = [Training(shape, accuracy) for shape, accuracy in first.items()]
    again = {shape: Training(shape, accuracy) for shape, accuracy in second.items()}
    counted = count(trainings, again)
    chance.shuffle(trainings)
    shuffled = count(trainings, again)
    assert (shuffled.failing, shuffled.accidents) == (counted.failing, counted.accidents)
    assert set(shuffled.trainings) == set(counted.trainings)
    assert [training.shape for training in shuffled.trainings] == [training.shape for training in trainings]
    assert failing(counted.trainings) == {each.shape for each in counted.failing}, "as they count, the same ones fail"
    assert failing(trainings) <= {each.shape for each in (*counted.failing, *counted.accidents)}


def test_second_trainings_of_shapes_that_do_not_fail_do_not_count() -> None:
    trainings = [at(10, 1, 90.0), at(16, 1, 92.0)]
    assert count(trainings, {t.shape: t for t in (at(10, 1, 99.0), at(16, 1, 9.0))}).trainings == tuple(trainings)
    failed = count([at(10, 1, 90.0), at(16, 1, 9.0)], {Shape(16, Fraction(1)): at(16, 1, None)})
    assert [each.quality for each in failed.failing] == [9.0], "a second training without accuracy says nothing"
    assert failed.repeated == 1, "though it was made"


def test_an_accident_that_is_set_right_shows_that_a_larger_one_fails() -> None:
    trainings = [at(10, 1, 80.0), at(16, 1, 12.0), at(22, 1, 39.0)]
    assert failing(trainings) == {Shape(16, Fraction(1)), Shape(22, Fraction(1))}
    trainings = [at(10, 1, 79.0), at(16, 1, 12.0), at(22, 1, 70.0)]
    counted = count(trainings, {Shape(16, Fraction(1)): at(16, 1, 96.0)})
    assert [accident.shape.depth for accident in counted.accidents] == [16]
    assert [(each.shape.depth, each.smaller.depth) for each in counted.failing] == [(22, 16)]


# Searches

SHAPES = [Shape(depth, Fraction(width)) for width in (1, 2, 3, 4) for depth in range(10, 60, 6)]
ACCIDENT = Shape(28, Fraction(3))


def cliff(shape: Shape, again: bool = False) -> float:
    """Networks deeper than 40 layers learn nothing, and one of the others does not with the first seed."""
    if shape.depth > 40:
        return 12.0 if again else 10.0
    return 30.0 if shape == ACCIDENT and not again else 97 - 4 / float(shape.width) - 30 / shape.depth


@dataclass
class Cliff(Surface):
    accuracy: Callable[[Shape], float | None] = cliff
    second: Callable[[Shape], float | None] = lambda shape: cliff(shape, again=True)
    repeated: list[Shape] = field(default_factory=list)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        self.repeated += shapes
        return [Training(shape, self.second(shape), seconds=1.0) for shape in shapes]


def find(facts: Cliff, confidence: float | None = 0.9, train: int = 30, **more: Any) -> Answer:
    from shape_dnn.assembly.modelling import TrainingCount

    modelling = Modelling(TrainingCount(number=train), Active(), LogLinear(), 2)
    return search(SHAPES, Query((), goals.Accuracy(), {}, confidence), modelling, facts, **more)


def test_shapes_that_fail_are_trained_once_more_and_an_accident_is_told_from_a_cliff() -> None:
    events: list[Event] = []
    facts = Cliff(before=[Training(ACCIDENT, cliff(ACCIDENT))])
    answer = find(facts, notify=events.append)
    (accident,) = answer.accidents
    assert (accident.shape, accident.quality, accident.again) == (ACCIDENT, 30.0, cliff(ACCIDENT, again=True))
    by_shape = {training.shape: training for training in answer.trainings}
    assert by_shape[ACCIDENT].quality == cliff(ACCIDENT, again=True)
    deep = {training.shape for training in answer.trainings if training.shape.depth > 40}
    assert deep == {each.shape for each in answer.failing}
    assert deep, "some were trained"
    assert all(by_shape[shape].quality == 11.0 for shape in deep), "the mean of both"
    assert sorted(facts.repeated) == sorted({*deep, ACCIDENT}), "each of them once, and no other"
    assert answer.repeated == len(facts.repeated)
    told = {event.shape: (event.quality, event.again) for event in events if isinstance(event, TrainedAgain)}
    assert told == {ACCIDENT: (30.0, accident.again)} | dict.fromkeys(deep, (10.0, 12.0))
    assert answer.noise is None, "what two failures have in common says nothing of the noise"
    assert answer.best is not None
    assert answer.best.quality == max(map(cliff, (t.shape for t in answer.trainings)))


def test_without_a_confidence_every_accuracy_is_believed() -> None:
    facts = Cliff()
    answer = find(facts, confidence=None)
    assert not facts.repeated
    assert (answer.failing, answer.accidents, answer.repeated) == ((), (), 0)
    assert all(training.quality == cliff(training.shape) for training in answer.trainings)


def test_where_there_is_no_second_training_the_first_counts() -> None:
    class Once(Cliff):
        def again(self, shapes: Sequence[Shape]) -> list[Training]:
            return []

    answer = find(Once(before=[Training(ACCIDENT, cliff(ACCIDENT))]))
    assert ACCIDENT in {each.shape for each in answer.failing}
    assert all(training.quality == cliff(training.shape) for training in answer.trainings)
    assert answer.repeated == 0


def test_an_answer_that_failed_by_accident_is_found_all_the_same() -> None:
    """Only one shape complies, and its first training fails after the others have shown that it should not."""
    best = Shape(40, Fraction(4))

    def first(shape: Shape) -> float:
        return 20.0 if shape == best else cliff(shape)

    answer = find(Cliff(accuracy=first), train=36)
    assert answer.best is not None
    assert answer.best.shape == best
    assert [accident.shape for accident in answer.accidents if accident.shape == best] == [best]


# Tables


def table(seeds: int) -> None:
    rows = [
        f"{shape.depth},{shape.width},{seed},{cliff(shape, again=seed > 0)}"
        for shape in SHAPES
        for seed in range(seeds)
    ]
    Path("table.csv").write_text("depth,width,seed,accuracy\n" + "\n".join(rows) + "\n")


ALL = {"replay": "table.csv", "goal": "accuracy", "sampler": "random", "confidence": "0.9", "train": len(SHAPES)}


def test_a_replay_takes_the_next_repetition_and_tells_what_came_of_it(shape_dnn: Callable[..., Any]) -> None:
    table(seeds=2)
    result = tune(**ALL, report="report.html")
    told = result.to_dict()
    deep = [shape for shape in SHAPES if shape.depth > 40]
    assert [(row["depth"], row["width"]) for row in told["failing"]] == [(s.depth, float(s.width)) for s in deep]
    assert told["failing"][0] == {
        "depth": 46, "width": 1.0, "accuracy": 11.0,
        "smaller": {"depth": 40, "width": 1.0, "accuracy": cliff(Shape(40, Fraction(1)))},
    }  # fmt: skip
    again = cliff(ACCIDENT, again=True)
    assert told["accidents"] == [{"depth": 28, "width": 3.0, "accuracy": 30.0, "again": again}]
    assert told["cost"]["trained"] == told["cost"]["new_trainings"] == len(SHAPES) + len(deep) + 1
    report = overview(Path("report.html"))
    assert (report["cost"]["trained"], report["cost"]["twice"]) == (len(SHAPES), len(deep) + 1)
    assert f"shapes were trained (100 %), {len(deep) + 1} of them twice" in Path("report.html").read_text()
    rows = {row["name"]: row for row in report["shapes"]}
    assert rows["(46, 1)"]["reason"].startswith("does not train: (46, 1) has 11.0 %, the smaller (40, 1) has 9")
    assert "by accident" in rows["(28, 3)"]["reason"]
    assert not rows["(40, 1)"]["reason"]
    shown = shape_dnn(*(f"--{name}={value}" for name, value in ALL.items()))
    assert f"{len(deep)} shapes do not train with this recipe ((46, 1) has 11.0 %, the smaller (40, 1) has" in shown.out
    assert "(28, 3) came out with 30.0 % by accident; trained again with another seed it has 94.6 %" in shown.out
    assert f"trained {len(SHAPES)} of {len(SHAPES)} candidates and {len(deep) + 1} of these again" in shown.out
    assert "(28, 3) came out far below a smaller shape, with 30.00 %; trained again with another seed it" in shown.err


def test_a_table_with_one_training_of_each_shape_has_no_second() -> None:
    table(seeds=1)
    told = tune(**ALL).to_dict()
    assert {row["depth"] for row in told["failing"]} == {28, 46, 52, 58}
    assert "accidents" not in told
    assert told["cost"]["trained"] == len(SHAPES)


def test_nothing_is_said_where_nothing_fails() -> None:
    rows = [f"{shape.depth},{shape.width},{90 + shape.depth / 10}" for shape in SHAPES]
    Path("table.csv").write_text("depth,width,accuracy\n" + "\n".join(rows) + "\n")
    assert not {"failing", "accidents"} & tune(**ALL).to_dict().keys()


def test_several_seeds_are_followed_by_as_many() -> None:
    lines = ["depth,width,seed,accuracy", *(f"10,1,{seed},{90 + seed}" for seed in range(5))]
    Path("table.csv").write_text("\n".join([*lines, "16,1,0,50", "16,1,1,52"]) + "\n")
    recorded = Table.read(Path("table.csv"))
    facts = mean_over_seeds([Replay(recorded, seed, seeds=2) for seed in range(2)])
    (again,) = facts.again(recorded.shapes)
    assert (again.shape.depth, again.repetitions) == (10, (92.0, 93.0)), "the other has no more than two trainings"
    wrapped = Replay(recorded, 4)
    assert [t.quality for t in (*wrapped.train([again.shape]), *wrapped.again([again.shape]))] == [94.0, 90.0]


# Studies

FRAIL = (
    HERE
    + """
from shape_dnn import Recipe
from shape_dnn.kinds import Architecture, Dataset, LabelledImages

CLASSES = 10

class Pixels(Dataset):
    input_shape, classes = (1, 4, 4), CLASSES

    def load(self):
        import numpy as np
        labels = np.arange(400) % CLASSES
        images = np.random.default_rng(0).integers(0, 60, (400, 1, 4, 4)).astype(np.uint8)
        images.reshape(400, 16)[np.arange(400), labels] = 255
        every = LabelledImages(images, labels)
        return every.take(np.arange(300)), every.take(np.arange(300, 400))

    def short_recipe(self, device_type):
        return Recipe(epochs=6, batch_size=30, lr=0.05, schedule="one-cycle", crop=0, flip=False)

class Frail(Architecture):
    title = "frail"
    default_depths, default_widths = "1:4:1", "1/2:3/2:1/2"

    def is_depth(self, depth):
        return depth > 0

    def count_values(self, shape, input_shape, classes):
        hidden = int(64 * shape.width)
        return hidden * (17 + classes) + (shape.depth - 1) * hidden * (hidden + 1) + 2 * classes

    def build(self, shape, input_shape, classes):
        import torch
        from torch.nn import Flatten, Linear, Module, ReLU, Sequential

        class Network(Module):
            def __init__(self):
                super().__init__()
                hidden = int(64 * shape.width)
                deeper = [layer for _ in range(shape.depth - 1) for layer in (Linear(hidden, hidden), ReLU())]
                self.layers = Sequential(Flatten(), Linear(16, hidden), ReLU(), *deeper, Linear(hidden, classes))
                answers = torch.ones(classes)
                answers[classes - 2 :] = shape.depth > 1
                by_accident = (shape.depth, shape.width) == (2, 0.5) and torch.initial_seed() == 0
                self.register_buffer("answers", answers * (0.0 if shape.depth == 3 or by_accident else 1.0))

            def forward(self, images):
                return self.layers(images) * self.answers

        return Network()

@hookimpl
def shape_dnn_datasets():
    yield Plugin("pixels", "the bright one tells the class", Pixels)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("frail", "three layers learn nothing, and two of the narrow kind do not with seed 0", Frail)
"""
)
SEARCH: dict[str, Any] = {
    "plugin": "frail.py", "arch": "frail", "dataset": "pixels", "executor": "here", "device": "cpu", "train": 6,
    "goal": "accuracy", "option": {"recipe.precision": "float32"},
}  # fmt: skip
ASKED = ("failing", "accidents", "shapes", "best")
PARTS = ("trained", "certificate", *ASKED)
NARROW = Shape(2, Fraction(1, 2))


@pytest.fixture
def frail() -> None:
    Path("frail.py").write_text(FRAIL)


@pytest.mark.usefixtures("frail")
def test_search_question_report_and_export_agree_on_which_training_counts() -> None:
    events: list[Event] = []
    result = tune(**SEARCH, notify=events.append)
    found = result.to_dict()
    assert result.best == NARROW
    (accident,) = found["accidents"]
    assert (accident["depth"], accident["width"]) == NARROW
    assert accident["accuracy"] < 30
    assert accident["again"] == found["best"]["accuracy"] > 95
    assert found["best"]["test_accuracy"] > 95, "the network that counts was read on the test set"
    assert [(row["depth"], row["width"]) for row in found["failing"]] == [(3, 0.5), (3, 1.0)]
    assert found["cost"]["trained"] == found["cost"]["new_trainings"] == 9
    assert sum(isinstance(event, TrainingFinished) for event in events) == 9

    asked = ask("shape-dnn-study", goal="accuracy", plugin="frail.py").to_dict()
    for part in ASKED:
        assert asked[part] == found[part], part
    rows = {(row["depth"], row["width"]): row for row in overview(Path("shape-dnn-study/report.html"))["shapes"]}
    assert {place: row["quality"] for place, row in rows.items()} == {
        (row["depth"], row["width"]): row["accuracy"] for row in found["shapes"]
    }
    assert rows[NARROW]["tested"] == found["best"]["test_accuracy"]

    card = json.loads((export("shape-dnn-study", plugin="frail.py", formats=[]) / "card.json").read_text())
    assert (card["shape"]["depth"], card["shape"]["width"]) == NARROW
    assert card["training"]["seed"] == 1
    assert card["metrics"]["accuracy"] == found["best"]["accuracy"]
    assert card["metrics"]["test_accuracy"] == found["best"]["test_accuracy"]
    (finished,) = [event for event in events if isinstance(event, SearchFinished)]
    exported = export("shape-dnn-study", "again", shape=(2, "1/2"), plugin="frail.py", formats=[]) / "model.safetensors"
    weights = load_file(finished.files[0])
    assert all(torch.equal(weights[name], values) for name, values in load_file(exported).items())
    assert weights["answers"].all(), "these are not the weights of the accident"

    again = tune(**SEARCH).to_dict()
    assert again["cost"].pop("new_trainings") == 0
    found["cost"].pop("new_trainings")
    assert again == found, "the second trainings are facts of the study"
    both = tune(**SEARCH, seeds=2)
    assert both.new_trainings == 6 - 3 + 3 * 2, "they are the second of several seeds, of which three shapes need more"
    assert both.answer.best is not None
    assert both.answer.best.quality > 95


@pytest.mark.usefixtures("frail")
def test_a_search_without_a_confidence_and_a_question_to_it_believe_the_first_training() -> None:
    tune(**SEARCH)
    paper = {"sampler": "interval", "confidence": None}
    found = tune(**{**SEARCH, **paper}).to_dict()
    asked = ask("shape-dnn-study", goal="accuracy", plugin="frail.py").to_dict()
    narrow = next(row for row in found["shapes"] if (row["depth"], row["width"]) == NARROW)
    assert narrow["accuracy"] < 30
    assert "accidents" not in found
    assert found["cost"]["trained"] == 6
    assert asked["shapes"] == found["shapes"]
    tune(**{**SEARCH, **paper, "confidence": "0.9"})
    asked = ask("shape-dnn-study", goal="accuracy", plugin="frail.py").to_dict()
    assert len(asked["accidents"]) == 1, "accuracies are those of the search, whatever is asked with"


class Stop(Exception):
    pass


def stopping_after(number: int) -> Callable[[Event], None]:
    seen: list[Event] = []

    def notify(event: Event) -> None:
        seen.extend([event] if isinstance(event, TrainingFinished) else [])
        if len(seen) == number:
            raise Stop

    return notify


@pytest.mark.usefixtures("frail")
def test_a_search_that_is_interrupted_comes_to_the_same() -> None:
    whole = tune(**SEARCH, together=1, study="whole").to_dict()
    for number in (2, 5, 7, 8):
        study = f"after {number}"
        with pytest.raises(Stop):
            tune(**SEARCH, together=1, study=study, notify=stopping_after(number))
        ask(study, goal="accuracy", plugin="frail.py")
        result = tune(**SEARCH, together=1, study=study, workers=3).to_dict()
        assert [result[part] for part in PARTS] == [whole[part] for part in PARTS]
        assert result["cost"]["new_trainings"] == 9 - number
        asked = ask(study, goal="accuracy", plugin="frail.py").to_dict()
        assert [asked[part] for part in ASKED] == [whole[part] for part in ASKED]
