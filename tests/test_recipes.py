"""How shapes are trained: what a recipe may say, and who is blamed for one that says something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shape_dnn import PluginError
from shape_dnn.assembly import Assembly
from shape_dnn.recipes import CHOICES, RANGES, Recipe, accepted
from shape_dnn.settings import Settings

DATASET = """
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.recipes import Recipe

class Mine(Digits):
    def short_recipe(self, device_type):
        return RECIPE

@hookimpl
def shape_dnn_datasets():
    yield Plugin("mine", "is", lambda: Mine(limit=0))
"""


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("epochs", "12"),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", "0.1"),
        ("lr", None),
        ("schedule", "cosine"),
        ("schedule", ["steps"]),
        ("milestones", [0.3, 0.6]),
        ("milestones", (0.3, 1.0)),
        ("milestones", (0.6, 0.3)),
        ("milestones", (0.3, 0.3)),
        ("milestones", (60, 120)),
        ("gamma", 2.0),
        ("warmup", 1.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("crop", 1.5),
        ("crop", -1),
        ("flip", 1),
        ("flip", "yes"),
        ("label_smoothing", 1.0),
        ("precision", "fp16"),
    ],
)
def test_a_recipe_that_would_train_as_something_else_is_refused(part: str, value: object) -> None:
    parts: dict[str, Any] = {"epochs": 3, part: value}
    with pytest.raises(ValueError, match=f"^{part} is ") as refused:
        Recipe(**parts)
    assert str(refused.value) == f"{part} is {value!r}; accepted are {accepted(part)}"


def test_the_ends_of_each_range_and_every_choice_are_accepted() -> None:
    for part, ends in RANGES.items():
        for end in ends:
            whole = part in ("epochs", "batch_size", "crop")
            Recipe(**{"epochs": 3, part: int(end) if whole else end})  # type: ignore[arg-type]
    for part, choices in CHOICES.items():
        for choice in choices:
            Recipe(**{"epochs": 3, part: choice})  # type: ignore[arg-type]
    assert Recipe(epochs=3, milestones=()).milestones == ()


def parts_of(**settings: object) -> Assembly:
    return Assembly(Settings.create({"device": "cpu", **settings}))


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ("Recipe(epochs=3, precision='fp16')", "precision is 'fp16'; accepted are auto, float32, bfloat16"),
        ("Recipe(epochs=3, schedule='cosine')", "schedule is 'cosine'; accepted are steps, one-cycle"),
        ("{'epochs': 3}", "its short recipe is a dict, not a shape_dnn.Recipe"),
    ],
)
def test_a_dataset_that_makes_a_wrong_recipe_is_named(recipe: str, complaint: str) -> None:
    Path("mine.py").write_text(DATASET.replace("RECIPE", recipe))
    with pytest.raises(PluginError, match=f"dataset 'mine' of mine.py failed: .*{complaint}"):
        _ = parts_of(plugin="mine.py", dataset="mine").recipe


def test_an_option_has_the_type_of_its_part_whatever_number_the_dataset_wrote() -> None:
    Path("mine.py").write_text(DATASET.replace("RECIPE", "Recipe(epochs=3, lr=1)"))
    assert parts_of(plugin="mine.py", dataset="mine", option="recipe.lr=0.5").recipe.lr == 0.5
