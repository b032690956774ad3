"""The driver's end of one job."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping

from shape_dnn.errors import MachineLostError, MemoryShortageError, ProcessDiedError, UnavailableError
from shape_dnn.system import durable
from shape_dnn.work import Outcome, Task
from shape_dnn_slurm.cluster import State
from shape_dnn_slurm.folder import Answer, Folder, Messages, Record, load
from shape_dnn_slurm.job import Finished

UNKNOWN = State("UNKNOWN")
"""Of a job of which Slurm knows nothing, any more or yet."""
ENDINGS = 2
"""Answers of Slurm after which a job has ended, since what it told last may still be on its way."""
LOST = frozenset({"CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", "UNKNOWN"})
"""States that say nothing about the task."""
OF_SLURM = re.compile(r"(srun|slurmstepd)(-\S+)?: |\[\d{4}-\d\d-\d\dT[\d:.]+\] error: ")
"""How a line of a job's log begins that Slurm wrote.

The name of slurmstepd may have that of its node, and in Slurm 26.05 the time stands in its place.
"""
MEMORY = re.compile(r"exceeded (job )?memory limit|oom.kill|out of memory", re.IGNORECASE)
"""What Slurm writes there of a job that it kills for want of memory."""


class Job:
    """A task that was submitted, by this driver or an earlier one.

    Args:
        task: as the search has it.
        folder: what the job has.
        record: which one it is.
        driver: name of this driver.

    Attributes:
        began: whether it runs, or has run.
        node: where.
        has_ended: whether it has left its outcome.
        is_well: whether it came to a result.
        taken_back: whether it was cancelled before it was known to have begun.
    """

    def __init__(self, task: Task, folder: Folder, record: Record, driver: str) -> None:
        self.task, self.folder, self.record, self._driver = task, folder, record, driver
        self.began = self.has_ended = self.is_well = self.taken_back = False
        self.node = ""
        self._memory = record.memory
        self._state = State("PENDING")
        self._endings = 0
        self._messages = Messages(folder)
        self._said, self._position, self._furthest = 0, 0, 0
        self._goes_on = True
        self._silence, self._looked = 0.0, time.monotonic()

    def read(self, report: Callable[[Task, object], bool]) -> None:
        """Hand over what the job tells, and answer it.

        One that was started again tells once more what it had told, up to where it was; this is handed over once.
        """
        now = time.monotonic()
        # Time in which this process was stopped, or busy, is not held against the job.
        if self.began and not self._state.stands_still:
            self._silence += min(now - self._looked, 1.0)
        self._looked = now
        messages = self._messages.new()
        if not messages or self.taken_back:
            return
        self._silence = 0.0
        before = self._said, self._goes_on
        for kind, content in messages:
            if kind == "began":
                self.began, self.node, self._position = True, str(content), 0
                if self._state.stands_still:  # which it no longer does, also where Slurm does not answer
                    self._state = State("RUNNING")
            elif kind == "given" and isinstance(content, int):
                self._memory = self.record.memory or content
            elif kind == "said":
                self._said += 1
                self._position += 1
                if self._position > self._furthest:
                    self._furthest = self._position
                    self._goes_on = report(self.task, content) and self._goes_on
            elif kind == "alive":
                self._goes_on = report(self.task, None) and self._goes_on
            elif kind == "ended":
                self.has_ended = True
        if (self._said, self._goes_on) != before:
            self.folder.answer(Answer(self._said, self._goes_on, self._driver))

    @property
    def is_ours(self) -> bool:
        """Whether no other driver has taken it over, as where this one was suspended for long."""
        try:
            return self.folder.answered().driver == self._driver
        except OSError:  # another one has collected it
            return False

    def learn(self, state: State | None) -> None:
        """Take note of where Slurm says that it stands."""
        self._state = state or UNKNOWN
        self._endings = 0 if self._state.is_live else self._endings + 1

    def outcome(self) -> Outcome | None:
        """Return what came of it; None if it goes on."""
        if self.has_ended:
            return self._collect()
        if self._endings >= ENDINGS:
            return Outcome(self.task, error=self._death())
        if self._state.waits_for_ever:
            why = f"job {self.record.number} would wait for ever: {self._state.reason}"
            return Outcome(self.task, error=UnavailableError(f"{why}; have it ask for less, or choose other nodes"))
        if self.task.patience is not None and self._silence > self.task.patience:
            why = f"it hung: no sign of life for {self._silence:.3g} s, so it was ended"
            return Outcome(self.task, error=ProcessDiedError(why))
        return None

    def _collect(self) -> Outcome:
        """Take over the outcome, and what was written."""
        finished: Finished = load(self.folder.outcome)
        if finished.error is not None:
            return Outcome(self.task, error=finished.error)
        for number, path in enumerate(self.task.writes):
            written = self.folder.output(number)
            if written.exists():
                with durable.naming_errors(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if written.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    durable.rename(written, path)
        self.is_well = True
        return Outcome(self.task, finished.result)

    def _death(self) -> Exception:
        """Say what ended a job that has left no outcome."""
        word = self._state.word
        node = self._state.node or self.node  # Slurm may know nothing of it any more
        who = f"job {self.record.number}" + (f" on {node}" if node else "")
        if self._is_out_of_memory:
            had = f"with {self._memory} MB" if self._memory else "with the memory that jobs have by default"
            return MemoryShortageError(f"out of memory: {who} was killed, {had} ({word})")
        if word in ("TIMEOUT", "DEADLINE"):
            limit = f"its time limit of {self.record.minutes} minutes ({word})"
            return ProcessDiedError(f"{who} reached {limit}; give more by -o executor.time")
        if word in LOST:
            return MachineLostError(f"{who} was lost ({word})", node)
        if self.began:
            return ProcessDiedError(f"{who} ended before its task did ({word}){self._last_words()}")
        if not self._logs():
            return UnavailableError(
                f"{who} ended before it began ({word}), and left no log in {str(self.folder.path.parent / 'logs')!r}: "
                "its node does not see that directory; choose a --study in a file system that all nodes share"
            )
        return UnavailableError(
            f"{who} could not begin ({word}){self._last_words()}; have the same environment there, or name what starts "
            "it by -o executor.python or executor.setup"
        )

    @property
    def _is_out_of_memory(self) -> bool:
        """Whether it had too little memory, which Slurm says in its state or, where it has no cgroups, in the log."""
        if self._state.word == "OUT_OF_MEMORY":
            return True
        said = [line for line in self._logs() if OF_SLURM.match(line)]
        return self._state.word == "FAILED" and any(MEMORY.search(line) for line in said)

    def _logs(self) -> list[str]:
        """Return the lines that it printed to standard error."""
        lines: list[str] = []
        for path in sorted((self.folder.path.parent / "logs").glob(f"{self.record.number}_*.err")):
            lines += [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
        return lines

    def _last_words(self) -> str:
        """Say what it printed last, or else what Slurm added: of that, srun only says that something went wrong."""
        said = self._logs()
        own = [line for line in said if not OF_SLURM.match(line)]
        lines = own or [line for line in said if not line.startswith("srun: ")] or said
        return f": {lines[-1][-300:]}" if lines else ""

    def memory_shortage(self) -> Mapping[str, int]:
        """Return how much memory another attempt at the same work should have, in MB, if this one had too little."""
        if self.has_ended or not (self._is_out_of_memory and self.record.work and self._memory):
            return {}
        return {self.record.work: 2 * self._memory}
