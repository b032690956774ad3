"""The journal of a study tells what happened during its searches, and costs them nothing."""

from __future__ import annotations

import errno
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import ask, events, tune
from shape_dnn.api import studies
from shape_dnn.events import Chosen, EpochFinished, Reason, SearchFinished, SearchInterrupted, SearchStarted
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch
from shape_dnn.shape import Shape
from shape_dnn.store import journal
from shape_dnn.store.journal import FILE_NAME, Journal, read
from shape_dnn.testing.observers import EVENTS

SHAPE = Shape(10, Fraction(1, 3))
STARTED = SearchStarted({"goal": "size"}, 45, Quality("perplexity", better="lower", minimum=1.0))
TRAINER = """
import torch
from torch import nn

DEPTH, WIDTH = "10:28:6", "1/4:1:1/4"

def build(shape):
    return nn.Linear(shape.depth, int(4 * shape.width))

def example(batch_size):
    return torch.zeros(batch_size, 1)

def train(shape, run):
    for epoch in range(1, 4):
        run.report(epoch, 60 + shape.depth / 10 + 10 * float(shape.width) + epoch)
"""


def search(**question: Any) -> Path:
    Path("trainer.py").write_text(TRAINER)
    tune(trainer="trainer.py", study="study", device="cpu", **question)
    return Path("study")


def journalled(directory: Path, *told: events.Event, run: int = 1) -> list[events.Event]:
    written = Journal(directory)
    with written.of_run(run, STARTED):
        for event in told:
            written.append(event)
    return [entry.event for entry in read(directory)[0]]


def kinds(directory: Path) -> list[str]:
    return [type(entry.event).__name__ for entry in read(directory)[0]]


def test_every_event_that_is_taken_down_is_read_as_it_was(tmp_path: Path) -> None:
    taken = [event for event in EVENTS if type(event) in journal.FIELDS and not isinstance(event, SearchFinished)]
    assert len(taken) >= 15
    found = journalled(tmp_path, *EVENTS[:-1])[1:-1]
    assert [type(event) for event in found] == [type(event) for event in taken]
    for event, before in zip(found, taken, strict=True):
        match before:
            case SearchStarted():
                assert (event.settings, event.shapes) == (dict(before.settings), before.shapes)
            case events.TrainingFinished(training, done, total):
                read_it = event.training
                assert (event.done, event.total) == (done, total)
                assert (read_it.shape, read_it.quality, read_it.reason, read_it.seconds) == (
                    training.shape, training.quality, training.reason, training.seconds,
                )  # fmt: skip
            case EpochFinished(shape, epoch, epochs):
                assert event == EpochFinished(shape, Epoch(epoch.number, epoch.loss, epoch.quality), epochs)
            case _:
                assert event == before


def test_a_search_tells_why_each_shape_was_trained_and_what_came_of_it() -> None:
    study = search(goal="size", min_accuracy="70%", confidence=0.9)
    told = [entry.event for entry in read(study)[0]]
    assert (type(told[0]), type(told[-1])) == (SearchStarted, SearchFinished)
    chosen = [event for event in told if isinstance(event, Chosen)]
    ended = [event.training.shape for event in told if isinstance(event, events.TrainingFinished)]
    assert [event.shape for event in chosen] != []
    assert sorted(event.shape for event in chosen) == sorted(ended)
    assert len(ended) < 16
    assert chosen[0].reason is Reason.SAMPLE
    doubts = [event.doubt for event in told if isinstance(event, events.Judged)]
    assert doubts[0] > 0.1 >= doubts[-1]
    assert sum(isinstance(event, EpochFinished) for event in told) == 3 * len(ended)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"confidence": 0.9, "goal": "size", "min_accuracy": "95%"}, Reason.IMPROVES),
        ({"confidence": 0.9, "min_accuracy": "95%"}, Reason.UNDECIDED),
        ({"confidence": 0.9}, Reason.UNCERTAIN),
        ({"sampler": "random", "goal": "size", "min_accuracy": "95%"}, Reason.VERIFY),
        ({"sampler": "random", "pareto": "size,accuracy"}, Reason.FRONT),
    ],
)
def test_the_reason_is_that_of_the_question(table: Path, question: dict[str, Any], reason: Reason) -> None:
    told: list[events.Event] = []
    result = tune(replay=table, notify=told.append, strategy="optimistic", **question)
    chosen = [event for event in told if isinstance(event, Chosen)]
    trained = {training.shape for training in result.answer.trainings}
    assert {event.shape for event in chosen} == trained
    assert chosen[0].reason is Reason.SAMPLE
    by_the_question = [event for event in chosen if event.reason is reason]
    assert by_the_question != []
    for event in by_the_question:
        assert 0 < event.expected <= 101
        assert (event.complies is None) == ("min_accuracy" not in question)
        assert event.complies is None or 0 <= event.complies <= 1
    assert (by_the_question[-1].better is not None) == (reason is Reason.IMPROVES)


def test_a_search_that_is_called_again_adds_to_the_journal() -> None:
    search(goal="size")
    study = search(goal="accuracy")
    runs = [entry.run for entry in read(study)[0] if isinstance(entry.event, SearchStarted)]
    assert runs == [1, 2]


def test_how_a_search_ended_is_told_whatever_the_end_was(tmp_path: Path) -> None:
    for error, reason in ((KeyboardInterrupt(), ""), (RuntimeError("no more\nroom"), "RuntimeError: no more room")):
        with pytest.raises(type(error)), Journal(tmp_path).of_run(1, STARTED):
            raise error
        assert read(tmp_path)[0][-1].event == SearchInterrupted(reason)


def test_who_reads_while_it_is_written_gets_each_line_once_and_whole(tmp_path: Path) -> None:
    told = [Chosen(Shape(depth, Fraction(1, 2)), Reason.SAMPLE) for depth in range(1, 30)]
    journalled(tmp_path, *told)
    content = (tmp_path / FILE_NAME).read_bytes()
    found, after = [], 0
    for end in range(0, len(content) + 1, 37):
        (tmp_path / FILE_NAME).write_bytes(content[:end])
        entries, after = read(tmp_path, after)
        found += entries
    (tmp_path / FILE_NAME).write_bytes(content)
    entries, after = read(tmp_path, after)
    assert [entry.event for entry in (*found, *entries)][1:-1] == told
    assert read(tmp_path, after) == ([], len(content))


def test_a_line_that_was_torn_by_a_kill_harms_no_other(tmp_path: Path) -> None:
    journalled(tmp_path)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'{"v":1,"run":1,"time":17')
    journalled(tmp_path, run=2)
    assert kinds(tmp_path) == ["SearchStarted", "SearchFinished"] * 2


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 100_000, b"x" * (journal.LONGEST + 10),
        b'{"v":2,"run":1,"time":1,"event":"SearchFinished"}', b'{"v":1,"run":1,"time":1,"event":"OfALaterVersion"}',
        b'{"v":1,"run":1,"time":NaN,"event":"SearchFinished"}', b'{"v":1,"run":1,"time":1,"event":["SearchFinished"]}',
        b'{"v":1,"run":1,"time":1,"event":"Tested","shape":[10,"1/0"],"quality":1}',
        b'{"v":1,"run":1,"time":1,"event":"Tested","shape":{"a":1},"quality":1}',
        b'{"v":1,"run":1,"time":1,"event":"Tested","shape":[10,"1/2"],"quality":"1"}',
        b'{"v":1,"run":1,"time":1,"event":"Chosen","shape":[10,"1/2"],"reason":"whim","expected":1,"std":1,"complies":1,"better":1}',
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(tmp_path: Path, line: bytes) -> None:
    journalled(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(line + b"\n" + (tmp_path / FILE_NAME).read_bytes())
    assert kinds(tmp_path) == ["SearchStarted", "SearchFinished"]


def test_a_journal_that_was_replaced_is_read_from_its_beginning(tmp_path: Path) -> None:
    journalled(tmp_path, *EVENTS)
    _, after = read(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    journalled(tmp_path)
    entries, now = read(tmp_path, after)
    assert len(entries) == 2
    assert now < after


def test_links_and_pipes_in_the_place_of_a_journal_are_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name, make in (("link", lambda path: path.symlink_to(mine)), ("pipe", os.mkfifo)):
        directory = tmp_path / name
        directory.mkdir()
        make(directory / FILE_NAME)
        with pytest.warns(UserWarning, match="cannot be written.*goes on without"):
            assert journalled(directory, *EVENTS) == []
    assert mine.read_text() == "mine"


def test_a_full_disk_ends_the_journal_and_not_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(_file: int, line: bytes) -> None:
        written.append(line)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, "_write", write)
    with pytest.warns(UserWarning, match="No space left.*goes on without") as said:
        search(goal="size", min_accuracy="70%")
    assert len(said) == 1
    assert len(written) == 6


def test_many_epochs_and_measurements_make_few_lines(tmp_path: Path) -> None:
    epochs = [EpochFinished(SHAPE, Epoch(number, 1.0, 50.0), 1000) for number in range(1, 1001)]
    measured = [events.Measured("size", "MB", SHAPE, EVENTS[4].measurement, done, 10_000) for done in range(1, 10_001)]
    found = journalled(tmp_path, *epochs, *measured)[1:-1]
    assert [event.epoch.number for event in found if isinstance(event, EpochFinished)] == list(range(50, 1001, 50))
    assert sum(isinstance(event, events.Measured) for event in found) == 100
    assert found[-1].done == 10_000


def test_a_study_takes_the_journal_along_with_the_runs(tmp_path: Path) -> None:
    study = search(goal="size")
    studies.merge(study, tmp_path / "copy")
    assert read(tmp_path / "copy") == read(study)
    size = (study / FILE_NAME).stat().st_size
    studies.merge(tmp_path / "copy", study)
    assert (study / FILE_NAME).stat().st_size == size
    studies.delete(tmp_path / "copy")
    assert not (tmp_path / "copy" / FILE_NAME).exists()


def test_no_line_holds_a_traceback_or_a_result(tmp_path: Path) -> None:
    failed = events.TrainingFinished(EVENTS[-5].training, 1, 1, "Traceback: /home/somebody/secret.py")
    journalled(tmp_path, failed, EVENTS[-1])
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert "secret" not in "".join(lines)
    assert {"result", "files"}.isdisjoint(json.loads(lines[-1]))


def test_a_question_to_a_search_that_measures_knows_what_was_measured() -> None:
    """Before anything is trained, too, and so after the search was killed."""
    known = []

    def look(event: events.Event) -> None:
        if isinstance(event, events.Measured) and event.metric == "memory":
            known.append(sum(row["memory"] is not None for row in ask("study", max=["memory=1MB"]).rows()))

    Path("trainer.py").write_text(TRAINER.replace("nn.Linear(shape.depth", "nn.Linear(1"))
    with pytest.warns(UserWarning, match="does not know the memory of"):
        tune(trainer="trainer.py", study="study", device="cpu", max=["memory=1MB"], notify=look)
    assert known == list(range(1, 10))
