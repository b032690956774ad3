"""A report tells how its search went: that search and no other, and what really ended it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shape_dnn import events, tune
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.events import Event, Reason
from shape_dnn.quality import ACCURACY
from shape_dnn.records import Training
from shape_dnn.report import story
from shape_dnn.report.overview import Overview
from shape_dnn.shape import Shape
from shape_dnn.store import journal

TRAINER = """
DEPTH, WIDTH = "10:22:6", "1:3:1"

def train(shape, run):
    run.report(1, 60 + shape.depth / 10 + float(shape.width))
"""


def searched(study: str = "study", **question: Any) -> Path:
    Path("trainer.py").write_text(TRAINER)
    tune(trainer="trainer.py", study=study, device="cpu", workers=1, **{"goal": "accuracy", **question})
    return Path(study)


def story_of(study: Path, **question: Any) -> story.Story:
    with StudyQuestion.open(study, question, as_searched=True) as known:
        told = Overview.of_study(known).story
    assert told is not None
    return told


def test_a_report_tells_of_the_search_that_finished_and_not_of_a_later_one_that_did_not() -> None:
    study = searched()
    before = story_of(study)
    assert before.end.startswith("The search ended")
    path = study / journal.FILE_NAME
    of_first = path.read_text()
    later = [json.dumps(json.loads(line) | {"run": 2}) + "\n" for line in of_first.splitlines()]
    path.write_text(of_first + "".join(later[: len(later) // 2]))
    assert story_of(study) == before
    path.write_text("".join(later))
    assert story_of(study) == story.WITHOUT_JOURNAL


ONE = Shape(10, 1)
DONE = events.SearchFinished({}, ())


def end_of(*told: Event, quality: float | None = 60.0, confidence: float | None = None) -> str:
    return story.tell(told, {ONE: Training(ONE, quality, "bad")}, ACCURACY, confidence).end


def test_what_ended_a_search_is_what_did() -> None:
    limit = events.StageFinished("size", "<= 1", "MB", 3, 0)
    sure, unsure = (events.Judged(1, doubt, ONE, 0.1) for doubt in (0.01, 0.4))
    verified = events.Chosen(ONE, Reason.VERIFY)
    assert end_of(limit, DONE) == "The search ended: no network keeps to the limits."
    assert end_of(DONE, quality=None) == "The search ended without an answer: no training came to a result."
    assert end_of(DONE) == "The search ended when it had trained what its strategy allows."
    assert end_of(verified, DONE).endswith("what its strategy allows, and what it predicted to be the answer.")
    assert "At most 5 % was asked for" in end_of(sure, DONE, confidence=0.95)
    assert "nothing was left to train" in end_of(unsure, DONE, confidence=0.95)
    assert end_of(unsure, events.SearchInterrupted("")) == "The search was stopped before its end."
    assert end_of(limit) == "The search has not come to its end yet."


def test_nothing_is_called_better_than_a_best_that_there_was_not() -> None:
    told = [events.Chosen(ONE, Reason.IMPROVES, 60.0, 1.0, 0.3), DONE]
    (step,) = story.tell(told, {}, ACCURACY, None).steps
    assert "best so far" not in step.why
    assert "none was known that does" in step.why


def test_the_doubt_that_was_low_enough_is_that_of_the_search_whatever_is_asked_later() -> None:
    study = searched()
    began = journal.read(study)[0][0].event
    assert isinstance(began, events.SearchStarted)
    assert story.confidence_of(began.settings) == 0.95
    before = story_of(study)
    assert before.wanted is not None
    assert story_of(study, confidence="0.6").wanted == before.wanted


def test_trainings_that_took_no_time_are_reported_without_a_comparison_of_times() -> None:
    rows = [f"{depth},{width},{60 + depth + width},0" for depth in (10, 16, 22) for width in (0.5, 1, 2)]
    Path("table.csv").write_text("\n".join(["depth,width,accuracy,seconds", *rows]))
    tune(replay="table.csv", goal="accuracy", report="r.html")
    text = Path("r.html").read_text(encoding="utf-8")
    assert "shapes were trained" in text
    assert "times as long" not in text.split("<script")[0]
