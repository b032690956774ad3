"""What runs on a node: one task, whose driver may come and go."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import psutil

from shape_dnn import devices
from shape_dnn.errors import MachineLostError, ProcessDiedError, UnavailableError, describe
from shape_dnn.system import durable, processes
from shape_dnn.work import Task, sendable
from shape_dnn_slurm.folder import Folder, Heartbeat, Message, Messages, load

REGISTERED_SECONDS = 60.0
"""How long the driver may take to write down which job this is, after Slurm has taken it."""
GONE_SECONDS = 30.0
"""A driver that shows no sign of life for so long is gone."""
SET_CHILD_SUBREAPER = 36
"""What Linux calls so (prctl); Slurm runs on nothing else."""
LONGEST_NAP = 0.2
"""Seconds between two looks for an answer."""
LIMITS = 10
"""Time limits that may pass without a further report: a training may save what it never goes on from."""


class Finished(NamedTuple):
    """How a task ended: ``result`` is what it returned unless ``error`` says why it did not return."""

    result: object = None
    error: Exception | None = None


@dataclass(frozen=True)
class Work:
    """A task on its way to a job; submitit pickles this, and calls it on the node.

    Attributes:
        folder: its directory.
        threads: of libraries that look at the environment.
    """

    folder: str
    threads: int

    def __call__(self) -> None:
        """Run the task and leave its outcome."""
        folder = Folder(Path(self.folder))
        if not folder.task.is_file():
            raise FileNotFoundError(f"{self.folder} is not there on {socket.gethostname()}")
        number = job_number()
        record = _wait_for_record(folder)
        if record is None or record.number != number:
            return  # the driver died between the two, so nobody knows of this job
        _adopt_orphans()
        os.environ["OMP_NUM_THREADS"] = str(self.threads)  # read by torch, which is not imported yet
        devices.grant(asked_cores())
        line = Line(folder, goes_on=bool(record.work))
        notice = Notice(line, record.minutes)
        signal.signal(_notice_signal(), notice.take if record.requeues else signal.SIG_IGN)
        line.begin()
        finished = _run(folder, line)
        signal.signal(_notice_signal(), signal.SIG_IGN)
        line.end(finished)
        _end_children()


def job_number() -> str:
    """Return the number of this job, as Slurm writes it."""
    array, element = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{element}" if array else os.environ["SLURM_JOB_ID"]


def asked_cores() -> int | None:
    """Return how many processors this job has asked for, to which not every cluster binds it; None for a whole node."""
    return _told("CPUS_PER_TASK") or None


def given_memory() -> int:
    """Return the MB that this job has, whether it asked for them or not; 0 if Slurm does not limit them."""
    per_core, per_gpu = _told("MEM_PER_CPU") * _told("CPUS_ON_NODE"), _told("MEM_PER_GPU") * _told("GPUS_ON_NODE")
    return _told("MEM_PER_NODE") or per_core or per_gpu


def _told(name: str) -> int:
    """Return a number that Slurm tells this job; 0 if it does not."""
    text = os.environ.get(f"SLURM_{name}", "")
    return int(text) if text.isdigit() else 0


def node_name() -> str:
    """Return what Slurm calls the node that this job runs on."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _wait_for_record(folder: Folder) -> Any:
    end = time.monotonic() + REGISTERED_SECONDS
    while (record := folder.record()) is None and time.monotonic() < end:
        time.sleep(LONGEST_NAP)
    return record


def _run(folder: Folder, line: Line) -> Finished:
    try:
        task: Task = load(folder.task)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises when it is imported
        why = (
            f"{socket.gethostname()} cannot load what it is to run: {describe(error)}; install the same packages there"
        )
        return Finished(error=UnavailableError(why))
    processes.start_copies()
    line.watch(task.scratch)
    try:
        return Finished(task.run(line.report))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is an outcome
        return Finished(error=sendable(error))


class Line:
    """The job's end of what is told.

    Args:
        folder: of the job.
        goes_on: whether the task is of use where its driver is gone, since another one takes it over.

    Attributes:
        said: reports of this start of the job.
    """

    def __init__(self, folder: Folder, *, goes_on: bool) -> None:
        self.said = 0
        self._folder, self._goes_on = folder, goes_on
        self._total, self._furthest, self._limits = 0, 0, 0
        self._scratch, self._saved_at = tuple[Path, ...](), 0
        self._heartbeat = Heartbeat(folder.path.parent)
        self._beat, self._beat_at = "", time.monotonic()

    @property
    def progressed(self) -> bool:
        """Whether this start has come further than the ones before: has reported more, or as much and saved since."""
        if self.said != self._furthest or self._limits >= LIMITS:
            return self.said > self._furthest
        return _last_written(self._scratch) > self._saved_at

    def begin(self) -> None:
        """Count what earlier starts have told, and say that another one begins."""
        self._folder.mend()
        position = 0
        for kind, content in Messages(self._folder).new():
            position = 0 if kind == "began" else position + (kind == "said")
            self._total += kind == "said"
            if position > self._furthest:
                self._furthest, self._limits = position, 0
            self._limits += kind == "again" and bool(content)
        self._folder.tell(Message("began", node_name()))
        self._folder.tell(Message("given", given_memory()))

    def watch(self, scratch: tuple[Path, ...]) -> None:
        """Take note of what earlier starts have saved, so that it is seen whether this one saves anything."""
        self._scratch, self._saved_at = scratch, _last_written(scratch)

    def report(self, content: object) -> bool:
        """Report something, and wait for the answer; a sign of life needs none."""
        if content is None:
            self._folder.tell(Message("alive"))
            return self._folder.answered().go_on
        self.said += 1
        self._total += 1
        self._folder.tell(Message("said", content))
        nap = LONGEST_NAP / 16
        while True:
            answer = self._folder.answered()
            if answer.read >= self._total:
                return answer.go_on
            if self._is_alone(answer.driver):
                return answer.go_on and self._goes_on
            time.sleep(nap)
            nap = min(2 * nap, LONGEST_NAP)

    def _is_alone(self, driver: str) -> bool:
        """Tell whether a driver is gone: another one has taken its place, or it shows no sign of life."""
        beat = self._heartbeat.read()
        if beat and not beat.startswith(driver):
            return True  # the other one may have to do something else before it takes this job over
        if beat != self._beat:
            self._beat, self._beat_at = beat, time.monotonic()
        return time.monotonic() - self._beat_at > GONE_SECONDS

    def again(self, *, is_late: bool) -> None:
        """Say that this job is about to be started again, and whether that is because its time is over."""
        self._folder.tell(Message("again", is_late))

    def end(self, finished: Finished) -> None:
        """Leave the outcome, and then say that it is there."""
        partial = self._folder.outcome.with_suffix(".partial")
        durable.write(partial, pickle.dumps(finished))
        durable.rename(partial, self._folder.outcome)
        self._folder.tell(Message("ended"))


class Notice:
    """What is done when Slurm gives notice that it will soon take the node away.

    The training goes on, from the checkpoint that it wrote last, when the same job is started again.

    Args:
        line: to the driver.
        minutes: time limit of the job.
    """

    def __init__(self, line: Line, minutes: int) -> None:
        self._line, self._minutes, self._began, self._process = line, minutes, time.monotonic(), os.getpid()

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Have the job started again, unless that would lead nowhere; this process ends here and now.

        No exception is raised, which the code of a user might catch.
        """
        if os.getpid() != self._process:  # forked by the task, as to load data: Slurm signals all that a job runs
            return
        signal.signal(_notice_signal(), signal.SIG_IGN)
        is_late = time.monotonic() - self._began > 60 * self._minutes / 2
        if is_late and not self._line.progressed:
            why = (
                f"job {job_number()} came no further within its time limit of {self._minutes} minutes (TIMEOUT); "
                "give more by -o executor.time"
            )
            self._line.end(Finished(error=ProcessDiedError(why)))
        else:
            self._line.again(is_late=is_late)
            ran = subprocess.run(["scontrol", "requeue", job_number()], capture_output=True, text=True, check=False)  # noqa: S603, S607
            if ran.returncode and "pending execution" not in ran.stderr:  # since Slurm itself has started it again
                why = f"job {job_number()} lost its node, and could not be started again: {ran.stderr.strip()[-200:]}"
                self._line.end(Finished(error=MachineLostError(why, node_name())))
        _end_children()
        os._exit(0)


def _last_written(directories: Iterable[Path]) -> int:
    """Return when a file below directories was last written, by the clock of its file system; 0 if there is none."""
    last = 0
    for directory in directories:
        for place, _, names in os.walk(directory):
            for name in names:
                with contextlib.suppress(OSError):  # of an attempt that was given up, and still runs somewhere
                    last = max(last, Path(place, name).stat().st_mtime_ns)
    return last


def _notice_signal() -> signal.Signals:
    """Return the signal that submitit asks Slurm for."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _adopt_orphans() -> None:
    """Become the parent of whatever the task starts and loses its own, so that it is found when the job ends.

    Where Slurm does not hold jobs together by cgroups, it ends those alone that descend from the job.
    """
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_children() -> None:
    """End what the task has started; where Slurm holds jobs together by cgroups, it does the same."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue
