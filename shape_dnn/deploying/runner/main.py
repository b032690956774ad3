"""Answers what the driver asks, until it says goodbye, is gone, or is silent for too long."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
import time
from typing import Any

from .cache import Cache
from .machine import Machine
from .models import Model, Refusal, describe, limit_threads, load_runtime, peak_memory, read_arrays, written_arrays
from .pipe import ClosedError, Pipe

Answer = tuple[Any, bytes]


def main(greeting: str, program: bytes) -> None:
    """Greet, and answer.

    Args:
        greeting: begins the first line.
        program: the text of this runner, for processes of its own.
    """
    pipe = Pipe.of_this_process()
    try:
        about = {"python": "{}.{}.{}".format(*sys.version_info), "pid": os.getpid()}
        pipe.send(f"\n{greeting}{json.dumps(about)}}}\n".encode("ascii"))
        running = Runner(pipe, program)
        with contextlib.suppress(ClosedError, KeyboardInterrupt):
            running.serve()
        running.end()
    except ClosedError:
        pass
    sys.stderr.flush()
    os._exit(0)  # a runtime may have threads that would not end


class Runner:
    """What is there between two requests. Every method that begins with ``do_`` answers one.

    Args:
        pipe: to the driver.
        program: the text of this runner.
    """

    def __init__(self, pipe: Pipe, program: bytes) -> None:
        self._pipe, self._program = pipe, program
        self._models: dict[str, Model] = {}
        self._wanted: list[str] = []
        self._machine = Machine()
        self._cache = Cache()
        self._start: dict[str, Any] = {}
        self._runtime: Any = None
        self._former_died = False

    def serve(self) -> None:
        """Answer until the end.

        Raises:
            ClosedError: it came without a goodbye.
        """
        while True:
            request = self._pipe.read()
            number, name = request.pop("id"), request.pop("do")
            request.pop("bytes", None)
            try:
                found, payload = getattr(self, f"do_{name}")(**request)
            except Refusal as error:
                self._pipe.write({"id": number, "refused": error.kind, "message": error.message})
            except ClosedError:
                raise
            except OSError as error:
                self._pipe.write({"id": number, "refused": "target", "message": self._explain(error)})
            except Exception as error:  # noqa: BLE001 - whatever it is, the driver is told
                self._pipe.write({"id": number, "refused": "target", "message": describe(error)})
            else:
                self._pipe.write({"id": number, "answer": found}, payload)
            if name == "bye":
                return

    def _explain(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk of {self._cache.directory} is full; free some of it, or set XDG_CACHE_HOME there"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT):
            place = error.filename or self._cache.directory
            return f"{place} cannot be written ({error.strerror}); set XDG_CACHE_HOME there"
        if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            return f"files in {self._cache.directory} cannot be locked; set XDG_CACHE_HOME there, to a disk of its own"
        return describe(error)

    def do_start(self, **start: Any) -> Answer:
        """Take settings.

        These are ``runtime``, ``settings``, ``threads``, ``cores``, ``alone``, ``idle``, ``root``, ``python`` and
        ``former``, the number of the driver's former runner, whose end is of interest.
        """
        self._start = start
        self._pipe.idle = start["idle"]
        self._machine = Machine(start["root"])
        usable = self._machine.usable()
        wanted, threads = start["cores"], start["threads"]
        if usable and not set(wanted) <= set(usable):
            there = ", ".join(map(str, usable))
            raise Refusal("target", f"there is no core {min(set(wanted) - set(usable))}; target.cores accepts {there}")
        if usable and threads > len(usable):
            raise Refusal("target", f"{threads} threads are too many for its {len(usable)} cores; take fewer")
        if wanted and not usable:
            raise Refusal("target", "its system does not pin processes to cores; leave target.cores out")
        # Runners beside each other would all choose the same cores.
        self._machine.pin(wanted or (self._machine.choose(usable, threads) if start["alone"] else usable))
        limit_threads(threads)
        self._former_died = self._cache.is_left_by_dead(start["former"])  # before it is ended for the lock
        return None, b""

    def do_lock(self, token: str, who: str, most: float) -> Answer:
        """Take the target, or say who has it."""
        return self._cache.lock(token, who, most), b""

    def do_hello(self) -> Answer:
        """Load the runtime, and say what this machine is."""
        self._cache.open()
        self._runtime = load_runtime(self._start["runtime"])
        fingerprint = dict(self._machine.fingerprint(), versions=self._runtime.found)
        return {"fingerprint": fingerprint, "former_died": self._former_died}, b""

    def do_condition(self) -> Answer:
        """Say what may have changed."""
        return self._machine.condition(), b""

    def do_has(self, digests: list[str]) -> Answer:
        """Say which files are missing."""
        self._wanted = digests
        return self._cache.missing(digests), b""

    def do_put(self, digest: str) -> Answer:
        """Take a file."""
        if not self._cache.put(digest, self._pipe.payload, self._wanted):
            raise Refusal("target", f"a file arrived damaged, though it was sent as {digest[:12]}…; look at its memory")
        return None, b""

    def do_load(self, model: str, place: dict[str, Any]) -> Answer:
        """Load an artifact."""
        self._models.pop(model, None)
        directory, example = self._place(model, place)
        self._models[model] = Model(self._runtime, self._start["settings"], directory, read_arrays(example))
        return None, b""

    def do_unload(self, model: str) -> Answer:
        """Forget an artifact."""
        self._models.pop(model, None)
        self._cache.forget(model)
        return None, b""

    def do_warm_up(self, model: str, **limits: float) -> Answer:
        """Run blocks until they take the same time."""
        return self._models[model].warm_up(**limits), b""

    def do_visit(self, model: str, seconds: float) -> Answer:
        """Time some blocks."""
        found = self._models[model].visit(self._machine, seconds)
        return dict(found, cpus=self._machine.cpus(), condition=self._machine.condition()), b""

    def do_time(self, model: str, calls: int) -> Answer:
        """Time a few calls."""
        return self._models[model].time(calls), b""

    def do_run(self, model: str) -> Answer:
        """Run an artifact on arrays."""
        parts: list[bytes] = []
        self._pipe.payload(parts.append)
        arrays = read_arrays(io.BytesIO(b"".join(parts)))
        return None, written_arrays(self._models[model].run(arrays))

    def do_memory(self, model: str, place: dict[str, Any]) -> Answer:
        """Have a fresh process say how much memory an artifact takes."""
        directory, example = self._place(model, place)
        script = self._cache.work / "runner.py"
        script.write_bytes(self._program)
        asked = [dict(self._start, do="start"), {"do": "peak", "directory": directory, "example": example}]
        lines = "".join(json.dumps(dict(request, id=i)) + "\n" for i, request in enumerate(asked))
        # What was started may be a script that starts this interpreter in a way of its own.
        python = os.path.expanduser(self._start["python"]) or sys.executable  # noqa: PTH111
        child = subprocess.run(  # noqa: S603 - this interpreter
            [python, "-u", str(script)], input=lines.encode("ascii"), stdout=subprocess.PIPE, check=False
        )
        self._cache.forget(model)
        answer = json.loads(child.stdout.splitlines()[-1])
        if answer.get("id") != len(asked) - 1:
            died = f"the process that ran it ended with status {child.returncode}"
            raise Refusal("artifact", died if child.returncode else answer.get("message", died))
        if "refused" in answer:
            raise Refusal(answer["refused"], answer["message"])
        return answer["answer"], b""

    def do_peak(self, directory: str, example: str) -> Answer:
        """Say how much memory an artifact takes; nothing else was run before."""
        self._runtime = load_runtime(self._start["runtime"])
        inputs = read_arrays(example)
        return peak_memory(lambda: Model(self._runtime, self._start["settings"], directory, inputs)), b""

    def do_cool(self, below: float, most: float) -> Answer:
        """Wait until the processor is cooler than some degrees and not slowed down any more, for so many seconds."""
        began = time.monotonic()
        steady, throttled = began, self._machine.throttled()
        while time.monotonic() < began + most:
            temperature = self._machine.temperature()
            if self._machine.throttled() != throttled:
                steady, throttled = time.monotonic(), self._machine.throttled()
            is_cool = temperature < below if temperature is not None else time.monotonic() > steady + STEADY
            if is_cool:
                break
            time.sleep(0.5)
        return {"seconds": round(time.monotonic() - began, 1), "temperature_c": self._machine.temperature()}, b""

    def do_ping(self, model: str = "") -> Answer:
        """Say nothing, but hear that the driver is there."""
        return None, b""

    def do_bye(self) -> Answer:
        """Say that this is the end."""
        return None, b""

    def end(self) -> None:
        """Leave nothing behind, by which is told that this runner came to an orderly end."""
        self._cache.close()

    def _place(self, model: str, place: dict[str, Any]) -> tuple[str, str]:
        """Return where the files of an artifact lie, and its inputs."""
        if "directory" in place:  # this machine is the driver's
            return place["directory"], place["example"]
        return str(self._cache.lay_out(model, place["files"])), str(self._cache.files / place["inputs"])


STEADY = 5.0
"""Seconds without heat being in the way after which a processor without a thermometer counts as cool."""
