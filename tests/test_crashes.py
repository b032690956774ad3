"""A real search that is killed again and again loses nothing, repeats nothing, and comes to the same answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from crashes import kill_at_events, kill_at_random, outcome, start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    answer = outcome(start(tmp_path_factory.mktemp("undisturbed") / "study"))
    assert answer is not None
    return answer


def test_a_driver_killed_at_its_first_events(undisturbed: list[object]) -> None:
    tally, answer = kill_at_events(Path.cwd(), most=3)
    assert (tally.kills, tally.lost, tally.repeated, tally.unreadable) == (3, 0, 0, 0)
    assert answer == undisturbed


def test_drivers_and_workers_killed_at_random_moments(undisturbed: list[object]) -> None:
    tally, answers = kill_at_random(Path.cwd(), kills=3, seed=1)
    assert tally.kills >= 3
    assert (tally.lost, tally.repeated, tally.unreadable) == (0, 0, 0)
    assert answers
    assert all(answer == undisturbed for answer in answers)
