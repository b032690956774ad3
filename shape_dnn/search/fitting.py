"""Accuracy models at work: fitted to trainings, asked for predictions and draws, held to the rules of their kind."""

from __future__ import annotations

import itertools
import math
import numbers
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shape_dnn.errors import PluginError, blame, label
from shape_dnn.kinds import AccuracyModel
from shape_dnn.quality import Quality
from shape_dnn.records import Prediction, Training
from shape_dnn.search import rounding
from shape_dnn.search.learning_curves import extrapolate
from shape_dnn.shape import Shape

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

DIGITS = 9
"""Digits after the point of what a model says, in percent of the range of the quality; the rest is rounding noise of a
processor. Of a quality without one, digits of the number itself."""


@lru_cache(maxsize=1)
def _linear_algebra(modules: int) -> ThreadpoolController:  # noqa: ARG001 - which may have brought another one
    """Return the libraries that compute with matrices; looking for them takes longer than most fits.

    Args:
        modules: how many are imported.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with matrices in one thread meanwhile.

    Those of a model are small, so that several threads gain little, and where other work keeps the processors busy each
    waits for the others all the time.
    """
    with _linear_algebra(len(sys.modules)).limit(limits=1):
        yield


def fit(model: AccuracyModel, trainings: Sequence[Training]) -> None:
    """Fit a model to the quality of every single training; a shape trained several times weighs accordingly.

    Trainings that were stopped take part with what their curves promise, and how sure that is.
    """
    known = [(training.shape, value, 0.0) for training in trainings for value in training.qualities]
    epochs = max((len(training.curve) for training in trainings if training.quality is not None), default=0)
    for training in trainings:
        end = extrapolate(training.curve, epochs, trainings, model.quality) if training.stopped else None
        if end is not None and end.std:
            known.append((training.shape, end.mean, end.std))
    shapes, values, stds = (list(column) for column in zip(*known, strict=True)) if known else ([], [], [])
    with blame(model), one_thread():
        if any(stds):
            model.fit_uncertain(shapes, values, stds)
        else:
            model.fit(shapes, values)


def predict(model: AccuracyModel, trainings: Sequence[Training], shapes: Sequence[Shape]) -> list[Prediction]:
    """Fit a model and ask it for every shape: a finite mean, and a standard deviation or none."""
    fit(model, trainings)
    with blame(model), one_thread():
        return _predictions(model, tuple(shapes))


def draw(
    model: AccuracyModel, trainings: Sequence[Training], shapes: Sequence[Shape], number: int
) -> NDArray[np.float64]:
    """Fit a model and draw surfaces of expected quality: finite numbers, of shape (number, number of shapes)."""
    fit(model, trainings)
    shapes = tuple(shapes)
    with blame(model), one_thread():
        drawn = model.draw(shapes, number, seed=len(trainings))
        if drawn is None:
            predictions = _predictions(model, shapes)
            normal = np.random.default_rng(len(trainings)).standard_normal((number, len(shapes)))
            unknown = any(prediction.std is None for prediction in predictions)
            error = left_out_error(model, trainings) if unknown else 0.0
            deviations = np.array([error if prediction.std is None else prediction.std for prediction in predictions])
            deviations = np.sqrt(np.maximum(deviations**2 - noise(model) ** 2, 0.0))  # these are of a training
            drawn = [prediction.mean for prediction in predictions] + model.quality.sign * deviations * normal
        draws = _rounded(model, np.asarray(drawn, float))
        if draws.shape != (number, len(shapes)):
            expected = (number, len(shapes))
            raise PluginError(f"{label(model)} returned draws of shape {draws.shape} instead of {expected}")
        if not np.isfinite(draws).all():
            raise PluginError(f"{label(model)} returned draws with values that are not finite")
    return draws


def left_out_error(model: AccuracyModel, trainings: Sequence[Training]) -> float:
    """Return the root mean square error of a model on each training when shown the others; fits the model anew."""
    finished = [training for training in trainings if training.quality is not None]
    squares = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a model has to say of few trainings, it said of all of them
        for i, training in enumerate(finished):
            if len(finished) > 1:
                (prediction,) = predict(model, [*finished[:i], *finished[i + 1 :]], [training.shape])
                squares.append((prediction.mean - (training.quality or 0.0)) ** 2)
        fit(model, trainings)
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0


def noise(model: AccuracyModel) -> float:
    """Ask a model that was fitted for the standard deviation of a training: a number from 0."""
    with blame(model):
        value = _round(model, float(model.noise))
        if not 0 <= value < math.inf:
            raise PluginError(f"{label(model)} says that trainings vary by {value}, which is no standard deviation")
    return value


def initial(model: AccuracyModel) -> int:
    """Ask a model how many trainings to begin with: a whole number from 1."""
    with blame(model):
        number: object = model.initial
    if not isinstance(number, numbers.Integral) or number < 1:
        accepted = "accepted are whole numbers from 1"
        raise PluginError(f"{label(model)} wants to begin with {number!r} trainings; {accepted}")
    return int(number)


def prior_weight(model: AccuracyModel) -> float | None:
    """Ask a model for the probability that qualities run as its prior has them; None if it cannot tell."""
    with blame(model):
        weight = model.prior_weight
        if weight is None:
            return None
        weight = round(float(weight), DIGITS)
        if not 0 <= weight <= 1:
            raise PluginError(f"{label(model)} says that its prior has a weight of {weight}, which is no probability")
    return weight


def _predictions(model: AccuracyModel, shapes: Sequence[Shape]) -> list[Prediction]:
    made = itertools.islice(model.predict(shapes), len(shapes) + 1)  # there may be no end of them
    predictions = [_plain(model, prediction) for prediction in made]
    if len(predictions) != len(shapes):
        number = f"more than {len(shapes)}" if len(predictions) > len(shapes) else len(predictions)
        raise PluginError(f"{label(model)} made {number} predictions for {len(shapes)} shapes")
    return predictions


def _plain(model: AccuracyModel, prediction: Prediction) -> Prediction:
    """Make plain numbers of a prediction, which may hold those of numpy."""
    if not isinstance(prediction, Prediction):
        raise TypeError(f"predict returned {type(prediction).__name__} objects instead of shape_dnn.Prediction")
    mean, std = float(prediction.mean), None if prediction.std is None else float(prediction.std)
    if not math.isfinite(mean) or (std is not None and not 0 <= std < math.inf):
        raise ValueError(f"it predicted {prediction}; accepted are finite means, and deviations from 0 or None")
    return Prediction(_round(model, mean), None if std is None else _round(model, std))


def _round(model: AccuracyModel, value: float) -> float:
    """Leave out rounding noise."""
    digits = _digits(model.quality)
    return float(f"{value:.{DIGITS}g}") if digits is None else round(value, digits)


def _rounded(model: AccuracyModel, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out rounding noise of many values."""
    digits = _digits(model.quality)
    return rounding.rounded(values) if digits is None else np.round(values, digits)


def _digits(quality: Quality) -> int | None:
    """Return how many digits after the point count; None where that depends on the value."""
    percent = (quality.maximum - quality.minimum) / 100
    return DIGITS - math.floor(math.log10(percent)) if math.isfinite(percent) else None
