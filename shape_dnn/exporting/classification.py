"""A trained classifier of a study, and the images that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.errors import ExportError
from shape_dnn.exporting.checks import check_identity
from shape_dnn.exporting.choice import Found
from shape_dnn.exporting.classifier import Classifier
from shape_dnn.exporting.trained import Trained, record
from shape_dnn.recipes import UNSAID, Recipe
from shape_dnn.shape import Shape
from shape_dnn.study.classification import Classification
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import Protocol, split

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.kinds import InputShape

COMPARED = 64
"""Images on which the files are compared with the network."""
LEVELS = 255
"""The value of a pixel that is 1 for an exported network."""
NOTE = "part of model.pt2, of model.onnx and of what shape_dnn.load returns; the weights alone take normalised images"


class TrainedClassifier(Trained):
    """A network that the built-in classifier has trained, and what determined its accuracy.

    Args:
        found: its training.

    Raises:
        ExportError: the architecture is another one now, or the images are damaged.
        DatasetError: the images are gone, and cannot be read anew.
    """

    output = "logits"
    examples = "images"

    def __init__(self, found: Found) -> None:
        super().__init__(found)
        known, identity = found.known, found.identity
        with known.store.decoding():
            self._architecture = known.parts.architecture
            check_identity(self._architecture, identity["architecture"])
            protocols: tuple[Protocol, ...] = get_args(Protocol)
            self._protocol = protocols[protocols.index(identity["protocol"])]
            self._recipe = _recipe(identity["recipe"])
            self._validation_fraction = float(identity["validation_fraction"])
            self._seed = int(identity["seed"])
            donor = identity.get("donor")
            self._donor = None if donor is None else Shape.parse(",".join(map(str, donor)))
            self._pretrained = None if "weights" not in identity else str(identity["weights"][str(self.shape)])
            self._fingerprint, self._classes = str(identity["dataset"]), int(identity["classes"])
            self._input_shape = known.first_that_counts(self.shape).workload.input_shape
            self._images = _images(known, self._fingerprint, self._input_shape, self._classes)

    def build(self) -> Classifier:
        """Have the architecture build it, with the normalisation."""
        return Classifier.build(self._architecture, self.found.weights, self._described)

    def example(self, batch_size: int) -> Tensor:
        """Make black images."""
        return torch.zeros(batch_size, *self._input_shape)

    def batches(self) -> Sequence[tuple[int, Tensor]]:
        """Return some of the images that the network was judged on, in batches of different sizes."""
        _, judged_on = self._split
        compared = Part(judged_on.images, judged_on.indices[:COMPARED]).copy()
        pixels = torch.from_numpy(compared.images).float() / LEVELS
        return [(len(batch), batch) for batch in torch.split(pixels, [1, *_rest(len(pixels) - 1)])]

    @cached_property
    def _split(self) -> tuple[Part, Part]:
        return split(self._images, self._protocol, self._validation_fraction, self._seed)

    @property
    def _described(self) -> dict[str, Any]:
        """The part of the card by which the network is built."""
        return {"shape": record(self.shape), **self.description}

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """Architecture, images, normalisation and classes."""
        settings = self.found.known.parts.settings
        mean, std = self._normalisation
        return {
            "architecture": self._architecture.identity,
            "input": {
                "name": "images",
                "shape": ["batch", *self._input_shape],
                "dtype": "float32",
                "range": [0, 1],
            },
            "output": {"name": self.output, "shape": ["batch", self._classes], "dtype": "float32"},
            "normalisation": {"mean": mean, "std": std, "note": NOTE},
            "class_names": self.found.known.run.problem.get("class_names") or None,
            "data": {
                "dataset": settings.dataset,
                "options": [text for text in settings.option if text.startswith("dataset.")],
                "fingerprint": self._fingerprint,
            },
        }

    @property
    def made(self) -> Mapping[str, Any]:
        """Recipe, seed, and what it started from."""
        return {
            "recipe": asdict(self._recipe),
            "seed": self._seed,
            "protocol": self._protocol,
            "validation_fraction": self._validation_fraction,
            "donor": None if self._donor is None else record(self._donor),
            "weights": self._pretrained,
        }

    @property
    def _normalisation(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel of the images it was trained on, of pixels from 0 to 1."""
        learnt_from, _ = self._split
        mean, std = Batches(learnt_from, torch.device("cpu")).statistics
        return (mean / LEVELS).flatten().tolist(), (std / LEVELS).flatten().tolist()


def _rest(number: int) -> list[int]:
    """Divide a number of images into two batches of different sizes, where there are enough."""
    return [size for size in (number // 3, number - number // 3) if size]


def _recipe(values: Mapping[str, Any]) -> Recipe:
    return Recipe(**{**UNSAID, **values, "milestones": tuple(values["milestones"])})


def _images(known: StudyQuestion, fingerprint: str, input_shape: InputShape, classes: int) -> Path:
    """Return where the images lie that the networks were trained on; they are read anew if the study has none."""
    directory = images.find(known.store.files.images(fingerprint).parent, fingerprint)
    if directory is None:
        directory = _read_anew(known, fingerprint)
    try:
        images.check(*images.load(directory), input_shape, classes)
        intact = images.are_intact(directory, fingerprint)
    except Exception:  # noqa: BLE001 - a damaged file can fail in any way
        intact = False
    if not intact:
        message = f"the images in {str(directory)!r} are damaged, or not those that the network was trained on"
        raise ExportError(f"{message}; delete that folder, and they are read from the dataset")
    return directory


def _read_anew(known: StudyQuestion, fingerprint: str) -> Path:
    """Read the images from the dataset as the search did; a study, perhaps a stranger's, has nothing downloaded."""
    directory = known.store.files.images(fingerprint)
    name, missing = known.parts.settings.dataset, f"the study has no images in {str(directory)!r}"
    if known.parts.dataset.choice.options.get("download"):
        raise ExportError(f"{missing}, and an export downloads nothing; copy that folder from the study it comes from")
    problem = known.parts.problem
    assert isinstance(problem, Classification)  # noqa: S101 - other trainers have no images
    if problem.fingerprint != fingerprint:
        raise ExportError(f"{missing}, and dataset {name!r} has changed since")
    return problem.images_directory(known.store.files)
