"""Which network of a study is exported, and all that is known of how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from shape_dnn.data import images
from shape_dnn.errors import ExportError, NothingCompliesError, UsageError
from shape_dnn.recipes import Recipe
from shape_dnn.records import Training
from shape_dnn.search.ordering import min_by_goal
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.study.classification import Classification
from shape_dnn.training.classifier import Protocol, split

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.data.splits import Part
    from shape_dnn.kinds import Architecture, InputShape, LabelledImages
    from shape_dnn.plugins.sources import Loaded

MOST_NAMED = 8
"""Trained shapes that a message lists."""


@dataclass(frozen=True)
class Trained:
    """A trained network, and what determined its quality (:class:`shape_dnn.study.problem.Problem`).

    Attributes:
        training: what came of it.
        architecture: builds the network.
        weights: its safetensors file.
        images: directory of the images that it was trained on (:mod:`shape_dnn.data.images`).
        fingerprint: name of these images by their content.
        input_shape: channels, height and width of an image.
        classes: number of classes.
        recipe: how it was trained.
        protocol: on which images its epochs were judged.
        validation_fraction: part of the training images held out for that.
        seed: of the training and of the validation split.
        donor: depth and width of the shape whose weights it grew from; None if it grew from none.
        pretrained: name of the weights of its own shape that it started from; None for random ones.
        provenance: versions of plugins and libraries that it was trained with.
    """

    training: Training
    architecture: Loaded[Architecture]
    weights: Path
    images: Path
    fingerprint: str
    input_shape: InputShape
    classes: int
    recipe: Recipe
    protocol: Protocol
    validation_fraction: float
    seed: int
    donor: Shape | None
    pretrained: str | None
    provenance: Mapping[str, Any]

    @property
    def shape(self) -> Shape:
        """Depth and width."""
        return self.training.shape

    def split(self) -> tuple[Part, Part]:
        """Return the images it was trained on, and those its epochs were judged on."""
        return split(self.images, self.protocol, self.validation_fraction, self.seed)


def best(known: StudyQuestion) -> Shape:
    """Return the best shape by the goal among those that comply and were trained.

    Raises:
        UsageError: there is no goal.
        NothingCompliesError: no trained shape meets the limits.
    """
    if known.parts.goal is None:
        raise UsageError("nothing says which shape is the best; give a goal, or name one by --shape", setting="goal")
    known.check()
    trained = [candidate for candidate in known.answer.complying if candidate.quality is not None]
    found = min_by_goal(trained, known.parts.query, known.facts)
    if found is None:
        known.result().raise_if_empty()
        raise NothingCompliesError("no shape that meets the limits was trained; shape-dnn tune with them does so")
    return found.shape


def untrained_rival(known: StudyQuestion, chosen: Shape) -> Shape | None:
    """Return a shape that was not trained and is predicted to be better; None if the question is that of the search.

    The search has decided how good is good enough.
    """
    rival = known.answer.best
    return None if known.repeats or rival is None or rival.shape == chosen else rival.shape


def named(text: str | tuple[int, Any]) -> Shape:
    """Read the shape that the user names.

    Raises:
        UsageError: it is none.
    """
    try:
        return Shape.parse(text if isinstance(text, str) else ",".join(map(str, text)))
    except (ValueError, TypeError):
        message = f"{text!r} is not a shape; write DEPTH,WIDTH, for example 10,3/4"
        raise UsageError(message, setting="shape") from None


def training_of(known: StudyQuestion, shape: Shape) -> Trained:
    """Put together what the study knows of a trained shape, for the first seed that counts if there are several.

    Raises:
        UsageError: it was not trained.
        ExportError: its weights are gone, or the architecture is another one now.
        DatasetError: the images are gone, and cannot be read anew.
    """
    store, facts = known.store, known.first_that_counts(shape)
    found = facts.find(shape)
    if found is None:
        raise UsageError(f"shape {shape} was not trained; {_trained(known)}", setting="shape")
    context, training = facts.contexts[found[0]], found[1]
    if training.quality is None:
        message = f"the training of {shape} came to no result: {training.reason}; {_trained(known)}"
        raise UsageError(message, setting="shape")
    if known.parts.settings.trainer != "classifier":
        raise ExportError("networks of a trainer of one's own cannot be exported yet; their weights are in the study")
    weights = store.files.weights(context, shape)
    if not weights.is_file():
        message = f"the weights of {shape} are gone: there is no {str(weights)!r}"
        raise ExportError(f"{message}; a copy of a study needs its folder 'weights', too")
    identity, workload = store.identity(context), facts.workload
    with store.decoding():
        check_identity(known.parts.architecture, identity["architecture"])
        protocols: tuple[Protocol, ...] = get_args(Protocol)
        donor = identity.get("donor")
        fingerprint, classes = str(identity["dataset"]), int(identity["classes"])
        return Trained(
            training,
            known.parts.architecture,
            weights,
            _images(known, fingerprint, workload.input_shape, classes),
            fingerprint,
            workload.input_shape,
            classes,
            _recipe(identity["recipe"]),
            protocols[protocols.index(identity["protocol"])],
            float(identity["validation_fraction"]),
            int(identity["seed"]),
            None if donor is None else Shape.parse(",".join(map(str, donor))),
            None if "weights" not in identity else str(identity["weights"][str(shape)]),
            store.provenance(context, shape),
        )


def _recipe(values: Mapping[str, Any]) -> Recipe:
    return Recipe(**{"precision": "float32", **values, "milestones": tuple(values["milestones"])})


def check_identity(architecture: Loaded[Architecture], expected: Mapping[str, Any]) -> None:
    """Refuse an architecture that is not the one that a network was trained with.

    Raises:
        ExportError: it is another one; says how they differ.
    """
    here = architecture.identity
    for key in ("from", "options"):
        if here[key] != expected[key]:
            was = f"it was {expected[key]!r} when the network was trained"
            raise ExportError(f"architecture {here['name']!r} is {here[key]!r} here, and {was}; that one is needed")


def _trained(known: StudyQuestion) -> str:
    """List some of the shapes that can be exported."""
    trained = [t.shape for t in known.first_seed.verify(known.parts.shapes) if t.quality is not None]
    if not trained:
        return "no shape of the study is; shape-dnn tune trains some"
    shown = sorted(trained, key=by_width_then_depth)[:MOST_NAMED]
    more = f" and {len(trained) - len(shown)} more" if len(trained) > len(shown) else ""
    return f"trained are {', '.join(map(str, shown))}{more}"


def _images(known: StudyQuestion, fingerprint: str, input_shape: InputShape, classes: int) -> Path:
    """Return where the images lie that the networks were trained on; they are read anew if the study has none."""
    directory = known.store.files.images(fingerprint)
    if not directory.is_dir():
        images.save(*_read_anew(known, fingerprint, directory), directory)
    try:
        parts = images.load(directory)
        images.check(*parts, input_shape, classes)
        intact = images.fingerprint(*parts) == fingerprint
    except Exception:  # noqa: BLE001 - a damaged file can fail in any way
        intact = False
    if not intact:
        message = f"the images in {str(directory)!r} are damaged, or not those that the network was trained on"
        raise ExportError(f"{message}; delete that folder, and they are read from the dataset")
    return directory


def _read_anew(known: StudyQuestion, fingerprint: str, directory: Path) -> tuple[LabelledImages, LabelledImages]:
    """Read the images from the dataset as the search did; a study, perhaps a stranger's, has nothing downloaded."""
    name, missing = known.parts.settings.dataset, f"the study has no images in {str(directory)!r}"
    if known.parts.dataset.choice.options.get("download"):
        raise ExportError(f"{missing}, and an export downloads nothing; copy that folder from the study it comes from")
    problem = known.parts.problem
    assert isinstance(problem, Classification)  # noqa: S101 - other trainers have no images
    if problem.fingerprint != fingerprint:
        raise ExportError(f"{missing}, and dataset {name!r} has changed since")
    return problem.images
