"""Sensors of energy and power, read by a process of their own so that reading costs the measured work nothing.

The reading process calls :func:`record`, and writes one line of JSON about itself and then one for every reading, until
its standard input is closed, as it is when the measuring process ends in whatever way. :class:`Recorder` is the other
end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shape_dnn.errors import MeterError, describe
from shape_dnn.measuring.power import Reading

START_SECONDS = 60.0
"""Time in which a reading process must be ready."""


class Sensor(ABC):
    """Something that tells energy or power."""

    @abstractmethod
    def readings(self) -> list[Reading]:
        """Return what was read since the last call, without waiting.

        Raises:
            MeterError: the sensor is gone.
        """

    def describe(self) -> Mapping[str, object]:
        """Return what to keep about the sensor, as JSON values."""
        return {}

    def close(self) -> None:  # noqa: B027 - there may be nothing to release
        """Stop reading."""


class Recorder(Sensor):
    """A process that reads a sensor, and this end of it.

    Args:
        module: which ``python -m`` runs.
        arguments: of it.

    Raises:
        MeterError: there is nothing to read; the message is the other process's.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            # -P: what lies in the working directory must not stand in for an installed module
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._module = module
        assert self._process.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._output = self._process.stdin, self._process.stdout
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._about = self._greeting()
        if "unavailable" in self._about:
            self.close()
            raise MeterError(self._about["unavailable"])

    def _greeting(self) -> dict[str, Any]:
        try:
            return self._next(timeout=START_SECONDS)
        except queue.Empty:
            return {"unavailable": f"the sensor did not answer within {START_SECONDS:g} s; restart the machine"}
        except MeterError as error:
            return {"unavailable": str(error)}

    def _listen(self) -> None:
        for line in self._output:
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, timeout: float = 0.0) -> dict[str, Any]:
        line = self._lines.get(timeout=timeout) if timeout else self._lines.get_nowait()
        if line is None:
            status = self._process.wait()
            raise MeterError(f"the process that reads the sensor ({self._module}) ended with status {status}")
        try:
            content: dict[str, Any] = json.loads(line)
        except ValueError:
            raise MeterError(f"the process that reads the sensor ({self._module}) wrote {line[:60]!r}") from None
        return content

    def readings(self) -> list[Reading]:
        """Return what the other process read since the last call."""
        found: list[Reading] = []
        while True:
            try:
                content = self._next()
            except queue.Empty:
                return found
            if "unavailable" in content:
                raise MeterError(content["unavailable"])
            found.append(Reading(**content))

    def describe(self) -> Mapping[str, object]:
        """Return what the other process says about the sensor."""
        return self._about

    def close(self) -> None:
        """End the process."""
        self._input.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        self._output.close()


def record(about: Mapping[str, object], read: Callable[[], Reading], interval: float) -> None:
    """Write down readings until standard input is closed: the other end of a :class:`Recorder`.

    Args:
        about: what to keep about the sensor.
        read: reads it once. A reading that failed is ``Reading(time, failure="why")``, and only its window is lost;
            what it raises ends the recording, and the measurement with it.
        interval: seconds between two readings.
    """
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        say(about)
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            say(dataclasses.asdict(read()))
            due = max(due + interval, time.monotonic())
    except BrokenPipeError:
        os._exit(0)  # whoever listened is gone
    except Exception as error:  # noqa: BLE001 - a sensor can fail in any way, and the other end says so
        refuse(f"reading the sensor failed: {describe(error)}")


def refuse(reason: object) -> None:
    """Say that there is nothing to read, and why."""
    say({"unavailable": str(reason)})


def say(content: Mapping[str, object]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
