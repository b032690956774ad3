"""An executor on the jobs of Slurm."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from shape_dnn.errors import MachineLostError, UnavailableError, UsageError
from shape_dnn.kinds import Executor
from shape_dnn.system import durable
from shape_dnn.work import Needs, Outcome, Task
from shape_dnn_slurm import cluster, submitting
from shape_dnn_slurm.cluster import Partition
from shape_dnn_slurm.driving import Job
from shape_dnn_slurm.folder import Folder, Heartbeat, Record
from shape_dnn_slurm.job import Work
from shape_dnn_slurm.submitting import Ask, BusyError, Terms

POLL = 5.0
"""Seconds between two questions to Slurm, each for all jobs."""
SWEEP = 0.2
"""Seconds between two looks at what jobs tell, at least."""
LOOKS = 200
"""Files that are looked at in a second, at most, since all of them may lie on one server."""
AT_ONCE = 1000
"""Jobs that are submitted at a time: Slurm sees the need, and the user's other jobs still have room."""
NEEDED_NO_MORE = (".submission*", "*_submission.sh", "*_result.pkl")
"""Files of submitit, once jobs are submitted or have ended."""
PATTERN = frozenset("%\\\n")
"""Characters that mean something in the path of a log."""
BUSY_SECONDS, BUSY_TRIES = 30.0, 20
"""How long to wait before Slurm is asked again to take a job, and how often where no job of this search runs."""


class Slurm(Executor):
    """Jobs of Slurm, one for each task, in arrays of those that ask for the same.

    Whatever is known of a job lies in a directory of the study, which all nodes must see. So the search may end and
    come back: trainings that ran on are taken over with all that they have told, and those that have finished are
    collected.

    Args:
        detach: whether jobs go on when the search is interrupted. Otherwise those that wait are cancelled, and those
            that run come to a good point to stop.
        **terms: what is said of jobs, :class:`~shape_dnn_slurm.submitting.Terms`.
    """

    elsewhere = True

    def __init__(self, detach: bool = False, **terms: Any) -> None:
        self.terms = Terms(**terms)
        self.threads = self.terms.threads
        self._detach = detach
        self._jobs: list[Job] = []
        self._home: Path | None = None
        self._heartbeat: Heartbeat | None = None
        self._left: dict[str, Folder] = {}
        self._most_elements = 1
        self._places: dict[bool, Partition] = {}
        self._memory: dict[str, int] = {}
        self._bench = ""
        self._asked_at = self._busy_until = float("-inf")
        self._busy = 0
        self._stopping = False

    def device(self, wanted: str) -> str:
        """Return ``cpu``, or ``cuda:0`` for whichever GPU Slurm gives to a job."""
        cluster.require()
        has_gpu = self._place(Needs()).has_gpus
        if wanted == "auto":
            return "cuda:0" if has_gpu else "cpu"
        if wanted == "cpu" or (wanted == "cuda" and has_gpu):
            return "cuda:0" if wanted == "cuda" else wanted
        there = "cpu, cuda" if has_gpu else "cpu"
        name = self._place(Needs()).name
        raise UsageError(f"{wanted!r} is not there; the nodes of partition {name!r} have: {there}", setting="device")

    def _place(self, needs: Needs) -> Partition:
        if needs.exclusive not in self._places:
            self._places[needs.exclusive] = self.terms.place(needs)
        return self._places[needs.exclusive]

    # Tasks

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Submit the tasks, take over those that run already, and wait for what comes."""
        if not tasks:
            return
        with self._open().beating():
            yield from self._run(deque(task for task in tasks if not self._take_over(task)), workers, report)

    def _run(
        self, waiting: deque[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        while self._jobs or (waiting and not self._stopping):
            if not self._stopping:
                yield from self._submit(waiting, workers)
            elif self._detach:
                return
            else:
                self._take_back()
            for job in self._jobs:
                job.read(report)
            self._ask_for_states()
            yield from self._finish()
            if self._jobs or waiting:
                time.sleep(max(SWEEP, len(self._jobs) / LOOKS))

    def _open(self) -> Heartbeat:
        """Be there for jobs, and find those that an earlier driver has left.

        Raises:
            UnavailableError: this is no machine of a Slurm cluster.
            UsageError: Slurm would take the path of the study for a pattern.
        """
        if self._heartbeat is not None:
            return self._heartbeat
        cluster.require()
        home = self._place_of_jobs
        if strange := PATTERN.intersection(str(home)):
            where = f"{str(home.parent.parent)!r} has {min(strange)!r} in its path, which means something to sbatch"
            raise UsageError(f"{where}; choose another", setting="study")
        self._most_elements = min(submitting.ARRAY, cluster.most_elements())
        with durable.naming_errors(home):
            (home / "logs").mkdir(parents=True, exist_ok=True)
        useless = []
        for path in sorted(home.glob("*/task.pkl")):
            folder = Folder(path.parent)
            record = folder.record()
            if record is not None and record.work and folder.answered().go_on:
                self._left[record.work] = folder
            else:  # it belongs to a question of the moment, or was told to stop
                useless.append((folder, record))
        cluster.cancel(record.number for _, record in useless if record is not None)
        for folder, _ in useless:
            shutil.rmtree(folder.path, ignore_errors=True)
        self._home, self._heartbeat = home, Heartbeat(home)
        return self._heartbeat

    @property
    def _place_of_jobs(self) -> Path:
        return (self.directory or Path("shape-dnn-study/executor/slurm")).resolve()

    def _take_over(self, task: Task) -> bool:
        """Take over the job that an earlier driver had submitted for the same work, if there is one."""
        folder = self._left.pop(_work(task), None)
        record = None if folder is None else folder.record()
        if folder is None or record is None:
            return False
        answer = folder.answered()
        folder.answer(answer._replace(driver=self._open().driver))
        self._jobs.append(Job(task, folder, record, self._open().driver))
        return True

    def _submit(self, waiting: deque[Task], workers: int | None) -> Iterator[Outcome]:
        """Submit as many as may run at once, those that ask for the same together."""
        room = (workers or AT_ONCE) - len(self._jobs)
        if not waiting or room <= 0 or time.monotonic() < self._busy_until:
            return
        chosen = [waiting.popleft() for _ in range(min(room, len(waiting)))]
        groups: dict[Ask, list[Task]] = {}
        for task in chosen:
            groups.setdefault(self._ask(task), []).append(task)
        for ask, group in groups.items():
            for start in range(0, len(group), self._most_elements):
                some = group[start : start + self._most_elements]
                try:
                    self._submit_together(ask, some)
                except BusyError as error:
                    self._wait_for_room(error)
                    waiting.extendleft(reversed(some))
                except UnavailableError as error:
                    if self._stopping:  # the interrupt has reached sbatch, too
                        waiting.extendleft(reversed(some))
                    else:
                        yield from (Outcome(task, error=error) for task in some)

    def _wait_for_room(self, error: BusyError) -> None:
        """Try again later; what Slurm refuses while nothing of this search runs, it may always refuse."""
        self._busy = 0 if self._jobs else self._busy + 1
        if self._busy > BUSY_TRIES:
            raise UnavailableError(f"Slurm takes no job: {error}") from None
        self._busy_until = time.monotonic() + BUSY_SECONDS

    def _ask(self, task: Task) -> Ask:
        needs, work = task.needs, _work(task)
        node = self._bench if needs.exclusive and not self.terms.measure_constraint else ""
        least = self._memory.get(work, 0)
        return self.terms.ask(needs, self._place(needs), requeues=bool(work), least_memory=least, node=node)

    def _submit_together(self, ask: Ask, tasks: Sequence[Task]) -> None:
        assert self._home is not None  # noqa: S101 - tasks are submitted once there is one
        home, driver = self._home, self._open().driver
        folders = []
        for task in tasks:
            folder = Folder(home / (task.attempt or hashlib.blake2b(str(time.time_ns()).encode()).hexdigest()[:16]))
            places = {path: path.resolve() for path in (*task.reads, *task.scratch)}
            places |= {path: folder.output(i) for i, path in enumerate(task.writes)}
            with durable.naming_errors(folder.path):
                folder.create(task.moved(places), driver)
            folders.append(folder)
        works = [Work(str(folder.path), self.threads) for folder in folders]
        try:
            numbers = submitting.submit(self.terms, home / "logs", ask, works)
        except BaseException:
            for folder in folders:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        self._busy = 0
        jobs = [
            Job(task, folder, Record(number, _work(task), ask.minutes, ask.memory, ask.requeues), driver)
            for task, folder, number in zip(tasks, folders, numbers, strict=True)
        ]
        self._jobs += jobs  # before anything can go wrong, so that they are cancelled then
        for job in jobs:
            job.folder.register(job.record)

    # What comes

    def _ask_for_states(self) -> None:
        """Ask Slurm where all jobs stand, if it is time to; where it does not answer, what jobs tell has to do."""
        if not self._jobs or time.monotonic() - self._asked_at < POLL:
            return
        with contextlib.suppress(UnavailableError):
            found = cluster.states({job.record.number for job in self._jobs})
            for job in self._jobs:
                job.learn(found.get(job.record.number))
        self._asked_at = time.monotonic()

    def _finish(self) -> Iterator[Outcome]:
        """Hand over what has ended, in whatever way."""
        for job in list(self._jobs):
            outcome = job.outcome()
            if outcome is None:
                continue
            self._jobs.remove(job)
            if job.task.needs.exclusive and job.began:
                self._bench = "" if isinstance(outcome.error, MachineLostError) else job.node
            self._memory |= job.memory_shortage()
            if not job.has_ended:
                with contextlib.suppress(UnavailableError):
                    cluster.cancel([job.record.number])
            self._tidy(job)
            if not job.taken_back:
                yield outcome

    def _take_back(self) -> None:
        """Cancel what has not begun."""
        chosen = [job for job in self._jobs if not job.began and not job.taken_back]
        with contextlib.suppress(UnavailableError):
            cluster.cancel(job.record.number for job in chosen)
            for job in chosen:
                job.taken_back = True

    def stop(self) -> None:
        """Start no further task."""
        self._stopping = True

    def close(self) -> None:
        """Cancel what runs, unless it is to go on without this search."""
        if self._home is None:
            return
        if not self._detach:
            self._jobs = [job for job in self._jobs if job.is_ours]
            try:
                cluster.cancel([*(job.record.number for job in self._jobs), *self._dismissed()])
            except UnavailableError as error:
                warnings.warn(f"jobs may still run; scancel --name {cluster.NAME} ends them: {error}", stacklevel=2)
            for job in self._jobs:
                self._tidy(job)
        self._left.clear()
        for name in NEEDED_NO_MORE:
            for path in (self._home / "logs").glob(name):
                path.unlink(missing_ok=True)
        if not any(self._home.glob("*/task.pkl")):
            with contextlib.suppress(OSError):  # logs of jobs that failed stay
                (self._home / "logs").rmdir()
                shutil.rmtree(self._home)
        self._jobs.clear()
        self._home = self._heartbeat = None

    def abandon(self) -> None:
        """Cancel the jobs that searches of this study have left, and wait until they have ended."""
        folders = [Folder(path.parent) for path in self._place_of_jobs.glob("*/task.pkl")]
        records = [folder.record() for folder in folders if not folder.outcome.exists()]
        if numbers := {record.number for record in records if record is not None}:
            cluster.end(numbers)

    def _dismissed(self) -> Iterator[str]:
        """Tell jobs that nobody took over to stop, as after an interrupt; yield the numbers of those that wait."""
        for folder in self._left.values():
            record = folder.record()
            if record is None or folder.outcome.exists():  # which whoever asks for the same will find
                continue
            folder.answer(folder.answered()._replace(go_on=False))
            if not folder.has_begun:
                yield record.number

    def _tidy(self, job: Job) -> None:
        """Remove the files of a job; what it printed stays where it came to nothing."""
        shutil.rmtree(job.folder.path, ignore_errors=True)
        for path in (job.folder.path.parent / "logs").glob(f"{job.record.number}_*"):
            if job.is_well or not path.name.endswith((".err", ".out")):
                path.unlink(missing_ok=True)


def _work(task: Task) -> str:
    """Name what a task does by what another attempt at the same goes on from; empty if there is nothing such."""
    named = [type(task).__qualname__, *(str(path.resolve()) for path in task.scratch)]
    return hashlib.blake2b("\0".join(named).encode(), digest_size=16).hexdigest() if task.scratch else ""
