"""The quality by a saturating power law in depth and width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape

STARTS = ((1.0, 1.0), (0.3, 1.0), (1.0, 0.3), (2.0, 2.0))
"""Exponents of depth and of width from which a fit starts."""
EXPONENT_SPREAD = 0.8
"""Standard deviation of the prior of the logarithm of an exponent, whose median is 1."""
SHARE_SPREAD = 1.5
"""Standard deviation of the prior of the logarithm of the share of depth, or of width, in the error."""
FLOOR_SPREAD = 5.0
"""Standard deviation of the prior of the error that remains, in standard deviations of the errors."""
NOISE_PRIOR = 0.2
"""Standard deviation expected of one training before any was seen, in percent (:class:`Scale`)."""
ROUNDS = 3


class PowerLaw(AccuracyModel):
    """The error is c + a d^-p + b w^-q, with depth and width in units of their geometric means.

    Five parameters, all but c positive, found as the most probable ones under weak priors, which a few trainings
    outweigh; the standard deviation is that of their normal approximation (Laplace) and of a training's noise. Since c
    is free, errors of a quality without a best value count from 0.
    """

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Fit from several starts and keep the most probable parameters."""
        from scipy.optimize import least_squares

        logs = self._logs(shapes)
        self._centre = logs.mean(0)
        logs = logs - self._centre
        self._scale = Scale.of(self.quality, accuracies)
        errors = self._scale.shortfalls(accuracies)
        self._number = len(errors)
        spread = max(float(errors.std()), NOISE_PRIOR)
        share = np.log(spread / 2)
        prior_mean = np.array([errors.mean() - spread, share, share, 0.0, 0.0])
        prior_spread = np.array([FLOOR_SPREAD * spread, SHARE_SPREAD, SHARE_SPREAD, EXPONENT_SPREAD, EXPONENT_SPREAD])
        starts = [np.array([prior_mean[0], share, share, np.log(p), np.log(q)]) for p, q in STARTS]
        noise = max(spread / 4, NOISE_PRIOR)
        for _ in range(ROUNDS):  # of parameters given the noise, and of the noise that they leave

            def residuals(parameters: NDArray[np.float64], noise: float = noise) -> NDArray[np.float64]:
                misfit = (self._errors(parameters, logs) - errors) / noise
                return np.concatenate([misfit, (parameters - prior_mean) / prior_spread])

            fits = [least_squares(residuals, start, x_scale=prior_spread) for start in starts]
            best = min(fits, key=lambda fit: fit.cost)
            starts, hessian = [best.x], best.jac.T @ best.jac
            misfit = self._errors(best.x, logs) - errors
            # Of the five parameters, those that the data and not the priors determine.
            own = np.trace(np.linalg.solve(hessian, best.jac[: self._number].T @ best.jac[: self._number]))
            freedom = max(self._number - own, 0.0) + 1
            noise = float(np.sqrt((misfit @ misfit + NOISE_PRIOR**2) / freedom))
        self._parameters, self._noise, self._covariance = best.x, noise, np.linalg.inv(hessian)

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training; from a single shape, the mean alone."""
        logs = self._logs(shapes) - self._centre
        means = self._scale.reached(self._errors(self._parameters, logs))
        if self._number < 2:
            return [Prediction(float(mean)) for mean in means]
        gradient = self._gradient(self._parameters, logs)
        variances = np.einsum("ij,jk,ik->i", gradient, self._covariance, gradient) + self._noise**2
        stds = np.sqrt(variances) * self._scale.unit
        return [Prediction(float(mean), float(std)) for mean, std in zip(means, stds, strict=True)]

    @property
    def noise(self) -> float:
        """The standard deviation of the trainings about the law."""
        return self._noise * self._scale.unit

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64]:
        """Draw parameters from their normal approximation, and follow the law along its tangent."""
        logs = self._logs(shapes) - self._centre
        means, unit = self._scale.reached(self._errors(self._parameters, logs)), self.quality.sign * self._scale.unit
        rng = np.random.default_rng(seed)
        steps = rng.multivariate_normal(np.zeros(len(self._parameters)), self._covariance, number, method="cholesky")
        return np.asarray(means - unit * (steps @ self._gradient(self._parameters, logs).T))

    @staticmethod
    def _logs(shapes: Sequence[Shape]) -> NDArray[np.float64]:
        logs: NDArray[np.float64] = np.log(np.array([(shape.depth, float(shape.width)) for shape in shapes], float))
        return logs

    @staticmethod
    def _terms(parameters: NDArray[np.float64], logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the parts of depth and width in the errors of shapes given by their logarithms."""
        exponents = np.exp(np.clip(parameters[3:], -10, 3))
        return np.exp(np.clip(parameters[1:3] - exponents * logs, -50, 8))

    @classmethod
    def _errors(cls, parameters: NDArray[np.float64], logs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(parameters[0] + cls._terms(parameters, logs).sum(1))

    @classmethod
    def _gradient(cls, parameters: NDArray[np.float64], logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the derivatives of the errors by the parameters, of shape (number of shapes, 5)."""
        terms = cls._terms(parameters, logs)
        exponents = np.exp(np.clip(parameters[3:], -10, 3))
        return np.column_stack([np.ones(len(logs)), terms, -terms * logs * exponents])
