"""Every error a user can meet. Each carries the exit status of the command that ends with it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ShapeDnnError(Exception):
    """Base of all errors that are reported in one line instead of a traceback."""

    exit_status = 1


class UsageError(ShapeDnnError):
    """A setting has a value that cannot be used.

    Args:
        message: what is wrong and what is accepted.
        setting: name of the setting at fault, if there is one. The command line says in its place where the value came
            from (a flag, an environment variable, or a file with line and column).
    """

    exit_status = 2

    def __init__(self, message: str, setting: str | None = None) -> None:
        super().__init__(message, setting)
        self.message = message
        self.setting = setting

    def __str__(self) -> str:
        return f"{self.setting}: {self.message}" if self.setting else self.message


class NoScoreError(UsageError):
    """A goal has no value for a shape: it would have to divide by zero, say."""


class NothingCompliesError(ShapeDnnError):
    """No shape meets the constraints."""

    exit_status = 3


class UnavailableError(ShapeDnnError):
    """Something that the search needs is missing: a plugin, a sensor, a dataset. The message says what to do."""

    exit_status = 4


class PluginError(UnavailableError):
    """A plugin failed to load, collides with another, is not installed, or broke the rules of its kind."""


class DatasetError(UnavailableError):
    """The files of a dataset are missing or damaged."""


class MeterError(UnavailableError):
    """A metric cannot be measured on this machine."""


class DeploymentError(UnavailableError):
    """A network cannot be turned into the artifact that is to ship, or the runtime cannot run it."""


class TargetError(UnavailableError):
    """The machine that artifacts run on cannot be reached or used. The message says what to do."""


class TargetLostError(TargetError):
    """The connection to the machine that artifacts run on broke, or the runner there ended."""


class StudyError(UnavailableError):
    """The study file cannot be read or written, or another process works on it."""


class ExportError(UnavailableError):
    """A network cannot be exported, or what was exported cannot be used."""


class TrainingError(ShapeDnnError):
    """A training has no result, for example because its loss became NaN. The search goes on without it."""


class MemoryShortageError(TrainingError):
    """A training needs more memory than there is at the moment. If it runs alone on its device, it may fit."""


class NetworkError(TrainingError):
    """The code of an architecture failed when it built the network of a shape, or in a forward pass."""


class ProcessDiedError(TrainingError):
    """The process of a task ended before the task did, for example because it was killed. Another try may succeed."""


class MachineLostError(ProcessDiedError):
    """The machine that a task ran on is gone, which says nothing about the task.

    Args:
        message: what happened.
        machine: name of the machine, if it has one, by which losses are reported together.
    """

    def __init__(self, message: str, machine: str = "") -> None:
        super().__init__(message)
        self.machine = machine


def describe(error: BaseException) -> str:
    """Describe an error in one line: what it says or, if it says nothing, where it was raised.

    The line can be written to any file, even if names of files in it have bytes that are not UTF-8.
    """
    said = str(error) or _place(error)
    return " ".join(f"{type(error).__name__}: {said}".split()).encode(errors="backslashreplace").decode()


def _place(error: BaseException) -> str:
    """Say where an error was raised and by what; empty if that is not known."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"in line {frames[-1].lineno} of {Path(frames[-1].filename).name}, {frames[-1].line}" if frames else ""


def label(plugin: object) -> str:
    """Return the name of a plugin: as it was declared if it was looked up, otherwise that of its class."""
    return str(getattr(plugin, "_plugin_label", f"plugin {type(plugin).__qualname__}"))


@contextmanager
def blame(plugin: object) -> Iterator[None]:
    """Turn whatever the code of a plugin raises into a PluginError that names its class and what it raised."""
    try:
        yield
    except ShapeDnnError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{label(plugin)} failed: {describe(error)} (--debug shows where)") from error
