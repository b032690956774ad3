"""A blend of two models, each as far as it predicts what it was not shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.accuracy_models.gaussian_process import GaussianProcess
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction
from shape_dnn.shape import Shape

LEAST = 4
"""Shapes from which models are judged; before, they count alike."""
CAP = 20.0
"""Points beyond which an error counts no more."""


class Auto(AccuracyModel):
    """Predicts the mean of the log-linear model and the Gaussian process, weighted by leave-one-out errors.

    Each is fitted without each shape in turn and predicts its trainings; its weight is the inverse square of the mean
    square of these errors. The one is sound with few trainings, the other follows any surface once there are enough.
    The models of Equation 2 and the power law are left out: with few trainings they go far astray where nothing was
    trained, which the left-out trainings do not always show. The standard deviation is that of the mixture.
    """

    def __init__(self) -> None:
        self._models: tuple[LogLinear, GaussianProcess] = (LogLinear(), GaussianProcess())

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Weight the models, and fit them to everything."""
        self.weights = np.full(len(self._models), 1 / len(self._models))
        if len(set(shapes)) >= LEAST:
            errors = np.array([self._left_out(model, shapes, accuracies) for model in self._models])
            squares = (np.minimum(np.abs(errors), CAP) ** 2).mean(1) + 1e-4
            self.weights = squares**-2 / (squares**-2).sum()
        for model in self._models:
            model.fit(shapes, accuracies)

    @staticmethod
    def _left_out(model: AccuracyModel, shapes: Sequence[Shape], accuracies: Sequence[float]) -> NDArray[np.float64]:
        errors = []
        for left_out in sorted(set(shapes)):  # with all trainings of a shape, which tell of each other
            kept = [i for i, shape in enumerate(shapes) if shape != left_out]
            model.fit([shapes[i] for i in kept], [accuracies[i] for i in kept])
            (prediction,) = model.predict([left_out])
            errors += [prediction.mean - accuracies[i] for i, shape in enumerate(shapes) if shape == left_out]
        return np.array(errors)

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict mean and the standard deviation of a new training."""
        predictions = [model.predict(shapes) for model in self._models]
        means = np.array([[prediction.mean for prediction in row] for row in predictions])
        mean = self.weights @ means
        if any(prediction.std is None for row in predictions for prediction in row):
            return [Prediction(float(m)) for m in mean]
        variances = np.array([[(prediction.std or 0.0) ** 2 for prediction in row] for row in predictions])
        std = np.sqrt(self.weights @ (variances + (means - mean) ** 2))
        return [Prediction(float(m), float(s)) for m, s in zip(mean, std, strict=True)]

    @property
    def noise(self) -> float:
        """The mean of that of the models, weighted as they are."""
        return float(self.weights @ [model.noise for model in self._models])

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> NDArray[np.float64]:
        """Draw from each model as often as its weight has it."""
        draws = np.stack([model.draw(shapes, number, seed) for model in self._models])
        chosen = np.random.default_rng(seed).choice(len(self._models), number, p=self.weights)
        return np.asarray(draws[chosen, np.arange(number)])
