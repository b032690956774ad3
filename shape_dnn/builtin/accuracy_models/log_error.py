"""The logarithm of the error as a plane and a Gaussian process over the logarithms of depth and width."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.search.kernel import Floats, distances, logarithms, matern
from shape_dnn.shape import Shape

FLOOR = 0.05
"""Least error in percent: what is below cannot be told from no error at all."""
WORST = float(np.log(100.0))
"""Logarithm of the largest error there is."""
LEVEL, SLOPES = 3.0, 1.0
"""Prior standard deviations of the plane: at the middle of the trained shapes, and of its slopes over the spread."""
AMPLITUDES = (0.03, 0.1, 0.3, 0.9)
"""Standard deviations of what the plane cannot follow."""
LENGTHS = (1.0, 2.0, 4.0)
"""Distances, in spreads of the trained shapes, over which that is alike."""
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Standard deviations of one training, in points."""
NOISE_PRIOR, NOISE_SPREAD = 0.2, 0.8
"""Noise that is expected before any was seen, the middle of the paper's Table 1, and how far that may be off (log)."""
FEATURES = 256
"""Waves of which a draw of the process consists (Rahimi and Recht 2007)."""


class LogError(AccuracyModel):
    """A plane for the trend, a process with a Matern 5/2 kernel for what the trend cannot follow, and noise.

    Errors shrink by factors rather than by points, so their logarithms are modelled; no prediction is above 100 %.
    Amplitude and length of the process, and the noise, are averaged over a grid, each point of which is weighted by its
    marginal likelihood and a prior for the noise (Rasmussen and Williams 2006, Sections 2.7 and 5.4), so that few
    trainings do not pretend to know them.
    """

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Weight the points of the grid."""
        self._fit(shapes, accuracies, np.zeros(len(shapes)))

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Add the variance of extrapolated accuracies to the noise."""
        self._fit(shapes, accuracies, np.asarray(stds, float))

    def _fit(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Floats) -> None:
        order = sorted(range(len(shapes)), key=lambda i: (shapes[i], accuracies[i]))
        logs = logarithms([shapes[i] for i in order])
        errors = np.maximum(100.0 - np.array([accuracies[i] for i in order], float), FLOOR)
        self._centre, spread = logs.mean(0), logs.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._places = (logs - self._centre) / self._scale
        target = np.log(errors)
        self._level = float(target.mean())
        self._target = target - self._level
        self._per_point = 1.0 / np.maximum(errors, 1.0)  # a point of accuracy, in logarithms of the error
        self._stds = stds[order]
        self._grid = list(itertools.product(AMPLITUDES, LENGTHS, NOISES))
        apart = distances(self._places, self._places)
        self._plane = _plane(self._places, self._places)
        evidences, self._factors = [], []
        for amplitude, length, noise in self._grid:
            covariance = self._plane + amplitude**2 * matern(apart / length)
            variance = (noise**2 + self._stds**2) * self._per_point**2
            factor = np.linalg.cholesky(covariance + np.diag(variance + 1e-8))
            explained = np.linalg.solve(factor, self._target)
            prior = -0.5 * (np.log(noise / NOISE_PRIOR) / NOISE_SPREAD) ** 2
            evidences.append(prior - 0.5 * explained @ explained - np.log(np.diag(factor)).sum())
            self._factors.append((factor, np.linalg.solve(factor.T, explained)))
        weights = np.exp(np.array(evidences) - max(evidences))
        self._weights = weights / weights.sum()

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training."""
        places = (logarithms(shapes) - self._centre) / self._scale
        apart, plane = distances(places, self._places), _plane(places, self._places)
        own = np.array([_plane(place[None], place[None])[0, 0] for place in places])
        means, squares = np.zeros(len(places)), np.zeros(len(places))
        for weight, (amplitude, length, noise), (factor, coefficients) in zip(
            self._weights, self._grid, self._factors, strict=True
        ):
            if weight < 1e-4:
                continue
            covariance = plane + amplitude**2 * matern(apart / length)
            log_mean = covariance @ coefficients
            reduced = np.linalg.solve(factor, covariance.T)
            variance = np.minimum(np.maximum(own + amplitude**2 - (reduced**2).sum(0), 0.0), 4.0)
            mean = np.exp(np.minimum(self._level + log_mean + variance / 2, WORST))
            means += weight * mean
            squares += weight * (mean**2 * np.exp(variance) + noise**2)
        total = self._weights[self._weights >= 1e-4].sum()
        means, squares = means / total, squares / total
        stds = np.sqrt(np.maximum(squares - means**2, 0.0))
        return [Prediction(100.0 - float(mean), float(min(std, 50.0))) for mean, std in zip(means, stds, strict=True)]

    @property
    def noise(self) -> float:
        """The noise that is expected by the grid."""
        return float(sum(weight * point[2] for weight, point in zip(self._weights, self._grid, strict=True)))

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> Floats:
        """Draw points of the grid, and for each a surface: one of the prior, bent to what was seen (Matheron's rule).

        A surface of the prior is a sum of waves, so that the time grows with the number of shapes and no faster.
        """
        rng = np.random.default_rng(seed)
        places = (logarithms(shapes) - self._centre) / self._scale
        chosen = rng.choice(len(self._grid), number, p=self._weights)
        directions = rng.standard_normal((FEATURES, 2)) / np.sqrt(rng.chisquare(5.0, (FEATURES, 1)) / 5.0)
        phases = rng.uniform(0, 2 * np.pi, FEATURES)
        waves = rng.standard_normal((number, FEATURES)) * np.sqrt(2.0 / FEATURES)
        tilt = rng.standard_normal((number, 3)) * [LEVEL, SLOPES, SLOPES]
        scatter = rng.standard_normal((number, len(self._places)))
        both = np.concatenate([places, self._places])
        plane = tilt @ np.column_stack([np.ones(len(both)), both]).T
        drawn = np.empty((number, len(places)))
        apart, with_plane = distances(places, self._places), _plane(places, self._places)
        for point in np.unique(chosen):
            amplitude, length, noise = self._grid[point]
            rows = np.flatnonzero(chosen == point)
            basis = np.cos(both @ (directions / length).T + phases)
            prior = plane[rows] + amplitude * (waves[rows] @ basis.T)
            deviation = np.sqrt(noise**2 + self._stds**2) * self._per_point
            surprise = self._target - prior[:, len(places) :] - deviation * scatter[rows]
            factor, _ = self._factors[point]
            solved = np.linalg.solve(factor.T, np.linalg.solve(factor, surprise.T))
            covariance = with_plane + amplitude**2 * matern(apart / length)
            drawn[rows] = prior[:, : len(places)] + (covariance @ solved).T
        return np.asarray(100.0 - np.exp(np.minimum(self._level + drawn, WORST)))


def _plane(one: Floats, other: Floats) -> Floats:
    return np.asarray(LEVEL**2 + SLOPES**2 * one @ other.T)
