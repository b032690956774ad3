"""Searches on surfaces that accuracy models get wrong: noise, cliffs, accidents, bumps, ripples; and large spaces."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from shape_dnn import Shape, Training, bench
from shape_dnn.builtin import goals
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.constraints import Constraint
from shape_dnn.search.posterior import AnswerPosterior

SHAPES = [Shape(depth, Fraction(width, 4)) for width in range(2, 13) for depth in range(10, 71, 6)]
SEEDS = 5
Surface = Callable[[int, float], float]


def smooth(depth: int, width: float) -> float:
    return 96 - 9 * width**-0.7 * (10 / depth) ** 0.3 - 12 / depth


def cliff(depth: int, width: float) -> float:
    return 9.0 if depth >= 40 and depth > 34 + 20 * (width - 0.5) else smooth(depth, width)


def bump(depth: int, width: float) -> float:
    return smooth(depth, width) + 2 * math.exp(
        -((math.log(depth / 26) / 0.5) ** 2) - (math.log(width / 1.2) / 0.5) ** 2
    )


def ripple(depth: int, width: float) -> float:
    return smooth(depth, width) + 0.8 * math.sin(depth / 4) * math.cos(5 * width)


def write(path: Path, surface: Surface, noise: float, accidents: float = 0.0) -> Path:
    rng = np.random.default_rng(0)
    lines = ["depth,width,seed,accuracy,size,seconds"]
    for shape in SHAPES:
        true = surface(shape.depth, float(shape.width))
        for seed in range(SEEDS):
            accident = rng.uniform(5, 20) if rng.random() < accidents else 0.0
            accuracy = min(max(true + rng.normal(0, noise) - accident, 0.0), 100.0)
            size = shape.depth * float(shape.width) ** 2
            lines.append(f"{shape.depth},{shape.width},{seed},{accuracy:.3f},{size:.4g},{size:.4g}")
    path.write_text("\n".join(lines) + "\n")
    return path


TABLES: Mapping[str, tuple[Surface, float, float, float]] = {
    "noise of half a point": (smooth, 0.5, 0.0, 90),
    "noise of one and a half points": (smooth, 1.5, 0.0, 80),
    "a cliff": (cliff, 0.3, 0.0, 80),
    "an accident in twelve": (smooth, 0.3, 1 / 12, 90),
    "a bump": (bump, 0.2, 0.0, 80),
    "a ripple": (ripple, 0.2, 0.0, 40),  # few trainings cannot tell it from noise
}
"""By what is the matter: surface, noise in points, part of accidents, and the least part of right answers in percent."""


@pytest.mark.parametrize("name", TABLES)
def test_a_search_is_right_on_surfaces_that_its_model_cannot_follow(name: str, tmp_path: Path) -> None:
    surface, noise, accidents, least = TABLES[name]
    table = write(tmp_path / "table.csv", surface, noise, accidents)
    ours, paper = bench(table, methods=["default", "paper"], questions=16, workers=1)
    assert ours.within_percent >= max(least, paper.within_percent)
    assert ours.trainings <= 0.6 * paper.trainings


@pytest.mark.parametrize("workers", [2, 4, 16])
def test_as_many_as_are_trained_together_cost_no_right_answers(workers: int, tmp_path: Path) -> None:
    table = write(tmp_path / "table.csv", smooth, 0.3)
    alone, together = bench(table, methods=["default", f"together={workers}"], questions=20, workers=1)
    assert together.within_percent >= alone.within_percent - 10
    assert together.trainings <= alone.trainings + workers


@pytest.mark.parametrize("number", [1_000, 10_000])
def test_the_next_of_many_shapes_is_chosen_in_little_memory(number: int) -> None:
    side = math.isqrt(number)
    shapes = [
        Shape(depth, Fraction(width, 25)) for width in range(10, 10 + number // side) for depth in range(4, 4 + side)
    ]
    trained = shapes[:: len(shapes) // 12]
    trainings = [Training(shape, smooth(shape.depth, float(shape.width))) for shape in trained]
    limits = [Constraint("accuracy", False, 90.0, "%")]
    tracemalloc.start()
    posterior = AnswerPosterior(
        shapes, trainings, LogError(), limits, goals.Size(),
        lambda _metric, some: [shape.depth * float(shape.width) ** 2 for shape in some], at_hand={"size"},
    )  # fmt: skip
    (chosen,) = posterior.choose(1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert chosen in set(shapes) - set(trained)
    assert peak < 1e9
