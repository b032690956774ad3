"""What functions are made of, as a digest: their code, and what it refers to."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import os
import sys
import types
from collections.abc import Collection, Iterable, Mapping, Set
from fractions import Fraction
from pathlib import Path
from typing import Any

PLAIN = (type(None), bool, int, float, complex, str, bytes, Fraction, type(...), range)
"""What is told by how Python writes it."""
CONTAINERS = (list, tuple, Mapping, Set)
"""What holds other values, and is nothing but them."""
MADE_BY_PYTHON = frozenset({"__dict__", "__weakref__", "__module__", "__firstlineno__", "__static_attributes__"})
"""Parts of a class that say nothing of what it does."""


def fingerprint(values: Mapping[str, object], own: Collection[str]) -> str:
    """Name values by their content.

    Args:
        values: by name.
        own: names of modules whose functions and classes are followed to what they refer to; those of other modules
            are known by their name.
    """
    return examine(values, own)[0]


def examine(values: Mapping[str, object], own: Collection[str]) -> tuple[str, list[types.FunctionType]]:
    """Return that name, and every function whose code has a part in it; arguments as of :func:`fingerprint`."""
    walk = _Walk(own)
    walk.add(values)
    return walk.digest.hexdigest()[:12], walk.functions


def global_names(function: types.FunctionType) -> set[str]:
    """Return the names of its module that a function refers to."""
    return _names(function.__code__) & function.__globals__.keys()


def taken_from_modules(function: types.FunctionType) -> dict[str, object]:
    """Return the numbers and texts that a function takes from modules of the user, as in ``settings.RATE``."""
    found: dict[str, object] = {}
    for name in sorted(global_names(function)):
        module = function.__globals__[name]
        if isinstance(module, types.ModuleType) and _is_of_the_user(module):
            there = plain_variables(vars(module), _names(function.__code__))
            found |= {f"{module.__name__}.{own}": value for own, value in there.items()}
    return found


def plain_variables(variables: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    """Return those of the variables that are numbers, texts that do not look like paths, or containers of these."""
    wanted = (name for name in sorted(names) if not name.startswith("__") and name in variables)
    return {name: variables[name] for name in wanted if _is_plain(variables[name])}


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return os.sep not in value
    if isinstance(value, Mapping):
        return all(map(_is_plain, (*value, *value.values())))
    return isinstance(value, PLAIN) or (isinstance(value, list | tuple) and all(map(_is_plain, value)))


def _is_of_the_user(module: types.ModuleType) -> bool:
    """Tell whether a module is neither the main program nor of a library, whose variables may differ in processes."""
    path = getattr(module, "__file__", None)
    if path is None or module.__name__ == "__main__":
        return False
    is_standard = module.__name__.partition(".")[0] in sys.stdlib_module_names
    return not is_standard and not {"site-packages", "dist-packages"}.intersection(Path(path).parts)


class _Walk:
    """A walk through everything that functions refer to."""

    def __init__(self, own: Collection[str]) -> None:
        self.digest = hashlib.sha256()
        self.functions: list[types.FunctionType] = []
        self._own = own
        self._count = 0
        self._seen: dict[int, tuple[int, object]] = {}  # with the objects, so that no other one gets the id of one

    def add(self, value: Any) -> None:
        """Take note of a value, and of all that belongs to it."""
        self.digest.update(f"{type(value).__qualname__}(".encode())
        if isinstance(value, PLAIN):
            self._tell(repr(value))
        elif isinstance(value, types.ModuleType):
            self._tell(value.__name__)
        elif id(value) in self._seen:
            self._tell(f"number {self._seen[id(value)][0]}")
        else:
            self._count += 1
            self._seen[id(value)] = self._count, value
            self._follow(value)
            if isinstance(value, CONTAINERS):  # whether two equal ones are the same is of no importance
                del self._seen[id(value)]
        self.digest.update(b")")

    def _follow(self, value: Any) -> None:
        if isinstance(value, CONTAINERS):
            self._add_content(value)
        elif isinstance(value, types.MethodType):
            self._add_all(value.__func__, value.__self__)
        elif isinstance(value, functools.partial):
            self._add_all(value.func, value.args, value.keywords)
        elif isinstance(value, types.FunctionType | type):
            self._tell(value.__module__, value.__qualname__)
            if value.__module__ in self._own:
                self._add_class(value) if isinstance(value, type) else self._add_function(value)
        elif type(value).__module__ in self._own:
            self._add_own(value)
        elif callable(value) and hasattr(value, "__wrapped__"):  # as functools.lru_cache makes it
            self._add_all(type(value), value.__wrapped__)
        else:
            self._add_object(value)

    def _add_own(self, value: object) -> None:
        self._add_all(type(value), getattr(value, "__dict__", {}))
        slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
        names = {name for some in slots for name in ((some,) if isinstance(some, str) else some)}
        self._add_all(*((name, getattr(value, name)) for name in sorted(names) if hasattr(value, name)))

    def _add_content(self, values: Any) -> None:
        if isinstance(values, Set):
            self._tell(*sorted(fingerprint({"": each}, self._own) for each in values))
        else:
            self._add_all(*(values.items() if isinstance(values, Mapping) else values))
        if type(values).__module__ in self._own:
            self._add_own(values)

    def _add_function(self, function: types.FunctionType) -> None:
        self.functions.append(function)
        source = _source(function)
        if source is not None:
            self._tell(source)
        if source is None or (function.__name__ == "<lambda>" and source.count("lambda") > 1):
            self._add_code(function.__code__)  # the text is that of the whole line, with the other lambdas in it
        named = sorted(global_names(function))
        self._add_all(*((name, function.__globals__[name]) for name in named))
        if taken := taken_from_modules(function):
            self.add(taken)
        self._add_all(function.__defaults__, function.__kwdefaults__)
        if vars(function):
            self.add(vars(function))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # it is not filled yet
                self._tell("empty")

    def _add_code(self, code: types.CodeType) -> None:
        self._tell(code.co_code.hex(), *code.co_names, *code.co_varnames)
        for constant in code.co_consts:
            self._add_code(constant) if isinstance(constant, types.CodeType) else self.add(constant)

    def _add_class(self, kind: type) -> None:
        self._add_all(*kind.__bases__)
        for name, part in sorted(vars(kind).items()):
            if name not in MADE_BY_PYTHON:
                self._tell(name)
                self._add_all(*_functions_of(part))

    def _add_object(self, value: object) -> None:
        try:
            self._tell(hashlib.sha256(_pickled(value)).hexdigest())
        except Exception:  # noqa: BLE001 - objects of strangers can fail in any way
            self._tell(f"{type(value).__module__}.{type(value).__qualname__}")

    def _add_all(self, *values: object) -> None:
        for value in values:
            self.add(value)

    def _tell(self, *texts: str) -> None:
        for text in texts:
            self.digest.update(f"{len(text)}:{text}".encode())


def _pickled(value: object) -> bytes:
    """Pickle an object with its tensors by their values; as torch does it, it comes out another every time."""
    import cloudpickle
    import torch

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                values = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
                return tuple, ((str(value.dtype), tuple(value.shape), values),)
            return super().reducer_override(value)

    content = io.BytesIO()
    Pickler(content).dump(value)
    return content.getvalue()


def _functions_of(part: Any) -> list[object]:
    """Return the functions of a part of a class, or else the part itself."""
    if isinstance(part, property):
        return [part.fget, *(other for other in (part.fset, part.fdel) if other is not None)]
    if isinstance(part, functools.cached_property):
        return [part.func]
    if isinstance(part, types.MemberDescriptorType):  # of a slot, which the class names as well
        return []
    return [getattr(part, "__func__", part)]


def _source(function: types.FunctionType) -> str | None:
    """Return the text of a function; None where Python does not have it, or may have another one."""
    if function.__code__.co_filename == "<string>":  # any text has that name, and Python 3.13 shows lines of others
        return None
    try:
        return inspect.getsource(function.__code__)  # of itself, where it is wrapped around another one
    except (OSError, TypeError):
        return None


def _names(code: types.CodeType) -> set[str]:
    """Return the names that code may look up outside of itself, that of functions within it included."""
    within = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {*code.co_names}.union(*map(_names, within))
