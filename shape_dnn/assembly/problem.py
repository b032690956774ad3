"""The problem of the built-in classifier, put together from the plugins and settings that determine facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shape_dnn.assembly.selection import Selection
from shape_dnn.errors import PluginError, UsageError, blame
from shape_dnn.kinds import Architecture, Conditions, Dataset, Executor, Pretrained
from shape_dnn.plugins.sources import Loaded
from shape_dnn.recipes import Recipe
from shape_dnn.shape import Shape
from shape_dnn.store.files import IMAGES
from shape_dnn.study.classification import Classification


def problem(
    selection: Selection,
    architecture: Loaded[Architecture],
    dataset: Loaded[Dataset],
    executor: Loaded[Executor],
    device: str,
    recipe: Recipe,
    shapes: Sequence[Shape],
    pretrained: Mapping[Shape, Pretrained] | None,
) -> Classification:
    """Put the problem together.

    Args:
        selection: of the plugins, with the settings.
        architecture: family of networks.
        dataset: images to classify.
        executor: says how many threads a training has.
        device: where shapes are trained and measured.
        recipe: how they are trained.
        shapes: the space, sorted by width and then depth.
        pretrained: weights that trainings start from, by shape; None for random ones.

    Raises:
        UsageError: the images are too small for the architecture.
        PluginError: a plugin failed.
    """
    settings = selection.settings
    with blame(dataset.instance):
        _, height, width = dataset.instance.input_shape
    with blame(architecture.instance):
        least = int(architecture.instance.smallest_image)
    if min(height, width) < least:
        name = f"{settings.dataset!r} has images of {height}x{width} pixels"
        message = f"{name}, and {architecture.instance.title} takes those from {least}x{least}"
        raise UsageError(message, setting="dataset")
    return Classification(
        architecture=architecture,
        dataset=dataset,
        conditions=Conditions(dataset.instance.input_shape, dataset.instance.classes, settings.batch_size, device),
        recipe=recipe,
        protocol=settings.protocol,
        seed=settings.seed,
        largest=shapes[-1],
        threads=threads_of(executor),
        plugin_files=selection.registry.files,
        pretrained=pretrained,
        home=Path(settings.study).resolve() / IMAGES,
    )


def threads_of(executor: Loaded[Executor]) -> int:
    """Ask how many threads the executor gives a training."""
    threads = executor.instance.threads
    if not isinstance(threads, int) or threads < 1:
        name = f"executor {executor.choice.name!r} of {executor.source}"
        raise PluginError(f"{name} has threads {threads!r}, not a whole number from 1")
    return threads
