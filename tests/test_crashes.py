"""A real search that is killed again and again loses nothing, repeats nothing, and comes to the same answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import SEARCH, kill_at_events, kill_at_random, what_counts


@pytest.fixture
def undisturbed(shape_dnn: Callable[..., Any]) -> list[object]:
    return what_counts(shape_dnn(*SEARCH, "--study", "undisturbed").json)


@pytest.mark.parametrize(
    ("most", "kinds"), [(1, ("TrainingFinished",)), pytest.param(1000, (), marks=pytest.mark.nightly)]
)
def test_a_driver_killed_at_its_events(undisturbed: list[object], most: int, kinds: tuple[str, ...]) -> None:
    tally, answer = kill_at_events(Path.cwd(), most, kinds)
    assert tally.kills == 1 if kinds else tally.kills > 10
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    assert answer == undisturbed


@pytest.mark.nightly
def test_drivers_and_workers_killed_at_random_moments(undisturbed: list[object]) -> None:
    tally, answers = kill_at_random(Path.cwd(), kills=30, seed=1)
    assert tally.kills >= 30
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    assert answers
    assert all(answer == undisturbed for answer in answers)
