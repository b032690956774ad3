"""What is promised on a GPU: the same trainings however images lie, steps as graphs, and whole searches."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from own import BUILD, EXAMPLE, write
from test_examples import FOLDER, SEARCHES, Search, need, page_of
from test_streaming import interrupted_within, kept_and_streamed, of_photographs
from test_training import TINY, go_on, task

from shape_dnn import Architecture, DesignSpace, Range, Shape, export, load, tune
from shape_dnn.plugins.registry import Registry
from shape_dnn.recipes import Precision
from shape_dnn.training.step import Step

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

GPU = "cuda:0"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_on_streamed_images_is_the_same_training(precision: Precision) -> None:
    """Though a thread brings batches to the GPU while its steps are recorded as a graph."""
    curves = []
    for directory in kept_and_streamed():
        recipe = dataclasses.replace(TINY, batch_size=16, epochs=3, precision=precision)
        own = dataclasses.replace(of_photographs(directory, device=GPU), recipe=recipe)
        curves.append(dataclasses.replace(task(), trainer=own).run(go_on).curve)
    assert curves[0] == curves[1]


@pytest.mark.parametrize("how", ["kept", "streamed"])
def test_a_training_that_is_interrupted_within_an_epoch_goes_on_from_there(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = kept_and_streamed()[how == "streamed"]
    on_gpu = of_photographs(directory, device=GPU)
    monkeypatch.setattr("test_streaming.of_photographs", lambda _: on_gpu)
    whole = dataclasses.replace(task(), trainer=on_gpu).run(go_on)
    shutil.rmtree("checkpoints", ignore_errors=True)
    training, _ = interrupted_within(directory, 2, monkeypatch, kindly=True)
    assert training.curve == whole.curve


def smallest(architecture: Architecture) -> Shape:
    ranges = (Range.parse(text) for text in (architecture.default_depths, architecture.default_widths))
    return DesignSpace(architecture, *ranges).shapes()[0]


@pytest.mark.parametrize("family", Registry().names("architecture"))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_steps_of_every_family_are_one_graph_each(family: str, precision: Precision) -> None:
    """And what it computes is what they compute kernel by kernel."""
    architecture = Registry().load("architecture", family).instance
    recipe = dataclasses.replace(TINY, precision=precision)
    losses: dict[bool, list[float]] = {}
    for as_graph in (False, True):
        torch.manual_seed(0)
        network = architecture.build(smallest(architecture), (3, 32, 32), 10).to(GPU)
        step = Step(network.to(memory_format=torch.channels_last).train(), recipe, as_graph=as_graph)
        torch.manual_seed(1)
        batches = [(torch.randn(16, 3, 32, 32, device=GPU), torch.randint(0, 10, (16,), device=GPU)) for _ in range(4)]
        losses[as_graph] = [float(step(*batch, 0.01)) for batch in batches]
        assert step.is_graph == as_graph
    assert losses[True] == pytest.approx(losses[False], rel=0.02)


LIMITS: list[dict[str, Any]] = [
    {"max": {"graph-latency": 5.0}},
    {"max_latency": 50.0, "batch_size": 8},
    {"max_energy": 10.0},
    {"max": {"memory": 500.0}},
]


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_a_search_under_a_limit_of_the_gpu_answers_and_its_network_is_loaded(limit: dict[str, Any]) -> None:
    result = tune(dataset="digits", depth="10:23:6", width="1/2:3/2:1/2", goal="size", min_accuracy=80,
                  epochs=3, device=GPU, option={"dataset.limit": 600}, **limit)  # fmt: skip
    assert result.answer.best is not None
    export("shape-dnn-study", "network")
    network = load("network").to(GPU)
    assert network(torch.zeros(2, 1, 8, 8, device=GPU)).shape == (2, 10)


def test_trainings_at_once_and_one_after_the_other_are_the_same(shape_dnn: Callable[..., Any]) -> None:
    tables = []
    for workers in (1, 3):
        table = f"with-{workers}.csv"
        ran = shape_dnn(
            "record", table, "--depth", "10:23:6", "--width", "1/2:3/2:1/2", "--seeds", "1", "--epochs", "2",
            "--device", GPU, "--workers", str(workers), "-o", "dataset.limit=600", "--study", f"with-{workers}",
        )  # fmt: skip
        assert ran.status == 0, ran.err
        rows = [line.split(",")[:4] for line in Path(table).read_text().splitlines() if not line.startswith("#")]
        tables.append(rows)
    assert len(tables[0]) == 1 + 6
    assert tables[0] == tables[1]


TRAIN = """
def train(shape, run, epochs=5):
    assert run.device == "cuda:0"
    network = build(shape).to(run.device)
    x = torch.linspace(-1, 1, 64, device=run.device).unsqueeze(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.03)
    for epoch in range(1, epochs + 1):
        loss = (network(x) - torch.sin(5 * x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.save(network, epoch=epoch)
        run.report(epoch, loss.item())
"""


def test_a_training_of_ones_own_is_given_the_gpu_and_its_networks_are_measured_there() -> None:
    file = write(BUILD, EXAMPLE, TRAIN)
    result = tune(trainer=str(file), goal="graph-latency", max={"loss": 10.0, "latency": 50.0}, device=GPU)
    assert result.answer.best is not None
    export("shape-dnn-study", "network", trainer=str(file))
    assert load("network", trainer=str(file))(torch.zeros(1, 1)).shape[0] == 1


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.file)
def test_the_search_of_a_page_of_examples_finds_a_shape(search: Search, shape_dnn: Callable[..., Any]) -> None:
    need(search.file)
    shutil.copy(FOLDER / search.file, search.file)
    (command,) = re.findall(r"^\$ shape-dnn (--trainer .*)$", page_of(FOLDER / search.file), re.MULTILINE)
    if "--min " in search.smaller:  # given twice it would be refused
        command = re.sub(r" --min \S+", "", command)
    ran = shape_dnn(*shlex.split(command), *shlex.split(search.smaller), "--device", GPU, "--format", "json")
    assert ran.status == 0, ran.err
    assert ran.json["verified"]
