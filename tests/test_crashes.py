"""A real search that is killed again and again loses nothing, repeats nothing, and comes to the same answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import SEARCH, Tally, kill_at_events, kill_at_random, killer, outcome, start, what_counts


@pytest.fixture
def answer_of(shape_dnn: Callable[..., Any]) -> Callable[[str], list[object]]:
    """What a search in this process answers."""
    return lambda study: what_counts(shape_dnn(*SEARCH, "--study", study).json)


def test_a_driver_killed_at_its_first_training(answer_of: Callable[[str], list[object]]) -> None:
    tally, study = Tally(), Path("study")
    assert outcome(start(study, *killer(Path.cwd(), 1, ("TrainingFinished",)))) is None
    tally.look(study)
    answer = answer_of("study")
    tally.close(study)
    assert (tally.kills, tally.lost, tally.repeated, tally.unreadable) == (1, 0, 0, 0)
    assert answer == answer_of("undisturbed")


@pytest.mark.nightly
def test_a_driver_killed_at_each_of_its_events(answer_of: Callable[[str], list[object]]) -> None:
    tally, answer = kill_at_events(Path.cwd(), most=1000)
    assert tally.kills > 10
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    assert answer == answer_of("undisturbed")


@pytest.mark.nightly
def test_drivers_and_workers_killed_at_random_moments(answer_of: Callable[[str], list[object]]) -> None:
    tally, answers = kill_at_random(Path.cwd(), kills=30, seed=1)
    assert tally.kills >= 30
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    undisturbed = answer_of("undisturbed")
    assert answers
    assert all(answer == undisturbed for answer in answers)
