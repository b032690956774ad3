"""What is to be solved, and so what determines each fact."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from shape_dnn.data import images
from shape_dnn.errors import DatasetError
from shape_dnn.events import DatasetRead, Event, ignore
from shape_dnn.kinds import Architecture, Conditions, Dataset, InputShape, Instrument, LabelledImages, Meter, Workload
from shape_dnn.measuring.task import Bench
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.recipes import PRECISIONS, UNSAID, Precision, Recipe
from shape_dnn.shape import Shape
from shape_dnn.training.setup import Protocol

TELLING_SECONDS = 0.5
"""Least time between two events that tell how far a dataset is read."""


@dataclass(frozen=True)
class Problem:
    """What is to be solved, apart from the limits: everything that determines the facts of a study.

    Attributes:
        architecture: family of networks.
        dataset: images to classify.
        input_shape: channels, height and width of an image.
        classes: number of classes.
        recipe: how shapes are trained.
        protocol: on which images they are judged.
        device: where they are trained and measured, as torch writes it.
        batch_size: images in a measured forward pass.
        seed: of trainings and of the validation split.
        largest: the widest and deepest shape of the space, which stands for all where the precision is decided.
        threads: of each training on a processor.
        plugin_files: files that declare plugins.
        donor: the shape whose weights trainings start from; None for random weights.
    """

    architecture: Loaded[Architecture]
    dataset: Loaded[Dataset]
    input_shape: InputShape
    classes: int
    recipe: Recipe
    protocol: Protocol
    device: str
    batch_size: int
    seed: int
    largest: Shape
    threads: int = 1
    plugin_files: tuple[Path, ...] = ()
    donor: Shape | None = None

    def with_seed(self, seed: int) -> Problem:
        """Return the same problem with another seed; what was read of the dataset is shared."""
        return self._replace(seed=seed)

    def grown_from(self, donor: Shape, part: Fraction) -> Problem:
        """Return the same problem with trainings that start from a donor and take a part of the epochs."""
        epochs = max(1, round(part * self.recipe.epochs))
        return self._replace(donor=donor, recipe=dataclasses.replace(self.recipe, epochs=epochs))

    def _replace(self, **changes: Any) -> Problem:
        other = dataclasses.replace(self, **changes)
        for name in ("images", "fingerprint"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def in_precision(self, precision: Precision) -> Problem:
        """Return the same problem with trainings in a definite precision."""
        return self._replace(recipe=dataclasses.replace(self.recipe, precision=precision))

    def going_on_from(self, trained: Iterable[Mapping[str, object]]) -> Problem:
        """Return the same problem with the precision of former trainings that differ in nothing else but the seed.

        Args:
            trained: what determined former trainings, those first that matter more.
        """
        if self.recipe.precision == "auto":
            alike: dict[object, Precision] = {}
            for precision in PRECISIONS:
                alike[_but_seed(self.in_precision(precision).training_identity)] = precision
            for identity in trained:
                if _but_seed(identity) in alike:
                    return self.in_precision(alike[_but_seed(identity)])
        return self

    @property
    def workload(self) -> Workload:
        """What meters need to know."""
        return self.conditions.of(self.architecture.instance)

    @property
    def conditions(self) -> Conditions:
        """Under which shapes are measured."""
        return Conditions(self.input_shape, self.classes, self.batch_size, self.device)

    @cached_property
    def images(self) -> tuple[LabelledImages, LabelledImages]:
        """The training images and the test images, read when first asked for."""
        return self._read(ignore)

    def read(self, notify: Callable[[Event], None]) -> None:
        """Read the images now, and tell how far that is."""
        self.__dict__["images"] = self._read(notify)

    def _read(self, notify: Callable[[Event], None]) -> tuple[LabelledImages, LabelledImages]:
        told = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal told
            if done == total or time.monotonic() - told >= TELLING_SECONDS:
                told = time.monotonic()
                notify(DatasetRead(self.dataset.choice.name, done, total))

        train, test = checked.load(self.dataset.instance, self.input_shape, self.classes, tell)
        held_out = round(len(train) * self.dataset.instance.validation_fraction)
        if self.protocol == "validation" and not 0 < held_out < len(train):
            raise DatasetError(f"{len(train)} training images are too few to hold some of them out for validation")
        return train, test

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where they have none."""
        return checked.class_names(self.dataset.instance, self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """The name of the images by their content."""
        return images.fingerprint(*self.images)

    @cached_property
    def training_identity(self) -> dict[str, object]:
        """Everything but the shape that determines an accuracy. Reads the dataset."""
        recipe = {name: v for name, v in dataclasses.asdict(self.recipe).items() if UNSAID.get(name) != v}
        return {
            "architecture": self.architecture.identity,
            "dataset": self.fingerprint,
            "classes": self.classes,
            "recipe": recipe,
            "protocol": self.protocol,
            "validation_fraction": self.dataset.instance.validation_fraction,
            "seed": self.seed,
            **({} if self.threads == 1 else {"threads": self.threads}),  # one went without saying in former studies
            **({} if self.donor is None else {"donor": [self.donor.depth, str(self.donor.width)]}),
        }

    def bench(self, meter: Loaded[Meter]) -> Bench:
        """What a task needs to know to measure."""
        return Bench(meter.choice, self.architecture.choice, self.plugin_files, self.conditions)

    def measurement_identity(
        self, meter: Loaded[Meter], elsewhere: Mapping[str, object] | None = None, patience: float | None = None
    ) -> dict[str, object]:
        """Everything but the shape that determines a measured metric.

        Args:
            meter: the instrument.
            elsewhere: its identity on the machine that is measured, if that is not this one.
            patience: seconds that it may take to state it here.
        """
        instrument = cast("Instrument", meter.instance)
        return {
            **(checked.identity(instrument, self.workload, patience) if elsewhere is None else elsewhere),
            "meter": {**meter.identity, "version": meter.source.version},
            "architecture": self.architecture.identity,
            **self.conditions.record,
        }


def _but_seed(identity: Mapping[str, object]) -> str:
    """Write down what determines trainings, but for their seed and what they grew from."""
    return json.dumps({key: identity[key] for key in sorted(identity) if key not in ("seed", "donor")}, sort_keys=True)


def provenance(problem: Problem, *plugins: Loaded[Any]) -> dict[str, object]:
    """Return what is kept with a fact but does not determine it: versions of plugins and libraries."""
    used: tuple[Loaded[Any], ...] = (problem.architecture, problem.dataset, *plugins)
    return {
        "plugins": [plugin.provenance for plugin in used],
        "device": problem.device,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
    }
