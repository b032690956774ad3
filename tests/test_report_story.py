"""A report tells how its search went: that search and no other, and what really ended it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shape_dnn import tune
from shape_dnn.answers.question import StudyQuestion
from shape_dnn.report import story
from shape_dnn.report.overview import Overview

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
    journal = study / "journal.jsonl"
    of_first = journal.read_text()
    later = [json.dumps(json.loads(line) | {"run": 2}) + "\n" for line in of_first.splitlines()]
    journal.write_text(of_first + "".join(later[: len(later) // 2]))
    assert story_of(study) == before
    journal.write_text("".join(later))
    assert story_of(study) == story.WITHOUT_JOURNAL
