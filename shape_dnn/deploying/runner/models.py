"""Artifacts that are loaded, run and timed."""

from __future__ import annotations

import ast
import io
import os
import re
import statistics
import sys
import time
import types
from collections.abc import Callable, Sequence
from typing import Any

from .machine import Machine


class Refusal(Exception):  # noqa: N818
    """Something that cannot be done here.

    Args:
        kind: what is at fault: ``artifact`` or ``target``.
        message: what is wrong, with the remedy.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def load_runtime(source: str) -> Any:
    """Return the module that runs artifacts, with the versions of what it needs as ``found``.

    Raises:
        Refusal: something that it needs is missing or too old.
    """
    needed = _requirements(source)
    wanted = " ".join(f"'{name}>={least}'" for name, least in needed.items())
    remedy = f"install it there: {sys.executable} -m pip install {wanted or '(what it needs)'}"
    module: Any = types.ModuleType("shape_dnn_runtime")
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, "runtime.py", "exec"), module.__dict__)  # noqa: S102
        module.found = {name: str(version) for name, version in module.versions().items()}
    except Exception as error:
        raise Refusal("target", f"the runtime is not there ({describe(error)}); {remedy}") from error
    for name, least in needed.items():
        version = module.found.get(name)
        if version is not None and _comparable(version) < _comparable(least):
            raise Refusal("target", f"{name} {version} is too old, {least} is needed; {remedy}")
    return module


def _requirements(source: str) -> dict[str, str]:
    """Read the packages that a runtime needs, which it cannot say itself where they are missing."""
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if value is not None and any(isinstance(target, ast.Name) and target.id == "REQUIRES" for target in targets):
            return dict(ast.literal_eval(value))
    return {}


def _comparable(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3]]


class Model:
    """An artifact that is loaded.

    Args:
        runtime: the module that runs it.
        settings: to load it with.
        directory: of its files.
        inputs: arrays to run it on where none are given.
    """

    def __init__(self, runtime: Any, settings: dict[str, Any], directory: str, inputs: Sequence[Any]) -> None:
        self.inputs = list(inputs)
        try:
            self._model = runtime.load(directory, settings)
        except Exception as error:
            message = str(error) if isinstance(error, ValueError) else describe(error)
            raise Refusal("artifact", f"the runtime cannot load it: {message}") from error
        self._calls = 1

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run it once.

        Raises:
            Refusal: the runtime failed.
        """
        try:
            return list(self._model.run(arrays))
        except Exception as error:
            raise Refusal("artifact", f"the runtime cannot run it: {describe(error)}") from error

    def warm_up(self, block: float, warm: float, most: float) -> list[float]:
        """Run blocks until two in a row take nearly the same time, as :mod:`shape_dnn.measuring.latency` does.

        Args:
            block: seconds that a block should take.
            warm: part by which two blocks may differ.
            most: seconds after which it is warm in any case.
        """
        began = time.perf_counter()
        self.run(self.inputs)
        first = time.perf_counter()
        self.run(self.inputs)
        self._calls = max(1, round(block / (time.perf_counter() - first)))
        blocks = [self._block(), self._block()]
        while abs(blocks[-1] / blocks[-2] - 1) > warm and time.perf_counter() < began + most:
            blocks.append(self._block())
        self._calls = max(1, round(block / blocks[-1]))
        return blocks

    def visit(self, machine: Machine, seconds: float) -> dict[str, Any]:
        """Run once to fill the caches, then time blocks of calls, with the state of the processor before and after."""
        self.run(self.inputs)
        before = machine.state()
        began = time.perf_counter()
        blocks = [self._block()]
        while time.perf_counter() < began + seconds:
            blocks.append(self._block())
        lasted = time.perf_counter() - began
        return {"blocks": blocks, "seconds": lasted, "before": before, "after": machine.state()}

    def time(self, calls: int) -> float:
        """Return the median of a few calls in seconds, after one to fill the caches."""
        self.run(self.inputs)
        times = []
        for _ in range(calls):
            began = time.perf_counter()
            self.run(self.inputs)
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def _block(self) -> float:
        run, inputs = self._model.run, self.inputs
        began = time.perf_counter()
        for _ in range(self._calls):
            run(inputs)
        return (time.perf_counter() - began) / self._calls


def peak_memory(load: Callable[[], Model]) -> dict[str, Any]:
    """Return the peak of resident bytes beyond those of now, while a model is loaded and run a few times."""
    before = _resident("VmRSS")
    how = "VmHWM of /proc/self/status"
    try:
        with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123
            file.write("5")
    except OSError:
        before = None
    if before is None:
        before, how = _highest(), "ru_maxrss"
    model = load()
    for _ in range(3):
        model.run(model.inputs)
    after = _resident("VmHWM") if how != "ru_maxrss" else _highest()
    return {"bytes": max(0, (after or 0) - before), "how": how}


def _resident(name: str) -> int | None:
    try:
        with open("/proc/self/status") as file:  # noqa: PTH123
            found = re.search(rf"^{name}:\s+(\d+) kB", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def _highest() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_arrays(source: Any) -> list[Any]:
    """Read arrays that are named by their positions."""
    import numpy

    with numpy.load(source, allow_pickle=False) as found:
        return [found[str(i)] for i in range(len(found.files))]


def written_arrays(arrays: Sequence[Any]) -> bytes:
    """Return arrays as a file that is read so."""
    import numpy

    file = io.BytesIO()
    numpy.savez(file, **{str(i): array for i, array in enumerate(arrays)})
    return file.getvalue()


def limit_threads(threads: int) -> None:
    """Have libraries that are imported from now on use so many."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ[name] = str(threads)


def describe(error: BaseException) -> str:
    """Say what was raised in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
