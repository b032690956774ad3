"""What every accuracy model must keep to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from statistics import fmean

import pytest

from shape_dnn import rules
from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Prediction, Training
from shape_dnn.shape import Shape
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, SPACES, accuracy

TOLERANCE = 1e-4
"""Points of accuracy by which answers may differ that ought to be the same."""


class AccuracyModelContract(Contract):
    """What every accuracy model must keep to."""

    kind = "accuracy_model"
    TRAINED = tuple(GRID[::3])

    def predict(
        self, plugin: AccuracyModel, trained: Mapping[Shape, float], shapes: Sequence[Shape]
    ) -> list[Prediction]:
        """Fit and predict; a model may warn of what it cannot do well."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rules.predict(plugin, [Training(*pair) for pair in trained.items()], shapes)

    @pytest.mark.parametrize("space", SPACES)
    def test_predicts_every_shape(self, plugin: AccuracyModel, space: str) -> None:
        """A finite mean for each, and a standard deviation of zero or more or none, from one training on."""
        shapes = SPACES[space]
        for number in sorted({1, 2, 3, len(shapes)} & set(range(1, len(shapes) + 1))):
            trained = {shape: accuracy(shape) for shape in shapes[:number]}
            assert len(self.predict(plugin, trained, shapes)) == len(shapes)

    def test_knows_more_than_the_mean(self, plugin: AccuracyModel) -> None:
        """On accuracies that grow smoothly with depth and width it errs less than their mean does."""
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
        """Trainings with different seeds are given as what they are, one by one."""
        trained = [
            Training(shape, accuracy(shape), repetitions=(accuracy(shape) - 0.2, accuracy(shape) + 0.2))
            for shape in self.TRAINED
        ]
        once = self.predict(plugin, {shape: accuracy(shape) for shape in self.TRAINED}, GRID)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            several = rules.predict(plugin, trained, GRID)
        assert fmean(abs(a.mean - b.mean) for a, b in zip(once, several, strict=True)) < 0.5

    def test_draws_agree_with_predictions(self, plugin: AccuracyModel) -> None:
        """Draws lie about the predicted means, no wider than the predictions, and are the same for the same seed."""
        trainings = [Training(shape, accuracy(shape)) for shape in self.TRAINED]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = rules.predict(plugin, trainings, GRID)
            if any(prediction.std is None for prediction in predictions):
                return
            draws, again = (rules.draw(plugin, trainings, GRID, 400) for _ in range(2))
        assert draws.tolist() == again.tolist()
        assert rules.noise(plugin) >= 0
        for column, prediction in zip(draws.T, predictions, strict=True):
            assert prediction.std is not None
            assert float(column.mean()) == pytest.approx(prediction.mean, abs=0.3 * prediction.std + TOLERANCE)
            assert float(column.std()) <= 1.2 * prediction.std + TOLERANCE

    def test_finds_equal_accuracies_equal(self, plugin: AccuracyModel) -> None:
        """Where every training reaches the same, so would every other."""
        for prediction in self.predict(plugin, dict.fromkeys(self.TRAINED, 90.0), GRID):
            assert prediction.mean == pytest.approx(90.0, abs=0.1)
