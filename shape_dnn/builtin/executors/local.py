"""Worker processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess

from shape_dnn import devices
from shape_dnn.errors import ProcessDiedError, UnavailableError, describe
from shape_dnn.kinds import Executor
from shape_dnn.system import interrupts
from shape_dnn.work import Outcome, Task, sendable

POLL = 1.0
"""Seconds between two looks at the clock."""


class Local(Executor):
    """A pool of processes, one task at a time each. A process that dies takes only its own task with it.

    Args:
        threads: of each worker; by default one, with as many workers as cores.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Task] = {}
        self._stopping = False

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Hand each task to a free worker, in order, when the memory that it needs is free."""
        waiting = deque(tasks)
        most = max(1, min(len(waiting), workers or devices.cores() // self.threads))
        while self._busy or (waiting and not self._stopping):
            while waiting and len(self._busy) < most and self._fits(waiting[0]) and not self._stopping:
                worker = self._idle.pop() if self._idle else _Worker(self.threads)
                self._busy[worker] = waiting.popleft()
                worker.start(self._busy[worker])
            for worker in self._next_to_look_at():
                task = self._busy[worker]
                outcome = worker.look(task, report)
                if outcome is not None:
                    del self._busy[worker]
                    if worker.alive:
                        self._idle.append(worker)
                    yield outcome

    def _fits(self, task: Task) -> bool:
        """Tell whether a task finds enough memory beside those that run; what runs alone is not refused."""
        return not self._busy or task.needs.share + sum(other.needs.share for other in self._busy.values()) <= 1

    def _next_to_look_at(self) -> list[_Worker]:
        """Wait for workers that have something to say, or that have been silent for too long."""
        before = time.monotonic()
        # A process that it has left behind keeps the connection of one that died open.
        ready = wait([end for worker in self._busy for end in (worker.connection, worker.process.sentinel)], POLL)
        # Time in which this process was stopped, and the workers perhaps with it, is not held against them.
        passed = min(time.monotonic() - before, POLL)
        for worker in self._busy:
            worker.silence += passed
        return [
            worker
            for worker, task in self._busy.items()
            if not {worker.connection, worker.process.sentinel}.isdisjoint(ready)
            or (task.patience is not None and worker.silence > task.patience)
        ]

    def stop(self) -> None:
        """Start no further task."""
        self._stopping = True

    def close(self) -> None:
        """End the processes, at once if they still work."""
        for worker in self._busy:
            worker.kill()
        for worker in self._idle:
            worker.stop()
        self._busy.clear()
        self._idle.clear()


class _Worker:
    """The driver's end of a worker process."""

    def __init__(self, threads: int) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.process = _process_type()(target=_serve, args=(theirs, threads), daemon=True)
        try:
            self.process.start()
        except (EOFError, OSError) as error:
            raise UnavailableError(f"a worker process could not start: {describe(error)}") from None
        # Only the worker may hold its end, so that its death is seen here as the end of the connection.
        theirs.close()
        self.alive = True
        self.ready = False
        self.silence = 0.0

    def start(self, task: Task) -> None:
        """Send a task."""
        self.silence = 0.0
        with contextlib.suppress(ConnectionError):  # it died before its first task; receive() will say so
            self.connection.send(task)

    def look(self, task: Task, report: Callable[[Task, object], bool]) -> Outcome | None:
        """Take one message, if there is one; return the outcome if it is known."""
        if self.connection.poll():
            return self.receive(task, report)
        return self.give_up(task) if self.process.is_alive() else self._died(task)

    def receive(self, task: Task, report: Callable[[Task, object], bool]) -> Outcome | None:
        """Take one message; return the outcome if it was the last one."""
        self.silence = 0.0
        try:
            what, content = self.connection.recv()
            if what == "ready":
                self.ready = True
                return None
            if what == "report":
                self.connection.send(report(task, content))
                return None
        except (EOFError, ConnectionError):
            return self._died(task)
        return Outcome(task, result=content) if what == "result" else Outcome(task, error=content)

    def _died(self, task: Task) -> Outcome:
        self.alive = False
        if not self.ready:
            raise UnavailableError(
                f"a worker process could not start: {self._cause_of_death()}. A script that starts a search must "
                'do so below `if __name__ == "__main__":`, since worker processes import it again'
            ) from None
        return Outcome(task, error=ProcessDiedError(self._cause_of_death()))

    def give_up(self, task: Task) -> Outcome:
        """End a task that hangs."""
        silence = f"{self.silence / 60:.3g} minutes" if self.silence >= 60 else f"{self.silence:.2g} s"
        self.kill()
        return Outcome(task, error=ProcessDiedError(f"it hung: no sign of life for {silence}, so it was ended"))

    def _cause_of_death(self) -> str:
        self.process.join()
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"its process ended with exit status {code}"
        name = signal.Signals(-code).name
        hint = ", perhaps for lack of memory" if -code == signal.SIGKILL else ""
        return f"its process was killed by {name}{hint}"

    def stop(self) -> None:
        """Ask an idle process to end."""
        with contextlib.suppress(ConnectionError):
            self.connection.send(None)
        self.process.join(timeout=5)
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.alive = False
        if self.process.is_alive():  # otherwise its number may be another's by now
            self.process.kill()
        self.process.join()
        self.process.close()  # by which it ends also where nobody is left to tell whether it is alive
        self.connection.close()


def _process_type() -> type[BaseProcess]:
    """Return a process that starts at once where that is possible, and otherwise one that imports torch itself."""
    if sys.platform == "linux" and not sys.flags.ignore_environment:
        from shape_dnn.builtin.executors.forking import ForkedProcess

        return ForkedProcess
    return SpawnedProcess


class SpawnedProcess(SpawnProcess):
    """A process that imports everything itself."""

    def start(self) -> None:
        """Start it."""
        if sys.platform != "win32":
            resource_tracker.ensure_running()  # it would let interrupts through at the end of its own start
        with interrupts.blocked():  # which it inherits, until it ignores them
            super().start()


def _serve(connection: Connection, threads: int) -> None:
    """Run tasks until told to stop: the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt ends
    _end_with_parent()
    multiprocessing.current_process().daemon = False  # so that a training may have processes that load its data
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch, which is not imported yet

    def report(content: object) -> bool:
        connection.send(("report", content))
        return bool(connection.recv())

    with contextlib.suppress(EOFError, ConnectionError):  # the driver is gone, and so is this process in a moment
        connection.send(("ready", None))
        while (task := connection.recv()) is not None:
            try:
                message = ("result", task.run(report))
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises is an outcome
                message = ("error", sendable(error))
            connection.send(message)


def _end_with_parent() -> None:
    """End this process when the one that started it dies, even in the middle of a task."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child process

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
