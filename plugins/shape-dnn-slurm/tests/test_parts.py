"""What driver and job tell each other, and what is asked of Slurm, without any Slurm."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from nfs_client import remembering_absence

sys.path.insert(0, str(Path(__file__).parent))  # where jobs find them, too

from slurm_tasks import Noticed

from shape_dnn.display.tally import Losses
from shape_dnn.errors import (
    MachineLostError,
    MemoryShortageError,
    ProcessDiedError,
    UsageError,
)
from shape_dnn.events import TrainingLost
from shape_dnn.shape import Shape
from shape_dnn.testing.executors import Count, Hang, Square
from shape_dnn.work import Needs, Outcome
from shape_dnn_slurm import cluster, job, submitting
from shape_dnn_slurm.cluster import Partition, State
from shape_dnn_slurm.driving import Job
from shape_dnn_slurm.executor import Slurm
from shape_dnn_slurm.folder import Answer, Folder, Heartbeat, Message, Messages, Record
from shape_dnn_slurm.job import Line, asked_cores
from shape_dnn_slurm.submitting import Terms

RECORD = Record("7_0", "some work", 60, 2048, requeues=True)
PLACE = Partition("main", None, 64_000, cores_per_gpu=12)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "jobs" / "an-attempt")
    made.create(Count(), "the driver")
    return made


def told(folder: Folder) -> list[object]:
    return [content for kind, content in Messages(folder).new() if kind == "said"]


def test_what_was_not_told_to_its_end_is_cut_off_when_the_job_starts_again(folder: Folder) -> None:
    folder.tell(Message("said", 1))
    whole = folder.reports.read_bytes()
    folder.tell(Message("said", 2))
    folder.reports.write_bytes(folder.reports.read_bytes()[:-3])
    assert told(folder) == [1]
    Line(folder, goes_on=True).begin()
    folder.tell(Message("said", 3))
    assert told(folder) == [1, 3]
    assert folder.reports.read_bytes().startswith(whole)


def test_a_job_whose_search_is_gone_goes_on_if_another_one_may_take_it_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "GONE_SECONDS", 0.3)
    heartbeat = Heartbeat(folder.path.parent)
    heartbeat.beat()
    folder.answer(Answer(0, True, heartbeat.driver))
    assert Line(folder, goes_on=True).report("an epoch")
    assert not Line(folder, goes_on=False).report("a value that would keep a node from others")
    folder.answer(Answer(0, False, heartbeat.driver))
    assert not Line(folder, goes_on=True).report("an epoch, after it was told to stop")


def test_a_job_waits_for_the_answer_of_a_search_that_is_there(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "GONE_SECONDS", 0.5)
    beating, done = Heartbeat(folder.path.parent), threading.Event()
    folder.answer(Answer(0, True, beating.driver))
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(Line(folder, goes_on=True).report("an epoch")))
    asking.start()
    for _ in range(10):
        beating.beat()
        done.wait(0.1)
    assert answers == []
    folder.answer(Answer(1, False, beating.driver))
    asking.join()
    assert answers == [False]


def test_a_search_that_takes_a_job_over_hears_all_that_it_told_once(folder: Folder) -> None:
    line = Line(folder, goes_on=True)
    folder.answer(Answer(100, True, "the driver"))
    line.begin()
    for step in (1, 2, 3):
        line.report(step)
    again = Line(folder, goes_on=True)
    again.begin()
    for step in (1, 2, 3, 4):
        again.report(step)
    assert again.progressed
    heard: list[object] = []
    taken = Job(Count(), folder, RECORD, "the driver")
    taken.read(lambda _task, content: heard.append(content) or True)  # type: ignore[func-returns-value]
    assert heard == [1, 2, 3, 4]
    assert folder.answered() == (7, True, "the driver")


def test_a_sign_of_life_is_answered_so_that_an_interrupted_search_stops_within_an_epoch(folder: Folder) -> None:
    line = Line(folder, goes_on=True)
    line.begin()
    taken = Job(Count(), folder, RECORD, "the driver")
    taken.read(lambda *_: True)
    folder.tell(Message("alive"))
    taken.read(lambda _task, content: content is not None)  # as a search that was interrupted
    assert not folder.answered().go_on


def test_a_job_does_not_wait_for_a_search_that_has_not_taken_it_over_yet(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That may wait for a job of its own, which waits for the node of this one."""
    monkeypatch.setattr(job, "GONE_SECONDS", 1000)
    Heartbeat(folder.path.parent).beat()
    assert Line(folder, goes_on=True).report("an epoch")


NOTICE = """
import os, signal, sys
from pathlib import Path
from shape_dnn_slurm.folder import Folder
from shape_dnn_slurm.job import Line, Notice

line = Line(Folder(Path(sys.argv[1])), goes_on=True)
line.begin()
line.said = int(sys.argv[2])
Notice(line, 0).take(0, None)
"""


WORK = "import sys; from shape_dnn_slurm.job import Work; Work(sys.argv[1], 1)()"


def in_job(folder: Folder, scontrol: str, code: str, *arguments: str) -> Outcome | None:
    """Run a program as job 7 on node a1, where a shell script is scontrol; return what came of its task."""
    path = folder.path / "scontrol"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder.path}/asked\n{scontrol}')
    path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder.path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    environment["SLURMD_NODENAME"] = "a1"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run([sys.executable, "-c", code, str(folder.path), *arguments], env=environment, check=True)  # noqa: S603
    ended = Job(Square(1), folder, RECORD, "the driver")
    ended.read(lambda *_: True)
    return ended.outcome()


def asked(folder: Folder) -> list[str]:
    """Return what scontrol was asked for."""
    return (folder.path / "asked").read_text().splitlines()


@pytest.mark.parametrize(("steps", "works"), [(0, True), (1, True), (1, False)])
def test_a_job_that_came_further_is_started_again_and_no_other(folder: Folder, steps: int, works: bool) -> None:
    outcome = in_job(folder, "" if works else "echo no >&2; exit 1", NOTICE, str(steps))
    if steps and works:
        assert asked(folder) == ["requeue 7"]
        assert outcome is None
    elif steps:
        assert outcome is not None
        assert isinstance(outcome.error, MachineLostError)
        assert "could not be started again: no" in str(outcome.error)
        assert outcome.error.machine == "a1"
    else:
        assert outcome is not None
        assert isinstance(outcome.error, ProcessDiedError)
        assert "came no further within its time limit of 0 minutes (TIMEOUT)" in str(outcome.error)


def test_a_job_that_slurm_itself_has_started_again_is_not_lost(folder: Folder) -> None:
    assert in_job(folder, "echo 'Job is pending execution for job 7' >&2; exit 1", NOTICE, "1") is None


def test_only_the_job_itself_takes_the_notice_which_reaches_all_that_it_has_forked(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "jobs" / "an-attempt")
    folder.create(Noticed(tmp_path / "home", saves=1, forks=3), "the driver")
    folder.register(replace(RECORD, number="7", minutes=0))
    assert in_job(folder, "", WORK) is None
    assert asked(folder) == ["requeue 7"]


def test_an_epoch_may_take_several_time_limits_if_something_is_saved_in_each(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "jobs" / "an-attempt")
    folder.create(Noticed(tmp_path / "home", saves=2), "the driver")
    folder.register(replace(RECORD, number="7", minutes=0))
    for start in (1, 2):
        assert in_job(folder, "", WORK) is None
        assert asked(folder) == ["requeue 7"] * start
    outcome = in_job(folder, "", WORK)
    assert outcome is not None
    assert "came no further within its time limit of 0 minutes (TIMEOUT)" in str(outcome.error)
    assert len(asked(folder)) == 2


def test_a_job_that_saves_and_never_goes_on_from_it_is_not_started_again_for_ever(
    folder: Folder, tmp_path: Path
) -> None:
    """One that is preempted has not had its time, so that does not count."""
    folder.answer(Answer(100, True, "the driver"))
    seconds = 0

    def comes_further(*, is_late: bool, reports: int = 0) -> bool:
        nonlocal seconds
        line = Line(folder, goes_on=True)
        line.begin()
        line.watch((tmp_path / "home",))
        for _ in range(reports):
            line.report("an epoch")
        seconds += 1
        saved = tmp_path / "home" / "saved"
        saved.parent.mkdir(exist_ok=True)
        saved.touch()
        os.utime(saved, (seconds, seconds))
        found = line.progressed
        line.again(is_late=is_late)
        return found

    assert all(comes_further(is_late=False) for _ in range(2 * job.LIMITS))
    assert all(comes_further(is_late=True) for _ in range(job.LIMITS))
    assert not comes_further(is_late=True)
    assert comes_further(is_late=True, reports=1)
    assert all(comes_further(is_late=True, reports=1) for _ in range(job.LIMITS - 1))
    assert not comes_further(is_late=True, reports=1)
    assert not comes_further(is_late=True), "it has not even done again what was done before"


def test_submitit_asks_for_the_signal_that_jobs_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from submitit.core.job_environment import JobEnvironment

    assert JobEnvironment._usr_sig() == job._notice_signal() == signal.SIGUSR2  # noqa: SLF001


@pytest.mark.parametrize(
    ("word", "kind", "said"),
    [
        ("OUT_OF_MEMORY", MemoryShortageError, "out of memory: job 7_0 on a1 was killed, with 2048 MB"),
        ("TIMEOUT", ProcessDiedError, "job 7_0 on a1 reached its time limit of 60 minutes (TIMEOUT)"),
        ("NODE_FAIL", MachineLostError, "job 7_0 on a1 was lost (NODE_FAIL)"),
        ("PREEMPTED", MachineLostError, "job 7_0 on a1 was lost (PREEMPTED)"),
    ],
)
def test_how_slurm_ended_a_job_is_how_the_training_failed(
    folder: Folder, word: str, kind: type[Exception], said: str
) -> None:
    Line(folder, goes_on=True).begin()
    ended = Job(Square(1), folder, RECORD, "the driver")
    ended.read(lambda *_: True)
    outcome = died(ended, State(word, node="a1"))
    assert type(outcome.error) is kind
    assert str(outcome.error).startswith(said)
    if isinstance(outcome.error, MachineLostError):
        assert outcome.error.machine == "a1"
    assert ended.memory_shortage() == ({"some work": 4096} if word == "OUT_OF_MEMORY" else {})


@pytest.mark.parametrize(
    ("told", "memory"),
    [
        ({"MEM_PER_NODE": "3000"}, 3000),
        ({"MEM_PER_CPU": "1000", "CPUS_ON_NODE": "4"}, 4000),
        ({"MEM_PER_GPU": "9000", "GPUS_ON_NODE": "2", "CPUS_ON_NODE": "4"}, 18_000),
        ({"CPUS_ON_NODE": "4"}, 0),
    ],
)
def test_a_job_that_asked_for_no_memory_and_had_too_little_gets_twice_what_it_was_given(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, told: dict[str, str], memory: int
) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    needs = Needs("cuda:0", memory=2**33)
    asked = Terms().ask(needs, PLACE, requeues=True)
    assert asked.memory == 0, "what is known is how much it takes of the GPU"
    Line(folder, goes_on=True).begin()
    ended = Job(Square(1), folder, replace(RECORD, memory=asked.memory), "the driver")
    ended.read(lambda *_: True)
    had = f"with {memory} MB" if memory else "with the memory that jobs have by default"
    assert f"was killed, {had} (OUT_OF_MEMORY)" in str(died(ended, State("OUT_OF_MEMORY", node="a1")).error)
    least = ended.memory_shortage().get("some work", 0)
    assert Terms().ask(needs, PLACE, requeues=True, least_memory=least).memory == 2 * memory


@pytest.mark.parametrize(
    "who",
    ["slurmstepd: ", "slurmstepd-a1: ", "[2026-11-27T16:56:26.113] "],
    ids=["22.05", "22.05, several nodes on a machine", "26.05"],
)
def test_what_slurm_adds_to_the_log_of_a_job_is_told_from_what_its_program_said(folder: Folder, who: str) -> None:
    logs = folder.path.parent / "logs"
    logs.mkdir()
    log = logs / f"{RECORD.number}_log.err"

    def error(*lines: str) -> Exception | None:
        log.write_text("\n".join(lines))
        Line(folder, goes_on=True).begin()
        ended = Job(Square(1), folder, RECORD, "the driver")
        ended.read(lambda *_: True)
        return died(ended, State("FAILED", node="a1")).error

    killed = error("reading images", f"{who}error: Exceeded job memory limit", "srun: error: first: task 0: Killed")
    assert isinstance(killed, MemoryShortageError)
    broken = error("no such image", f"{who}error: *** STEP 7.0 ON a1 CANCELLED ***", "srun: error: a1: task 0: Killed")
    assert isinstance(broken, ProcessDiedError)
    assert str(broken).endswith(": no such image")
    absent = error(f"{who}error: execve(): python: No such file or directory", "srun: error: a1: task 0: Exited")
    assert str(absent).endswith("execve(): python: No such file or directory")


@pytest.mark.parametrize(
    ("word", "hangs"),
    [
        ("RUNNING", True),
        ("COMPLETING", True),
        ("", True),  # Slurm does not answer
        ("PENDING", False),
        ("CONFIGURING", False),
        ("REQUEUED", False),
        ("SUSPENDED", False),
        ("STOPPED", False),
    ],
)
def test_silence_is_held_against_a_job_only_while_it_can_speak(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, word: str, hangs: bool
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    silent = Job(Hang(patience=5.0), folder, RECORD, "the driver")
    Line(folder, goes_on=True).begin()
    silent.read(lambda *_: True)
    if word:
        silent.learn(State(word, node="a1"))
    for _ in range(10):
        assert silent.outcome() is None or hangs
        now += 1
        silent.read(lambda *_: True)
    outcome = silent.outcome()
    assert (outcome is not None) == hangs
    if outcome is not None:
        assert str(outcome.error) == "it hung: no sign of life for 10 s, so it was ended"
    silent.learn(State("RUNNING"))
    for _ in range(6):
        now += 1
        silent.read(lambda *_: True)
    assert silent.outcome() is not None, "it is held against it again once it goes on"


def died(job: Job, state: State | None) -> Outcome:
    """Have Slurm say of a job that it came to its end, often enough to be believed."""
    for _ in range(2):
        assert job.outcome() is None
        job.learn(state)
    outcome = job.outcome()
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("has_begun", "state", "said", "machine"),
    [
        (True, None, "job 7_0 on a1 was lost (UNKNOWN)", "a1"),
        (True, State("CANCELLED"), "job 7_0 on a1 was lost (CANCELLED)", "a1"),
        (True, State("NODE_FAIL", node="a2"), "job 7_0 on a2 was lost (NODE_FAIL)", "a2"),
        (False, State("CANCELLED"), "job 7_0 was lost (CANCELLED)", ""),
    ],
)
def test_a_lost_job_names_its_node_as_slurm_tells_it_or_the_job_itself_did(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, has_begun: bool, state: State | None, said: str, machine: str
) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "a1")
    if has_begun:
        Line(folder, goes_on=True).begin()
    lost = Job(Square(1), folder, RECORD, "the driver")
    lost.read(lambda *_: True)
    error = died(lost, state).error
    assert isinstance(error, MachineLostError)
    assert (str(error), error.machine) == (said, machine)


@pytest.mark.parametrize(("told", "cores"), [("8", 8), ("", None), (None, None)])
def test_a_job_knows_how_many_cores_it_has_asked_for(
    told: str | None, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is None:
        monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    else:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", told)
    assert asked_cores() == cores


def test_losses_are_told_with_as_many_machines_as_were_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs of one node, and one of another."""
    losses = Losses()
    for number, node in enumerate(["a1", "a1", "a2"]):
        monkeypatch.setenv("SLURMD_NODENAME", node)
        folder = Folder(tmp_path / "jobs" / str(number))
        folder.create(Count(), "the driver")
        Line(folder, goes_on=True).begin()
        lost = Job(Square(1), folder, RECORD, "the driver")
        lost.read(lambda *_: True)
        error = died(lost, State("NODE_FAIL", node=node) if number else None).error
        assert isinstance(error, MachineLostError)
        losses.add(TrainingLost(Shape(10, Fraction(1)), error.machine))
    assert str(losses) == "3 trainings were lost with 2 machines and are made again"


def test_a_job_that_had_no_node_is_not_said_to_have_run_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the accounting of Slurm writes it of one that was cancelled while it waited."""

    def run(command: str, *_: str) -> str:
        told = {"sacct": "7_0|CANCELLED by 1000|None|None assigned\n7_1|NODE_FAIL|None|a1\n"}
        return told.get(command, "7_2|PENDING|Resources|\n")

    monkeypatch.setattr(cluster, "run", run)
    assert cluster.states({"7_0", "7_1", "7_2"}) == {
        "7_0": State("CANCELLED"), "7_1": State("NODE_FAIL", node="a1"), "7_2": State("PENDING", "Resources")
    }  # fmt: skip


def test_a_record_survives_its_driver(folder: Folder) -> None:
    assert folder.record() is None
    folder.register(RECORD)
    assert Folder(folder.path).record() == RECORD
    assert json.loads((folder.path / "job.json").read_text())["number"] == "7_0"


def test_a_job_sees_its_record_also_after_it_has_looked_for_it_in_vain(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its node remembers for a minute that there is no file of a name, as those with NFS do."""
    with monkeypatch.context() as patch:
        remembering_absence(patch)
        assert folder.record() is None
        register = "from shape_dnn_slurm.folder import *; Folder(Path(sys.argv[1])).register(Record(*{!r}))"
        code = "import sys; from pathlib import Path; " + register.format(tuple(vars(RECORD).values()))
        subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)  # noqa: S603
        assert folder.record() == RECORD


def test_a_record_that_is_half_written_is_none_yet(folder: Folder) -> None:
    folder.register(RECORD)
    (folder.path / "job.json").write_text((folder.path / "job.json").read_text()[:-5])
    assert folder.record() is None


def test_a_driver_that_was_suspended_knows_which_jobs_another_one_has_taken_over(folder: Folder) -> None:
    ours = Job(Count(), folder, RECORD, "the driver")
    assert ours.is_ours
    folder.answer(Answer(3, True, "another"))
    assert not ours.is_ours
    shutil.rmtree(folder.path)
    assert not ours.is_ours


@pytest.mark.parametrize(
    ("nodes", "cores"),
    [
        (["64|gpu:a100:4(S:0-1)"], 16),
        (["64|gpu:a100:4(S:0,2),nic:2", "32|gpu:4", "8|(null)"], 8),
        (["24|gpu:h100:1"], 12),
        (["2|gpu:8"], 1),
        (["48|gpu:a100:1,gpu:v100:3"], 12),
        (["48|mygpu:4,shard:gpu"], 0),
    ],
)
def test_a_gpu_has_its_part_of_the_processors_of_the_smallest_node_and_at_most_half(
    monkeypatch: pytest.MonkeyPatch, nodes: list[str], cores: int
) -> None:
    monkeypatch.setattr(cluster, "run", lambda *_: "".join(f"main*|infinite|1|{node}\n" for node in nodes))
    place = cluster.partition("")
    assert (place.cores_per_gpu, place.has_gpus) == (cores, cores > 0)


@pytest.mark.parametrize(
    ("said", "memory"),
    [("main*|infinite|8000|2|(null)", 8000), ("main*|infinite|1|2|(null)", 0), ("main*|1:00|8000+|2|", 8000)],
)
def test_memory_is_asked_for_where_slurm_knows_of_any(monkeypatch: pytest.MonkeyPatch, said: str, memory: int) -> None:
    """A node whose configuration does not name it has 1 MB, and Slurm refuses whoever asks for more."""
    monkeypatch.setattr(cluster, "run", lambda *_: said + "\n")
    place = cluster.partition("")
    assert place.memory == memory
    ask = Terms().ask(Needs(memory=2**31), place, requeues=True)
    assert ask.memory == (3584 if memory else 0)
    assert ("mem" in Terms().parameters(ask)) == bool(memory)
    assert Terms(memory="2G").ask(Needs(), place, requeues=True).memory == 2048, "as the user says"


def test_several_partitions_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["main*|infinite|8000|16|(null)", "short|2:00:00|4000|8|gpu:1", "gpu|1-00|1000+|64|gpu:4", "rest|1|9000|1|"]
    monkeypatch.setattr(cluster, "run", lambda *_: "\n".join(lines))
    assert cluster.partition("main,gpu") == Partition("main,gpu", 1440, 8000, cores_per_gpu=16)
    assert cluster.partition("gpu,short,") == Partition("gpu,short", 120, 4000, cores_per_gpu=4)
    assert cluster.partition("") == cluster.partition("main")
    with pytest.raises(UsageError, match="no partition 'nope'; there are: gpu, main, rest, short"):
        cluster.partition("main,nope")


@pytest.mark.parametrize(
    ("told", "for_ever"),
    [
        ("PENDING|BadConstraints||main", True),
        ("PENDING|BadConstraints||main,apart", False),
        ("PENDING|PartitionTimeLimit||main,apart", False),
        ("PENDING|InvalidAccount||main,apart", True),
        ("PENDING|Resources||main", False),
    ],
)
def test_a_job_waits_on_for_another_partition_where_one_has_no_place_for_it(
    monkeypatch: pytest.MonkeyPatch, told: str, for_ever: bool
) -> None:
    monkeypatch.setattr(cluster, "run", lambda *_: f"7|{told}\n")
    assert cluster.states({"7"})["7"].waits_for_ever == for_ever


@pytest.mark.parametrize(("said", "most"), [("MaxArraySize = 1001", 1001), ("MaxArraySize = 0", 1), ("", 1)])
def test_how_many_jobs_an_array_may_have_is_what_slurm_says(
    monkeypatch: pytest.MonkeyPatch, said: str, most: int
) -> None:
    monkeypatch.setattr(cluster, "run", lambda *_: f"MaxArrayNone = 7\n{said}\nMaxJobCount = 9\n")
    assert cluster.most_elements() == most


@pytest.mark.parametrize("name", ["100%", "a%j", "back\\slash"])
def test_a_study_whose_path_sbatch_would_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(cluster, "require", lambda: None)
    executor = Slurm()
    executor.directory = tmp_path / name / "executor" / "slurm"
    with pytest.raises(UsageError, match=r"has '.+' in its path, which means something to sbatch; choose another"):
        next(executor.run([Count()], None, lambda *_: True))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("1:30", 2), ("04:00:00", 240), ("2-12", 3600), ("1-00:30:00", 1470), ("infinite", None)],
)
def test_times_are_read_as_slurm_writes_them(text: str, minutes: int | None) -> None:
    assert cluster.minutes(text) == minutes


@pytest.mark.parametrize(("text", "size"), [("16G", 16384), ("800M", 800), ("800", 800), ("1gb", 1024), ("1T", 2**20)])
def test_sizes_are_read_as_slurm_writes_them(text: str, size: int) -> None:
    assert Terms(memory=text).least_memory() == size


@pytest.mark.parametrize(
    "terms",
    [{"time": "0"}, {"time": "1-2-3"}, {"time": "-5"}, {"memory": "-1G"}, {"sbatch": "-p x"},
     {"sbatch": "--comment='a"}, {"sbatch": "--time=5"}, {"sbatch": "--requeue"}],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_before_anything_starts(terms: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"executor.{next(iter(terms))}"):
        Terms(**terms)


@pytest.mark.parametrize(
    ("terms", "needs", "expected"),
    [
        ({}, Needs(), {"cores": 1, "gpus": 0, "memory": 0, "minutes": 240}),
        ({"threads": 2}, Needs(memory=2**30), {"cores": 2, "memory": 2560}),
        ({"memory": "8G"}, Needs(memory=2**30), {"memory": 8192}),
        ({}, Needs(memory=2**40), {"memory": 64_000}),
        ({"cores": 8}, Needs("cuda:0", memory=2**30), {"cores": 8, "gpus": 1, "memory": 0}),
        ({}, Needs("cuda:0", gpus=4, cores=6, memory=2**30), {"cores": 6, "gpus": 4}),
        ({}, Needs("cuda:0", loaders=7, memory=2**30), {"cores": 8, "gpus": 1}),
        ({}, Needs("cuda:0"), {"cores": 12, "gpus": 1}),  # of which nobody knows yet what it takes
        ({"cores": 4}, Needs("cuda:0"), {"cores": 4, "gpus": 1}),
        ({"threads": 2}, Needs(loaders=1), {"cores": 3}),
        ({}, Needs(seconds=600), {"minutes": 30}),
        ({"time": "20"}, Needs(seconds=600), {"minutes": 20}),
        ({"time": "1-00"}, Needs(seconds=10**6), {"minutes": 1440}),
    ],
)
def test_a_job_asks_for_what_its_training_needs(terms: dict[str, Any], needs: Needs, expected: dict[str, int]) -> None:
    ask = Terms(**terms).ask(needs, PLACE, requeues=True)
    assert {name: getattr(ask, name) for name in expected} == expected


def test_what_a_partition_allows_is_the_most_that_is_asked_for() -> None:
    place = Partition("short", 30, 1000)
    ask = Terms().ask(Needs(memory=2**40), place, requeues=True)
    assert (ask.minutes, ask.memory) == (30, 1000)


def test_measuring_has_a_node_for_itself_whatever_else_is_said() -> None:
    terms = Terms(partition="main", constraint="usual", measure_constraint="bench", gpu="a100", memory="8G")
    given = terms.parameters(terms.ask(Needs("cuda:0", exclusive=True), PLACE, requeues=False))
    assert {name: given[name] for name in ("exclusive", "constraint", "gpus_per_node", "partition")} == {
        "exclusive": True, "constraint": "bench", "gpus_per_node": "a100:1", "partition": "main"
    }  # fmt: skip
    assert given["additional_parameters"] == {"no-requeue": True, "mem": 0}
    assert "mem" not in given
    usual = terms.parameters(terms.ask(Needs(), PLACE, requeues=True))
    assert (usual["constraint"], usual["mem"], "exclusive" in usual) == ("usual", "8192MB", False)
    assert usual["additional_parameters"] == {"requeue": True}


def test_what_slurm_tells_the_job_of_a_search_is_not_told_to_those_that_it_submits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    with submitting._own_environment():  # noqa: SLF001
        assert "SLURM_JOB_ID" not in os.environ
        assert os.environ["SLURM_CONF"] == "/etc/slurm.conf"
    assert os.environ["SLURM_JOB_ID"] == "1"
