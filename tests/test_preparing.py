"""What is found out before trainings start, and what comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from test_training import SHAPE, TINY, go_on, task, trainer

from shape_dnn import Shape, tune
from shape_dnn.builtin.executors.local import Local
from shape_dnn.builtin.executors.room import Place
from shape_dnn.events import Event, TrainingsPrepared
from shape_dnn.store.facts import Store
from shape_dnn.training import memory
from shape_dnn.training.functions import Functions, FunctionTrainer
from shape_dnn.training.memory import estimate
from shape_dnn.work import Needs, Outcome, Task

SEARCH: dict[str, Any] = {
    "depth": "10:17:6",
    "width": "1/2:1:1/2",
    "train": 2,
    "epochs": 1,
    "device": "cpu",
    "sampler": "interval",
}


def test_the_memory_of_a_training_grows_with_its_shape_and_batch() -> None:
    wide, deep = Shape(10, Fraction(4)), Shape(34, Fraction(1, 2))
    small, large, long = (trainer().resources(shape).memory for shape in (SHAPE, wide, deep))
    assert psutil.Process().memory_info().rss / 2 < small < large
    assert small < long
    many = trainer(recipe=dataclasses.replace(TINY, batch_size=4096)).resources(SHAPE).memory
    assert many > small + 80_000_000


def test_the_memory_of_a_training_is_no_more_than_estimated() -> None:
    """By what torch's allocator says of the tensors of a step, which the process itself takes no part in."""
    wide, own = Shape(16, Fraction(2)), trainer(recipe=dataclasses.replace(TINY, batch_size=256, epochs=1))
    estimated = own.resources(wide).memory - psutil.Process().memory_info().rss
    with torch.profiler.profile(profile_memory=True) as profile:
        task(shape=wide, recipe=own.recipe).run(go_on)
    live = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    assert peak > 20_000_000
    assert peak <= estimated < 3 * peak


class Looking(torch.nn.Module):
    """Looks at what it is given when it is judged, as networks do that find objects."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if self.training else values[values[:, 0] > values[:, 0].mean().item()]


def step_of(*layers: torch.nn.Module) -> memory.Step:
    """Follow a step of a network with 2000 outputs on 10,000 examples, which takes no memory."""
    taken = memory.step(
        lambda: torch.nn.Sequential(torch.nn.Linear(100, 2000), *layers),
        lambda: torch.empty(10_000, 100),
        lambda network, given: network(given).sum(),
        lambda _: (),
    )
    assert taken is not None
    return taken


def test_what_judging_takes_is_counted_on_a_gpu_where_the_graph_of_a_step_keeps_its_memory() -> None:
    step, outputs = step_of(), 4 * 10_000 * 2000
    assert outputs <= step.judging < 1.1 * outputs
    unjudged = dataclasses.replace(step, judging=0)
    assert step.on("cuda:0") - unjudged.on("cuda:0") == step.judging
    assert step.on("cpu") == pytest.approx(unjudged.on("cpu"), abs=outputs / 2), "apart from what the process grew by"


def test_a_network_that_can_be_trained_without_computing_but_not_judged_has_the_estimate_of_its_training() -> None:
    assert step_of(Looking()) == dataclasses.replace(step_of(), judging=0)


def test_what_judging_takes_is_counted_of_a_network_of_ones_own_too() -> None:
    """Three layers keep what they give for the way back; in judging, two of these live at the same time."""
    fewer, more = (estimate(of_functions(size), Shape(2, Fraction(1)), "cuda:0") for size in (4096, 8192))
    assert more - fewer >= (3 + 2) * 4096 * 4 * 256 * 4


def test_a_network_that_cannot_be_followed_has_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> torch.nn.Module:
        raise RuntimeError("only for real")

    monkeypatch.setattr("shape_dnn.builtin.architectures.wrn.WideResNet.build", build)
    assert trainer().resources(SHAPE).memory == 0


def of_functions(batch_size: object = 4, **more: object) -> FunctionTrainer:
    """A trainer of networks that look words up."""

    def build(shape: Shape) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.Embedding(1000, 256), *(torch.nn.Linear(256, 256) for _ in range(shape.depth))
        )

    def example(size: int) -> torch.Tensor:
        return torch.tensor([[1, 2, 3, 999]] * size)

    def train(shape: Shape, run: object) -> float:
        return 1.0

    functions = Functions("mine", train, **{"build": build, "example": example, **more})  # type: ignore[arg-type]
    return FunctionTrainer(functions, {} if batch_size is None else {"batch_size": batch_size})  # type: ignore[dict-item]


def test_the_memory_of_a_training_of_ones_own_is_estimated_by_its_network_and_batch() -> None:
    process, shape = psutil.Process().memory_info().rss, Shape(2, Fraction(1))
    few = estimate(of_functions(), shape, "cpu")
    deep = estimate(of_functions(), Shape(20, Fraction(1)), "cpu")
    many = estimate(of_functions(4096), shape, "cpu")
    weights = 4 * (1000 * 256 + 2 * (256 + 1) * 256)
    assert few > 0.9 * process + 4 * weights, "weights, gradients, and two numbers for each of them"
    assert deep > few + 4 * 4 * 17 * 256**2
    assert many > few + 4 * 4096 * 4 * 256


def test_nobody_knows_the_memory_of_a_training_without_networks_inputs_or_batch_size() -> None:
    shape = Shape(2, Fraction(1))

    def looks(size: int) -> torch.Tensor:
        raise ValueError("no inputs")

    for own in (of_functions(None), of_functions(build=None), of_functions(example=None), of_functions(example=looks)):
        assert estimate(own, shape, "cpu") == 0


OWN = """
import torch
from shape_dnn import Resources

EXAMPLE = torch.zeros(2, 8)

def build(shape):
    return torch.nn.Linear(8, 8)

def train(shape, run, batch_size=16):
    return 50.0
"""


@pytest.mark.parametrize("says", ["", "RESOURCES = Resources(memory=12_345)"])
def test_what_a_trainer_says_of_its_memory_stands_and_else_it_is_estimated(says: str) -> None:
    Path("own.py").write_text(OWN + says)
    told: list[Event] = []
    tune(trainer="own.py", depth="1:2:1", width="1:2:1", device="cpu", goal="size", study="s", notify=told.append)
    (memory,) = [event.memory for event in told if isinstance(event, TrainingsPrepared)]
    assert memory == 12_345 if says else memory > 10_000_000


@dataclasses.dataclass(frozen=True)
class Look(Task):
    """Tell how many run at the same time."""

    needs: Needs = Needs()  # noqa: RUF009
    attempt: str = ""

    def run(self, report: object) -> None:
        raise AssertionError("replaced below")


@pytest.mark.parametrize(("shares", "most"), [((0.1, 0.1, 0.1), 3), ((0.6, 0.3, 0.6), 2), ((0.9, 0.9, 2.0), 1)])
def test_no_more_run_at_once_than_memory_is_there_for(
    shares: Sequence[float], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Local()
    tasks = [Look(Needs("cuda:0", 0, share), str(i)) for i, share in enumerate(shares)]
    seen: list[int] = []

    class Worker:
        alive = True

        def __init__(self, environment: dict[str, str], place: Place) -> None:
            self.connection, self.environment, self.place = self, environment, place

        def start(self, task: Task, place: Place) -> None:
            self.place = place

        def poll(self) -> bool:
            return True

        def receive(self, task: Task, _report: object) -> Outcome:
            seen.append(len(executor._busy))
            return Outcome(task)

    monkeypatch.setattr("shape_dnn.builtin.executors.local.Worker", Worker)
    monkeypatch.setattr(executor, "_next_to_look_at", lambda: list(executor._busy)[:1])
    assert [outcome.task for outcome in executor.run(tasks, 3, lambda *_: True)] == tasks
    assert max(seen) == most


CROWDED = """
from shape_dnn import Outcome, Plugin, hookimpl
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import MemoryShortageError
from shape_dnn.training.task import TrainingTask


class Crowded(Local):
    def run(self, tasks, workers, report):
        for outcome in super().run(tasks, workers, report):
            if isinstance(outcome.task, TrainingTask) and len(tasks) > 1 and outcome.task.shape.depth == 10:
                outcome = Outcome(outcome.task, error=MemoryShortageError("out of memory on cuda:0: as usual"))
            elif isinstance(outcome.task, TrainingTask):
                with open("log", "a") as log:
                    told = ("of", len(tasks), "with", workers, "after", outcome.task.deaths, "deaths")
                    print("trained", outcome.task.shape.depth, *told, file=log)
            yield outcome


@hookimpl
def shape_dnn_executors():
    yield Plugin("crowded", "lets a training of depth 10 find no memory unless it runs alone", Crowded)
"""


def test_what_ran_out_of_memory_is_tried_again_alone() -> None:
    Path("crowded.py").write_text(CROWDED)
    result = tune(**SEARCH, plugin="crowded.py", executor="crowded")
    assert all(training.quality is not None for training in result.answer.trainings)
    assert Path("log").read_text().splitlines() == [
        "trained 16 of 2 with None after 0 deaths",
        "trained 10 of 1 with 1 after 1 deaths",
    ]


MORTAL = """
import os, signal

def train(shape, run):
    if shape.depth == 2 and not run.deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10.0 * shape.depth + run.deaths
"""


def test_a_training_whose_process_died_is_tried_again_and_knows_of_it() -> None:
    Path("own.py").write_text(MORTAL)
    result = tune(trainer="own.py", depth="1:4:1", width="1:2:1", device="cpu", strategy="exhaustive")
    assert [training.quality for training in sorted(result.answer.trainings, key=lambda each: each.shape)] == [
        10,
        21,
        30,
    ]


def precisions(study: str) -> set[str]:
    store = Store(Path(study), create=False)
    try:
        return {str(identity["recipe"].get("precision", "float32")) for identity in store.trained()}
    finally:
        store.close()


def test_a_study_goes_on_in_the_precision_that_it_began_with() -> None:
    """In bfloat16, which networks so thin would not be trained in otherwise."""
    events: list[Event] = []
    tune(**SEARCH, option="recipe.precision=bfloat16")
    tune(**{**SEARCH, "train": 3, "depth": "10:23:6"}, seeds=2, notify=events.append)
    prepared = [event for event in events if isinstance(event, TrainingsPrepared)]
    assert [event.precision for event in prepared] == ["bfloat16"], "once for both seeds"
    assert all(event.reason == "" and event.memory > 0 for event in prepared)
    assert precisions("shape-dnn-study") == {"bfloat16"}
    assert tune(**SEARCH, dry_run=True).new_trainings == 0
