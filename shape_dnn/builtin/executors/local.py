"""Worker processes on this machine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait

from shape_dnn import devices
from shape_dnn.builtin.executors.mps import MultiProcessService
from shape_dnn.builtin.executors.room import Place, Room
from shape_dnn.builtin.executors.workers import Worker
from shape_dnn.errors import UnavailableError
from shape_dnn.kinds import Executor
from shape_dnn.work import Outcome, Task

POLL = 1.0
"""Seconds between two looks at the clock."""


class Local(Executor):
    """A pool of processes, one task at a time each. A process that dies takes only its own task with it.

    Args:
        threads: of each training on a processor, at least.
        mps: whether trainings share a GPU by NVIDIA's multi-process service.
    """

    def __init__(self, threads: int = 1, mps: bool = False) -> None:
        self.threads = threads
        self.mps = mps
        self._service: MultiProcessService | None = None
        self._idle: list[Worker] = []
        self._busy: dict[Worker, Task] = {}
        self._stopping = False

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Hand each task to a worker, in order, when the cores, the memory and the GPUs that it takes are free."""
        waiting = deque(tasks)
        # Whoever says how many are to run at once may know better how many cores they keep busy.
        room = Room(max(devices.cores(), (workers or 0) * self.threads), self.threads)
        while self._busy or (waiting and not self._stopping):
            while waiting and not self._stopping and (workers is None or len(self._busy) < workers):
                try:
                    place = room.place(waiting[0].needs, [worker.place for worker in self._busy])
                except UnavailableError as error:
                    yield Outcome(waiting.popleft(), error=error)
                    continue
                if place is None:
                    break
                self._start(waiting.popleft(), place)
            for worker in self._next_to_look_at() if self._busy else ():
                task = self._busy[worker]
                outcome = worker.receive(task, report) if worker.connection.poll() else worker.give_up(task)
                if outcome is not None:
                    del self._busy[worker]
                    if worker.alive:
                        self._idle.append(worker)
                    yield outcome

    def _start(self, task: Task, place: Place) -> None:
        """Start a task in a worker: a new one if nothing else may have run there, or only under other conditions."""
        if place.gpus:  # of which the idle ones may still hold memory
            self._end_idle()
        environment = self._environment(place)
        fitting = [] if place.needs.fresh else [each for each in self._idle if each.environment == environment]
        worker = fitting[-1] if fitting else Worker(environment, place)
        if fitting:
            self._idle.remove(worker)
        self._busy[worker] = task
        worker.start(task, place)

    def _environment(self, place: Place) -> dict[str, str]:
        """Return what a worker must find in its environment, beyond what this process has there."""
        environment = {"OMP_NUM_THREADS": str(self.threads)}
        if place.gpus:
            return environment | devices.visible(place.gpus)
        if self.mps and place.needs.shares_gpu:
            self._service = self._service or MultiProcessService()
            return environment | self._service.environment
        return environment

    def _next_to_look_at(self) -> list[Worker]:
        """Wait for workers that have something to say, or that have been silent for too long."""
        before = time.monotonic()
        ready = set(wait([worker.connection for worker in self._busy], timeout=POLL))
        # Time in which this process was stopped, and the workers perhaps with it, is not held against them.
        passed = min(time.monotonic() - before, POLL)
        for worker in self._busy:
            worker.silence += passed
        return [
            worker
            for worker, task in self._busy.items()
            if worker.connection in ready or (task.patience is not None and worker.silence > task.patience)
        ]

    def stop(self) -> None:
        """Start no further task."""
        self._stopping = True

    def close(self) -> None:
        """End the processes, at once if they still work."""
        for worker in self._busy:
            worker.kill()
        self._busy.clear()
        self._end_idle()
        if self._service is not None:
            self._service.close()
            self._service = None

    def _end_idle(self) -> None:
        for worker in self._idle:
            worker.stop()
        self._idle.clear()
