"""The kinds of plugin: one small abstract class each. Standard library only.

To write a plugin, derive from one of these classes and declare it with the hook of its kind
(:mod:`shape_dnn.hookspecs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from shape_dnn import devices
from shape_dnn.errors import PluginError, label
from shape_dnn.recipes import WRN_PAPER, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from shape_dnn.constraints import Constraint
    from shape_dnn.events import Event
    from shape_dnn.records import Epoch, Measurement, Prediction, Training
    from shape_dnn.shape import Shape
    from shape_dnn.work import Outcome, Task

OptionValue = str | int | float | bool | Fraction
InputShape = tuple[int, int, int]
"""Channels, height and width of an image."""


@dataclass(frozen=True)
class Option:
    """A setting of a plugin, given as ``-o KIND.OPTION=VALUE``.

    An option called ``seed``, ``data_dir`` or ``batch_size`` takes the command's setting of that name unless it is
    given itself.

    Attributes:
        default: value if it is not given; its type is the type of the option.
        help: one line.
        choices: the accepted values, if they are few.
        minimum: the least accepted value of a number.
    """

    default: OptionValue
    help: str
    choices: tuple[OptionValue, ...] = ()
    minimum: float | None = None


@dataclass(frozen=True)
class Plugin:
    """What a hook yields: the declaration of one plugin. Declaring must stay cheap; the factory may import anything.

    Attributes:
        name: unique within its kind; lower-case letters, digits and hyphens.
        summary: one line for lists.
        factory: called with the options as keyword arguments, returns an object of the kind. Either a callable or its
            import path ``"package.module:name"``, which is imported when the plugin is selected.
        options: by name.
    """

    name: str
    summary: str
    factory: Callable[..., Any] | str
    options: Mapping[str, Option] = field(default_factory=dict)


class Architecture(ABC):
    """A family of networks that differ in depth and width.

    Instances are created anew in every worker process from name and options, and must not change.
    """

    title: ClassVar[str]
    """The name in messages, such as ``Wide ResNet``."""
    depth_rule: ClassVar[str] = "see its documentation"
    """Which depths exist, in words."""
    width_rule: ClassVar[str] = "widths are above 0"
    """Which widths exist, in words."""
    smallest_image: ClassVar[int] = 1
    """The least height and width of an image that the networks can take."""
    default_depths: ClassVar[str]
    """Range of depths searched unless the user gives one, ``MIN:MAX:STEP``."""
    default_widths: ClassVar[str]
    """Range of widths searched unless the user gives one."""

    @abstractmethod
    def is_depth(self, depth: int) -> bool:
        """Tell whether the family has networks of this depth."""

    def is_width(self, width: Fraction) -> bool:
        """Tell whether the family has networks of this width."""
        return width > 0

    @abstractmethod
    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count the numbers that a trained network stores, by a closed form: no network is built.

        Parameters and buffers of floating point count (for batch normalisation weight, bias, running mean and running
        variance). Size is four bytes for each (paper, Section 3). Called for up to millions of shapes: keep it fast.

        Args:
            shape: depth and width, both valid.
            input_shape: channels, height and width of an image.
            classes: number of outputs.
        """

    @abstractmethod
    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build the network with random weights, drawn from torch's global generator.

        It maps a float tensor of shape ``(batch, *input_shape)`` to logits of shape ``(batch, classes)``.
        """

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe for networks of this family, given that of the dataset; by default unchanged.

        What the user asks for comes after it.
        """
        return recipe

    def can_grow(self, shape: Shape, larger: Shape) -> bool:
        """Tell whether :meth:`grow` can make a network of one shape of a network of another."""
        return False

    def grow(
        self,
        weights: Mapping[str, torch.Tensor],
        shape: Shape,
        larger: Shape,
        input_shape: InputShape,
        classes: int,
        seed: int,
    ) -> Mapping[str, torch.Tensor]:
        """Turn the weights of a trained network into those of a larger one that computes the same (``--transfer``).

        Called only where :meth:`can_grow` holds.

        Args:
            weights: state of the trained network.
            shape: its shape.
            larger: the wanted one.
            input_shape: channels, height and width of an image.
            classes: number of outputs.
            seed: of what is random about it.
        """
        raise PluginError(f"{label(self)} says that it can grow, and has no grow()")


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes, in memory.

    Attributes:
        images: uint8, of shape (number, channels, height, width).
        labels: int64, of shape (number,), from 0 to classes - 1; other whole numbers are accepted and kept as int64.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> LabelledImages:
        """Select images by position."""
        return LabelledImages(self.images[indices], self.labels[indices])


class Dataset(ABC):
    """An image classification problem."""

    validation_fraction: float = 0.1
    """Part of the training images held out for validation."""

    @property
    @abstractmethod
    def input_shape(self) -> InputShape:
        """Channels, height and width of an image. Known without the files where possible."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes. Known without the files where possible."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes in the order of their labels, for people; empty where they have none."""
        return ()

    @abstractmethod
    def load(self) -> tuple[LabelledImages, LabelledImages]:
        """Read the training images and the test images. The same files always give the same arrays.

        Raises:
            DatasetError: files are missing or damaged; the message says which and what to do.
        """

    def load_with_progress(self, progress: Callable[[int, int], None]) -> tuple[LabelledImages, LabelledImages]:
        """Read the same as :meth:`load`, and say now and then how many images of how many have been read.

        A search reads by this method. A dataset that takes long overrides it, so that people see how far it is.
        """
        return self.load()

    def short_recipe(self, device_type: str) -> Recipe:
        """Give a recipe that ranks the shapes well in a fraction of the time, on ``cpu`` or ``cuda``."""
        return Recipe(epochs=20, schedule="one-cycle")

    def paper_recipe(self) -> Recipe:
        """Give the recipe of the paper, or of the literature, for this dataset."""
        return WRN_PAPER


@dataclass(frozen=True)
class Workload:
    """What a meter measures shapes under.

    Attributes:
        architecture: builds the networks.
        input_shape: channels, height and width of an image.
        classes: number of outputs.
        batch_size: images in one forward pass.
        device: as torch writes it, such as ``cpu`` or ``cuda:0``.
    """

    architecture: Architecture
    input_shape: InputShape
    classes: int
    batch_size: int
    device: str


class Meter(ABC):
    """Obtains one metric of a shape without training it. Lower values are better.

    Derive from :class:`Formula` or :class:`Instrument`.
    """

    metric: str
    """Name of the metric, used in ``--max METRIC=VALUE`` and in results."""
    unit: str
    """Unit of all its values; of ``size`` MB, of ``latency`` ms, of ``energy`` J."""
    cost: float
    """Place in the order of the filters, the cheapest first: size 0, memory 0.5, latency 1, energy 2."""
    linear_in_depth: bool = False
    """Whether the metric is a straight line in depth at fixed width, so that ``--fit-depths`` may spare some of it."""


class Formula(Meter):
    """A meter that computes: nothing runs, and nothing needs to be remembered."""

    @abstractmethod
    def compute(self, workload: Workload, shapes: Sequence[Shape]) -> Sequence[float]:
        """Return the metric of each shape, in order."""


class Instrument(Meter):
    """A meter that runs networks on the device. Every value is recorded in the study."""

    @abstractmethod
    def identity(self, workload: Workload) -> Mapping[str, object]:
        """Return what else determines a value, as JSON values: a fingerprint of the device, library versions.

        Architecture, shape, input, classes, batch size, device name, meter and options need not be repeated.
        Runs in the process of the search, before anything is measured.

        Raises:
            MeterError: there is nothing to measure with; the message says why and the remedy.
        """

    @abstractmethod
    def measure(self, workload: Workload, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure every shape, in any order, handing over each as soon as it is known. Runs in a worker process.

        Raises:
            MeterError: the sensor failed; the message says why and the remedy.
        """


class Strategy(ABC):
    """How many shapes to train (paper, Section 4)."""

    exact: ClassVar[bool] = False
    """Whether so many are wanted even if the sampler could do with fewer."""

    @abstractmethod
    def count(self, candidates: int) -> int:
        """Return how many of ``candidates`` shapes to train, from 1 to ``candidates``."""


class Posterior(Protocol):
    """What a search knows half-way of the answer to its question, as samplers are told."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """All that meet the limits that need no training, sorted by width and then depth."""

    @property
    def observed(self) -> Sequence[Training]:
        """Every training so far."""

    @property
    def limits(self) -> Sequence[Constraint]:
        """Limits on accuracy."""

    @property
    def goal(self) -> Goal | None:
        """What orders the shapes that comply; without one, all that comply are asked for."""

    @property
    def confidence(self) -> float:
        """The probability from which an answer stands."""

    @property
    def together(self) -> int:
        """Trainings to choose before the first of them has a result."""

    @property
    def exact(self) -> bool:
        """Whether the whole budget of trainings is to be spent, settled or not."""

    @property
    def settled(self) -> bool:
        """Whether the answer stands with the wanted confidence, or every shape was trained."""

    @property
    def doubt(self) -> float:
        """The probability that training more would change the answer by more than the noise."""

    @property
    def tolerance(self) -> float:
        """The standard deviation of a training's accuracy about what is expected of its shape, in points."""

    @property
    def costs(self) -> NDArray[np.float64]:
        """The assumed duration of training each shape, in units of their mean."""

    def choose(self, number: int) -> list[Shape]:
        """Return the untrained shapes whose training improves the answer most for its cost, at most ``number``."""


class Sampler(ABC):
    """Which shapes to train (paper, Section 4)."""

    confident: ClassVar[bool] = False
    """Whether it decides by what is asked, so that a search with it trains until the answer stands with a confidence
    (``--confidence``) even if none is given."""

    def consider(self, posterior: Posterior) -> None:  # noqa: B027 - most samplers do not care
        """Be told what is asked and what is known of the answer, before every choice."""

    @abstractmethod
    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Return the shapes to train next, or nothing when done.

        Asked again after the results of the previous answer have arrived.

        Args:
            shapes: all candidates, sorted by width and then depth.
            observed: every training so far, in the order of ``shapes``; a failed one has no accuracy.
            budget: number of trainings in all, of which ``len(observed)`` are spent.
        """


class AccuracyModel(ABC):
    """Predicts the accuracy of shapes from the accuracy of some that were trained (paper, Equation 2)."""

    @abstractmethod
    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Learn from trained shapes, at least one, and their accuracies in percent."""

    @abstractmethod
    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict each shape, in order."""

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Learn also from trainings that were stopped, of which the last accuracy is only extrapolated.

        Unless a model overrides this, it learns from the finished trainings alone.

        Args:
            shapes: as for :meth:`fit`.
            accuracies: trained or extrapolated ones.
            stds: standard deviation of each extrapolation, in points; 0 for a training that was finished.
        """
        kept = [i for i, std in enumerate(stds) if std == 0]
        self.fit([shapes[i] for i in kept], [accuracies[i] for i in kept])

    @property
    def noise(self) -> float:
        """The standard deviation of one training's accuracy about what is expected of its shape, in points.

        0 unless the model estimates it; the standard deviation of a prediction is then taken for doubt about the shape.
        """
        return 0.0

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64] | None:
        """Draw surfaces of expected accuracy, each as likely as the next, of shape (number, number of shapes).

        The noise of a single training is no part of them. Decisions under uncertainty rest on these draws.

        Args:
            shapes: of which to draw.
            number: of draws.
            seed: of the draws; the same fit and the same seed give the same draws.

        Returns:
            The draws; None if the model cannot tell. Shapes are then taken to vary independently, by the standard
            deviation of their predictions, or where there is none by what the model errs on trainings it was not shown.
        """
        return None


class Goal(ABC):
    """Scores a shape that complies; the shape of the lowest score is the best."""

    metrics: tuple[str, ...]
    """Metrics the score needs. Those that no constraint has measured yet are measured before ordering."""

    @abstractmethod
    def score(self, values: Mapping[str, float]) -> float:
        """Return the score of a shape from its ``metrics``; accuracy is the trained one or else the predicted one."""


class Executor(ABC):
    """Runs tasks somewhere: in processes of this machine, or on others.

    Tasks can be pickled and compared, and are told apart by their ``attempt``; they cannot be hashed.
    """

    elsewhere: ClassVar[bool] = False
    """Whether tasks run on other machines, so that this one says nothing about the device that is measured."""
    threads: int = 1
    """Threads of each training on a processor, which are part of what determines its accuracy. The training itself sees
    to it that it has so many; how many run at once has to suit."""

    def device(self, wanted: str) -> str:
        """Return where networks run, as torch writes it there.

        Args:
            wanted: ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.

        Raises:
            UsageError: there is no such device; the message lists those there are.
        """
        return devices.resolve(wanted)

    @abstractmethod
    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Run every task once and hand over each outcome as it arrives, in any order.

        A task that raises, or whose process dies, is an outcome like any other and does not disturb the rest. One that
        shows no sign of life for longer than its ``patience`` is ended, with a ProcessDiedError for an outcome.

        Args:
            tasks: in the order in which they should start.
            workers: how many to run at once; None for the executor's own choice.
            report: to be called with whatever a task reports while it runs, by the thread that asks for outcomes and
                before the outcome of that task; returns False to ask the task to stop.
        """

    def stop(self) -> None:  # noqa: B027 - those that run are asked to stop anyway
        """Start no further task; :meth:`run` hands over the outcomes of those that run, and ends.

        Called by a signal handler, in the middle of anything else: set a flag and no more.
        """

    def close(self) -> None:  # noqa: B027 - there may be nothing to release
        """Release whatever was started; called once, also after an error."""


class Terminator(ABC):
    """Decides whether a training is worth continuing."""

    by_question: ClassVar[bool] = False
    """Whether it decides by what is asked, so that another question may continue what it stopped."""

    def consider(self, limits: Sequence[Constraint], goal: Goal | None) -> None:  # noqa: B027 - most do not care
        """Be told what is asked, before the first training: the limits on accuracy, and the goal if there is one."""

    @abstractmethod
    def should_stop(self, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
        """Decide after each epoch, with True or False.

        Args:
            curve: the training's epochs so far.
            epochs: how many it would have in all.
            others: the other trainings of the same search: finished, stopped, and those that run at the same time,
                each with its curve so far. Only finished ones have an accuracy.
        """


class Observer(ABC):
    """Is told what happens during a search, for example to log it."""

    @abstractmethod
    def notify(self, event: Event) -> None:
        """Take note of an event (:mod:`shape_dnn.events`)."""

    def close(self) -> None:  # noqa: B027 - there may be nothing open
        """Flush whatever is open; called once, also after an error."""
