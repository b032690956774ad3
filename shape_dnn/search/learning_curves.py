"""What a training that is not finished would come to, judged by those that are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Epoch, Prediction, Training
from shape_dnn.search.scale import Scale

LEAST = 3
"""Finished trainings from which an extrapolation is made."""
FLOOR = 0.5
"""Percent added to every error, so that one of none has a logarithm."""
SLOPE, SLOPE_SPREAD = 0.7, 0.3
"""Prior of the slope of the last error over the one so far, both in logarithms, and its standard deviation."""
NOISE_PRIOR, NOISE_PRIOR_WEIGHT = 0.3, 1.0
"""Standard deviation expected of the logarithm of an error, and how many trainings that expectation counts for."""


def best_so_far(curve: Sequence[Epoch], quality: Quality) -> float:
    """Return the best quality over the epochs of a curve."""
    return max((epoch.quality for epoch in curve), key=lambda value: quality.sign * value)


def extrapolate(
    curve: Sequence[Epoch], epochs: int, finished: Sequence[Training], quality: Quality = ACCURACY
) -> Prediction | None:
    """Predict the quality that a training would reach.

    The trainings of a search share one recipe, so their curves have one form, whatever the schedule of the learning
    rate. Bayesian linear regression of the logarithm of the last error on that of the error so far, over the finished
    trainings; what counts is the best over the epochs.

    Args:
        curve: the epochs so far.
        epochs: how many there would be in all.
        finished: trainings of the same search; those without a quality, or with a shorter curve, do not count.
        quality: by which they are judged.

    Returns:
        Mean and standard deviation; None with fewer than three finished trainings.
    """
    number = len(curve)
    whole = [t for t in finished if t.quality is not None and len(t.curve) >= min(epochs, number + 1)]
    if not number or len(whole) < LEAST:
        return None
    scale = Scale.of(quality, [best_so_far(training.curve, quality) for training in whole], FLOOR)

    def log_error(epochs: Sequence[Epoch]) -> float:
        return math.log(scale.errors([best_so_far(epochs, quality)])[0])

    so_far = [log_error(training.curve[:number]) for training in whole]
    last = [log_error(training.curve) for training in whole]
    centre = math.fsum(so_far) / len(whole)
    x = [value - centre for value in so_far]
    level = math.fsum(last) / len(last)
    squares = math.fsum(value * value for value in x)
    # The slope is known a priori to SLOPE_SPREAD in units of the noise's prior; its precision counts in trainings.
    precision = (NOISE_PRIOR / SLOPE_SPREAD) ** 2
    slope = (precision * SLOPE + math.fsum(a * b for a, b in zip(x, last, strict=True))) / (precision + squares)
    residuals = [b - level - slope * a for a, b in zip(x, last, strict=True)]
    misfit = math.fsum(r * r for r in residuals) + precision * (slope - SLOPE) ** 2
    freedom = len(whole) - 1 + NOISE_PRIOR_WEIGHT
    noise = (misfit + NOISE_PRIOR_WEIGHT * NOISE_PRIOR**2) / freedom
    distance = log_error(curve) - centre
    mean = level + slope * distance
    std = math.sqrt(noise * (1 + 1 / len(whole) + distance**2 / (precision + squares)))
    # The error is log-normal; it does not grow, since the best so far counts.
    least, error, most = (np.array([math.exp(mean + sign * std)]) for sign in (-1, 0, 1))
    best, end = best_so_far(curve, quality), float(scale.values(error)[0])
    deviation = float(((most - least) / 2 * scale.slopes(error))[0])
    return Prediction(best if quality.is_better(best, end) else end, deviation)
