"""Processes that work off one task after the other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess

from shape_dnn.builtin.executors.room import Place
from shape_dnn.errors import ProcessDiedError, UnavailableError, describe
from shape_dnn.system import interrupts, processes
from shape_dnn.work import Outcome, Task, sendable


class Worker:
    """The driver's end of a worker process.

    Args:
        environment: variables that it has beyond those of this process.
        place: of its first task, which is its only one if that has a process or GPUs for itself.

    Raises:
        UnavailableError: none could be started.

    Attributes:
        environment: variables that it has beyond those of this process.
        place: what its task has of the machine.
        alive: whether it can be given another task.
        silence: seconds since the last sign of life.
    """

    def __init__(self, environment: dict[str, str], place: Place) -> None:
        if multiprocessing.current_process().daemon:
            problem = "work is done in processes of its own, and one of multiprocessing.Pool may start none"
            raise UnavailableError(f"{problem}; concurrent.futures.ProcessPoolExecutor has processes that may")
        self.connection, theirs = multiprocessing.Pipe()
        self.process = process_type()(target=_serve, args=(theirs, environment, processes.start_method()), daemon=True)
        try:
            with processes.start_method_left_open(), processes.main_left_out_if_no_file():
                self.process.start()
        except (EOFError, OSError) as error:
            raise UnavailableError(f"a worker process could not start: {describe(error)}") from None
        # Only the worker may hold its end, so that its death is seen here as the end of the connection.
        theirs.close()
        assert self.process.pid is not None  # noqa: S101 - just started
        self._family = processes.Family(self.process.pid)
        self._once = place.needs.fresh or bool(place.gpus)
        self.environment = environment
        self.place = place
        self.alive = True
        self.ready = False
        self.silence = 0.0

    def start(self, task: Task, place: Place) -> None:
        """Send a task."""
        self.silence, self.place = 0.0, place
        with contextlib.suppress(ConnectionError):  # it died before its first task; receive() will say so
            self.connection.send(task)

    def receive(self, task: Task, report: Callable[[Task, object], bool]) -> Outcome | None:
        """Take one message; return the outcome if it was the last one."""
        self.silence = 0.0
        try:
            what, content = self.connection.recv()
        except (EOFError, ConnectionError):
            return self._died(task)
        if what == "ready":
            self.ready = True
            return None
        if what == "report":
            goes_on = report(task, content)  # whatever that raises is no death of the worker
            with contextlib.suppress(ConnectionError):  # it died meanwhile; the next receive() will say so
                self.connection.send(goes_on)
            return None
        failed_on_gpu = what == "error" and task.needs.device.startswith("cuda")
        if self._once or failed_on_gpu:  # what went wrong on a GPU may go on being wrong
            self.stop()
        return Outcome(task, result=content) if what == "result" else Outcome(task, error=content)

    def _died(self, task: Task) -> Outcome:
        why = self._cause_of_death()
        self.kill()
        if not self.ready:
            raise UnavailableError(
                f"a worker process could not start: {why}. A script that starts a search must do so below "
                '`if __name__ == "__main__":`, since worker processes import it again'
            ) from None
        return Outcome(task, error=ProcessDiedError(why))

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
        """Ask an idle process to end, and see that it does, with all that it has started."""
        with contextlib.suppress(ConnectionError):
            self.connection.send(None)
        self.process.join(timeout=5)
        self.kill()

    def kill(self) -> None:
        """End the process at once, with all that it has started, unless that was done before."""
        if not self.alive:
            return
        self.alive = False
        self._family.end()
        self.process.join()
        self.process.close()  # by which it ends also where nobody is left to tell whether it is alive
        self.connection.close()


def process_type() -> type[BaseProcess]:
    """Return a process that starts at once where that is possible, and otherwise one that imports torch itself."""
    if sys.platform == "linux" and not sys.flags.ignore_environment:
        from shape_dnn.builtin.executors.forking import ForkedProcess

        return ForkedProcess
    return SpawnedProcess


class SpawnedProcess(SpawnProcess):
    """A process that imports everything itself."""

    def start(self) -> None:
        """Start it."""
        resource_tracker.ensure_running()  # it would let interrupts through at the end of its own start
        with interrupts.blocked():  # which it inherits, until it ignores them
            super().start()


def _serve(connection: Connection, environment: dict[str, str], start_method: str | None) -> None:
    """Run tasks until told to stop: the main function of a worker process."""
    multiprocessing.set_start_method(start_method, force=True)
    processes.start_copies()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what an interrupt ends
    processes.lead()
    processes.print_to_standard_error()
    _end_with_parent()
    multiprocessing.current_process().daemon = False  # which could start no processes, as loading data does
    if hasattr(os, "register_at_fork"):  # or the driver would not see the end of this process before that of its copies
        os.register_at_fork(after_in_child=connection.close)
    os.environ.update(environment)  # read by torch, which is not imported yet or has not asked

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
            del message, task  # an error has all that its frames held, such as networks


def _end_with_parent() -> None:
    """End this process, and all that it has started, when its parent dies, even in the middle of a task."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child process

    def watch() -> None:
        parent.join()
        processes.end_own_family()

    threading.Thread(target=watch, daemon=True).start()
