"""Optuna's samplers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.peers.tuners import Conversation, Tuner
from shape_dnn.search.kernel import Floats

START_UP = 5
"""Random trials at first: the 10 of Optuna's default are too many for so few trainings."""
Constraints = Callable[[Any], Sequence[float]]


class _Study:
    """A study of Optuna, asked and told, on the depths and widths that there are or on real numbers between them."""

    def __init__(self, sampler: Any, depths: Floats, widths: Floats, *, real: bool) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=sampler)
        self._logarithms, self._real = {"depth": depths, "width": widths}, real
        self._trial: Any = None

    def ask(self) -> Sequence[float]:
        self._trial = self._study.ask()
        if self._real:
            return [self._trial.suggest_float(name, logs[0], logs[-1]) for name, logs in self._logarithms.items()]
        return [logs[self._trial.suggest_int(name, 0, len(logs) - 1)] for name, logs in self._logarithms.items()]

    def tell(self, objective: float, shortfall: float | None) -> None:
        self._trial.set_user_attr("shortfall", shortfall)
        self._study.tell(self._trial, objective)


class _Optuna(Tuner):
    """A sampler of Optuna.

    Attributes:
        real: whether depth and width are logarithms between the least and the largest, instead of places in the order
            of those that there are.
    """

    made_by = ("optuna",)
    real: ClassVar[bool] = False

    @abstractmethod
    def sampler(self, seed: int, constraints: Constraints | None) -> Any:
        """Return the sampler; the limit on quality is a constraint as Optuna supports it."""

    def begin(self, seen: Seen, depths: Floats, widths: Floats, seed: int) -> Conversation:
        """Make a study."""
        constraints = (lambda trial: (trial.user_attrs["shortfall"],)) if seen.limits else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental
            return _Study(self.sampler(seed, constraints), depths, widths, real=self.real)


class Tpe(_Optuna):
    """Optuna's tree-structured Parzen estimator: multivariate, since depth and width trade off; 5 random trials."""

    def __init__(self, most: int = 25) -> None:
        super().__init__(most)

    def sampler(self, seed: int, constraints: Constraints | None) -> Any:
        """Return the sampler."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, n_startup_trials=START_UP, multivariate=True, constraints_func=constraints)


class TpeOfLogarithms(Tpe):
    """The same on the logarithms of depth and width, where a suggestion can lie between two shapes.

    It is there to show what the choice of whole numbers is worth to Optuna.
    """

    real = True


class GaussianProcess(_Optuna):
    """Optuna's Gaussian process: 5 random trials, and a deterministic objective.

    The noise of a training is small beside the differences between shapes, and of few trainings a model of it learns
    less than it costs.
    """

    def __init__(self, most: int = 18) -> None:
        super().__init__(most)

    def sampler(self, seed: int, constraints: Constraints | None) -> Any:
        """Return the sampler."""
        from optuna.samplers import GPSampler

        return GPSampler(
            seed=seed, n_startup_trials=START_UP, deterministic_objective=True, constraints_func=constraints
        )
