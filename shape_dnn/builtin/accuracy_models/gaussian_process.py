"""Accuracy by a Gaussian process over the logarithms of depth and width."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.accuracy_models.roots import symmetric_root
from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.shape import Shape

LEAST = 3
"""Trainings from which the smoothness is estimated; before, it is assumed."""
NOISE_PRIOR = 0.2
"""Least standard deviation of one training, in points: the middle of the paper's Table 1."""


class GaussianProcess(AccuracyModel):
    """scikit-learn's, with a length of its own for depth and for width, and noise; it assumes no law at all."""

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Estimate lengths and noise by the marginal likelihood."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        order = sorted(range(len(shapes)), key=lambda i: shapes[i])  # rounding must not depend on the order either
        logs = self._logs([shapes[i] for i in order])
        target = np.array([accuracies[i] for i in order], float)
        self._centre, spread = logs.mean(0), logs.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._number = len(target)
        self._mean, deviation = target.mean(), target.std()
        self._unit = deviation if deviation > 0 else 1.0
        # Trainings vary; a likelihood of few of them would have it that they do not.
        least_noise = min((NOISE_PRIOR / self._unit) ** 2, 0.5)
        noise = WhiteKernel(least_noise, (least_noise, 1))
        kernel = ConstantKernel(1.0, (0.1, 100)) * RBF([2.0, 2.0], (0.3, 30)) + noise
        self._process = GaussianProcessRegressor(
            kernel, optimizer="fmin_l_bfgs_b" if len(shapes) >= LEAST else None, n_restarts_optimizer=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an optimum on a bound is one
            places, scaled = (logs - self._centre) / self._scale, (target - self._mean) / self._unit
            self._process.fit(places, scaled)
        # Where an optimiser stops depends on rounding noise, which differs between processors.
        fitted = self._process.kernel_
        fitted.theta = np.round(fitted.theta, 2)
        self._process = GaussianProcessRegressor(fitted, optimizer=None).fit(places, scaled)

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training."""
        # The kernel's parameters were estimated from the same trainings, of which the process knows nothing.
        widening = self._unit * np.sqrt(self._number / max(self._number - 3, 1))
        means, stds = self._process.predict((self._logs(shapes) - self._centre) / self._scale, return_std=True)
        return [
            Prediction(float(self._mean + self._unit * mean), float(widening * std))
            for mean, std in zip(means, stds, strict=True)
        ]

    @property
    def noise(self) -> float:
        """The root of the white part of the kernel."""
        return float(self._unit * np.sqrt(self._process.kernel_.k2.noise_level))

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64]:
        """Draw from the process without its white part."""
        places = (self._logs(shapes) - self._centre) / self._scale
        mean, covariance = self._process.predict(places, return_cov=True)
        covariance = covariance - self._process.kernel_.k2.noise_level * np.eye(len(mean))
        root = symmetric_root(covariance) * np.sqrt(self._number / max(self._number - 3, 1))
        normal = np.random.default_rng(seed).standard_normal((number, len(mean)))
        return np.asarray(self._mean + self._unit * (mean + normal @ root))

    @staticmethod
    def _logs(shapes: Sequence[Shape]) -> NDArray[np.float64]:
        logs: NDArray[np.float64] = np.log(np.array([(shape.depth, float(shape.width)) for shape in shapes], float))
        return logs
