"""What a training that is not finished would come to, judged by those that are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shape_dnn.records import Epoch, Prediction, Training

LEAST = 3
"""Finished trainings from which an extrapolation is made."""
FLOOR = 0.5
"""Points added to every error, so that one of none has a logarithm."""
SLOPE, SLOPE_SPREAD = 0.7, 0.3
"""Prior of the slope of the last error over the one so far, both in logarithms, and its standard deviation."""
NOISE_PRIOR, NOISE_PRIOR_WEIGHT = 0.3, 1.0
"""Standard deviation expected of the logarithm of an error, and how many trainings that expectation counts for."""


def extrapolate(curve: Sequence[Epoch], epochs: int, finished: Sequence[Training]) -> Prediction | None:
    """Predict the accuracy that a training would reach.

    The trainings of a search share one recipe, so their curves have one form, whatever the schedule of the learning
    rate. Bayesian linear regression of the logarithm of the last error on that of the error so far, over the finished
    trainings; an accuracy is the highest over the epochs.

    Args:
        curve: the epochs so far.
        epochs: how many there would be in all.
        finished: trainings of the same search; those without an accuracy, or with a shorter curve, do not count.

    Returns:
        Mean and standard deviation in points; None with fewer than three finished trainings.
    """
    number = len(curve)
    whole = [t for t in finished if t.quality is not None and len(t.curve) >= min(epochs, number + 1)]
    if not number or len(whole) < LEAST:
        return None
    so_far = [_log_error(training.curve[:number]) for training in whole]
    last = [_log_error(training.curve) for training in whole]
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
    distance = _log_error(curve) - centre
    mean = level + slope * distance
    std = math.sqrt(noise * (1 + 1 / len(whole) + distance**2 / (precision + squares)))
    # The error is log-normal; it does not grow, since the highest accuracy so far counts.
    least, most = (math.exp(mean + sign * std) for sign in (-1, 1))
    best = max(epoch.quality for epoch in curve)
    return Prediction(max(best, 100 + FLOOR - math.exp(mean)), (most - least) / 2)


def _log_error(curve: Sequence[Epoch]) -> float:
    return math.log(100 + FLOOR - max(epoch.quality for epoch in curve))
