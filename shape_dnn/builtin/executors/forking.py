"""Processes that are copies of one that has imported torch already, which takes seconds. On Linux alone.

Python's own start method ``forkserver`` does this, with one server for a whole program. Ours is another one, so that a
program that uses Python's keeps its modules, its signals and its environment.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from multiprocessing import popen_forkserver, reduction, resource_tracker, spawn, util
from multiprocessing.context import ForkServerProcess, set_spawning_popen
from multiprocessing.forkserver import ForkServer, read_signed
from multiprocessing.process import BaseProcess

from shape_dnn.system import environment, interrupts

IMPORTED = ["shape_dnn.builtin.executors.imports"]
"""Modules that the server imports. Plugins are none of them: each process imports them for itself."""
SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",  # further threads would not be there in a copy
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # CUDA does not survive being copied, once it was as much as asked
    "PYTHONSAFEPATH": "1",
}
"""Environment of the server, which its copies give up."""


class ForkedProcess(ForkServerProcess):
    """A process with the environment, working directory and module search path that its parent has when it starts."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> popen_forkserver.Popen:  # noqa: N802 - so multiprocessing calls it
        return _Popen(process_obj)


class _Popen(popen_forkserver.Popen):
    """What Python's does, by our server, and with an environment."""

    _fds: list[int]

    def _launch(self, process_obj: BaseProcess) -> None:
        content = io.BytesIO()
        set_spawning_popen(self)
        try:
            data = spawn.get_preparation_data(process_obj.name)
            reduction.dump({**data, "environment": _Environment()}, content)
            reduction.dump(process_obj, content)
        finally:
            set_spawning_popen(None)
        try:
            self._begin(content.getbuffer())
        except (EOFError, OSError):  # the server was killed before it did what it was asked for
            _replace_server()
            self._begin(content.getbuffer())

    def _begin(self, content: memoryview) -> None:
        _start_server()
        self.sentinel, data = _server.connect_to_new_process(self._fds)
        # The process ends when nobody has the other end of its data any more, so a duplicate is kept.
        self.finalizer = util.Finalize(self, _close, (os.dup(data), self.sentinel))
        try:
            with os.fdopen(data, "wb") as file:
                file.write(content)
            self.pid = read_signed(self.sentinel)
        except (EOFError, OSError):
            self.finalizer()
            raise


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class _Environment:
    """The environment of this process, which another takes over the moment that it unpickles this."""

    def __reduce__(self) -> tuple[object, ...]:
        return _take_over, (dict(os.environ),)


def _take_over(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _new_server() -> ForkServer:
    server = ForkServer()
    server.set_forkserver_preload(IMPORTED)
    return server


_server = _new_server()
_lock = threading.Lock()


def _start_server() -> None:
    """Start the server unless it runs. It ends when this process, and all that it has made, have ended."""
    resource_tracker.ensure_running()  # it would let interrupts through at the end of its own start
    path = os.pathsep.join(place for place in sys.path if os.pathsep not in place)  # to import what this process would
    with _lock, interrupts.blocked(), environment.changed(PYTHONPATH=path, **SURROUNDINGS):
        _server.ensure_running()


def _replace_server() -> None:
    global _server  # noqa: PLW0603 - there is one for the whole program
    with _lock:
        _server = _new_server()
