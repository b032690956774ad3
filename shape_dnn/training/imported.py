"""Functions of imported modules: workers import these again, and must find there what is here.

Functions of a notebook or of the main program are sent to workers as they are. Those of other modules are sent by their
name. So a variable that was set from outside, or a file that was edited after it was imported, would make trainings
that are not those of the name under which they are kept.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shape_dnn.errors import PluginError, UsageError
from shape_dnn.training.fingerprint import global_names, plain_variables, taken_from_modules

REMEDY = "restart Python, or reload it by importlib.reload"


def variables(functions: Iterable[types.FunctionType]) -> dict[str, str]:
    """Return numbers and texts of imported modules that functions refer to, as Python writes them, by their names.

    Those are the variables of the module of a function, unless it is the main program, and those that it takes from
    other modules of the user, as in ``settings.RATE``. Texts that look like paths are left out, since files may lie
    elsewhere where a training runs.

    Raises:
        UsageError: the file of a module is no longer what was imported.
    """
    found: dict[str, str] = {}
    for function in functions:
        if function.__module__ != "__main__" and function.__module__ in sys.modules:
            _check_current(function)
            found |= _plain(function.__module__, function.__globals__, global_names(function))
        found |= {name: repr(value) for name, value in taken_from_modules(function).items()}
    return found


def _plain(module: str, variables: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {f"{module}.{name}": repr(value) for name, value in plain_variables(variables, names).items()}


def check_same(wanted: Mapping[str, str]) -> None:
    """See that modules of this process have the variables that they have where the search runs.

    Raises:
        PluginError: one has another value; names it.
    """
    for path, there in wanted.items():
        module, _, name = path.rpartition(".")
        here = repr(getattr(sys.modules.get(module), name, None))
        if here != there:
            problem = f"{path} is {there:.60} where the search runs, and {here:.60} in workers"
            remedy = "make it an option of the function, or set it in the file of the module"
            raise PluginError(f"{problem}, which import {module} again; {remedy}")


def _check_current(function: types.FunctionType) -> None:
    """See that a function is still in the file that it was imported from.

    What differs in a file that is older than this process was rewritten while it was imported, as pytest does.

    Raises:
        UsageError: it was changed there.
    """
    import psutil

    path = Path(function.__code__.co_filename)
    if not path.is_file() or path.stat().st_mtime < psutil.Process().create_time():
        return
    if function.__code__ not in _codes(path, path.read_bytes()):
        problem = f"{path.name} was changed after {function.__module__} was imported from it"
        raise UsageError(f"{problem}; {REMEDY}", setting="trainer")


@functools.lru_cache(maxsize=16)
def _codes(path: Path, content: bytes) -> frozenset[types.CodeType]:
    """Return the code of every function in a file; none if it is no Python."""
    try:
        return frozenset(_within(compile(content, path, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):
        return frozenset()


def _within(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _within(constant)
