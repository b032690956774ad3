"""The functions of a user as a trainer: those of a Python file, or those that a notebook has at hand."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import TrainingError, UsageError, describe
from shape_dnn.kinds import Option, OptionValue, Resources, Run, Trainer
from shape_dnn.measuring import inputs
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.shape import Shape
from shape_dnn.system import durable
from shape_dnn.system.text import one_line
from shape_dnn.training.fingerprint import fingerprint

if TYPE_CHECKING:
    import torch

PICKLED = ".pickle"
"""How the name of a file ends that holds pickled functions."""
GIVEN = {"train": ("shape", "run"), "build": ("shape",), "test": ("shape", "run"), "example": ("batch_size",),
         "resources": ("shape",), "calibration": ("batch_size", "run"), "judge": ("predict", "run"),
         "judge_test": ("predict", "run")}  # fmt: skip
"""What each function is given; whatever else it takes is an option."""


LATER = ("calibration", "judge", "judge_test")
"""Functions that there were none of at first."""
SPELT = {"example": "EXAMPLE", "resources": "RESOURCES", "quality": "QUALITY", "depths": "DEPTH", "widths": "WIDTH"}
"""How constants are written in a file."""
WANTED = {"quality": "a shape_dnn.Quality", "resources": "a shape_dnn.Resources", "depths": "'MIN:MAX:STEP'",
          "widths": "'MIN:MAX:STEP'"}  # fmt: skip
"""What they are."""


@dataclass(frozen=True)
class Functions:
    """What a user declares of a training.

    Attributes:
        where: the file, or that they are of a notebook, for messages.
        train: trains a shape, and returns or reports its quality.
        build: builds the network of a shape; None if there is none.
        test: judges what was trained on data that was kept for the end; None if there is none.
        example: makes inputs of a batch size, or is a batch of inputs; None if there is none.
        resources: of a training, or a function of the shape; None for one core.
        calibration: gives inputs by which the ranges of activations are found; None if there is none.
        judge: judges what ships; None if there is none.
        judge_test: judges it on data that was kept for the end; None if there is none.
        quality: what trainings are judged by.
        depths: range of depths searched unless the user gives one; None if there is none.
        widths: range of widths.

    Raises:
        UsageError: one of these cannot be used.
    """

    where: str
    train: Callable[..., Any]
    build: Callable[..., Any] | None = None
    test: Callable[..., Any] | None = None
    example: Any = None
    resources: Any = None
    calibration: Callable[..., Any] | None = None
    judge: Callable[..., Any] | None = None
    judge_test: Callable[..., Any] | None = None
    quality: Quality = ACCURACY
    depths: str | None = None
    widths: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Check what can be checked without calling anything."""
        self._check_constants()
        found: dict[str, Option] = {}
        for name, function in self._functions():
            for option, default in self._parameters(name, function):
                if option in found and found[option].default != default:
                    both = f"{found[option].default!r} and {default!r}"
                    raise self._refusal(f"has different defaults of {option!r} in its functions: {both}")
                found[option] = Option(default, f"of {name}()")
        object.__setattr__(self, "options", found)

    def _check_constants(self) -> None:
        wanted = {"quality": Quality, "resources": Resources, "depths": str, "widths": str}
        for name, kind in wanted.items():
            value = getattr(self, name)
            if not (isinstance(value, kind) or (name != "quality" and value is None) or name in self.callables):
                raise self._refusal(f"has a {SPELT[name]} that is {one_line(repr(value)):.60}, not {WANTED[name]}")
        if self.example is None or "example" in self.callables:
            return
        tensors = inputs.tensors(self.example)
        if not tensors or any(tensor.dim() > 0 and len(tensor) == 0 for tensor in tensors):
            lacks = "an empty tensor" if tensors else "no tensor"
            raise self._refusal(f"has an EXAMPLE with {lacks}; accepted is a batch of inputs, or example(batch_size)")

    @property
    def callables(self) -> frozenset[str]:
        """Names of those that are functions."""
        return frozenset(name for name in GIVEN if callable(getattr(self, name)))

    def _functions(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        for name in GIVEN:
            function = getattr(self, name)
            if name in self.callables:
                yields = inspect.isgeneratorfunction(function) and name != "calibration"
                if inspect.iscoroutinefunction(function) or yields:
                    raise self._refusal(f"has a {name} that is no plain function, since it awaits or yields")
                yield name, function
            elif function is not None and name not in {"example", "resources"}:
                raise self._refusal(f"has a {name} that is {one_line(repr(function)):.60}, not a function")

    def _parameters(self, name: str, function: Callable[..., Any]) -> Iterator[tuple[str, OptionValue]]:
        """Return the options of a function: what it takes beyond what it is given."""
        given, usage = GIVEN[name], f"{name}({', '.join(GIVEN[name])})"
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise self._refusal(f"has a {name} of which it cannot be seen what it takes; write {usage}") from None
        p = inspect.Parameter
        positional = [each for each in parameters if each.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        named = [each for each in parameters if each.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(positional) < len(given) and not any(each.kind is p.VAR_POSITIONAL for each in parameters):
            raise self._refusal(f"has a {name} that takes too little; it is called as {usage}")
        for parameter in parameters:
            if parameter in positional[: len(given)] or parameter.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            if parameter.default is parameter.empty:
                problem = f"has a {name} that needs {parameter.name!r}, which nobody gives"
                raise self._refusal(f"{problem}; it is called as {usage}, and what has a default is an option")
            if isinstance(parameter.default, str | int | float | bool | Fraction) and parameter in named:
                yield parameter.name, parameter.default

    def trainer(self, options: Mapping[str, OptionValue]) -> FunctionTrainer:
        """Make the trainer, with values of the options."""
        return FunctionTrainer(self, options)

    def _refusal(self, problem: str) -> UsageError:
        return UsageError(f"{self.where} {problem}", setting="trainer")


class FunctionTrainer(Trainer):
    """Trains by the functions of a user.

    Args:
        functions: the functions.
        options: values of what they take beyond what they are given.
    """

    def __init__(self, functions: Functions, options: Mapping[str, OptionValue]) -> None:
        self.functions, self.options = functions, dict(options)
        self.quality = functions.quality
        self.default_depths, self.default_widths = functions.depths, functions.widths
        self.steps = _whole(options.get("epochs", options.get("steps")))
        self.batch_size = _whole(options.get("batch_size"))
        self._plugin_label = functions.where

    def _call(self, name: str, *given: Any) -> Any:
        function = getattr(self.functions, name)
        parameters = inspect.signature(function).parameters
        try:
            return function(*given, **{name: value for name, value in self.options.items() if name in parameters})
        except SystemExit as error:
            raise TrainingError(f"{self.functions.where}: {name}() failed: {describe(error)}") from error

    def train(self, shape: Shape, run: Run) -> Any:
        """Call ``train``."""
        return self._call("train", shape, run)

    def build(self, shape: Shape) -> torch.nn.Module:
        """Call ``build``."""
        import torch

        if self.functions.build is None:
            return super().build(shape)
        network = self._call("build", shape)
        if not isinstance(network, torch.nn.Module):
            made = f"{one_line(repr(network)):.60}"
            raise TrainingError(f"{self.functions.where}: build() returned {made}, not a torch.nn.Module")
        return network

    def test(self, shape: Shape, run: Run) -> Any:
        """Call ``test``, if there is one."""
        return None if self.functions.test is None else self._call("test", shape, run)

    def example(self, batch_size: int) -> Any:
        """Call ``example``, or make a batch of this size of the one that there is."""
        if self.functions.example is None:
            return super().example(batch_size)
        if "example" in self.functions.callables:
            return self._call("example", batch_size)
        import torch

        def resize(value: torch.Tensor) -> torch.Tensor:
            return value if value.dim() == 0 else value[torch.arange(batch_size) % len(value)]

        return inputs.change(self.functions.example, resize)

    def calibration(self, batch_size: int, run: Run) -> Any:
        """Call ``calibration``."""
        if self.functions.calibration is None:
            return super().calibration(batch_size, run)
        return self._call("calibration", batch_size, run)

    def judge(self, predict: Callable[[Any], Any], run: Run) -> Any:
        """Call ``judge``, if there is one."""
        return None if self.functions.judge is None else self._call("judge", predict, run)

    def judge_test(self, predict: Callable[[Any], Any], run: Run) -> Any:
        """Call ``judge_test``, if there is one."""
        return None if self.functions.judge_test is None else self._call("judge_test", predict, run)

    def resources(self, shape: Shape) -> Any:
        """Call ``resources``, or return what there is."""
        if "resources" in self.functions.callables:
            return self._call("resources", shape)
        return self.functions.resources or Resources()


def has(trainer: Trainer, method: str) -> bool:
    """Tell whether a trainer has what it need not have: networks, inputs for them, data that was kept for the end."""
    if isinstance(trainer, FunctionTrainer):
        return getattr(trainer.functions, method) is not None
    return getattr(type(trainer), method) is not getattr(Trainer, method)


def _whole(value: OptionValue | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
        UsageError: they cannot be pickled.
    """
    import cloudpickle

    try:
        content = cloudpickle.dumps(declared)
    except Exception as error:
        problem = f"{declared.where} cannot be sent to other processes: {describe(error)}"
        raise UsageError(f"{problem}; what it refers to must be picklable", setting="trainer") from error
    name = getattr(declared.train, "__name__", type(declared.train).__name__).strip("<>")
    path = directory / f"{name}-{_digest(declared)}{PICKLED}"
    with durable.naming_errors(path):
        directory.mkdir(parents=True, exist_ok=True)
        durable.write(path, content)
    return path


def _digest(declared: Functions) -> str:
    """Name functions by what they are made of."""
    own = {getattr(getattr(declared, name), "__module__", "") for name in declared.callables}
    # Those that came later go without saying where there are none, so that functions keep the name they had.
    values = {name: getattr(declared, name) for name in GIVEN if name not in LATER or getattr(declared, name)}
    if "example" not in declared.callables:  # whose values do not matter
        values["example"] = inputs.change(declared.example, lambda tensor: (str(tensor.dtype), *tensor.shape))
    return fingerprint(values, {"__main__", *own})


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
    return Functions(where, **found)


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
