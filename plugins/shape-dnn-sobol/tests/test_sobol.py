from fractions import Fraction

import pytest

from shape_dnn import Shape, Training
from shape_dnn.plugins.registry import Registry
from shape_dnn_sobol.sampler import Sobol

SHAPES = [Shape(depth, Fraction(width)) for width in range(1, 9) for depth in range(10, 58, 6)]


def test_it_is_declared() -> None:
    loaded = Registry().load("sampler", "sobol", {"seed": 3})
    assert isinstance(loaded.instance, Sobol)
    assert loaded.source.distribution == "shape-dnn-sobol"


@pytest.mark.parametrize("budget", [1, 5, 16, 64])
def test_it_chooses_as_many_different_shapes_as_asked_and_once(budget: int) -> None:
    chosen = Sobol(seed=1).choose(SHAPES, (), budget)
    assert len(set(chosen)) == budget
    assert set(chosen) <= set(SHAPES)
    assert not Sobol(seed=1).choose(SHAPES, [Training(s, 90.0) for s in chosen], budget)


def test_a_quarter_of_the_shapes_lies_in_every_quarter_of_the_space() -> None:
    chosen = Sobol(seed=1).choose(SHAPES, (), 16)
    for deep in (False, True):
        for wide in (False, True):
            assert sum((s.depth > 31) == deep and (s.width > 4) == wide for s in chosen) == 4


def test_the_seed_decides() -> None:
    assert Sobol(seed=1).choose(SHAPES, (), 9) == Sobol(seed=1).choose(SHAPES, (), 9)
    assert Sobol(seed=1).choose(SHAPES, (), 9) != Sobol(seed=2).choose(SHAPES, (), 9)
    assert Sobol(scramble=False, seed=1).choose(SHAPES, (), 9) == Sobol(scramble=False).choose(SHAPES, (), 9)


def test_a_single_shape_is_a_space_too() -> None:
    assert Sobol().choose(SHAPES[:1], (), 1) == SHAPES[:1]
