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
    rate. Bayesian linear regression of the logarithm of the error that a training came to on that of its least error so
    far, over the finished trainings. Where none of them fell below the best of its epochs, this one does not either.

    Args:
        curve: the epochs so far.
        epochs: how many there would be in all.
        finished: trainings of the same search; those without a quality, or with a shorter curve, do not count.
        quality: by which they are judged.

    Returns:
        Mean and standard deviation; None with fewer than three finished trainings.
    """
    number = len(curve)
    known = [t for t in finished if t.quality is not None and len(t.curve) >= min(epochs, number + 1)]
    if not number or len(known) < LEAST:
        return None
    curves, ends = [t.curve for t in known], [t.quality for t in known if t.quality is not None]
    scale = Scale.of(quality, ends, FLOOR)

    def log_error(value: float) -> float:
        return math.log(scale.errors([value])[0])

    best = best_so_far(curve, quality)
    so_far = [log_error(best_so_far(each[:number], quality)) for each in curves]
    last = list(map(log_error, ends))
    centre = math.fsum(so_far) / len(so_far)
    x = [value - centre for value in so_far]
    level = math.fsum(last) / len(last)
    squares = math.fsum(value * value for value in x)
    # The slope is known a priori to SLOPE_SPREAD in units of the noise's prior; its precision counts in trainings.
    precision = (NOISE_PRIOR / SLOPE_SPREAD) ** 2
    slope = (precision * SLOPE + math.fsum(a * b for a, b in zip(x, last, strict=True))) / (precision + squares)
    residuals = [b - level - slope * a for a, b in zip(x, last, strict=True)]
    misfit = math.fsum(r * r for r in residuals) + precision * (slope - SLOPE) ** 2
    freedom = len(last) - 1 + NOISE_PRIOR_WEIGHT
    noise = (misfit + NOISE_PRIOR_WEIGHT * NOISE_PRIOR**2) / freedom
    distance = log_error(best) - centre
    mean = level + slope * distance
    std = math.sqrt(noise * (1 + 1 / len(last) + distance**2 / (precision + squares)))
    # The error is log-normal.
    least, error, most = (np.array([math.exp(mean + sign * std)]) for sign in (-1, 0, 1))
    end = float(scale.values(error)[0])
    end = quality.best if quality.is_better(end, quality.best) else end  # by less than was added to errors
    deviation = float(((most - least) / 2 * scale.slopes(error))[0])
    fell = any(quality.is_better(best_so_far(each, quality), value) for each, value in zip(curves, ends, strict=True))
    return Prediction(best if not fell and quality.is_better(best, end) else end, deviation)
