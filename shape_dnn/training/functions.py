"""The functions of a user as a trainer, wherever they come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from shape_dnn.errors import TrainingError, UsageError, describe
from shape_dnn.kinds import Option, OptionValue, Resources, Run, Trainer
from shape_dnn.measuring import inputs
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.shape import Shape
from shape_dnn.system.text import one_line

if TYPE_CHECKING:
    import torch

GIVEN = {"train": ("shape", "run"), "build": ("shape",), "test": ("shape", "run"), "example": ("batch_size",),
         "resources": ("shape",), "calibration": ("batch_size", "run"), "judge": ("predict", "run"),
         "judge_test": ("predict", "run")}  # fmt: skip
"""What each function is given; whatever else it takes is an option."""
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
        imported: numbers and texts of imported modules that the functions refer to, as Python writes them, by name.

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
    imported: Mapping[str, str] = field(default_factory=dict)
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


OF_NETWORKS = ("build", "example")
"""Functions that say what networks are, and what goes into them."""


def options_of_networks(trainer: Trainer, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Return those options that networks may depend on: all but of functions, of which it is known who takes what."""
    if not isinstance(trainer, FunctionTrainer):
        return dict(options)
    functions = [getattr(trainer.functions, name) for name in OF_NETWORKS if name in trainer.functions.callables]
    taken = {name for function in functions for name in inspect.signature(function).parameters}
    return {name: value for name, value in options.items() if name in taken}


def has(trainer: Trainer, method: str) -> bool:
    """Tell whether a trainer has what it need not have: networks, inputs for them, data that was kept for the end."""
    if isinstance(trainer, FunctionTrainer):
        return getattr(trainer.functions, method) is not None
    return getattr(type(trainer), method) is not getattr(Trainer, method)


def _whole(value: OptionValue | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
