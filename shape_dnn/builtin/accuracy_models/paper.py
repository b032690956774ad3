"""The paper's accuracy model: Equation 2 by ordinary least squares."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from shape_dnn.builtin.accuracy_models.equation2 import features
from shape_dnn.builtin.accuracy_models.roots import symmetric_root
from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.search import rounding
from shape_dnn.shape import Shape

COEFFICIENTS = 10


class LeastSquares(AccuracyModel):
    """Linear regression with intercept on the nine features, with statsmodels' prediction intervals.

    With fewer trained shapes than its ten coefficients the solution of least norm is used and no standard deviation is
    given; near ten it is at its worst. It warns of both.
    """

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Fit by the pseudo-inverse of the standardised features, which leaves a determined fit unchanged."""
        from statsmodels.regression.linear_model import OLS

        different = len(set(shapes))  # one that was trained again tells of the noise, and of no further coefficient
        self._determined = different > COEFFICIENTS
        if not self._determined:
            warnings.warn(
                f"accuracy model 'paper' has {COEFFICIENTS} coefficients and {different} trained shapes to fit them "
                "to; its predictions are unreliable. Train more shapes, or use --model ridge",
                stacklevel=2,
            )
        raw = features(shapes)
        self._mean, self._scale = raw.mean(0), rounding.spreads(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # statsmodels' own words on an underdetermined fit; ours are above
            self._fit = OLS(np.asarray(accuracies, float), self._design(shapes)).fit()

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training."""
        design = self._design(shapes)
        means = design @ self._fit.params
        if not self._determined:
            return [Prediction(float(mean)) for mean in means]
        stds = self._fit.get_prediction(design).se_obs
        return [Prediction(float(mean), float(std)) for mean, std in zip(means, stds, strict=True)]

    @property
    def noise(self) -> float:
        """The standard error of the regression."""
        return float(np.sqrt(self._fit.mse_resid)) if self._determined else 0.0

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> np.ndarray | None:
        """Draw coefficients from their normal distribution, if the fit is determined."""
        if not self._determined:
            return None
        root = symmetric_root(self._fit.cov_params())
        normal = self.quality.sign * np.random.default_rng(seed).standard_normal((number, len(root)))
        return np.asarray((self._fit.params + normal @ root) @ self._design(shapes).T)

    def _design(self, shapes: Sequence[Shape]) -> np.ndarray:
        standardised = (features(shapes) - self._mean) / self._scale
        return np.column_stack([np.ones(len(shapes)), standardised])
