"""The problem of the built-in classifier: an architecture, a dataset and a recipe."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

from shape_dnn.data import images
from shape_dnn.errors import DatasetError, UsageError
from shape_dnn.events import DatasetRead, Event, ignore
from shape_dnn.kinds import Architecture, Dataset, EncodedImages, Images, LabelledImages, Pretrained
from shape_dnn.plugins import checked
from shape_dnn.plugins.sending import FromPlugin
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.recipes import PRECISIONS, UNSAID, Precision, Recipe
from shape_dnn.shape import Shape
from shape_dnn.store.files import Files
from shape_dnn.study.problem import Problem
from shape_dnn.training.classifier import ClassifierTrainer, Donor, Protocol
from shape_dnn.training.sources import TrainerSource

TELLING_SECONDS = 0.5
"""Least time between two events that tell how far a dataset is read."""


@dataclass(frozen=True, kw_only=True)
class Classification(Problem):
    """Images are to be classified by networks of an architecture, trained by a recipe.

    Attributes:
        dataset: images to classify.
        recipe: how shapes are trained.
        protocol: on which images they are judged.
        donor: the shape whose weights trainings grow from; None if they grow from none.
        donor_epochs: epochs that the donor was trained for.
        pretrained: weights of the architecture that trainings start from, by shape; None for random ones.
        home: directory of the images of the study.
    """

    dataset: Loaded[Dataset]
    recipe: Recipe
    protocol: Protocol
    donor: Shape | None = None
    donor_epochs: int | None = None
    pretrained: Mapping[Shape, Pretrained] | None = None
    home: Path = Path()

    @property
    def quality(self) -> Quality:
        """Accuracy in percent."""
        return ACCURACY

    @property
    def steps(self) -> int:
        """Epochs."""
        return self.recipe.epochs

    @property
    def plugins(self) -> tuple[Loaded[Any], ...]:
        """Architecture and dataset."""
        return self.architecture, self.dataset

    @property
    def networks(self) -> FromPlugin[Architecture]:
        """The architecture."""
        return FromPlugin(self.architecture.choice, self.plugin_files)

    def trainer(self, files: Files, donor: Donor | None) -> ClassifierTrainer:
        """Return how shapes are trained; the images are written the first time."""
        return ClassifierTrainer(
            self.architecture.choice,
            self.plugin_files,
            self.images_directory(files),
            self.conditions.classes,
            self.dataset.instance.validation_fraction,
            self.recipe,
            self.device,
            self.protocol,
            donor,
            self.threads,
        )

    def trainer_of(self, trainer: TrainerSource, shape: Shape) -> TrainerSource:
        """Return how one of the shapes is trained, which takes the file of its own weights alone."""
        if self.pretrained is None:
            return trainer
        return dataclasses.replace(cast("ClassifierTrainer", trainer), pretrained=self.pretrained[shape])

    def images_directory(self, files: Files) -> Path:
        """Return where workers find the images."""
        if self._surveyed is not None:
            return self._surveyed
        directory = files.images(self.fingerprint)
        train, test = self.images
        assert isinstance(train, LabelledImages)  # noqa: S101 - or they were surveyed
        assert isinstance(test, LabelledImages)  # noqa: S101 - as they are
        images.save(train, test, directory)
        return directory

    def with_seed(self, seed: int) -> Self:
        """Return the same problem with another seed; what was read of the dataset is shared."""
        return self._replace(seed=seed)

    def grown_from(self, donor: Shape, part: Fraction) -> Self:
        """Return the same problem with trainings that start from a donor and take a part of the epochs."""
        epochs = max(1, round(part * self.recipe.epochs))
        recipe = dataclasses.replace(self.recipe, epochs=epochs)
        return self._replace(donor=donor, donor_epochs=self.recipe.epochs, recipe=recipe)

    def _replace(self, **changes: Any) -> Self:
        other = dataclasses.replace(self, **changes)
        for name in ("images", "fingerprint", "_surveyed"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    @property
    def precision(self) -> str:
        """That of the recipe."""
        return self.recipe.precision

    def in_precision(self, precision: Precision) -> Self:
        """Return the same problem with trainings in a definite precision."""
        return self._replace(recipe=dataclasses.replace(self.recipe, precision=precision))

    def going_on_from(self, trained: Iterable[Mapping[str, object]]) -> Self:
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
    def _weights(self) -> dict[str, object]:
        """Which weights the training of each shape starts from, as JSON values; nothing for random ones."""
        if self.pretrained is None:
            return {}
        return {"weights": {str(shape): weights.name for shape, weights in sorted(self.pretrained.items())}}

    @property
    def record(self) -> dict[str, object]:
        """Architecture, conditions, and the names of the classes."""
        return {
            "architecture": self.architecture.identity,
            **self.conditions.record,
            "class_names": list(self.class_names),
            **self._weights,
        }

    def check_calibration(self) -> None:
        """See that there are as many training examples as a conversion needs, before hours of training.

        Raises:
            UsageError: there are not.
        """
        wanted = 0 if self.deployment is None else self.deployment.instance.calibration
        train, _ = self.images
        held_out = round(len(train) * self.dataset.instance.validation_fraction) if self.protocol == "validation" else 0
        size = self.conditions.batch_size
        there = (len(train) - held_out) // size * size
        if there < wanted:
            message = f"deploy.calibration={wanted}: there are {there} training images in batches of {size}"
            raise UsageError(f"{message}; ask for fewer", setting="option")

    def read(self, notify: Callable[[Event], None]) -> None:
        """Read the images now, and tell how far that is."""
        tell = self._telling(notify)
        self.__dict__["images"] = self._read(tell)
        self.__dict__["_surveyed"] = self._survey(tell)

    @cached_property
    def images(self) -> tuple[Images, Images]:
        """The training images and the test images, read when first asked for."""
        return self._read(self._telling(ignore))

    @cached_property
    def _surveyed(self) -> Path | None:
        """Where it is kept what is known of encoded images; None for those that are kept as pixels."""
        return self._survey(self._telling(ignore))

    def _survey(self, tell: Callable[[int, int], None]) -> Path | None:
        train, test = self.images
        if isinstance(train, EncodedImages) and isinstance(test, EncodedImages):
            return images.survey(train, test, self.home, tell)
        return None

    def _telling(self, notify: Callable[[Event], None]) -> Callable[[int, int], None]:
        """Tell how far the images are read, but not too often."""
        told = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal told
            if done == total or time.monotonic() - told >= TELLING_SECONDS:
                told = time.monotonic()
                notify(DatasetRead(self.dataset.choice.name, done, total))

        return tell

    def _read(self, tell: Callable[[int, int], None]) -> tuple[Images, Images]:
        train, test = checked.load(self.dataset.instance, self.conditions.input_shape, self.conditions.classes, tell)
        held_out = round(len(train) * self.dataset.instance.validation_fraction)
        if self.protocol == "validation" and not 0 < held_out < len(train):
            raise DatasetError(f"{len(train)} training images are too few to hold some of them out for validation")
        return train, test

    def tidy(self) -> None:
        """Remove former surveys of the images, if they were read."""
        surveyed = self.__dict__.get("_surveyed")
        if surveyed is not None:
            images.remove_superseded(surveyed)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their labels; empty where they have none."""
        return checked.class_names(self.dataset.instance, self.conditions.classes)

    @cached_property
    def fingerprint(self) -> str:
        """The name of the images by their content."""
        return images.fingerprint(*self.images) if self._surveyed is None else images.name_of(self._surveyed)

    @cached_property
    def training_identity(self) -> dict[str, object]:
        """Everything but the shape that determines an accuracy. Reads the dataset."""
        recipe = {name: v for name, v in dataclasses.asdict(self.recipe).items() if UNSAID.get(name) != v}
        return {
            "architecture": self.architecture.identity,
            "dataset": self.fingerprint,
            "classes": self.conditions.classes,
            "recipe": recipe,
            "protocol": self.protocol,
            "validation_fraction": self.dataset.instance.validation_fraction,
            "seed": self.seed,
            **({} if self.threads == 1 else {"threads": self.threads}),  # one went without saying in former studies
            **self._grown_from,
            **self._weights,
        }

    @property
    def _grown_from(self) -> dict[str, object]:
        """What determined the weights that trainings grow from, beyond what determines these trainings, too."""
        if self.donor is None:
            return {}
        return {"donor": [self.donor.depth, str(self.donor.width)], "donor_epochs": self.donor_epochs}


def _but_seed(identity: Mapping[str, object]) -> str:
    """Write down what determines trainings, but for their seed and what they grew from."""
    others = {key: value for key, value in identity.items() if key not in ("seed", "donor", "donor_epochs")}
    return json.dumps(others, sort_keys=True)
