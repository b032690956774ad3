"""How shapes are trained: what a recipe may say, and who is blamed for one that says something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from shape_dnn import PluginError
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.recipes import CHOICES, RANGES, WHOLE, Recipe, accepted
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
        ("schedule", "flat"),
        ("schedule", ["steps"]),
        ("milestones", [0.3, 0.6]),
        ("milestones", (0.3, 1.0)),
        ("milestones", (60, 120)),
        ("gamma", 2.0),
        ("warmup", 1.0),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("optimizer", "adam"),
        ("beta2", 1.0),
        ("randaugment", 9.0),
        ("randaugment", 31),
        ("erasing", 1.5),
        ("mixup", -0.2),
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
            whole = part in WHOLE
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
        ("Recipe(epochs=3, schedule='flat')", "schedule is 'flat'; accepted are steps, one-cycle, cosine"),
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


ARCHITECTURE = """
from dataclasses import replace
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Mine(WideResNet):
    def recipe(self, recipe):
        return RECIPE

@hookimpl
def shape_dnn_architectures():
    yield Plugin("mine", "is", lambda: Mine("scaled"))
"""


def test_an_architecture_changes_the_recipe_of_the_dataset_and_the_user_that_of_both() -> None:
    Path("mine.py").write_text(ARCHITECTURE.replace("RECIPE", "replace(recipe, crop=0, epochs=30, lr=0.05)"))
    parts = parts_of(plugin="mine.py", arch="mine", epochs=4, option="recipe.lr=0.3")
    record = parts.recipe_record
    assert record["crop"] == {"value": 0, "from": "architecture 'mine'"}
    assert record["epochs"] == {"value": 4, "from": "--epochs"}
    assert record["lr"] == {"value": 0.3, "from": "-o recipe.lr"}
    assert record["milestones"] == {"value": [0.3, 0.6, 0.8], "from": "dataset 'digits'"}
    assert record.keys() == vars(parts.recipe).keys()
    assert parts.problem.recipe == parts.recipe
    assert (parts.recipe.crop, parts.recipe.epochs, parts.recipe.lr) == (0, 4, 0.3)


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ("replace(recipe, schedule='flat')", "schedule is 'flat'; accepted are steps, one-cycle, cosine"),
        ("None", "its recipe is a NoneType, not a shape_dnn.Recipe"),
    ],
)
def test_an_architecture_that_makes_a_wrong_recipe_is_named(recipe: str, complaint: str) -> None:
    Path("mine.py").write_text(ARCHITECTURE.replace("RECIPE", recipe))
    with pytest.raises(PluginError, match=f"architecture 'mine' of mine.py failed: .*{complaint}"):
        _ = parts_of(plugin="mine.py", arch="mine").recipe


def comments(text: str) -> dict[str, str]:
    """Return the recipe that stands below a printed configuration."""
    lines = [line.removeprefix("# ").partition(": ") for line in text.splitlines() if line.startswith("#")]
    return {name: rest for name, _, rest in lines}


def test_print_config_tells_who_set_each_part_of_the_recipe(
    shape_dnn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAPE_DNN_EPOCHS", "5")
    Path("c.yaml").write_text("device: cpu\noption:\n  recipe.lr: 0.3\n  recipe.flip: true\n")
    ran = shape_dnn("--config", "c.yaml", "-o", "recipe.crop=2", "--print-config")
    assert ran.status == 0
    recipe = comments(ran.out)
    assert recipe["recipe.epochs"] == "5  # SHAPE_DNN_EPOCHS"
    assert recipe["recipe.lr"] == "0.3  # c.yaml:3:3"
    assert recipe["recipe.flip"] == "true  # c.yaml:4:3"
    assert recipe["recipe.crop"] == "2  # -o recipe.crop"
    assert recipe["recipe.batch_size"] == "32  # dataset 'digits'"
    assert {name.removeprefix("recipe.") for name in recipe} == {field.name for field in fields(Recipe)}


def test_a_list_of_options_has_its_lines_too(shape_dnn: Callable[..., Any]) -> None:
    Path("c.yaml").write_text("device: cpu\noption:\n- arch.stem=16\n- recipe.lr=0.3\n")
    assert comments(shape_dnn("--config", "c.yaml", "--print-config").out)["recipe.lr"] == "0.3  # c.yaml:4:3"
    dry = shape_dnn("--config", "c.yaml", "--dry-run", "--format", "json").json
    assert dry["recipe"]["lr"] == {"value": 0.3, "from": "c.yaml:4:3"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dataset", "somewhere-else"], "--dataset: no dataset is called 'somewhere-else'"),
        (["--plugin", "gone.py"], "--plugin: cannot read 'gone.py'"),
        (["-o", "recipe.lr=fast"], "-o: recipe.lr=fast: expected a number"),
    ],
)
def test_print_config_succeeds_where_the_recipe_cannot_be_known_and_says_why(
    shape_dnn: Callable[..., Any], arguments: list[str], reason: str
) -> None:
    ran = shape_dnn(*arguments, "--device", "cpu", "--print-config")
    assert ran.status == 0
    assert comments(ran.out)["recipe"].startswith(reason)
    assert yaml.safe_load(ran.out)["device"] == "cpu"


def test_print_config_asks_no_machine_for_its_device(shape_dnn: Callable[..., Any]) -> None:
    Path("far.py").write_text(
        "from shape_dnn import Executor, Plugin, hookimpl\n"
        "class Far(Executor):\n"
        "    elsewhere = True\n"
        "    def device(self, wanted): raise AssertionError\n"
        "    def run(self, tasks, workers, report): yield\n"
        "@hookimpl\n"
        "def shape_dnn_executors():\n"
        "    yield Plugin('far', 'away', Far)\n"
    )
    ran = shape_dnn("--plugin", "far.py", "--executor", "far", "--print-config")
    assert ran.status == 0
    assert comments(ran.out) == {"recipe": "depends on the device of executor 'far'; --dry-run asks for it"}


def test_print_config_of_a_replay_has_no_recipe(shape_dnn: Callable[..., Any]) -> None:
    assert comments(shape_dnn("--replay", "table.csv", "--print-config").out) == {}
