"""Bayesian linear regression, on whatever features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.search import rounding
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape

PENALTIES = np.logspace(-6, 3, 46)
NOISE_PRIOR = 0.2
"""Standard deviation expected of one training before any was seen, in percent (:class:`Scale`): the middle of the
paper's Table 1."""
NOISE_PRIOR_WEIGHT = 1.0
"""How many trainings that expectation counts for."""
NOTHING = 1e-10
"""Part of the largest singular value below which one is rounding noise."""


class BayesianLinear(AccuracyModel):
    """Bayesian ridge regression on standardised features.

    The coefficients have independent normal priors whose variance is the noise variance over the penalty. Predictions
    are averaged over a grid of penalties, each weighted by its marginal likelihood (MacKay 1992) with the noise
    integrated out, so that a penalty the data hardly determine widens the standard deviation.
    """

    @abstractmethod
    def features(self, shapes: Sequence[Shape]) -> NDArray[np.float64]:
        """Return what the quality is linear in, of shape (number of shapes, number of features)."""

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Weight the penalties, by one singular value decomposition for all."""
        self._fit(shapes, accuracies, np.ones(len(shapes)))

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Weigh what was extrapolated by their variance beside the noise that the finished trainings show."""
        super().fit_uncertain(shapes, accuracies, stds)
        variance = self.noise**2
        self._fit(shapes, accuracies, variance / (variance + np.asarray(stds, float) ** 2))

    def _fit(self, shapes: Sequence[Shape], accuracies: Sequence[float], weights: NDArray[np.float64]) -> None:
        raw = self.features(shapes)
        target = np.asarray(accuracies, float)
        expected_noise = NOISE_PRIOR * Scale.of(self.quality, accuracies).unit
        self._number = float(weights.sum())
        self._mean, self._intercept = weights @ raw / self._number, float(weights @ target / self._number)
        self._scale = rounding.spreads(raw)
        root = np.sqrt(weights)
        standardised = root[:, None] * (raw - self._mean) / self._scale
        left, found, self._right = np.linalg.svd(standardised)
        # Directions of which nothing was seen have their prior, all alike. What is left of them in a decomposition is
        # rounding noise, which must not single one out.
        singular = np.zeros(len(self._right))
        singular[: len(found)] = np.where(found > NOTHING * found.max(initial=0.0), found, 0.0)
        residual = root * (target - self._intercept)
        projected = np.zeros(len(self._right))
        projected[: len(found)] = (left.T @ residual)[: len(found)]
        # Rows are penalties, columns singular directions.
        self._inverse = 1 / (singular**2 + PENALTIES[:, None])
        self._coefficients = self._inverse * (singular * projected)
        kept = (singular**2 * self._inverse) @ projected**2
        freedom = self._number - 1 + NOISE_PRIOR_WEIGHT
        noise = np.maximum(residual @ residual - kept, 0.0) + NOISE_PRIOR_WEIGHT * expected_noise**2
        self._noise = noise / freedom
        log_evidence = -0.5 * (freedom * np.log(self._noise) + np.log1p(singular**2 / PENALTIES[:, None]).sum(1))
        weights = np.exp(log_evidence - log_evidence.max())
        self._weights = weights / weights.sum()

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training; from a single shape, the mean alone."""
        directions = ((self.features(shapes) - self._mean) / self._scale) @ self._right.T
        means = self._intercept + directions @ self._coefficients.T
        mean = means @ self._weights
        if self._number < 2:
            return [Prediction(float(m)) for m in mean]
        variances = self._noise * (1 + 1 / self._number + directions**2 @ self._inverse.T)
        # The variance of a mixture: within the penalties, where predictions have Student's t distribution since the
        # noise was estimated too, and between them.
        variances *= self._number / max(self._number - 2, 1.0)
        std = np.sqrt((variances + (means - mean[:, None]) ** 2) @ self._weights)
        return [Prediction(float(m), float(s)) for m, s in zip(mean, std, strict=True)]

    @property
    def noise(self) -> float:
        """The root of the mean noise variance over the penalties."""
        return float(np.sqrt(self._weights @ self._noise))

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64]:
        """Draw a penalty, the variance of the noise, and then coefficients.

        Coefficients are drawn along the features and then turned into the singular directions, whose signs differ
        between processors: so the same seed gives the same surfaces everywhere. And it gives those of errors that are
        100 less those of the accuracies.
        """
        rng, sign = np.random.default_rng(seed), self.quality.sign
        directions = ((self.features(shapes) - self._mean) / self._scale) @ self._right.T
        penalties = rng.choice(len(self._weights), number, p=self._weights)
        noise = self._noise[penalties] * self._number / rng.chisquare(self._number, number)
        deviation = np.sqrt(noise)[:, None]
        turned = sign * rng.standard_normal((number, len(self._right))) @ self._right.T
        coefficients = self._coefficients[penalties] + deviation * np.sqrt(self._inverse[penalties]) * turned
        intercepts = self._intercept + deviation / np.sqrt(self._number) * (sign * rng.standard_normal((number, 1)))
        return np.asarray(intercepts + coefficients @ directions.T)
