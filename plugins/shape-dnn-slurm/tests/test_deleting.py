"""Studies that are deleted, of which jobs are left, without any Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from shape_dnn.api import studies
from shape_dnn.errors import StudyError, UnavailableError
from shape_dnn.store.facts import Store
from shape_dnn.testing.executors import Count
from shape_dnn_slurm import cluster
from shape_dnn_slurm.executor import Slurm
from shape_dnn_slurm.folder import Folder, Record


class Queue:
    """What Slurm says of jobs, and does to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: dict[str, str] = {}
        self.cancelled: list[str] = []
        monkeypatch.setattr(cluster, "run", self.run)
        monkeypatch.setattr(cluster, "NAP", 0.0)

    def run(self, command: str, *arguments: str) -> str:
        assert command == "sacct" or "--name=shape-dnn" in arguments, "jobs of another cluster may have these numbers"
        if command == "scancel":
            self.cancelled += [each for each in arguments if not each.startswith("-")]
            return ""
        if command != "squeue":
            raise UnavailableError("there is no accounting")
        told = "".join(f"{number}|{word}|None|\n" for number, word in self.jobs.items())
        for number in self.cancelled:  # each question later, they are a step further
            self.jobs[number] = {"RUNNING": "COMPLETING"}.get(self.jobs[number], "CANCELLED")
        return told


def left(study: Path, *numbers: str) -> None:
    """Have a search of a study leave jobs."""
    Store(study).close()
    for number in numbers:
        made = Folder(study / "executor" / "slurm" / f"attempt-{number}")
        made.create(Count(), "the driver")
        made.register(Record(number, "some work", 60, 2048, requeues=True))


def test_the_jobs_of_a_study_that_is_deleted_are_cancelled_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch)
    queue.jobs = {"7_0": "RUNNING", "7_1": "PENDING", "8": "RUNNING", "9": "COMPLETED"}
    left(tmp_path / "mine", "7_0", "7_1", "9")
    left(tmp_path / "other", "8")
    studies.delete(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
    assert queue.cancelled == ["7_0", "7_1"]
    assert queue.jobs["7_0"] == "CANCELLED"
    assert queue.jobs["8"] == "RUNNING"


def test_a_study_whose_jobs_cannot_be_ended_stays_and_the_remedy_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(monkeypatch)
    queue.jobs = {"7": "RUNNING"}
    left(tmp_path / "mine", "7")
    monkeypatch.setattr(cluster, "cancel", lambda _: None)
    monkeypatch.setattr(cluster, "ENDING_SECONDS", 0.0)
    with pytest.raises(StudyError, match=r"told to cancel 7, and they still run; if nothing does, delete '.*slurm'"):
        studies.delete(tmp_path / "mine")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StudyError, match=r"may still run, and cannot be ended: squeue is not here"):
        studies.delete(tmp_path / "mine")
    assert len(list((tmp_path / "mine").iterdir())) >= 2, "nothing of it was deleted"


def test_a_study_whose_jobs_have_all_been_collected_is_deleted_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was copied from a cluster to where there is no Slurm."""
    monkeypatch.setenv("PATH", "/nowhere")
    left(tmp_path / "mine", "7")
    (tmp_path / "mine" / "executor" / "slurm" / "attempt-7" / "outcome.pkl").touch()
    studies.delete(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_an_executor_that_is_done_leaves_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "require", lambda: None)
    monkeypatch.setattr(cluster, "run", lambda *_: "")
    executor = Slurm()
    executor.directory = tmp_path / "executor" / "slurm"
    executor._open().beat()  # noqa: SLF001
    executor.close()
    assert not executor.directory.exists()
    log = executor.directory / "logs" / "7_0.err"
    executor._open()  # noqa: SLF001
    log.write_text("why it failed")
    executor.close()
    assert log.exists()
