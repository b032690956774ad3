"""The logarithm of the error as a plane and a Gaussian process over the logarithms of depth and width."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Standard deviations of one training of the typical error, in points."""
GROWTHS = (0.0, 1.0)
"""Powers of the error with which the noise grows: not at all, or in proportion."""
NOISE_PRIOR, NOISE_SPREAD = 0.3, 1.2
"""Noise that is expected before any was seen, and the standard deviation of its logarithm: from 0.1 points, as in the
paper's Table 1, to one of small data is within one such deviation."""
ACCIDENTS, ACCIDENT = 0.03, 1.0
"""Part of the trainings that come out otherwise than the shape is, and the standard deviation of by how much (log)."""
LEAST_FOR_ACCIDENTS = 4
"""Trainings from which one of them can be told to be an accident."""
FEATURES = 256
"""Waves of which a draw of the process consists (Rahimi and Recht 2007)."""
LEAST_FREEDOM = 2.4
"""Degrees of freedom of a prediction by very few trainings: it has a standard deviation only above two."""
NEGLIGIBLE = 1e-4
"""Weight below which a point of the grid has no part in a prediction."""


class LogError(AccuracyModel):
    """A plane for the trend, a process with a Matern 5/2 kernel for what the trend cannot follow, and noise.

    Errors shrink by factors rather than by points, so their logarithms are modelled; no prediction is above 100 %.
    Amplitude and length of the process, the noise and how it grows with the error are averaged over a grid, each point
    of which is weighted by its marginal likelihood and a prior for the noise (Rasmussen and Williams 2006, Sections 2.7
    and 5.4), so that few trainings do not pretend to know them. At each point either every training is as good as the
    next, or one of them is an accident with much more noise, by the odds of what the others say of it (Section 5.4.2).
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
        self._centre, spread = logs.mean(0), logs.std(0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._places = (logs - self._centre) / self._scale
        errors = np.maximum(100.0 - np.array([accuracies[i] for i in order], float), FLOOR)
        self._level = float(np.log(errors).mean())
        self._target = np.log(errors) - self._level
        percents = np.maximum(errors, 1.0)  # below one percent the noise in points goes on as if it were one
        self._typical = float(np.exp(np.log(percents).mean()))
        self._amplitude, self._length, self._noise, self._growth = np.array(
            list(itertools.product(AMPLITUDES, LENGTHS, NOISES, GROWTHS))
        ).T
        points = self._noise[:, None] * (percents / self._typical) ** self._growth[:, None]
        self._variances = (points**2 + stds[order] ** 2) / percents**2
        self._weights = self._weigh()

    def _weigh(self) -> Floats:
        """Return the weight of every point of the grid with no accident, and with each training as one."""
        covariances = self._covariances(self._places) + (self._variances + 1e-8)[:, :, None] * np.eye(len(self._places))
        self._precisions = np.linalg.inv(covariances)
        self._solved = self._precisions @ self._target
        _, volumes = np.linalg.slogdet(covariances)
        evidence = -0.5 * (self._solved @ self._target + volumes)
        evidence -= 0.5 * (np.log(self._noise / NOISE_PRIOR) / NOISE_SPREAD) ** 2
        # What the other trainings say of each one: by how much it differs, and with which variance.
        variance = 1.0 / np.diagonal(self._precisions, axis1=1, axis2=2)
        surprise = self._solved * variance
        wider = variance + ACCIDENT**2
        odds = 0.5 * (surprise**2 * (1 / variance - 1 / wider) + np.log(variance / wider))
        possible = len(self._places) >= LEAST_FOR_ACCIDENTS
        odds += np.log(ACCIDENTS / (1 - ACCIDENTS)) if possible else -np.inf
        joint = evidence[:, None] + np.column_stack([np.zeros(len(odds)), odds])
        weights = np.exp(joint - joint.max())
        return np.asarray(weights / weights.sum())

    def _covariances(self, places: Floats) -> Floats:
        """Return the covariances of some places with the trained ones at every point of the grid."""
        plane, apart = _plane(places, self._places), distances(places, self._places)
        by_length = {length: matern(apart / length) for length in LENGTHS}
        processes = [amplitude**2 * by_length[length] for amplitude, length in self._processes]
        return np.asarray([plane + process for process in processes])

    @property
    def _processes(self) -> list[tuple[float, float]]:
        return list(zip(self._amplitude.tolist(), self._length.tolist(), strict=True))

    def _relief(self, point: int) -> Floats:
        """Return by how much the precision of each training shrinks if it is an accident."""
        return np.asarray(ACCIDENT**2 / (1 + ACCIDENT**2 * np.diag(self._precisions[point])))

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict the median, and the standard deviation of a new training.

        Both are those of the logarithm of the error, taken back to points: the distribution in points is so skewed that
        its own mean and deviation would say more of its far end than of what is likely.
        """
        places = (logarithms(shapes) - self._centre) / self._scale
        own = LEVEL**2 + SLOPES**2 * (places**2).sum(1)
        plane, apart = _plane(places, self._places), distances(places, self._places)
        total, means, squares, noises = 0.0, np.zeros(len(places)), np.zeros(len(places)), np.zeros(len(places))
        for point, (amplitude, length) in enumerate(self._processes):
            weights = self._weights[point]
            if weights.sum() < NEGLIGIBLE:
                continue
            covariance = plane + amplitude**2 * matern(apart / length)
            reach, relief = covariance @ self._precisions[point], self._relief(point)
            mean, variance = covariance @ self._solved[point], own + amplitude**2 - (reach * covariance).sum(1)
            # With no accident, and with each training as one.
            mean = np.column_stack([mean, mean[:, None] - reach * (relief * self._solved[point])])
            variance = np.column_stack([variance, variance[:, None] + reach**2 * relief])
            percents = np.exp(np.clip(self._level + mean, 0.0, WORST))
            noise = self._noise[point] * (percents / self._typical) ** self._growth[point]
            total += weights.sum()
            means += mean @ weights
            squares += (mean**2 + np.maximum(variance, 0.0)) @ weights
            noises += noise**2 @ weights
        means, squares, noises = means / total, squares / total, noises / total
        errors = np.exp(np.minimum(self._level + means, WORST))
        variances = errors**2 * np.maximum(squares - means**2, 0.0) + noises
        # Few trainings know their own spread badly: that of Student's t with a degree of freedom less than they are.
        freedom = max(len(self._places) - 1.0, LEAST_FREEDOM)
        stds = np.minimum(np.sqrt(variances * freedom / (freedom - 2)), 50.0)
        return [Prediction(100.0 - float(error), float(std)) for error, std in zip(errors, stds, strict=True)]

    @property
    def noise(self) -> float:
        """The noise of a training of the typical error that is expected by the grid."""
        return float(self._weights.sum(1) @ self._noise)

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> Floats:
        """Draw points of the grid, and for each a surface: one of the prior, bent to what was seen (Matheron's rule).

        A surface of the prior is a sum of waves, so that the time grows with the number of shapes and no faster.
        """
        rng = np.random.default_rng(seed)
        chosen = rng.choice(self._weights.size, number, p=self._weights.ravel())
        points, accidents = np.divmod(chosen, self._weights.shape[1])
        places = (logarithms(shapes) - self._centre) / self._scale
        both, trained = np.concatenate([places, self._places]), len(self._places)
        directions = rng.standard_normal((FEATURES, 2)) / np.sqrt(rng.chisquare(5.0, (FEATURES, 1)) / 5.0)
        phases = rng.uniform(0, 2 * np.pi, FEATURES)
        waves = rng.standard_normal((number, FEATURES)) * np.sqrt(2.0 / FEATURES)
        tilt = rng.standard_normal((number, 3)) * [LEVEL, SLOPES, SLOPES]
        scatter = rng.standard_normal((number, trained))
        drawn = tilt @ np.column_stack([np.ones(len(both)), both]).T
        plane, apart = _plane(places, self._places), distances(places, self._places)
        for length in LENGTHS:
            rows = np.flatnonzero(self._length[points] == length)
            basis, correlation = np.cos(both @ (directions / length).T + phases), matern(apart / length)
            drawn[rows] += self._amplitude[points[rows], None] * (waves[rows] @ basis.T)
            for amplitude in AMPLITUDES:
                some = rows[self._amplitude[points[rows]] == amplitude]
                bend = self._bend(drawn[some, len(places) :], points[some], accidents[some], scatter[some])
                drawn[some, : len(places)] += bend @ (plane + amplitude**2 * correlation).T
        return np.asarray(100.0 - np.exp(np.minimum(self._level + drawn[:, : len(places)], WORST)))

    def _bend(self, priors: Floats, points: NDArray[np.int64], accidents: NDArray[np.int64], scatter: Floats) -> Floats:
        """Return the weights of the covariances that bend surfaces of the prior to what was seen, a row for each."""
        variances = self._variances[points]
        unlucky = np.flatnonzero(accidents)
        which = accidents[unlucky] - 1
        variances[unlucky, which] += ACCIDENT**2
        surprise = self._target - priors - np.sqrt(variances) * scatter
        bends = np.einsum("ri,rij->rj", surprise, self._precisions[points])
        relief = np.array([self._relief(point) for point in points[unlucky]]).reshape(-1, priors.shape[1])
        scale = np.take_along_axis(relief, which[:, None], 1) * np.take_along_axis(bends[unlucky], which[:, None], 1)
        bends[unlucky] -= scale * self._precisions[points[unlucky], which]
        return np.asarray(bends)


def _plane(one: Floats, other: Floats) -> Floats:
    return np.asarray(LEVEL**2 + SLOPES**2 * one @ other.T)
