"""The logarithm of the error as a plane and a Gaussian process over the logarithms of depth and width."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shape_dnn.builtin.accuracy_models.grid import Evidence, Grid
from shape_dnn.builtin.accuracy_models.trend import ALONE, Trend, with_prior
from shape_dnn.kinds import AccuracyModel
from shape_dnn.quality import Quality
from shape_dnn.records import Prediction
from shape_dnn.search import rounding
from shape_dnn.search.kernel import Floats, distances, logarithms, matern
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape

FLOOR = 0.05
"""Least error in percent: what is below cannot be told from no error at all."""
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
FLATTEST = 0.1
"""Least such standard deviation that is assumed."""
MOST_OF_A_PRIOR = 200
"""Shapes of a prior that are looked at."""
INITIAL, INITIAL_WITH_PRIOR = 3, 2
"""Trainings to begin with, and where there is a prior. With four or five there are more in the end, as often right."""
LEAST_FOR_ACCIDENTS = 4
"""Trainings from which one of them can be told to be an accident."""
MANY = 200
"""Trainings beyond which points of the grid are left out."""
MOST_POSSIBLE, MOST_POINTS = 24, 8
"""How many stay by so many trainings taken at random, and how many by all of them."""
JITTER = 1e-8
"""Variance that keeps matrices invertible."""
FEATURES = 256
"""Waves of which a draw of the process consists (Rahimi and Recht 2007)."""
LEAST_FREEDOM = 2.4
"""Degrees of freedom of a prediction by very few trainings: it has a standard deviation only above two."""
NEGLIGIBLE = 1e-4
"""Weight below which a point of the grid has no part in a prediction."""


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
        self._weight_of_prior = 0.5

    def learn_from(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        """Expect errors to run as they do elsewhere, as far as trainings bear that out.

        Of more than 200 shapes so many are taken at random: the others tell little more, and take the more time.
        """
        self._elsewhere, spread = _fit_elsewhere(tuple(shapes), tuple(accuracies), self.quality)
        self._trends = with_prior(max(spread, FLATTEST))
        self._weight_of_prior = 0.5

    @property
    def prior_weight(self) -> float | None:
        """The weight of all points of the grid with the prior, a half before any fit."""
        return None if self._elsewhere is None else self._weight_of_prior

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
        self._centre, self._spread = logs.mean(0), rounding.spreads(logs)
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
        trend = np.array([place for place, *_ in grid])
        amplitude, length, noise, growth = np.array([rest for _, *rest in grid]).T
        of_noise = noise[:, None] * (percents / self._typical) ** growth[:, None]
        of_stds = stds[order] / self._scale.slopes(errors)
        variances = (of_noise**2 + of_stds**2) / percents**2
        self._grid = Grid(trend, amplitude, length, noise, growth, variances)
        if len(shapes) > MANY:
            self._grid = self._possible(self._grid)
        found = self._evidence(self._grid, self._features, self._target)
        self._precisions, self._solved = found.precisions, found.solved
        weights = np.exp(found.likelihoods - found.likelihoods.max())
        self._weights = weights / weights.sum()
        self._weight_of_prior = float(self._weights[self._grid.trend == 1].sum())

    def _possible(self, grid: Grid) -> Grid:
        """Return the likeliest points of a grid, of those that a part of the trainings leaves possible.

        With thousands of trainings the matrices of one point take a hundred megabytes, and its fit seconds.
        """
        some = np.sort(np.random.default_rng(0).permutation(len(self._target))[:MANY])
        of_some = replace(grid, variances=grid.variances[:, some])
        found = self._evidence(of_some, self._features[some], self._target[some]).of_points
        left = grid.only(rounding.largest_first(found)[:MOST_POSSIBLE])
        # One at a time, since a matrix of each would be too much.
        points = [left.only([point]) for point in range(len(left.trend))]
        found = np.array([self._evidence(point, self._features, self._target).of_points[0] for point in points])
        return left.only(rounding.largest_first(found)[:MOST_POINTS])

    def _features_of(self, shapes: Sequence[Shape]) -> Floats:
        """Return log depth and log width in spreads, and of a prior log error less its mean, of each shape."""
        places: Floats = (logarithms(shapes) - self._centre) / self._spread
        if self._elsewhere is None:
            return places
        return np.column_stack([places, self._elsewhere.log_errors(shapes) - self._level_elsewhere])

    def _evidence(self, grid: Grid, features: Floats, target: Floats) -> Evidence:
        """Return what trainings say at every point of a grid.

        Args:
            grid: with the variances of these trainings.
            features: of their shapes.
            target: their log errors.
        """
        number = len(target)
        trends, processes = self._parts(features, features)
        covariances = np.asarray(
            [trends[place] + amplitude**2 * processes[length] for place, amplitude, length in grid.priors]
        )
        diagonal = np.arange(number)
        covariances[:, diagonal, diagonal] += grid.variances + JITTER
        precisions, (_, volumes) = np.linalg.inv(covariances), np.linalg.slogdet(covariances)
        residuals = np.array([target - features @ trend.means for trend in self._trends])[grid.trend]
        solved = np.einsum("pij,pj->pi", precisions, residuals)
        evidence = -0.5 * ((solved * residuals).sum(1) + volumes)
        spread = NOISE_SPREAD if self._scale.has_range else NOISE_SPREAD_WITHOUT_RANGE
        evidence -= 0.5 * (np.log(grid.noise / NOISE_PRIOR) / spread) ** 2
        # What the other trainings say of each one: by how much it differs, and with which variance.
        variance = 1.0 / np.diagonal(precisions, axis1=1, axis2=2)
        surprise = solved * variance
        wider = variance + ACCIDENT**2
        odds = 0.5 * (surprise**2 * (1 / variance - 1 / wider) + np.log(variance / wider))
        possible = number >= LEAST_FOR_ACCIDENTS
        odds += np.log(ACCIDENTS / (1 - ACCIDENTS)) if possible else -np.inf
        return Evidence(evidence[:, None] + np.column_stack([np.zeros(len(odds)), odds]), precisions, solved)

    def _parts(self, features: Floats, trained: Floats) -> tuple[list[Floats], dict[float, Floats]]:
        """Return the covariances with trained shapes by trend, and the correlations of the process by its length."""
        apart = distances(features[:, :2], trained[:, :2])
        trends = [trend.covariance(features, trained) for trend in self._trends]
        return trends, {length: matern(apart / length) for length in LENGTHS}

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
        trends, processes = self._parts(features, self._features)
        total, means, squares, noises = 0.0, np.zeros(len(features)), np.zeros(len(features)), np.zeros(len(features))
        for point, (trend, amplitude, length) in enumerate(self._grid.priors):
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
            noise = self._grid.noise[point] * (percents / self._typical) ** self._grid.growth[point]
            total += weights.sum()
            means += mean @ weights
            squares += (mean**2 + np.maximum(variance, 0.0)) @ weights
            noises += noise**2 @ weights
        means, squares, noises = means / total, squares / total, noises / total
        return self._level + means, np.maximum(squares - means**2, 0.0), noises

    @property
    def noise(self) -> float:
        """The noise of a training of the typical error that is expected by the grid."""
        return float(self._weights.sum(1) @ self._grid.noise * self._scale.slopes(np.asarray(self._typical)))

    def draw(self, shapes: Sequence[Shape], number: int, seed: int) -> Floats:
        """Draw points of the grid, and for each a surface: one of the prior, bent to what was seen (Matheron's rule).

        A surface of the prior is a sum of waves, so that the time grows with the number of shapes and no faster.
        """
        rng, grid = np.random.default_rng(seed), self._grid
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
            rows = grid.trend[points] == place
            drawn[rows] = trend.draw(tilt[rows], both)
        trends, processes = self._parts(features, self._features)
        for length, correlation in processes.items():
            rows = np.flatnonzero(grid.length[points] == length)
            basis = np.cos(both[:, :2] @ (directions / length).T + phases)
            drawn[rows] += grid.amplitude[points[rows], None] * (waves[rows] @ basis.T)
            for place, amplitude in sorted({(place, amplitude) for place, amplitude, _ in grid.priors}):
                of_these = (grid.trend[points[rows]] == place) & (grid.amplitude[points[rows]] == amplitude)
                some = rows[of_these]
                bend = self._bend(drawn[some, asked:], points[some], accidents[some], scatter[some])
                drawn[some, :asked] += bend @ (trends[place] + amplitude**2 * correlation).T
        return self._scale.values(np.exp(np.minimum(self._level + drawn[:, :asked], self._worst)))

    def _bend(self, priors: Floats, points: NDArray[np.int64], accidents: NDArray[np.int64], scatter: Floats) -> Floats:
        """Return the weights of the covariances that bend surfaces of the prior to what was seen, a row for each."""
        variances = self._grid.variances[points]
        unlucky = np.flatnonzero(accidents)
        which = accidents[unlucky] - 1
        variances[unlucky, which] += ACCIDENT**2
        surprise = self._target - priors - np.sqrt(variances) * scatter
        bends = np.empty_like(surprise)
        for point in np.unique(points):
            rows = points == point
            bends[rows] = surprise[rows] @ self._precisions[point]
        relief = np.array([self._relief(point) for point in points[unlucky]]).reshape(-1, priors.shape[1])
        scale = np.take_along_axis(relief, which[:, None], 1) * np.take_along_axis(bends[unlucky], which[:, None], 1)
        bends[unlucky] -= scale * self._precisions[points[unlucky], which]
        return np.asarray(bends)
