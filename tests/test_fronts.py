"""How sure the front of a trade-off is."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import Result, tune
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.search import fitting
from shape_dnn.search.facts import in_order
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
    expected = {s: p.mean for s, p in zip(shapes, fitting.predict(model, trainings, shapes), strict=True)} | accuracy
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
            if shape not in accuracy and expected[shape] >= limit
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


def test_a_front_of_what_needs_no_training_is_sure() -> None:
    certificate = tune(replay=TABLE, pareto=("size", "multiply-adds"), train=6).answer.certificate
    assert certificate is not None
    assert certificate.doubt == 0


def test_the_command_says_how_sure_a_front_is(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("--replay", TABLE, "--pareto", "size,accuracy")
    doubt = (
        100 * shape_dnn("--replay", TABLE, "--pareto", "size,accuracy", "--format", "json").json["certificate"]["doubt"]
    )
    assert f"the probability that a shape beyond the front was missed is {doubt:.1f} %; what is within" in ran.out
