"""What is said of recorded searches that were as sure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn.answers.reliability import MISSED, missed_in_100

RECORD = Path(__file__).parent.parent / "benchmarks" / "results" / "2026-11-27-reliability.txt"
DEFAULT = [{"kind": "sampler", "name": "active"}, {"kind": "accuracy_model", "name": "log-error"}]


def test_the_more_doubt_was_stated_the_more_was_missed() -> None:
    missed = [missed_in_100(doubt, DEFAULT) for doubt in (0.0, 0.05, 0.06, 0.3, 0.5, 0.9, 1.0)]
    known = [number for number in missed if number is not None]
    assert len(known) == len(missed)
    assert known == sorted(known)
    assert known[0] < known[-1]


def test_what_is_said_is_what_was_recorded_of_all_tables() -> None:
    *_, last = RECORD.read_text().split("\n\n")
    heading, *rows = last.splitlines()
    assert heading == "stated doubt up to   decisions   missed, in percent"
    recorded = [row.split() for row in rows]
    assert [(most, f"{missed}") for most, missed in MISSED] == [
        (float(most), f"{float(missed):.0f}") for most, _, missed in recorded
    ]
    assert sum(int(decisions) for _, decisions, _ in recorded) == 2371
    for most, missed in MISSED:
        assert missed_in_100(most, DEFAULT) == missed


@pytest.mark.parametrize("kind", ["sampler", "accuracy_model"])
def test_nothing_is_said_of_plugins_that_were_not_judged(kind: str) -> None:
    others = [plugin if plugin["kind"] != kind else {"kind": kind, "name": "mine"} for plugin in DEFAULT]
    assert missed_in_100(0.01, others) is None


def test_a_search_says_it_of_itself_unless_it_trained_everything(shape_dnn: Callable[..., Any]) -> None:
    rows = [
        f"{depth},{width},{96 - 20 / depth - 3 / width},{depth * width**2}"
        for width in (1, 2, 3)
        for depth in range(4, 40, 4)
    ]
    Path("t.csv").write_text("\n".join(["depth,width,accuracy,size", *rows]) + "\n")
    flags = ["--replay", "t.csv", "--goal", "size", "--min-accuracy", "93%"]
    said = "of 100 recorded searches that were as sure,"
    assert said in shape_dnn(*flags).out
    assert said not in shape_dnn(*flags, "--model", "log-linear").out
    assert said not in shape_dnn(*flags, "--prior", "t.csv").out
    assert (
        said not in shape_dnn(*flags, "--strategy", "exhaustive", "--sampler", "d-optimal", "--confidence", "0.95").out
    )
