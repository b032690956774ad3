"""How sure the front of a trade-off is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shape_dnn import Result, tune
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.constraints import Constraint
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.search import fitting
from shape_dnn.search.facts import in_order
from shape_dnn.search.frontier import beyond
from shape_dnn.search.ordering import beats
from shape_dnn.study.tables import Table

TABLE = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables/wrn-fashion-mnist.csv"
"""60 shapes, of which trainings vary by 1.2 points, so that a front is never quite sure."""


def by_hand(result: Result, limit: float = -math.inf) -> float:
    """Count the surfaces on which a shape that was not trained is better than all that cost no more."""
    size = {shape: rows[0]["size"] or 0.0 for shape, rows in Table.read(TABLE).rows.items()}
    shapes, model = sorted(size, key=lambda shape: (shape.width, shape.depth)), LogError()
    trainings = in_order(result.answer.trainings)
    accuracy = {training.shape: training.quality or 0.0 for training in trainings}
    fitting.fit(model, trainings)
    missed = 0
    surfaces = fitting.draw(model, trainings, shapes, 512)
    for surface in surfaces.tolist():
        drawn = dict(zip(shapes, surface, strict=True))
        missed += any(
            drawn[shape] - model.noise >= limit
            and all(
                drawn[shape] - model.noise > drawn[other]
                for other in accuracy
                if accuracy[other] >= limit and size[other] <= size[shape]
            )
            for shape in shapes
            if shape not in accuracy
        )
    return missed / len(surfaces)


@pytest.mark.parametrize("limit", [None, 80])
def test_the_doubt_of_a_front_is_the_probability_that_one_beyond_it_was_missed(limit: float | None) -> None:
    result = tune(replay=TABLE, pareto=("size", "accuracy"), min_accuracy=limit)
    certificate = result.answer.certificate
    assert certificate is not None
    expected = by_hand(result, -math.inf if limit is None else limit)
    assert 0 < expected < 1, "this tells nothing"
    assert certificate.doubt == pytest.approx(expected)
    assert certificate.doubt <= 1 - certificate.confidence


COSTS = np.array([[1.0], [2.0], [2.0], [3.0], [math.nan]])
DRAWS = np.array([[90.0, 91.0, 92.0, 89.0, 99.0], [90.0, 92.5, 91.0, 96.0, 99.0], [90.0, 91.0, 93.5, 94.0, 99.0]])


@pytest.mark.parametrize(
    ("quality", "limits", "tolerance", "expected"),
    [
        (ACCURACY, (), 0.0, [[True, False], [False, True], [True, True]]),
        (ACCURACY, (), 1.5, [[False, False], [False, True], [True, True]]),
        (ACCURACY, (Constraint("accuracy", False, 93.9, "%"),), 0.0, [[False, False], [False, True], [False, True]]),
        (ACCURACY, (Constraint("accuracy", False, 93.9, "%"),), 1.5, [[False, False], [False, True], [False, False]]),
        (Quality("loss", "", "lower"), (), 0.0, [[False, True], [False, False], [False, False]]),
    ],
)
def test_one_is_beyond_a_front_where_none_that_costs_no_more_is_as_good(
    quality: Quality, limits: Sequence[Constraint], tolerance: float, expected: list[list[bool]]
) -> None:
    """The first two were trained, and of the last nobody knows what it costs."""
    found = beyond(DRAWS, COSTS, [0, 1], np.array([2, 3, 4]), quality, limits, tolerance)
    assert found.tolist() == [[*row, False] for row in expected]


def test_where_quality_is_not_traded_off_one_is_beyond_that_none_is_as_cheap_as() -> None:
    found = beyond(DRAWS, COSTS, [1], np.array([0, 2, 3]), ACCURACY, by_quality=False)
    assert found.tolist() == [[True, False, False]] * 3


def test_a_front_of_what_needs_no_training_is_sure() -> None:
    certificate = tune(replay=TABLE, pareto=("size", "multiply-adds"), train=6).answer.certificate
    assert certificate is not None
    assert certificate.doubt == 0


def test_the_command_says_how_sure_a_front_is(shape_dnn: Callable[..., Any]) -> None:
    asked = ("--replay", TABLE, "--pareto", "size,accuracy", "--seed", "1")
    doubt = 100 * shape_dnn(*asked, "--format", "json").json["certificate"]["doubt"]
    told = f"{doubt:.1f} %" if doubt >= 0.5 else "below 0.5 %"
    assert f"the probability that a shape beyond the front was missed is {told}; what is" in shape_dnn(*asked).out


@pytest.mark.parametrize(
    ("one", "other", "is_beaten"),
    [((1, 2), (1, 3), True), ((1, 2), (2, 3), True), ((1, 2), (1, 2), False), ((1, 2), (0, 3), False)],
)
def test_a_shape_is_beaten_by_one_that_is_as_good_in_everything_and_better_in_something(
    one: tuple[float, ...], other: tuple[float, ...], is_beaten: bool
) -> None:
    assert beats(one, other) == is_beaten
    assert not beats(other, one)
