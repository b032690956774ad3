"""The recording half of an energy measurement: a process of its own, so that reading sensors costs the work nothing.

``python -m shape_dnn.measuring.nvml_recorder UUID SECONDS`` writes one line of JSON when it is ready, and then one for
every reading, until its standard input is closed. It imports neither torch nor numpy.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import pynvml

from shape_dnn.errors import MeterError
from shape_dnn.measuring import nvml

OTHERS_SECONDS = 1.0
"""How often the driver is asked which processes use the GPU; it keeps samples of about a second."""


def main(uuid: str, interval: float) -> None:
    """Record until standard input is closed, as it is when the measuring process ends in whatever way."""
    try:
        with nvml.session():
            gpu = nvml.Gpu.find(uuid)
            _say({"name": gpu.name, "driver": gpu.driver, **_capabilities(gpu)})
            _record(gpu, interval)
    except MeterError as error:
        _say({"unavailable": str(error)})
    except pynvml.NVMLError as error:
        _say({"unavailable": nvml.explain(error)})
    except BrokenPipeError:
        os._exit(0)  # whoever listened is gone


def _capabilities(gpu: nvml.Gpu) -> dict[str, bool]:
    return {"counter": gpu.joules() is not None, "power": gpu.watts() is not None}


def _record(gpu: nvml.Gpu, interval: float) -> None:
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    worker, due = os.getppid(), time.monotonic()
    asked, others = due, None
    while not ended.wait(max(0.0, due - time.monotonic())):
        began = time.monotonic()
        try:
            joules = gpu.joules()
            reading: dict[str, Any] = {"joules": joules, "time": (began + time.monotonic()) / 2, "watts": gpu.watts()}
            reading |= {"throttled": gpu.is_throttled(), **gpu.condition()}
            if began - asked >= OTHERS_SECONDS:
                others = gpu.use_by_others(int((time.time() - OTHERS_SECONDS) * 1e6), worker)
                asked = began
            reading["others"] = others
        except pynvml.NVMLError as error:
            reading = {"time": began, "failure": nvml.explain(error)}
        _say(reading)
        due = max(due + interval, time.monotonic())


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
