"""The logarithm of the error as a plane and a Gaussian process over the logarithms of depth and width."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shape_dnn.kinds import AccuracyModel
from shape_dnn.quality import Quality
from shape_dnn.records import Prediction
from shape_dnn.search.kernel import Floats, distances, logarithms, matern
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape

FLOOR = 0.05
"""Least error in percent: what is below cannot be told from no error at all."""
LEVEL, SLOPES = 3.0, 1.0
"""Prior standard deviations of the plane: at the middle of the trained shapes, and of its slopes over the spread."""
AMPLITUDES = (0.03, 0.1, 0.3, 0.9)
"""Standard deviations of what the plane cannot follow."""
LENGTHS = (1.0, 2.0, 4.0)
"""Distances, in spreads of the trained shapes, over which that is alike."""
NOISES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Standard deviations of one training of the typical error, in percent."""
LARGER_NOISES = (6.4, 12.8)
"""And where the quality does not say how much a percent is."""
GROWTHS = (0.0, 1.0)
"""Powers of the error with which the noise grows: not at all, or in proportion."""
NOISE_PRIOR, NOISE_SPREAD = 0.3, 1.2
"""Noise that is expected before any was seen, and the standard deviation of its logarithm: from 0.1 points, as in the
paper's Table 1, to one of small data is within one such deviation."""
NOISE_SPREAD_WITHOUT_RANGE = 2.0
"""That deviation where the quality does not say how much a percent is: losses of language models are predicted within
0.3 %, and trainings of small networks on small data vary by 9 to 69 % of their error."""
ACCIDENTS, ACCIDENT = 0.03, 1.0
"""Part of the trainings that come out otherwise than the shape is, and the standard deviation of by how much (log)."""
SCALE = 0.3
"""Prior standard deviation of the factor, about 1, by which log errors run as they do in a prior."""
SLOPES_BESIDE, AMPLITUDES_BESIDE = 0.25, (0.03, 0.1, 0.3, 0.6)
"""Of slopes, and of what those cannot follow, beside a prior: in standard deviations of its log errors. There are as
many amplitudes as without one, so that either is as likely before anything was trained."""
FLATTEST = 0.1
"""Least such standard deviation that is assumed."""
MOST_OF_A_PRIOR = 200
"""Shapes of a prior that are looked at."""
INITIAL, INITIAL_WITH_PRIOR = 3, 2
"""Trainings to begin with, and where there is a prior. With four or five there are more in the end, as often right."""
LEAST_FOR_ACCIDENTS = 4
"""Trainings from which one of them can be told to be an accident."""
FEATURES = 256
"""Waves of which a draw of the process consists (Rahimi and Recht 2007)."""
LEAST_FREEDOM = 2.4
"""Degrees of freedom of a prediction by very few trainings: it has a standard deviation only above two."""
NEGLIGIBLE = 1e-4
"""Weight below which a point of the grid has no part in a prediction."""


@dataclass(frozen=True)
class Trend:
    """What is expected of the trend before anything was trained: a level, and coefficients that vary independently.

    Attributes:
        means: of the coefficients of log depth, of log width and, where that is known, of log error elsewhere.
        spreads: their standard deviations.
        amplitudes: standard deviations that the process beside it may have.
    """

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    amplitudes: tuple[float, ...]

    def covariance(self, one: Floats, other: Floats) -> Floats:
        """Return the covariance of the trend at some shapes with that at others, given by their features."""
        return np.asarray(LEVEL**2 + np.square(self.spreads) * one @ other.T)

    def variance(self, features: Floats) -> Floats:
        """Return the variance of the trend at each shape."""
        return np.asarray(LEVEL**2 + features**2 @ np.square(self.spreads))

    def draw(self, normal: Floats, features: Floats) -> Floats:
        """Make a trend of each row of standard normal numbers, one for the level and one for each coefficient."""
        coefficients = normal * [LEVEL, *self.spreads] + [0.0, *self.means]
        return np.asarray(coefficients @ np.column_stack([np.ones(len(features)), features]).T)


ALONE = (Trend((0.0, 0.0), (SLOPES, SLOPES), AMPLITUDES),)
"""A plane of which nothing is known."""


def _with_prior(spread: float) -> tuple[Trend, Trend]:
    """Return the same plane, and a trend as that of a prior whose log errors have this standard deviation."""
    plane = Trend((0.0, 0.0, 0.0), (SLOPES, SLOPES, 0.0), AMPLITUDES)
    slopes, amplitudes = SLOPES_BESIDE * spread, tuple(part * spread for part in AMPLITUDES_BESIDE)
    return plane, Trend((0.0, 0.0, 1.0), (slopes, slopes, SCALE), amplitudes)


@lru_cache(maxsize=1)
def _fit_elsewhere(
    shapes: tuple[Shape, ...], accuracies: tuple[float, ...], quality: Quality
) -> tuple[LogError, float]:
    """Return a model of a prior, which nobody changes, and the standard deviation of its log errors.

    One is kept: of a large prior it takes longer than a search on a table, and many searches in a row have the same.
    """
    known = sorted(zip(shapes, accuracies, strict=True))
    some = np.random.default_rng(0).permutation(len(known))[:MOST_OF_A_PRIOR]
    elsewhere = LogError()
    elsewhere.quality = quality
    elsewhere.fit([known[i][0] for i in some], [known[i][1] for i in some])
    return elsewhere, float(elsewhere.log_errors(shapes).std())


class LogError(AccuracyModel):
    """A plane for the trend, a process with a Matern 5/2 kernel for what the trend cannot follow, and noise.

    Errors shrink by factors rather than by points, so their logarithms are modelled, on the scale that suits the
    quality (:class:`~shape_dnn.search.scale.Scale`); no prediction is better than the best value there is.
    Amplitude and length of the process, the noise and how it grows with the error are averaged over a grid, each point
    of which is weighted by its marginal likelihood and a prior for the noise (Rasmussen and Williams 2006, Sections 2.7
    and 5.4), so that few trainings do not pretend to know them. At each point either every training is as good as the
    next, or one of them is an accident with much more noise, by the odds of what the others say of it (Section 5.4.2).

    Of a prior the expected log error becomes a feature of the trend: the grid then has every point once without it and
    once with it, and the evidence tells how much either counts.
    """

    def __init__(self) -> None:
        self._elsewhere: LogError | None = None
        self._trends: tuple[Trend, ...] = ALONE

    def learn_from(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Expect errors to run as they do elsewhere, as far as trainings bear that out.

        Of more than 200 shapes so many are taken at random: the others tell little more, and take the more time.
        """
        self._elsewhere, spread = _fit_elsewhere(tuple(shapes), tuple(accuracies), self.quality)
        self._trends = _with_prior(max(spread, FLATTEST))
        self._trend, self._weights = np.arange(2), np.full((2, 1), 0.5)

    @property
    def prior_weight(self) -> float | None:
        """The weight of all points of the grid with the prior, a half before any fit."""
        return None if self._elsewhere is None else float(self._weights[self._trend == 1].sum())

    @property
    def initial(self) -> int:
        """Three, since the model knows how little they tell; with a prior two, which can contradict it."""
        return INITIAL if self._elsewhere is None else INITIAL_WITH_PRIOR

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Weight the points of the grid."""
        self._fit(shapes, accuracies, np.zeros(len(shapes)))

    def fit_uncertain(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Sequence[float]) -> None:
        """Add the variance of what was extrapolated to the noise."""
        self._fit(shapes, accuracies, np.asarray(stds, float))

    def _fit(self, shapes: Sequence[Shape], accuracies: Sequence[float], stds: Floats) -> None:
        order = sorted(range(len(shapes)), key=lambda i: (shapes[i], accuracies[i]))
        logs = logarithms([shapes[i] for i in order])
        self._centre, spread = logs.mean(0), logs.std(0)
        self._spread = np.where(spread > 0, spread, 1.0)
        if self._elsewhere is not None:
            self._level_elsewhere = float(self._elsewhere.log_errors([shapes[i] for i in order]).mean())
        self._features = self._features_of([shapes[i] for i in order])
        values = [accuracies[i] for i in order]
        self._scale = Scale.of(self.quality, values)
        errors = np.maximum(self._scale.errors(values), FLOOR)
        self._level = float(np.log(errors).mean())
        self._target = np.log(errors) - self._level
        percents = np.maximum(errors, 1.0)  # below one percent the noise in points goes on as if it were one
        self._typical = float(np.exp(np.log(percents).mean()))
        noises = NOISES if self._scale.has_range else (*NOISES, *LARGER_NOISES)
        others = list(itertools.product(LENGTHS, noises, GROWTHS))
        grid = [
            (place, amplitude, *rest)
            for place, trend in enumerate(self._trends)
            for amplitude in trend.amplitudes
            for rest in others
        ]
        self._trend = np.array([place for place, *_ in grid])
        self._amplitude, self._length, self._noise, self._growth = np.array([rest for _, *rest in grid]).T
        points = self._noise[:, None] * (percents / self._typical) ** self._growth[:, None]
        points_of_stds = stds[order] / self._scale.slopes(errors)
        self._variances = (points**2 + points_of_stds**2) / percents**2
        self._weights = self._weigh()

    def _features_of(self, shapes: Sequence[Shape]) -> Floats:
        """Return log depth and log width in spreads, and of a prior log error less its mean, of each shape."""
        places: Floats = (logarithms(shapes) - self._centre) / self._spread
        if self._elsewhere is None:
            return places
        return np.column_stack([places, self._elsewhere.log_errors(shapes) - self._level_elsewhere])

    def _weigh(self) -> Floats:
        """Return the weight of every point of the grid with no accident, and with each training as one."""
        number = len(self._target)
        covariances = self._covariances(self._features) + (self._variances + 1e-8)[:, :, None] * np.eye(number)
        self._precisions, (_, volumes) = np.linalg.inv(covariances), np.linalg.slogdet(covariances)
        residuals = [self._target - self._features @ trend.means for trend in self._trends]
        by_trend = np.split(self._precisions, len(residuals))
        solved = [precisions @ residual for precisions, residual in zip(by_trend, residuals, strict=True)]
        fits = [own @ residual for own, residual in zip(solved, residuals, strict=True)]
        self._solved = np.concatenate(solved)
        evidence = -0.5 * (np.concatenate(fits) + volumes)
        spread = NOISE_SPREAD if self._scale.has_range else NOISE_SPREAD_WITHOUT_RANGE
        evidence -= 0.5 * (np.log(self._noise / NOISE_PRIOR) / spread) ** 2
        # What the other trainings say of each one: by how much it differs, and with which variance.
        variance = 1.0 / np.diagonal(self._precisions, axis1=1, axis2=2)
        surprise = self._solved * variance
        wider = variance + ACCIDENT**2
        odds = 0.5 * (surprise**2 * (1 / variance - 1 / wider) + np.log(variance / wider))
        possible = number >= LEAST_FOR_ACCIDENTS
        odds += np.log(ACCIDENTS / (1 - ACCIDENTS)) if possible else -np.inf
        joint = evidence[:, None] + np.column_stack([np.zeros(len(odds)), odds])
        weights = np.exp(joint - joint.max())
        return np.asarray(weights / weights.sum())

    def _covariances(self, features: Floats) -> Floats:
        """Return the covariances of some shapes with the trained ones at every point of the grid."""
        trends, processes = self._parts(features)
        return np.asarray(
            [trends[trend] + amplitude**2 * processes[length] for trend, amplitude, length in self._priors]
        )

    def _parts(self, features: Floats) -> tuple[list[Floats], dict[float, Floats]]:
        """Return the covariances with the trained ones by trend, and the correlations of the process by its length."""
        apart = distances(features[:, :2], self._features[:, :2])
        trends = [trend.covariance(features, self._features) for trend in self._trends]
        return trends, {length: matern(apart / length) for length in LENGTHS}

    @property
    def _priors(self) -> list[tuple[int, float, float]]:
        """Trend, amplitude and length of every point of the grid."""
        return list(zip(self._trend.tolist(), self._amplitude.tolist(), self._length.tolist(), strict=True))

    def _relief(self, point: int) -> Floats:
        """Return by how much the precision of each training shrinks if it is an accident."""
        return np.asarray(ACCIDENT**2 / (1 + ACCIDENT**2 * np.diag(self._precisions[point])))

    def log_errors(self, shapes: Sequence[Shape]) -> Floats:
        """Return the expected logarithm of the error of each shape, in percent."""
        return self._moments(shapes)[0]

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        """Predict the median, and the standard deviation of a new training.

        Both are those of the logarithm of the error, taken back to the quality: the distribution of that is so skewed
        that its own mean and deviation would say more of its far end than of what is likely.
        """
        means, variances, noises = self._moments(shapes)
        errors, scale = np.exp(np.minimum(means, self._worst)), self._scale
        # Few trainings know their own spread badly: that of Student's t with a degree of freedom less than they are.
        freedom = max(len(self._target) - 1.0, LEAST_FREEDOM)
        stds = np.minimum(np.sqrt((errors**2 * variances + noises) * freedom / (freedom - 2)), scale.worst / 2)
        found = zip(scale.values(errors), stds * scale.slopes(errors), strict=True)
        return [Prediction(float(value), float(std)) for value, std in found]

    @property
    def _worst(self) -> float:
        """The logarithm of the largest error that is expected."""
        return float(np.log(self._scale.worst))

    def _moments(self, shapes: Sequence[Shape]) -> tuple[Floats, Floats, Floats]:
        """Return mean and variance of the log error of each shape, and the variance of a training in percent."""
        features = self._features_of(shapes)
        trends, processes = self._parts(features)
        total, means, squares, noises = 0.0, np.zeros(len(features)), np.zeros(len(features)), np.zeros(len(features))
        for point, (trend, amplitude, length) in enumerate(self._priors):
            weights = self._weights[point]
            if weights.sum() < NEGLIGIBLE:
                continue
            covariance = trends[trend] + amplitude**2 * processes[length]
            reach, relief = covariance @ self._precisions[point], self._relief(point)
            mean = features @ self._trends[trend].means + covariance @ self._solved[point]
            variance = self._trends[trend].variance(features) + amplitude**2 - (reach * covariance).sum(1)
            # With no accident, and with each training as one.
            mean = np.column_stack([mean, mean[:, None] - reach * (relief * self._solved[point])])
            variance = np.column_stack([variance, variance[:, None] + reach**2 * relief])
            percents = np.exp(np.clip(self._level + mean, 0.0, self._worst))
            noise = self._noise[point] * (percents / self._typical) ** self._growth[point]
            total += weights.sum()
            means += mean @ weights
            squares += (mean**2 + np.maximum(variance, 0.0)) @ weights
            noises += noise**2 @ weights
        means, squares, noises = means / total, squares / total, noises / total
        return self._level + means, np.maximum(squares - means**2, 0.0), noises

    @property
    def noise(self) -> float:
        """The noise of a training of the typical error that is expected by the grid."""
        return float(self._weights.sum(1) @ self._noise * self._scale.slopes(np.asarray(self._typical)))

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> Floats:
        """Draw points of the grid, and for each a surface: one of the prior, bent to what was seen (Matheron's rule).

        A surface of the prior is a sum of waves, so that the time grows with the number of shapes and no faster.
        """
        rng = np.random.default_rng(seed)
        chosen = rng.choice(self._weights.size, number, p=self._weights.ravel())
        points, accidents = np.divmod(chosen, self._weights.shape[1])
        features = self._features_of(shapes)
        both, trained, asked = np.concatenate([features, self._features]), len(self._features), len(features)
        directions = rng.standard_normal((FEATURES, 2)) / np.sqrt(rng.chisquare(5.0, (FEATURES, 1)) / 5.0)
        phases = rng.uniform(0, 2 * np.pi, FEATURES)
        waves = rng.standard_normal((number, FEATURES)) * np.sqrt(2.0 / FEATURES)
        tilt = rng.standard_normal((number, 1 + both.shape[1]))
        scatter = rng.standard_normal((number, trained))
        drawn = np.empty((number, len(both)))
        for place, trend in enumerate(self._trends):
            rows = self._trend[points] == place
            drawn[rows] = trend.draw(tilt[rows], both)
        trends, processes = self._parts(features)
        for length, correlation in processes.items():
            rows = np.flatnonzero(self._length[points] == length)
            basis = np.cos(both[:, :2] @ (directions / length).T + phases)
            drawn[rows] += self._amplitude[points[rows], None] * (waves[rows] @ basis.T)
            for place, amplitude in sorted({(place, amplitude) for place, amplitude, _ in self._priors}):
                of_these = (self._trend[points[rows]] == place) & (self._amplitude[points[rows]] == amplitude)
                some = rows[of_these]
                bend = self._bend(drawn[some, asked:], points[some], accidents[some], scatter[some])
                drawn[some, :asked] += bend @ (trends[place] + amplitude**2 * correlation).T
        return self._scale.values(np.exp(np.minimum(self._level + drawn[:, :asked], self._worst)))

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
