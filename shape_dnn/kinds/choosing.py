"""Plugins that decide which shapes are trained, what is expected of the others, and which shape is the best."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from shape_dnn.errors import UsageError, label
from shape_dnn.quality import ACCURACY, Quality

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shape_dnn.constraints import Constraint
    from shape_dnn.records import Prediction, Training
    from shape_dnn.shape import Shape


class Strategy(ABC):
    """Decides how many shapes to train (paper, Section 4)."""

    exact: ClassVar[bool] = False
    """Whether the whole number is to be trained even if the sampler could do with fewer."""

    @abstractmethod
    def count(self, candidates: int) -> int:
        """Return how many of ``candidates`` shapes to train, from 1 to ``candidates``."""


class Posterior(Protocol):
    """What a search knows, while it runs, of the answer to its question. This is what samplers are told."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """All shapes that meet the limits that need no training, sorted by width and then by depth."""

    @property
    def observed(self) -> Sequence[Training]:
        """Every training so far."""

    @property
    def quality(self) -> Quality:
        """The quality that trainings are judged by."""

    @property
    def limits(self) -> Sequence[Constraint]:
        """The limits on quality."""

    @property
    def goal(self) -> Goal | None:
        """The goal that orders the shapes that comply; None if all that comply are asked for."""

    @property
    def confidence(self) -> float:
        """The probability that an answer must reach in order to stand."""

    @property
    def together(self) -> int:
        """How many trainings to choose before the first of them has a result."""

    @property
    def exact(self) -> bool:
        """Whether the whole budget of trainings is to be spent, even if the answer is settled before."""

    @property
    def settled(self) -> bool:
        """Whether the answer stands with the wanted confidence, or every shape has been trained."""

    @property
    def doubt(self) -> float:
        """The probability that further trainings would change the answer by more than the noise."""

    @property
    def tolerance(self) -> float:
        """The standard deviation of a training's quality around the quality expected of its shape, in its unit."""

    @property
    def initial(self) -> int:
        """How many trainings the accuracy model wants to begin with, before it is asked."""

    @property
    def costs(self) -> NDArray[np.float64]:
        """The assumed duration of training each shape, in units of the mean of all."""

    @property
    def draws(self) -> NDArray[np.float64]:
        """Equally likely surfaces of expected quality, drawn from the accuracy model, with a column for each shape.

        Raises:
            ValueError: no training has succeeded yet.
        """

    @property
    def scores(self) -> NDArray[np.float64]:
        """The goal's score of each shape in each draw: the lowest is the best, and an infinite one does not comply.

        The array has the same dimensions as :attr:`draws`. A metric of the goal that need not be measured to find the
        answer is guessed.

        Raises:
            ValueError: no training has succeeded yet, or there is no goal.
        """

    def choose(self, number: int) -> list[Shape]:
        """Return at most ``number`` untrained shapes, those whose training improves the answer most for its cost."""


class Sampler(ABC):
    """Decides which shapes to train (paper, Section 4)."""

    confident: ClassVar[bool] = False
    """Whether the sampler decides by the question. A search with such a sampler trains until the answer stands with a
    confidence (``--confidence``), even if none is given."""

    def consider(self, posterior: Posterior) -> None:  # noqa: B027 - most samplers do not care
        """Take note of the question, and of what is known of its answer. Called before every choice."""

    @abstractmethod
    def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
        """Return the shapes to train next, or nothing when done.

        This is called again when the results for the shapes chosen before have arrived.

        Args:
            shapes: all candidates, sorted by width and then by depth.
            observed: every training so far, in the order of ``shapes``; a failed one has no quality.
            budget: number of trainings in all, of which ``len(observed)`` have been spent.
        """


class AccuracyModel(ABC):
    """Predicts the quality of shapes from that of shapes that were trained (paper, Equation 2).

    Here and below, an accuracy is a value of whatever quality trainings are judged by, in the unit of that quality.
    """

    quality: Quality = ACCURACY
    """The quality that accuracies are values of; set before the model is first used."""

    @abstractmethod
    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Learn from one or more trained shapes and their accuracies."""

    @abstractmethod
    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict the accuracy of each shape, in order."""

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Learn from finished trainings, and from stopped ones whose final accuracy is only extrapolated.

        A model that does not override this learns from the finished trainings alone.

        Args:
            shapes: as for :meth:`fit`.
            accuracies: final accuracies, trained or extrapolated.
            stds: standard deviation of each extrapolation; 0 for a finished training.
        """
        kept = [i for i, std in enumerate(stds) if std == 0]
        self.fit([shapes[i] for i in kept], [accuracies[i] for i in kept])

    def learn_from(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Take note of what the same family achieved elsewhere, on other data or with another recipe.

        This is called before any fit.

        Args:
            shapes: the shapes that were trained there, each once.
            accuracies: their accuracies, as values of the same quality.

        Raises:
            UsageError: always, unless a model overrides this.
        """
        raise UsageError(f"{label(self)} takes no prior; the built-in log-error does", "prior")

    @property
    def prior_weight(self) -> float | None:
        """The probability, by the last fit, that accuracies follow the prior; None without a prior."""
        return None

    @property
    def initial(self) -> int:
        """How many trainings to begin with, on shapes that tell much about all, before the model guides the choice."""
        return 4

    @property
    def noise(self) -> float:
        """The standard deviation of one training's accuracy around the accuracy expected of its shape.

        It is 0 if the model does not estimate it; the standard deviation of a prediction then counts as doubt about the
        shape.
        """
        return 0.0

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64] | None:
        """Draw equally likely surfaces of expected accuracy, as an array of shape (number, number of shapes).

        The draws do not include the noise of a single training. Decisions under uncertainty rest on them.

        Args:
            shapes: the shapes to draw for.
            number: how many surfaces to draw.
            seed: seed of the draws; the same fit and the same seed give the same draws.

        Returns:
            The draws; None if the model cannot provide any. Shapes are then assumed to vary independently, by the
            standard deviation of their predictions or, where a prediction has none, by the error of the model on
            trainings that it was not shown; in either case less the noise, if the model estimates it.
        """
        return None


class Goal(ABC):
    """Scores the shapes that comply; the one with the lowest score is the best."""

    metrics: tuple[str, ...]
    """Metrics that the score needs. Those that no constraint has measured yet are measured before shapes are
    ordered."""
    stepped: Collection[str] = ()
    """Metrics that are compared in whole steps first: two values count as equal there only if they are on the same
    step. If quality is one of them, a shape is taken to be on the step of its training."""

    @abstractmethod
    def score(self, values: Mapping[str, float]) -> float:
        """Return the score of a shape from its ``metrics``; quality is the trained value or else the predicted one."""
