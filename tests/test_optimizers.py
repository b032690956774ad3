"""How parameters change: by SGD or AdamW, on the schedule of the recipe."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import TINY, go_on, task, trainer

from shape_dnn import Recipe, Shape
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.settings import Settings
from shape_dnn.store.decoding import digest
from shape_dnn.training.checkpoints import Checkpoint
from shape_dnn.training.descent import descent
from shape_dnn.training.loop import learning_rate

ADAMW = dataclasses.replace(TINY, optimizer="adamw", lr=5e-3, schedule="cosine", weight_decay=0.05)


class Tiny(torch.nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            torch.nn.Conv2d(1, 4, 3, bias=False),
            torch.nn.BatchNorm2d(4),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * 36, 3),
        )
        self.scale = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) * self.scale


def test_a_step_is_that_of_torch_s_own_adamw_where_biases_and_norms_do_not_decay() -> None:
    torch.manual_seed(0)
    ours = Tiny()
    theirs = copy.deepcopy(ours)
    recipe = Recipe(epochs=1, optimizer="adamw", momentum=0.8, beta2=0.95, weight_decay=0.3)
    descend = descent(ours, recipe)
    decaying = [theirs[0].weight, theirs[3].weight]
    others = [theirs[1].weight, theirs[1].bias, theirs[3].bias, theirs.scale]
    optimiser = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}], betas=(0.8, 0.95)
    )
    start = copy.deepcopy(ours.state_dict())
    for step in range(20):
        images, rate = torch.randn(6, 1, 8, 8), 0.03 / (step + 1)
        ours(images).square().mean().backward()
        descend(rate)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        theirs(images).square().mean().backward()
        optimiser.step()
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], rtol=1e-4, atol=1e-6)
    assert all(not torch.equal(value, start[name]) for name, value in ours.named_parameters())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_what_has_no_gradient_stays_as_it_is(optimizer: str) -> None:
    network = Tiny()
    unused = network.unused = torch.nn.Parameter(torch.ones(2, 2))
    descend = descent(network, Recipe(epochs=1, optimizer=optimizer))  # type: ignore[arg-type]
    network(torch.randn(3, 1, 8, 8)).sum().backward()
    before = network.scale.item()
    descend(0.1)
    assert torch.equal(unused, torch.ones(2, 2))
    assert network.scale.item() != before
    assert all(value.grad is None for value in network.parameters())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_can_be_recorded_with_its_rate_and_memory_as_tensors_that_stay_where_they_are(optimizer: str) -> None:
    """As a CUDA graph needs it; here without one."""
    torch.manual_seed(0)
    networks = [Tiny()]
    networks.append(copy.deepcopy(networks[0]))
    plain, recorded = (descent(network, Recipe(epochs=1, optimizer=optimizer)) for network in networks)  # type: ignore[arg-type]
    places = {name: value.data_ptr() for name, value in recorded.state.items()}
    fresh = {name: value.clone() for name, value in recorded.state.items()}
    weights = copy.deepcopy(networks[1].state_dict())
    images, rate = torch.randn(6, 1, 8, 8), torch.zeros(())
    for _ in range(3):  # a warm-up, which is undone
        networks[1](images).square().mean().backward()
        recorded(rate)
    assert any(not torch.equal(value, fresh[name]) for name, value in recorded.state.items())
    networks[1].load_state_dict(weights)
    recorded.state = fresh
    for number in (0.1, 0.05):
        for network, descend, step in zip(networks, (plain, recorded), (number, rate.fill_(number)), strict=True):
            network(images).square().mean().backward()
            descend(step)
    for name, value in networks[1].named_parameters():
        torch.testing.assert_close(value, dict(networks[0].named_parameters())[name])
    assert {name: value.data_ptr() for name, value in recorded.state.items()} == places


def test_cosine_rises_linearly_and_falls_to_zero_by_half_a_cosine() -> None:
    recipe = Recipe(epochs=10, lr=0.4, schedule="cosine", warmup=0.2)
    rates = {step: learning_rate(recipe, step / 1000) for step in (0, 100, 200, 400, 600, 800, 999)}
    assert rates == pytest.approx({0: 0, 100: 0.2, 200: 0.4, 400: 0.34142, 600: 0.2, 800: 0.05858, 999: 0}, abs=1e-5)
    assert learning_rate(dataclasses.replace(recipe, warmup=0.0), 0.0) == 0.4


def test_adamw_learns_and_the_same_seed_gives_the_same_curve() -> None:
    recipe = dataclasses.replace(ADAMW, epochs=8)
    first, again, other = task(recipe=recipe).run(go_on), task(recipe=recipe).run(go_on), task(seed=1).run(go_on)
    assert first.quality is not None
    assert first.quality > 60
    assert first.curve == again.curve
    assert first.curve != other.curve


def test_a_checkpoint_has_all_that_adamw_remembers() -> None:
    task(recipe=ADAMW, checkpoint_seconds=0.0).run(lambda _: False)  # it is to stop after an epoch
    (attempt,) = Path("checkpoints/a").iterdir()
    checkpoint = Checkpoint.load(attempt)
    assert checkpoint is not None
    memories = {name.partition(".")[0] for name in checkpoint.more["optimizer"]}
    assert memories == {"mean", "square", "steps"}
    steps = {float(value) for name, value in checkpoint.more["optimizer"].items() if name.startswith("steps.")}
    assert steps == {10.0}, "an epoch of 320 images in batches of 32"


def test_adamw_takes_memory_for_two_numbers_a_parameter_where_sgd_takes_one() -> None:
    shape = Shape(16, Fraction(8))
    values = sum(value.numel() for value in trainer().build(shape).parameters())
    sgd, adamw = (trainer(recipe=recipe).resources(shape).memory for recipe in (TINY, ADAMW))
    assert adamw - sgd == pytest.approx(4 * values, rel=0.3)


def test_training_by_adamw_imports_neither_torch_s_compiler_nor_torchvision() -> None:
    """Each takes seconds, and every worker process would wait for them."""
    program = (
        "import sys; from test_optimizers import ADAMW, task; task(recipe=ADAMW).run(lambda _: True); "
        "print([name for name in ('torch._dynamo', 'torchvision') if name in sys.modules])"
    )
    path = [str(Path(__file__).parent), *sys.path]
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {program}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stdout == "[]\n", ran.stderr


def identity(**settings: object) -> dict[str, Any]:
    return Assembly(Settings.create({"device": "cpu", **settings})).problem.training_identity


FORMER = {
    "batch_size": 32, "crop": 1, "epochs": 12, "flip": False, "gamma": 0.2, "label_smoothing": 0.0, "lr": 0.2,
    "milestones": (0.3, 0.6, 0.8), "momentum": 0.9, "schedule": "one-cycle", "warmup": 0.2, "weight_decay": 5e-4,
}  # fmt: skip
"""The parts of a recipe that there were in former studies."""


@pytest.mark.parametrize(
    ("settings", "recipe", "name"),
    [
        ({"option": "recipe.precision=float32"}, FORMER, "daefa6acac949d370ba3226edec80543"),
        (
            {"option": "recipe.precision=bfloat16"},
            {**FORMER, "precision": "bfloat16"},
            "6af442fc85ecb61f44567b265e20ed8a",
        ),
        (
            {"recipe": "paper"},
            {**FORMER, "batch_size": 128, "epochs": 200, "lr": 0.1, "schedule": "steps"},
            "f2fcf6807d52ab9154fdc1b6dcafcf53",
        ),
    ],
)
def test_trainings_of_former_studies_keep_their_names(
    settings: dict[str, object], recipe: dict[str, object], name: str
) -> None:
    found = identity(**settings)
    assert found["recipe"] == recipe
    assert digest("training", found) == name


@pytest.mark.parametrize(
    ("part", "value"),
    [("optimizer", "adamw"), ("randaugment", 9), ("erasing", 0.25), ("mixup", 0.2), ("beta2", 0.99)],
)
def test_what_is_new_in_a_recipe_determines_an_accuracy(part: str, value: object) -> None:
    more = ["recipe.optimizer=adamw"] if part == "beta2" else []
    found = identity(option=["recipe.precision=float32", f"recipe.{part}={value}", *more])
    assert found["recipe"][part] == value
    assert found["recipe"].items() > FORMER.items()


def test_a_search_with_adamw_from_the_command_line(shape_dnn: Callable[..., Any]) -> None:
    flags = ["--depth", "10:11:6", "--width", "1/2:1:1/2", "--device", "cpu", "--epochs", "2", "-o", "dataset.limit=200",
             "-o", "recipe.optimizer=adamw", "-o", "recipe.beta2=0.99", "--lr", "0.005", "-o", "recipe.schedule=cosine",
             "-o", "recipe.mixup=0.2", "-o", "recipe.randaugment=5", "-o", "recipe.erasing=0.1"]  # fmt: skip
    answer = shape_dnn(*flags, "--format", "json").json
    assert answer["trained"][0]["accuracy"] > 0
    assert answer["recipe"]["optimizer"] == {"value": "adamw", "from": "-o recipe.optimizer"}
    assert answer["recipe"]["mixup"]["value"] == 0.2
    again = shape_dnn(*flags, "--format", "json", "--dry-run").json
    assert again["trained"] == [], "the study knows it"
