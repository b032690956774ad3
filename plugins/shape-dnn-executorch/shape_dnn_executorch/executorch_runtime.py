"""Runs artifacts by ExecuTorch. Works with executorch, torch and numpy alone."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

REQUIRES = {"executorch": "1.0", "torch": "2.9"}


@contextlib.contextmanager
def overhearing() -> Iterator[Callable[[], str]]:
    """Keep from the user what ExecuTorch writes on standard error by itself, such as how many threads it has now.

    Parts of it write there, and others to whatever Python has for it.

    Yields:
        What returns the first complaint so far: the reason of an error whose own message is a number.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as heard:
        kept = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            with contextlib.redirect_stderr(heard), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that its Python interface is experimental
                yield lambda: _complaint(heard)
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _complaint(heard: TextIO) -> str:
    """Return the first line that is about a program, without the place in the code of ExecuTorch."""
    heard.flush()
    text = os.pread(heard.fileno(), 1 << 16, 0).decode(errors="replace")
    lines = re.findall(r"^\[(?!cpuinfo|threadpool)\w+\.\w+:\d+\] (.+)", text, re.MULTILINE)
    return next(iter(lines), "")


def versions() -> dict[str, str]:
    """Return the versions of what runs artifacts here."""
    with overhearing():
        import executorch.runtime  # noqa: F401 - says what is missing
        import numpy as np
        import torch

    return {"executorch": metadata.version("executorch"), "torch": torch.__version__, "numpy": np.__version__}


def load(directory: str, settings: Mapping[str, Any]) -> Model:
    """Load an artifact.

    Raises:
        ValueError: a setting cannot be had here; says what can.
        RuntimeError: ExecuTorch cannot have the program; says why.
    """
    with overhearing() as complaint:
        try:
            return Model(Path(directory) / "model.pte", settings)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {complaint()}") from error


class Model:
    """An artifact that is loaded."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        from executorch.runtime import Runtime

        _take_threads(settings["threads"])
        self._method = Runtime.get().load_program(path).load_method("forward")
        self._inputs = self._method.metadata.num_inputs()

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the outputs, given the inputs in the order in which the network takes them."""
        import torch

        if len(arrays) != self._inputs:
            raise ValueError(f"{len(arrays)} inputs were given; accepted are {self._inputs}")
        return [output.numpy() for output in self._method.execute([torch.from_numpy(array) for array in arrays])]


def _take_threads(threads: int) -> None:
    """Have operators run by so many threads, for all models of this process.

    Raises:
        ValueError: there cannot be so many.
    """
    from executorch.extension.pybindings.portable_lib import _threadpool_get_thread_count as count
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool as reset  # unsafe during a run

    if threads < 1:
        raise ValueError(f"threads={threads}; accepted are numbers from 1")
    if count() != threads:
        reset(threads)
    found = count()
    if found != threads:
        raise ValueError(f"threads={threads} cannot be had here; accepted are from 1 to {found}")
