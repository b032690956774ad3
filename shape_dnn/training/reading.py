"""Where the functions of a user come from: a Python file, or a notebook that has them at hand."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType

from shape_dnn.errors import UsageError, describe
from shape_dnn.kinds import Resources
from shape_dnn.measuring import inputs
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.system import durable
from shape_dnn.training import imported
from shape_dnn.training.fingerprint import examine
from shape_dnn.training.functions import GIVEN, SPELT, Functions

PICKLED = ".pickle"
"""How the name of a file ends that holds pickled functions."""
LATER = ("calibration", "judge", "judge_test")
"""Functions that there were none of at first."""


def read(path: Path, function: str = "train") -> Functions:
    """Read what a file declares: of the functions that are in it, or were pickled into it.

    Args:
        path: of the file.
        function: the name of that which trains.

    Raises:
        UsageError: it cannot be read, or used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", setting="trainer") from None
    return _read(path, function, content)


def digest(path: Path) -> str:
    """Name a file by its content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def keep(declared: Functions, directory: Path) -> Path:
    """Pickle functions, so that workers can read them, under a name that says what they are made of.

    Raises:
        UsageError: they cannot be pickled, or a module of theirs was changed after it was imported.
    """
    import cloudpickle

    digest, functions = _examine(declared)
    declared = dataclasses.replace(declared, imported=imported.variables(functions))
    try:
        content = cloudpickle.dumps(declared)
    except Exception as error:
        problem = f"{declared.where} cannot be sent to other processes: {describe(error)}"
        raise UsageError(f"{problem}; what it refers to must be picklable", setting="trainer") from error
    name = getattr(declared.train, "__name__", type(declared.train).__name__).strip("<>")
    path = directory / f"{name}-{digest}{PICKLED}"
    with durable.naming_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        durable.write(path, content)
    return path


def _examine(declared: Functions) -> tuple[str, list[FunctionType]]:
    """Name functions by what they are made of, and return all those that they call."""
    own = {getattr(getattr(declared, name), "__module__", "") for name in declared.callables}
    # Those that came later go without saying where there are none, so that functions keep the name they had.
    values = {name: getattr(declared, name) for name in GIVEN if name not in LATER or getattr(declared, name)}
    if "example" not in declared.callables:  # whose values do not matter
        values["example"] = inputs.change(declared.example, lambda tensor: (str(tensor.dtype), *tensor.shape))
    return examine(values, {"__main__", *own})


@functools.lru_cache(maxsize=4)
def _read(path: Path, function: str, content: bytes) -> Functions:
    if path.suffix == PICKLED:
        return _unpickle(path, content)
    where = path.name
    _check_unique(where, content, function)
    module = _import(path, content)
    names = {name: name for name in GIVEN} | {"train": function}
    found = {name: getattr(module, own) for name, own in names.items() if hasattr(module, own)}
    if "train" not in found:
        there = ", ".join(name for name, value in vars(module).items() if inspect.isfunction(value)) or "none"
        message = f"{where} has no function {function}(shape, run); its functions are: {there}"
        raise UsageError(message, setting="trainer")
    found |= {own: getattr(module, name) for own, name in SPELT.items() if hasattr(module, name)}
    _check_names(where, module, found)
    return Functions(where, **found)


def _check_names(where: str, module: ModuleType, found: Mapping[str, object]) -> None:
    """Refuse a quality or resources under another name, which would silently do nothing."""
    for own, kind in (("quality", Quality), ("resources", Resources)):
        others = [name for name, value in vars(module).items() if isinstance(value, kind) and value != ACCURACY]
        if others and own not in found:
            problem = f"has no {SPELT[own]}, and a shape_dnn.{kind.__name__} called {others[0]}"
            raise UsageError(f"{where} {problem}; call it {SPELT[own]}", setting="trainer")


def _unpickle(path: Path, content: bytes) -> Functions:
    import cloudpickle

    try:
        found = cloudpickle.loads(content)
    except Exception as error:
        message = f"the functions in {str(path)!r} cannot be read: {describe(error)}"
        raise UsageError(message, setting="trainer") from error
    if not isinstance(found, Functions):
        raise UsageError(f"{str(path)!r} holds no functions that train", setting="trainer")
    return found


def _check_unique(where: str, content: bytes, function: str) -> None:
    """Refuse two functions of one name, of which Python silently takes the last."""
    try:
        tree = ast.parse(content, where)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{where} cannot be read: {describe(error)}", setting="trainer") from None
    lines: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in {function, *GIVEN}:
            if node.name in lines:
                both = f"in lines {lines[node.name]} and {node.lineno}"
                raise UsageError(f"{where} defines {node.name}() twice, {both}; keep one", setting="trainer")
            lines[node.name] = node.lineno


def _import(path: Path, content: bytes) -> ModuleType:
    """Import a file, which may import others beside it."""
    name = f"shape_dnn_trainer_{hashlib.sha256(content).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - a Python file has both
    beside = str(path.parent.resolve())
    if beside not in sys.path:
        sys.path.append(beside)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its classes are looked for when they are pickled
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path.name} cannot be imported: {describe(error)}", setting="trainer") from error
    return module
