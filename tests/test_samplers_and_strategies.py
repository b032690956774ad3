import math
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import AccuracyModel, Prediction, Sampler, Shape, Strategy, Training
from shape_dnn.assembly.goal_expressions import Expression
from shape_dnn.assembly.modelling import _training_count
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.goals import Accuracy
from shape_dnn.builtin.samplers.paper import Interval, Random, Wider
from shape_dnn.builtin.strategies import Exhaustive, optimistic, standard, thorough
from shape_dnn.constraints import Constraint
from shape_dnn.errors import UsageError
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.shape import by_width_then_depth
from shape_dnn.testing import SamplerContract

SPACE_D = [Shape(depth, Fraction(width, 2)) for width in range(4, 21) for depth in range(16, 53, 6)]


@pytest.mark.parametrize(
    ("strategy", "candidates", "trained"),
    [
        (thorough(), 13, 13), (thorough(), 19, 19), (thorough(), 26, 13), (thorough(), 46, 23), (thorough(), 135, 45),
        (standard(), 6, 6), (standard(), 9, 9), (standard(), 26, 13), (standard(), 30, 15), (standard(), 45, 15),
        (standard(), 180, 45),
        (optimistic(), 119, 24),
        (Exhaustive(), 180, 180),
    ],
)  # fmt: skip
def test_counts_of_the_papers_tables(strategy: Strategy, candidates: int, trained: int) -> None:
    assert strategy.count(candidates) == trained


def test_thorough_trains_a_third_from_70_to_135() -> None:
    assert all(thorough().count(n) == -(-n // 3) for n in range(70, 136))


@given(st.integers(1, 100_000))
def test_every_strategy_trains_at_least_one_and_at_most_all(candidates: int) -> None:
    for strategy in (thorough(), standard(), optimistic(), Exhaustive()):
        assert 1 <= strategy.count(candidates) <= candidates


def test_interval_takes_every_fifth_shape_of_space_d() -> None:
    assert list(Interval().choose(SPACE_D, (), 24)) == SPACE_D[::5]


def test_wider_takes_every_width_of_the_shallowest_depth_first() -> None:
    chosen = Wider().choose(SPACE_D, (), 20)
    assert [shape.depth for shape in chosen] == [16] * 17 + [22] * 3
    assert [shape.width for shape in chosen[:17]] == sorted({shape.width for shape in SPACE_D})


def test_random_depends_on_the_seed_alone() -> None:
    assert list(Random(1).choose(SPACE_D, (), 24)) == list(Random(1).choose(SPACE_D, (), 24))
    assert list(Random(1).choose(SPACE_D, (), 24)) != list(Random(2).choose(SPACE_D, (), 24))


@given(number=st.integers(1, 119), data=st.data())
def test_samplers_choose_as_many_different_shapes_as_asked_and_once(number: int, data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, number))
    shapes = SPACE_D[:number]
    for sampler in (Interval(), Wider(), Random(3)):
        chosen = list(sampler.choose(shapes, (), budget))
        assert len(chosen) == len(set(chosen)) == budget
        assert set(chosen) <= set(shapes)
        assert not sampler.choose(shapes, [Training(shape, 90.0) for shape in chosen], budget)


def test_space_d_is_sorted_as_samplers_see_it() -> None:
    assert sorted(SPACE_D, key=by_width_then_depth) == SPACE_D


@pytest.mark.parametrize(
    ("text", "count"), [("5", 5), ("100", 60), ("20%", 12), ("1%", 1), ("100%", 60), ("33.3%", 20)]
)
def test_train_takes_a_number_or_a_percentage(text: str, count: int) -> None:
    assert _training_count(text).count(60) == count


@pytest.mark.parametrize("text", ["0", "-1", "0%", "101%", "x", "%", "1.5", "nan%"])
def test_train_refuses_anything_else(text: str) -> None:
    with pytest.raises(UsageError, match="neither a number of shapes"):
        _training_count(text)


TRAINED = [Training(shape, 90 + shape.depth / 10) for shape in SPACE_D[:4]]


def test_a_sampler_may_look_at_surfaces_once_a_training_has_succeeded() -> None:
    known = SamplerContract.known(SPACE_D, [], Accuracy())
    with pytest.raises(ValueError, match="no draws before a training has succeeded"):
        _ = known.draws
    with pytest.raises(ValueError, match="no scores without a goal, nor before a training has succeeded"):
        _ = known.scores
    draws = SamplerContract.known(SPACE_D, TRAINED).draws
    assert draws.shape[1] == len(SPACE_D)
    assert abs(draws[:, :4].mean(0) - [training.quality for training in TRAINED]).max() < 1


@pytest.mark.parametrize("expression", ["accuracy", "size", "size - 0.01 * accuracy"])
def test_a_sampler_may_look_at_what_the_goal_says_of_each_surface(expression: str) -> None:
    goal, limit = Expression(expression), Constraint("accuracy", False, 91.5)
    known = AnswerPosterior(SPACE_D, TRAINED, LogLinear(), [limit], goal, lambda *_: list(range(119)), ["size"])
    for i in range(0, 512, 50):
        for shape in range(0, 119, 10):
            quality = min(known.draws[i, shape], 100.0)
            score = goal.score({"accuracy": quality, "size": shape}) if quality >= 91.5 else math.inf
            assert known.scores[i, shape] == pytest.approx(score, abs=1e-5)
    assert np.isinf(known.scores).any()
    with pytest.raises(ValueError, match="no scores without a goal"):
        _ = SamplerContract.known(SPACE_D, TRAINED).scores


@pytest.mark.parametrize("upper", [True, False])
def test_the_doubt_of_sets_is_the_probability_that_a_shape_lies_beyond_a_limit_by_more_than_the_noise(
    upper: bool,
) -> None:
    known = AnswerPosterior(SPACE_D, TRAINED, LogLinear(), [Constraint("accuracy", upper, 92.3)], noise=0.2)
    draws = known.draws[:, 4:] if not upper else -known.draws[:, 4:]
    limit = 92.3 if not upper else -92.3
    meets, misses = (draws - 0.2 >= limit).mean(0), (draws + 0.2 < limit).mean(0)
    assert known.doubt == pytest.approx(np.minimum(meets, misses).max())
    assert 0.05 < known.doubt < 0.5


class Certain(AccuracyModel):
    """Has no doubt that every shape has the same accuracy, or does not say how much."""

    def __init__(self, std: float | None = 0.0) -> None:
        self.std = std

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        assert shapes, "at least one"

    def predict(self, shapes: Sequence[Shape]) -> list[Prediction]:
        return [Prediction(90.0, self.std)] * len(shapes)


def test_a_model_is_fitted_to_one_training_at_least() -> None:
    draws = AnswerPosterior(SPACE_D, TRAINED[:1], Certain(None)).draws
    assert (draws == 90.0).all(), "its own error is not known from one training"


def test_scores_are_told_also_where_a_model_has_no_doubt() -> None:
    goal = Expression("size - 0.01 * accuracy")
    known = AnswerPosterior(SPACE_D, TRAINED, Certain(), [], goal, lambda *_: list(range(119)), ["size"], noise=0.0)
    assert known.scores == pytest.approx(np.broadcast_to(np.arange(119) - 0.9, known.draws.shape))


class TestThompson(SamplerContract):
    """The rule of its own that the documentation shows."""

    @pytest.fixture
    def plugin(self) -> Sampler:
        page = (Path(__file__).parents[1] / "docs" / "plugins" / "samplers.md").read_text()
        (code,) = [code for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "Thompson" in code]
        made: dict[str, Any] = {}
        exec(compile(code, "samplers.md", "exec"), made)  # noqa: S102
        sampler: Sampler = made["Thompson"]()
        return sampler
