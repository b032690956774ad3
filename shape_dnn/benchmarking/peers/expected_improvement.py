"""Bayesian optimisation as a textbook has it, given what is known without training."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import stats

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.records import Prediction
from shape_dnn.search.kernel import Floats, logarithms

INITIAL = 5
LEAST_POINTS = 0.1
"""Expected improvement at which it stops, in standard deviations of a training, where quality is the goal."""
LEAST_PART = 0.01
"""Elsewhere, as a part of the score of the best so far, or the probability that anything complies if nothing did."""


class ExpectedImprovement(Method):
    """A Gaussian process of scikit-learn over log depth and log width, with expected improvement.

    It models quality alone and knows metrics for what they are: where the goal is another metric, the improvement of a
    shape is certain and is weighted by the probability that it meets the limit (Gardner et al. 2014). That is more than
    a general tuner knows, and so the fairest comparison of models.

    Settings: a Matern 5/2 kernel with a length for each of depth and width, a scale and noise, fitted by marginal
    likelihood from 3 starts. Lengths are at least 0.3 of the range, and noise at most a tenth of the variance: without
    that, 5 trainings are often taken for noise alone, and it ends with a wrong answer. At first there are 5 trainings
    spread by a Sobol sequence, since fewer leave the lengths open. It ends when no expected improvement exceeds a tenth
    of the standard deviation of a training, or 1 % of the goal where that is another metric.
    """

    made_by = ("scikit-learn",)

    def answer(self, seen: Seen, seed: int) -> Found:
        """Train what promises most until that is little."""
        places = logarithms(seen.shapes)
        places = (places - places.min(0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
        trained = spread(places, INITIAL, seed)
        seen.train([seen.shapes[i] for i in trained])
        while True:
            qualities = np.array([seen.trained(seen.shapes[i]) for i in trained])
            mean, std, noise = _fit(places, trained, qualities, seed)
            worth = _worth(seen, mean, std, noise)
            worth[trained] = 0.0
            if worth.max() <= 0:
                break
            trained.append(int(worth.argmax()))
            seen.trained(seen.shapes[trained[-1]])
            if len(trained) == len(seen.shapes):
                break
        deviations = np.hypot(std, noise)
        others = {
            shape: Prediction(float(mean[i]), float(deviations[i]))
            for i, shape in enumerate(seen.shapes)
            if i not in trained
        }
        return Found(seen.best, predictions=others)


def spread(places: Floats, number: int, seed: int) -> list[int]:
    """Return the positions of different places that are nearest to the points of a Sobol sequence."""
    points = stats.qmc.Sobol(2, seed=seed).random_base2(6)
    chosen: list[int] = []
    for point in points:
        nearest = int(((places - point) ** 2).sum(1).argmin())
        if nearest not in chosen and len(chosen) < number:
            chosen.append(nearest)
    return chosen


def _fit(places: Floats, trained: list[int], qualities: Floats, seed: int) -> tuple[Floats, Floats, float]:
    """Return mean and standard deviation of the expected quality of all shapes, and the noise of a training."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern([1.0, 1.0], (0.3, 10.0), nu=2.5) + WhiteKernel(1e-2, (1e-4, 0.1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths at their bounds
        process.fit(places[trained], qualities)
        mean, std = process.predict(places, return_std=True)
    scale = float(np.std(qualities)) or 1.0
    noise = scale * float(np.sqrt(process.kernel_.k2.noise_level))
    return np.asarray(mean), np.sqrt(np.maximum(np.asarray(std) ** 2 - noise**2, 1e-12)), noise


def _worth(seen: Seen, mean: Floats, std: Floats, noise: float) -> Floats:
    """Return the expected improvement of every shape, 0 where it is not worth a training."""
    likely, sign = np.ones(len(mean)), seen.quality.sign
    for limit in seen.limits:
        likely = likely * stats.norm.sf(sign * (limit.limit - mean) / np.hypot(std, noise))
    best = seen.best
    if best is None:
        return np.where(likely > LEAST_PART, likely, 0.0)
    if seen.goal_is_quality:
        gap = sign * (mean - seen.trained(best))
        improvement = gap * stats.norm.cdf(gap / std) + std * stats.norm.pdf(gap / std)
        return np.where(improvement * likely > LEAST_POINTS * seen.noise, improvement * likely, 0.0)
    scores = seen.scores()
    reached = float(scores[seen.shapes.index(best)])
    improvement = np.maximum(reached - scores, 0.0) * likely
    return np.where(improvement > LEAST_PART * abs(reached), improvement, 0.0)
