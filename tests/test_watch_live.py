"""What a watched study tells of its search, from its journal alone."""

from __future__ import annotations

import itertools
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from shape_dnn.quality import ACCURACY
from shape_dnn.store import journal
from shape_dnn.watching import studies
from shape_dnn.watching.live import Live
from shape_dnn.watching.studies import Watched

BEGAN = time.time() - 1000


def line(event: str, after: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"v": journal.FORMAT, "run": 1, "time": BEGAN + after, "event": event, **fields}


def started(**settings: Any) -> dict[str, Any]:
    return line("SearchStarted", settings=settings, shapes=3, quality=ACCURACY.whole_record)


def planned(after: float, *shapes: list[Any]) -> dict[str, Any]:
    return line("TrainingsPlanned", after, shapes=shapes, known=0, failed=0)


def epoch(after: float, shape: list[Any], number: int) -> dict[str, Any]:
    return line("EpochFinished", after, shape=shape, epoch=[number, 0.1, 50.0], epochs=10)


def finished(after: float, shape: list[Any], done: int, total: int, reason: str = "") -> dict[str, Any]:
    training = {"shape": shape, "quality": None if reason else 60.0, "reason": reason, "seconds": 20.0,
                "stopped": False, "last": [10, 0.1, 60.0]}  # fmt: skip
    return line("TrainingFinished", after, training=training, done=done, total=total)


def write(*lines: dict[str, Any]) -> None:
    Path(journal.FILE_NAME).write_text("".join(json.dumps(each) + "\n" for each in lines))


def told(*lines: dict[str, Any], is_alive: bool = True) -> dict[str, Any]:
    """Return what is told of a journal with these lines, which can always be sent."""
    write(*lines)
    live = Live(Path())
    live.follow()
    content = live.content(is_alive=is_alive)
    json.dumps(content, allow_nan=False).encode()
    return content


def test_between_two_batches_nothing_is_left_of_what_is_planned() -> None:
    one = [10, "1"]
    epochs = [epoch(2 + 5 * number, one, number) for number in range(1, 11)]
    content = told(started(), planned(1, one), *epochs, finished(60, one, 1, 1))
    assert content["state"] == "running"
    assert content["doing"] == "deciding what to do next"
    assert content["left"] == 0


@pytest.mark.usefixtures("in_india")
@pytest.mark.parametrize(
    ("ago", "wanted"), [(1000, "Searching since {:%H:%M}+05:30."), (1e5, "Searching since {:%Y-%m-%d %H:%M}+05:30.")]
)
def test_since_when_a_search_runs_is_told_with_the_zone(ago: float, wanted: str) -> None:
    began = time.time() - ago
    there = datetime.fromtimestamp(began, timezone(timedelta(hours=5, minutes=30)))
    assert told({**started(), "time": began})["text"] == wanted.format(there)


def test_a_training_that_was_stopped_early_is_not_listed_among_those_that_failed() -> None:
    stopped = finished(60, [10, "1"], 1, 2, "stopped by asha after epoch 2")
    stopped["training"]["stopped"] = True
    content = told(started(), planned(1, [10, "1"], [16, "1"]), stopped, finished(70, [16, "1"], 2, 2, "bad"))
    assert content["failures"] == ["(16, 1): bad"]


def test_what_no_search_has_written_is_left_out() -> None:
    one = [10, "1"]
    odd = [line("Judged", 1e12, trained=1, doubt=0.5, best=one, tolerance=0.1), line("Judged", -1e12, trained=2,
           doubt=0.5, best=one, tolerance=0.1), epoch(5, one, 0), epoch(6, one, 10**400)]  # fmt: skip
    content = told(started(), planned(1, one), *odd, epoch(10, one, 1), finished(60, one, 1, 1, "no file b\udcff"))
    assert content["doubts"] == []
    assert content["failures"] == ["(10, 1): no file b?"]
    assert told(started() | {"time": 1e300})["state"] == "none"


@pytest.mark.parametrize(
    ("confidence", "wanted"), [(0.75, 0.25), ("0.75", 0.25), (None, None), ("nan", None), (7, None)]
)
def test_a_level_of_doubt_is_shown_only_where_one_is_known(confidence: object, wanted: float | None) -> None:
    assert told(started(confidence=confidence))["wanted"] == wanted


def test_nothing_stays_of_a_study_that_another_one_has_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "SECONDS", 0.0)
    one = [10, "1"]
    write(started(), finished(5, one, 1, 1, "bad"))
    watched = Watched(Path(), "one", ())
    watched.look()
    assert watched.live()["failures"] == ["(10, 1): bad"]
    Path(journal.FILE_NAME).rename("former")
    write(
        line("Judged", 100, trained=7, doubt=0.5, best=one, tolerance=0.1), *[epoch(100, one, n) for n in range(1, 9)]
    )
    assert Path(journal.FILE_NAME).stat().st_size > Path("former").stat().st_size
    before = watched.facts
    watched.look()
    assert watched.live()["failures"] == []
    assert watched.live()["doubts"] == [[7, 0.5]]
    assert watched.facts > before


def test_of_a_long_learning_curve_no_more_is_sent_than_is_seen() -> None:
    one, another = [10, "1"], [16, "1"]
    long = [{**epoch(2, one, number), "epochs": None} for number in range(1, 5001)]
    content = told(started(), planned(1, one, another), *long, *(epoch(3, another, number) for number in range(1, 6)))
    first, second = (each["points"] for each in content["running"])
    assert len(first) <= 200
    assert first[0][0] == 1
    assert first[-1][0] == 5000
    assert max(b[0] - a[0] for a, b in itertools.pairwise(first)) < 60
    assert [number for number, _ in second] == [1, 2, 3, 4, 5]
