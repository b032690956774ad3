from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import DesignSpace, Range, Shape, UsageError
from shape_dnn.builtin.architectures.wrn import WideResNet


@pytest.mark.parametrize(
    ("depth", "width", "shapes"),
    [
        ("10:60:6", "1/16:1:1/16", 135),
        ("10:60:6", "1:6:1", 45),
        ("10:60:6", "1:6:1/4", 180),
        ("16:53:6", "2:21/2:1/2", 119),
    ],
)
def test_design_spaces_of_table_2(depth: str, width: str, shapes: int) -> None:
    space = DesignSpace(WideResNet(), Range.parse(depth), Range.parse(width))
    assert len(space) == len(space.shapes()) == len(set(space.shapes())) == shapes


def test_ranges_are_half_open_and_exact() -> None:
    assert list(Range.parse("0.1:0.4:0.1")) == [Fraction(1, 10), Fraction(1, 5), Fraction(3, 10)]
    assert list(Range.parse("1/3:1:1/3")) == [Fraction(1, 3), Fraction(2, 3)]


@given(start=st.integers(-50, 50), length=st.integers(1, 200), step=st.integers(1, 20))
def test_ranges_of_whole_numbers_are_those_of_python(start: int, length: int, step: int) -> None:
    expected = range(start, start + length, step)
    found = Range(Fraction(start), Fraction(start + length), Fraction(step))
    assert list(found) == list(expected)
    assert [number for number in range(start - 1, start + length + step) if number in found] == list(expected)
    assert start + Fraction(1, 2) not in found
    assert len(found) == len(expected)


def test_shapes_are_sorted_by_width_then_depth() -> None:
    space = DesignSpace(WideResNet(), Range.parse("10:17:6"), Range.parse("1/2:3/2:1/2"))
    half, one = Fraction(1, 2), Fraction(1)
    assert space.shapes() == [Shape(10, half), Shape(16, half), Shape(10, one), Shape(16, one)]


@pytest.mark.parametrize(
    "text", ["", "10", "10:60", "10:60:6:1", "a:b:c", "10:60:0", "10:60:-6", "60:10:6", "5:5:1", "1/0:2:1"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"MIN:MAX:STEP|step|holds nothing"):
        Range.parse(text)


def test_an_impossible_depth_names_the_nearest_possible_ones() -> None:
    with pytest.raises(UsageError, match=r"12, a depth that Wide ResNet cannot have.*6N\+4.*10 and 16"):
        DesignSpace(WideResNet(), Range.parse("12:30:6"), Range.parse("1:2:1"))
    with pytest.raises(UsageError, match="the nearest are 10"):
        DesignSpace(WideResNet(), Range.parse("4:30:6"), Range.parse("1:2:1"))
    with pytest.raises(UsageError, match="21/2"):
        DesignSpace(WideResNet(), Range.parse("10:11:1/2"), Range.parse("1:2:1"))


def test_an_impossible_width_is_refused() -> None:
    with pytest.raises(UsageError, match="1/64, a width that Wide ResNet cannot have; its widths are at least 1/32"):
        DesignSpace(WideResNet(), Range.parse("10:11:6"), Range.parse("1/64:1:1/64"))
