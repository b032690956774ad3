"""How shapes are trained: the recipe of the dataset, as the architecture and then the user change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

from shape_dnn import recipes
from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import UsageError, blame
from shape_dnn.kinds import Architecture, Dataset, Option
from shape_dnn.plugins import checked, options
from shape_dnn.recipes import WRN_PAPER, Recipe
from shape_dnn.shape import Shape, exact


@dataclasses.dataclass(frozen=True)
class SetRecipe:
    """A recipe, and who set each part of it.

    Attributes:
        recipe: how shapes are trained.
        setters: by part, in words.
    """

    recipe: Recipe
    setters: Mapping[str, str]

    @property
    def record(self) -> dict[str, dict[str, object]]:
        """Each part as JSON values: its ``value``, and who set it, ``from``."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self.recipe).items()}
        return {name: {"value": value, "from": self.setters[name]} for name, value in values.items()}


def recipe(
    selection: Selection, dataset: Dataset, architecture: Architecture, device: str, origins: Mapping[str, str]
) -> SetRecipe:
    """Put the recipe together.

    Args:
        selection: of the plugins, with the options of the recipe and the settings.
        dataset: brings recipes.
        architecture: may change them.
        device: on which shapes are trained.
        origins: where settings, and options by their names, came from; the others, from flags.

    Raises:
        UsageError: a part is set twice, or to what is not accepted.
        PluginError: the dataset or the architecture failed.
    """
    settings = selection.settings
    of_dataset = _of_dataset(dataset, settings.recipe, device)
    found = checked.adapt(architecture, of_dataset)
    setters = {
        name: f"dataset {settings.dataset!r}" if value == getattr(found, name) else f"architecture {settings.arch!r}"
        for name, value in dataclasses.asdict(of_dataset).items()
    }
    options = selection.options("recipe")
    for name, text in options.items():
        found = _changed(found, name, text)
        setters[name] = origins.get(f"recipe.{name}", f"-o recipe.{name}")
    for name in ("epochs", "lr"):
        value = getattr(settings, name)
        if value is None:
            continue
        if name in options:
            raise UsageError(f"recipe.{name} contradicts --{name}; give one of them", setting="option")
        try:
            found = dataclasses.replace(found, **{name: value})
        except ValueError:
            message = f"{value!r} is not accepted: it should be one of the {recipes.accepted(name)}"
            raise UsageError(message, setting=name) from None
        setters[name] = origins.get(name, f"--{name}")
    for name, text in options.items():
        _check_it_counts(found, name, text)
    _check_channels(found, dataset)
    return SetRecipe(found, setters)


def transfer(text: str, architecture: Architecture, shapes: Sequence[Shape]) -> Fraction:
    """Read the part of the epochs that verification takes, starting from the weights of a smaller shape.

    Args:
        text: a number above 0 and up to 1.
        architecture: whose networks are to grow.
        shapes: the space, sorted by width and then depth.

    Raises:
        UsageError: it is no such number, or networks of the architecture cannot grow.
    """
    try:
        part = exact(text)
    except ValueError:
        part = Fraction(0)
    if not 0 < part <= 1:
        message = f"{text!r} is not a part of the epochs; accepted are numbers above 0 and up to 1, such as 1/4"
        raise UsageError(message, setting="transfer")
    with blame(architecture):
        can = any(architecture.can_grow(shapes[0], shape) for shape in shapes[1:])
        title = architecture.title
    if not can and len(shapes) > 1:
        raise UsageError(f"networks of {title} cannot grow into larger ones; leave it out", setting="transfer")
    return part


def _of_dataset(dataset: Dataset, which: Literal["short", "paper"], device: str) -> Recipe:
    with blame(dataset):
        found = dataset.short_recipe(device.split(":", maxsplit=1)[0]) if which == "short" else dataset.paper_recipe()
        if not isinstance(found, Recipe):
            raise TypeError(f"its {which} recipe is a {type(found).__name__}, not a shape_dnn.Recipe")
    return found


def _check_it_counts(recipe: Recipe, name: str, text: str) -> None:
    """Refuse an option that makes no difference beside the other parts."""
    if name in recipes.COUNTS_WITH:
        other, values = recipes.COUNTS_WITH[name]
        if getattr(recipe, other) not in values:
            message = f"it counts with {other} {' or '.join(values)}, and recipe.{other} is {getattr(recipe, other)}"
            raise UsageError(f"recipe.{name}={text}: {message}", setting="option")


def _check_channels(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse RandAugment for images that have no colours that it could change."""
    if recipe.randaugment:
        with blame(dataset):
            channels = dataset.input_shape[0]
        if channels not in (1, 3):
            message = f"recipe.randaugment takes images of 1 or 3 channels, and these have {channels}; accepted is 0"
            raise UsageError(message, setting="option")


def _changed(recipe: Recipe, name: str, text: str) -> Recipe:
    """Return a recipe with another value of a part, as ``-o`` gives it."""
    parts = [field.name for field in dataclasses.fields(Recipe)]
    if name not in parts:
        known = ", ".join(f"recipe.{part}" for part in parts)
        raise UsageError(f"recipe.{name} is not part of a recipe; accepted: {known}", setting="option")
    label = f"recipe.{name}"
    try:
        if name == "milestones":
            value: Any = tuple(float(exact(part)) for part in text.split(","))
        else:
            usual = getattr(WRN_PAPER, name)  # of the type that the part has
            value = options.parse(label, Option(usual, "", recipes.CHOICES.get(name, ())), text)
        return dataclasses.replace(recipe, **{name: value})
    except ValueError:
        message = f"{label}={text}: accepted are {recipes.accepted(name)}"
        raise UsageError(message, setting="option") from None
