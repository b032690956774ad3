"""What every accuracy model must keep to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from statistics import fmean, median

import pytest

from shape_dnn.errors import UsageError
from shape_dnn.kinds import AccuracyModel
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch, Prediction, Stop, Training
from shape_dnn.search import fitting
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, SPACES, accuracy

TOLERANCE = 1e-4
"""Points of accuracy by which answers that ought to be the same may differ."""


GROUPS, GROUP = 100, 20
"""How many means are looked at, and of how many draws each."""
MOST_FAR = 305
"""How many of 2,000 draws may be more than three standard deviations off: the quantile at 1 - 1e-8 if each draw is that
far off with a probability of 1/9."""
EPOCHS = 10
ERROR = Quality("error", "%", "lower", 0.0, 100.0)
OTHERS = {
    "a loss": Quality("loss", "", "lower", 0.0),
    "one with a best value alone": Quality("R2", "", "higher", maximum=1.0),
    "one without bounds": Quality("log-likelihood"),
}
"""Qualities with other bounds than those of accuracies."""


def _as(quality: Quality, accuracy: float) -> float:
    """Return a plausible value of a quality without a range, for a shape that has an accuracy."""
    return (quality.best if math.isfinite(quality.best) else -800.0) - quality.sign * (100 - accuracy) / 25


def _curve(final: float, length: int) -> tuple[Epoch, ...]:
    """Return the first epochs of a training that ends at an accuracy."""
    return tuple(Epoch(n, 2.0 / n, final - 20 * (0.5**n - 0.5**EPOCHS)) for n in range(1, length + 1))


class AccuracyModelContract(Contract):
    """What every accuracy model must keep to."""

    kind = "accuracy_model"
    TRAINED = tuple(GRID[::3])

    def predict(
        self, plugin: AccuracyModel, trained: Mapping[Shape, float], shapes: Sequence[Shape]
    ) -> list[Prediction]:
        """Fit and predict, without the warnings that a model may give of what it cannot do well."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fitting.predict(plugin, [Training(*pair) for pair in trained.items()], shapes)

    @pytest.mark.parametrize("space", SPACES)
    def test_predicts_every_shape(self, plugin: AccuracyModel, space: str) -> None:
        """From one training on, it predicts a finite mean for each shape, and a standard deviation from 0 or none."""
        shapes = SPACES[space]
        for number in sorted({1, 2, 3, len(shapes)} & set(range(1, len(shapes) + 1))):
            trained = {shape: accuracy(shape) for shape in shapes[:number]}
            assert len(self.predict(plugin, trained, shapes)) == len(shapes)

    def test_knows_more_than_the_mean(self, plugin: AccuracyModel) -> None:
        """If accuracies grow smoothly with depth and width, it errs less than their mean does."""
        trained = {shape: accuracy(shape) for shape in self.TRAINED}
        others = [shape for shape in GRID if shape not in trained]
        predictions = self.predict(plugin, trained, others)
        mean = fmean(trained.values())
        error = fmean(abs(p.mean - accuracy(s)) for p, s in zip(predictions, others, strict=True))
        assert error < 0.9 * fmean(abs(mean - accuracy(shape)) for shape in others)

    def test_predicts_a_shape_alike_whoever_else_is_asked_about(self, plugin: AccuracyModel) -> None:
        """Predictions depend neither on the other shapes of the question nor on their order."""
        trained = {shape: accuracy(shape) for shape in self.TRAINED}
        together = self.predict(plugin, trained, GRID)
        backwards = self.predict(plugin, trained, GRID[::-1])[::-1]
        alone = [self.predict(plugin, trained, [shape])[0] for shape in GRID[:5]]
        for one, other in [*zip(together, backwards, strict=True), *zip(together, alone, strict=False)]:
            assert one.mean == pytest.approx(other.mean, abs=TOLERANCE)

    def test_the_order_of_the_trainings_does_not_matter(self, plugin: AccuracyModel) -> None:
        """Trainings end in any order, and decisions must not depend on it."""
        pairs = [(shape, accuracy(shape)) for shape in self.TRAINED]
        forwards, backwards = (self.predict(plugin, dict(order), GRID) for order in (pairs, pairs[::-1]))
        for one, other in zip(forwards, backwards, strict=True):
            assert one.mean == pytest.approx(other.mean, abs=TOLERANCE)

    def test_a_new_fit_forgets_the_one_before(self, plugin: AccuracyModel, twin: AccuracyModel) -> None:
        """One object is fitted again and again."""
        self.predict(plugin, dict.fromkeys(GRID[1::5], 50.0), GRID)
        trained = {shape: accuracy(shape) for shape in self.TRAINED}
        for one, other in zip(self.predict(plugin, trained, GRID), self.predict(twin, trained, GRID), strict=True):
            assert one.mean == pytest.approx(other.mean, abs=TOLERANCE)

    def test_takes_several_trainings_of_a_shape(self, plugin: AccuracyModel) -> None:
        """Trainings with different seeds are handed to it one by one, as what they are."""
        trained = [
            Training(shape, accuracy(shape), repetitions=(accuracy(shape) - 0.2, accuracy(shape) + 0.2))
            for shape in self.TRAINED
        ]
        once = self.predict(plugin, {shape: accuracy(shape) for shape in self.TRAINED}, GRID)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            several = fitting.predict(plugin, trained, GRID)
        assert fmean(abs(a.mean - b.mean) for a, b in zip(once, several, strict=True)) < 0.5

    def test_takes_trainings_that_were_stopped(self, plugin: AccuracyModel) -> None:
        """It is told what their curves promise and how sure that is; beside finished trainings, this changes little."""
        finished = [Training(s, accuracy(s), "", _curve(accuracy(s), EPOCHS)) for s in self.TRAINED]
        stopped = [Training(s, None, "stopped", _curve(accuracy(s), EPOCHS // 2), stop=Stop("it")) for s in GRID[1::6]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            without, beside = (fitting.predict(plugin, known, GRID) for known in (finished, [*finished, *stopped]))
        assert fmean(abs(a.mean - b.mean) for a, b in zip(without, beside, strict=True)) < 1.0

    def test_draws_agree_with_predictions(self, plugin: AccuracyModel) -> None:
        """Draws lie around the predicted means, no wider than the predictions, and the same seed gives the same draws.

        A model that keeps to this fails at most once in a million times, whatever the distribution of its draws. By
        Chebyshev's one-sided inequality, the mean of 20 draws is too high by 2 / sqrt(20) standard deviations with a
        probability of at most 1/5. So half of 100 such means are too high with a probability below 1e-8, and likewise
        too low. A single draw is off by 3 standard deviations with a probability of at most 1/9. So more than
        ``MOST_FAR`` of 2,000 draws are that far off with a probability below 1e-8. Both hold for each of 54 shapes.
        """
        trainings = [Training(shape, accuracy(shape)) for shape in self.TRAINED]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = fitting.predict(plugin, trainings, GRID)
            draws, again = (fitting.draw(plugin, trainings, GRID, GROUPS * GROUP) for _ in range(2))
        assert draws.tolist() == again.tolist()
        assert fitting.noise(plugin) >= 0
        for column, prediction in zip(draws.T, predictions, strict=True):
            if prediction.std is not None:
                distances = column - prediction.mean
                in_the_middle = abs(median(distances.reshape(GROUPS, GROUP).mean(1).tolist()))
                assert in_the_middle <= 2 * prediction.std / math.sqrt(GROUP) + TOLERANCE
                assert (abs(distances) > 3 * prediction.std + TOLERANCE).sum() <= MOST_FAR

    def test_a_lower_quality_may_be_the_better(self, plugin: AccuracyModel, twin: AccuracyModel) -> None:
        """Told that values are errors, it predicts 100 minus what it would predict from the accuracies."""
        twin.quality = ERROR
        trained = {shape: accuracy(shape) for shape in self.TRAINED}
        accuracies = self.predict(plugin, trained, GRID)
        errors = self.predict(twin, {shape: 100 - value for shape, value in trained.items()}, GRID)
        for one, other in zip(accuracies, errors, strict=True):
            assert 100 - one.mean == pytest.approx(other.mean, abs=TOLERANCE)
            assert (one.std is None) == (other.std is None)
            assert one.std is None or one.std == pytest.approx(other.std, abs=TOLERANCE)

    @pytest.mark.parametrize("other", OTHERS)
    def test_predicts_any_quality(self, plugin: AccuracyModel, other: str) -> None:
        """Whatever bounds a quality has: from one training on, and with at most a tenth more error than the mean."""
        plugin.quality = quality = OTHERS[other]
        truth = {shape: _as(quality, accuracy(shape)) for shape in GRID}
        for number in (1, 2, 3):
            self.predict(plugin, {shape: truth[shape] for shape in self.TRAINED[:number]}, GRID)
        trained = {shape: truth[shape] for shape in self.TRAINED}
        others = [shape for shape in GRID if shape not in trained]
        predictions, mean = self.predict(plugin, trained, others), fmean(trained.values())
        error = fmean(abs(p.mean - truth[s]) for p, s in zip(predictions, others, strict=True))
        assert error < 1.1 * fmean(abs(mean - truth[shape]) for shape in others)
        draws = fitting.draw(plugin, [Training(*pair) for pair in trained.items()], GRID, 8)
        assert draws.shape == (8, len(GRID))

    def test_takes_a_prior_or_refuses_it(self, plugin: AccuracyModel) -> None:
        """With a prior it still predicts from one training on, and may tell the probability that the prior fits."""
        try:
            plugin.learn_from(GRID, [accuracy(shape) - 5 for shape in GRID])
        except UsageError:
            return
        assert fitting.initial(plugin) >= 1
        for number in (1, 2, len(self.TRAINED)):
            trained = {shape: accuracy(shape) for shape in self.TRAINED[:number]}
            assert len(self.predict(plugin, trained, GRID)) == len(GRID)
            fitting.prior_weight(plugin)

    def test_finds_equal_accuracies_equal(self, plugin: AccuracyModel) -> None:
        """If every training reaches the same accuracy, it predicts that accuracy for all shapes."""
        for prediction in self.predict(plugin, dict.fromkeys(self.TRAINED, 90.0), GRID):
            assert prediction.mean == pytest.approx(90.0, abs=0.1)
