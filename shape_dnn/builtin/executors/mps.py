"""NVIDIA's multi-process service, by which processes that share a GPU run side by side, and not in turns.

It would outlive whoever starts it. So a process of its own, the keeper, starts it and ends it: when its standard input
is closed, as it is when the searching process ends in whatever way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from shape_dnn.errors import UnavailableError
from shape_dnn.system import cuda
from shape_dnn.system.cuda import CONTROL
from shape_dnn.system.text import one_line

PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
SECONDS = 30.0
"""Time in which the program must have done what it is told."""


class MultiProcessService:
    """The service, until it is closed or this process ends.

    Attributes:
        environment: of the processes that are to use it.

    Raises:
        UnavailableError: it cannot be started, or would not see the same GPUs as others.
    """

    def __init__(self) -> None:
        _check_environment()
        self._keeper = subprocess.Popen(  # noqa: S603 - this interpreter
            # -P: what lies in the working directory must not stand in for an installed module
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # the driver decides what an interrupt ends
        )
        assert self._keeper.stdout is not None  # noqa: S101 - a pipe was asked for
        said = json.loads(self._keeper.stdout.readline() or '{"unavailable": "its keeper has ended"}')
        if "unavailable" in said:
            self.close()
            raise UnavailableError(f"-o executor.mps: the service does not start: {said['unavailable']}")
        self.environment: dict[str, str] = said

    def close(self) -> None:
        """End it, once nothing uses it any more."""
        self._keeper.communicate()


def _check_environment() -> None:
    """Refuse what would have the service and those that use it mean different things.

    Raises:
        UnavailableError: another service is meant, or GPUs are named by numbers, which count among those that it sees.
    """
    if PIPES in os.environ:
        problem = f"there is a service already, since {PIPES} is set; leave the option out"
        raise UnavailableError(f"-o executor.mps: {problem}")
    variable, names = cuda.visible()
    if names is not None and not all(name.strip().startswith(("GPU-", "MIG-")) for name in names.split(",")):
        raise UnavailableError(
            f"-o executor.mps: name the GPUs in {variable} by UUIDs, as 'nvidia-smi -L' lists them, not by {names!r}; "
            "the service counts those that it sees"
        )


def keep() -> None:
    """Start the service, write the environment by which it is used as a line of JSON, and end it when that is time."""
    with tempfile.TemporaryDirectory(prefix="shape-dnn-mps-", ignore_cleanup_errors=True) as place:
        environment = {PIPES: f"{place}/pipe", LOGS: f"{place}/log"}
        for directory in environment.values():
            Path(directory).mkdir()
        os.environ.update(environment)
        failure = _control("-d")
        if failure:
            _say({"unavailable": failure})
            return
        try:
            _say(environment)
            sys.stdin.read()
        finally:
            _control(said="quit\n")


def _control(*arguments: str, said: str = "") -> str:
    """Run the program; return what went wrong, if anything."""
    with tempfile.TemporaryFile("w+") as answers:  # a pipe would be kept open by the service
        try:
            ran = subprocess.run(  # noqa: S603 - a program of the driver
                [CONTROL, *arguments],
                input=said,
                stdout=answers,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except FileNotFoundError:
            return f"there is no {CONTROL}, which comes with NVIDIA's driver on Linux"
        except OSError as error:
            return f"{CONTROL}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{CONTROL} took more than {SECONDS:g} s"
        answers.seek(0)
        return f"{CONTROL} said {one_line(answers.read())!r:.200}" if ran.returncode else ""


def _say(content: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    keep()
