"""Which shapes are trained, what is expected of the others, and which is the best."""

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
    def quality(self) -> Quality:
        """What trainings are judged by."""

    @property
    def limits(self) -> Sequence[Constraint]:
        """Limits on quality."""

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
        """The standard deviation of a training's quality about what is expected of its shape, in its unit."""

    @property
    def initial(self) -> int:
        """Trainings to begin with before the accuracy model is asked, as it has it."""

    @property
    def costs(self) -> NDArray[np.float64]:
        """The assumed duration of training each shape, in units of their mean."""

    @property
    def draws(self) -> NDArray[np.float64]:
        """Surfaces of expected quality by the accuracy model, each as likely as the next; a column for each shape.

        Raises:
            ValueError: no training succeeded yet.
        """

    @property
    def scores(self) -> NDArray[np.float64]:
        """What the goal says of each of the draws, of their shape: the lowest is the best, infinite does not comply.

        A metric of the goal that need not be measured to tell the answer is guessed.

        Raises:
            ValueError: no training succeeded yet, or there is no goal.
        """

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
            observed: every training so far, in the order of ``shapes``; a failed one has no quality.
            budget: number of trainings in all, of which ``len(observed)`` are spent.
        """


class AccuracyModel(ABC):
    """Predicts the quality of shapes from that of some that were trained (paper, Equation 2).

    Accuracies, here and below, are values of whatever trainings are judged by, in its unit.
    """

    quality: Quality = ACCURACY
    """What they are values of; set before the model is first asked."""

    @abstractmethod
    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Learn from trained shapes, at least one, and their accuracies."""

    @abstractmethod
    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict each shape, in order."""

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Learn also from trainings that were stopped, of which the last accuracy is only extrapolated.

        Unless a model overrides this, it learns from the finished trainings alone.

        Args:
            shapes: as for :meth:`fit`.
            accuracies: trained or extrapolated ones.
            stds: standard deviation of each extrapolation; 0 for a training that was finished.
        """
        kept = [i for i, std in enumerate(stds) if std == 0]
        self.fit([shapes[i] for i in kept], [accuracies[i] for i in kept])

    def learn_from(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Take note of what the same family achieved elsewhere, on other data or with another recipe, before any fit.

        Args:
            shapes: that were trained there, each once.
            accuracies: of the same quality.

        Raises:
            UsageError: unless a model overrides this.
        """
        raise UsageError(f"{label(self)} takes no prior; the built-in log-error does", "prior")

    @property
    def prior_weight(self) -> float | None:
        """The probability that accuracies run as the prior has them, by the last fit; None without a prior."""
        return None

    @property
    def initial(self) -> int:
        """Trainings to begin with, which tell much about all shapes, before the model is asked what to train next."""
        return 4

    @property
    def noise(self) -> float:
        """The standard deviation of one training's accuracy about what is expected of its shape.

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
            deviation of their predictions, or where there is none by what the model errs on trainings it was not shown;
            less the noise, where the model estimates it.
        """
        return None


class Goal(ABC):
    """Scores a shape that complies; the shape of the lowest score is the best."""

    metrics: tuple[str, ...]
    """Metrics the score needs. Those that no constraint has measured yet are measured before ordering."""
    stepped: Collection[str] = ()
    """Metrics of which whole steps count first: values on one step are alike there, and no others are. Where quality is
    one of them, a shape is taken to be on the step of its training."""

    @abstractmethod
    def score(self, values: Mapping[str, float]) -> float:
        """Return the score of a shape from its ``metrics``; quality is the trained one or else the predicted one."""
