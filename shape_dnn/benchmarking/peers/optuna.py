"""Optuna's samplers, asked and told."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.methods import Found, Method
from shape_dnn.search.kernel import logarithms

REPEATS = 5
"""Suggestions of shapes that were trained, in a row, after which a random one is trained instead."""


class _Optuna(Method):
    """Search with Optuna, one training after the other.

    Depth and width are whole numbers, the places of the values that there are in their order, on which logarithms of
    the grids that people use are about even; what lies on a shape that the limits leave out counts as the nearest
    that they leave, so no suggestion breaks a limit that needs no training, and every suggestion is told as the shape
    that it stands for. The limit on accuracy is a constraint as Optuna supports it. The objective is accuracy, or the
    logarithm of a goal that is above 0, which its models fit better than goals that span orders of magnitude. A shape
    that is suggested again is not trained again: Optuna is told its result once more.

    Args:
        most: trainings after which it is stopped.
    """

    never_stops = True
    made_by = ("optuna",)

    def __init__(self, most: int) -> None:
        self.most = most

    @abstractmethod
    def sampler(self, seed: int, constraints: Callable[[Any], tuple[float]] | None) -> Any:
        """Return the sampler."""

    def answer(self, seen: Seen, seed: int) -> Found:
        """Ask and tell until so many shapes were trained."""
        import optuna as package

        package.logging.set_verbosity(package.logging.ERROR)
        logs = logarithms(seen.shapes)
        grids = [np.unique(column) for column in logs.T]
        spans = [max(float(np.ptp(grid)), 1e-9) for grid in grids]
        score = None if seen.goal_is_accuracy else np.log(np.maximum(seen.scores(), 1e-300))

        def shortfall(trial: package.trial.FrozenTrial) -> tuple[float]:
            return (seen.limits[0].limit - trial.user_attrs["accuracy"],)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental
            study = package.create_study(sampler=self.sampler(seed, shortfall if seen.limits else None))
            rng = np.random.default_rng(seed)
            trained: list[int] = []
            repeats = 0
            while len(trained) < min(self.most, len(seen.shapes)):
                trial = study.ask()
                place = [
                    grid[trial.suggest_int(name, 0, len(grid) - 1)]
                    for name, grid in zip(("depth", "width"), grids, strict=True)
                ]
                i = int((((logs - place) / spans) ** 2).sum(1).argmin())
                if i in trained and repeats == REPEATS:
                    i = int(rng.choice(np.setdiff1d(np.arange(len(seen.shapes)), trained)))
                repeats = repeats + 1 if i in trained else 0
                if i not in trained:
                    trained.append(i)
                accuracy = seen.accuracy(seen.shapes[i])
                trial.set_user_attr("accuracy", accuracy)
                study.tell(trial, -accuracy if score is None else float(score[i]))
        return Found(seen.best)


class Tpe(_Optuna):
    """Optuna's tree-structured Parzen estimator: multivariate, 5 random trials at first.

    The 10 of its default are too many for so few trainings.
    """

    def __init__(self, most: int = 25) -> None:
        super().__init__(most)

    def sampler(self, seed: int, constraints: Callable[[Any], tuple[float]] | None) -> Any:
        """Return the sampler."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, n_startup_trials=5, multivariate=True, constraints_func=constraints)


class GaussianProcess(_Optuna):
    """Optuna's Gaussian process: 5 random trials at first, of its default 10, and a deterministic objective.

    The noise of a training is small beside the differences between shapes, so that a model of the noise costs it
    trainings before it says anything.
    """

    def __init__(self, most: int = 18) -> None:
        super().__init__(most)

    def sampler(self, seed: int, constraints: Callable[[Any], tuple[float]] | None) -> Any:
        """Return the sampler."""
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed, n_startup_trials=5, deterministic_objective=True, constraints_func=constraints)
