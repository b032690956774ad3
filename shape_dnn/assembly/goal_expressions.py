"""Goals that users write themselves: ``latency + 0.2*energy``, or ``accuracy:0.5,size``."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from shape_dnn.errors import NoScoreError, UsageError
from shape_dnn.kinds import Goal
from shape_dnn.quality import Quality

BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: math.pow,
}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
ACCEPTED = f"numbers, metrics, + - * / ** ( ) and {', '.join(FUNCTIONS)}"
LONGEST = 1000
MOST_STEPS = 1e5
"""Steps that a goal may have before another, so that its number of steps leaves the digits for the other."""
SMALLEST = 1e-15
"""Scores of this order are told apart from 0."""


class Least(Goal):
    """The least value of one metric.

    Args:
        metric: its exact name.
    """

    def __init__(self, metric: str) -> None:
        self.metrics = (metric,)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the value itself."""
        return values[self.metrics[0]]


class Most(Goal):
    """The most of one metric.

    Args:
        metric: its exact name.
    """

    def __init__(self, metric: str) -> None:
        self.metrics = (metric,)

    def score(self, values: Mapping[str, float]) -> float:
        """Return the negated value, since the lowest score wins."""
        return -values[self.metrics[0]]


def best(quality: Quality) -> Goal:
    """Return the goal of the best quality."""
    return Most(quality.name) if quality.better == "higher" else Least(quality.name)


class Expression(Goal):
    """The least value of an arithmetic expression over metrics. It is parsed and walked, never executed.

    Args:
        text: such as ``latency + 0.2*energy`` or ``latency@pi + latency@server``; the hyphen of a metric's name is
            written as an underscore.
        exact: names of metrics that are meant as they stand: with an underscore, or with a target, whose name may have
            a hyphen or a dot.

    Raises:
        UsageError: the text is not an expression of what is accepted.
    """

    def __init__(self, text: str, exact: Collection[str] = ()) -> None:
        self.text, self._exact = text.strip(), exact
        names: set[str] = set()
        try:
            if len(self.text) > LONGEST:
                raise _refusal(self.text[:60], f"has more than {LONGEST} characters")
            tree = ast.parse(self._without_targets(), mode="eval").body
            self._value = self._compile(tree, names)
        except OverflowError:
            raise _refusal(self.text[:60], "contains a number that is too large") from None
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            place = f" at character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
            raise _refusal(self.text, f"is not an expression{place}") from None
        if not names:
            raise _refusal(self.text, "names no metric")
        self.metrics = tuple(sorted(names))

    def _without_targets(self) -> str:
        """Return the text with identifiers of the same length for metrics on targets, and note where those stand."""
        self._on_targets: dict[tuple[int, int], str] = {}

        def identifier(match: re.Match[str]) -> str:
            before = self.text[: match.start()]
            line = before.rpartition("\n")[2]
            base, _, target = match[0].partition("@")
            place = before.count("\n") + 1, len(line.encode())
            self._on_targets[place] = f"{self._metric(base)}@{target}"
            return "m" * len(match[0])

        on_targets = [name for name in self._exact if "@" in name]
        parts = [name.partition("@") for name in on_targets]
        written = {*on_targets, *(f"{base.replace('-', '_')}@{target}" for base, _, target in parts)}
        known = "|".join(map(re.escape, sorted(written, key=lambda name: (-len(name), name))))
        other = r"[A-Za-z_]\w*@\w[\w.]*"  # is refused by whoever knows the targets
        return re.sub(rf"(?<![\w.@])(?:{known + '|' if known else ''}{other})(?![\w.@])", identifier, self.text)

    def _metric(self, identifier: str) -> str:
        return identifier if identifier in self._exact else identifier.replace("_", "-")

    def _compile(self, node: ast.expr, names: set[str]) -> Callable[[Mapping[str, float]], float]:
        """Turn a node into a function of the metrics, and note the metrics it names."""
        match node:
            case ast.Constant(value=int() | float() as constant) if not isinstance(constant, bool):
                number = float(constant)
                if math.isinf(number):
                    raise OverflowError
                return lambda _values: number
            case ast.Name(id=identifier) if identifier not in FUNCTIONS:
                name = self._on_targets.get((node.lineno, node.col_offset)) or self._metric(identifier)
                names.add(name)
                return lambda values: values[name]
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                inner, factor = self._compile(operand, names), -1.0 if isinstance(sign, ast.USub) else 1.0
                return lambda values: factor * inner(values)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in BINARY:
                apply, one, other = BINARY[type(operator)], self._compile(left, names), self._compile(right, names)
                return lambda values: apply(one(values), other(values))
            case ast.Call(func=ast.Name(id=identifier), args=[_, *_] as arguments, keywords=[]) if (
                identifier in FUNCTIONS and (len(arguments) == 1) != (identifier in ("min", "max"))
            ):
                function, parts = FUNCTIONS[identifier], [self._compile(argument, names) for argument in arguments]
                return lambda values: function(*(part(values) for part in parts))
        raise _refusal(self.text, f"contains {ast.get_source_segment(self.text, node)!r:.60}")

    def score(self, values: Mapping[str, float]) -> float:
        """Return the value of the expression.

        Raises:
            NoScoreError: it has none for these metrics, for example since it divides by zero.
        """
        try:
            value = self._value(values)
            if not math.isfinite(value):
                raise OverflowError("it is not finite")
        except (ArithmeticError, ValueError) as error:
            where = ", ".join(f"{name} {values[name]:g}" for name in self.metrics)
            raise NoScoreError(f"{self.text!r} has no value for {where}: {error}", setting="goal") from None
        return value


class Lexicographic(Goal):
    """The least by the first goal; shapes alike in it by the second, and so on.

    Args:
        goals: in order of importance.
        steps: for all but the last, by how much scores must differ to count as different: they are compared in whole
            multiples of the step.
    """

    def __init__(self, goals: Sequence[Goal], steps: Sequence[float]) -> None:
        self._goals, self._steps = tuple(goals), tuple(steps)
        self.metrics = tuple(sorted({metric for goal in goals for metric in goal.metrics}))
        self.stepped = {metric for goal in goals[:-1] for metric in goal.metrics}

    def score(self, values: Mapping[str, float]) -> float:
        """Return the number of steps by the first goal, plus a part of one that orders alike shapes by the others."""
        *scores, last = (goal.score({name: values[name] for name in goal.metrics}) for goal in self._goals)
        for score, step in zip(reversed(scores), reversed(self._steps), strict=True):
            steps = score / step + 1e-9
            if abs(steps) > MOST_STEPS:
                raise UsageError(f"a step of {step:g} is too small for values of {abs(score):g}", setting="goal")
            last = math.floor(steps) + _part(last)
        return last


def _part(score: float) -> float:
    """Map scores to numbers between 0 and 1 in the same order.

    Beside the most steps that there may be, what differs by a part in 10^7 is told apart. Each further goal has the
    digits that are left: beside thousands of steps by each of two goals, a third tells what differs by a percent.
    """
    return 0.5 + math.copysign(math.log1p(abs(score) / SMALLEST) / 2000, score)


def parse(text: str, named: Callable[[str], Goal | None], metrics: Collection[str] = ()) -> Goal:
    """Read a goal: a name, an expression, or several of these with steps between them, ``GOAL:STEP,GOAL``.

    Args:
        text: what the user wrote.
        named: returns the goal that is called so, or None if none is.
        metrics: known ones; each is a goal by its exact name, whatever characters that has.

    Raises:
        UsageError: it cannot be read.
    """
    terms = _split(text)
    goals, steps = [], []
    for i, term in enumerate(terms):
        expression, colon, step = term.partition(":")
        if bool(colon) != (i < len(terms) - 1):
            problem = "needs a step, since another goal follows" if not colon else "has a step, but no goal follows"
            problem += "; write for example accuracy:0.5,size"
            raise UsageError(f"{term.strip()!r} {problem}", setting="goal")
        if colon:
            steps.append(_step(term, step))
        goals.append(_read(expression.strip(), named, metrics))
    return goals[0] if len(goals) == 1 else Lexicographic(goals, steps)


def _read(text: str, named: Callable[[str], Goal | None], metrics: Collection[str]) -> Goal:
    return named(text) or (Least(text) if text in metrics else Expression(text, metrics))


def _step(term: str, text: str) -> float:
    try:
        step = float(text)
    except ValueError:
        step = math.nan
    if not 0 < step < math.inf:
        raise UsageError(f"{term.strip()!r}: the step {text.strip()!r} is not a number above 0", setting="goal")
    return step


def _split(text: str) -> list[str]:
    """Split at commas that are not within parentheses."""
    terms, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            terms.append("")
        else:
            terms[-1] += character
    return terms


def _refusal(text: str, problem: str) -> UsageError:
    return UsageError(f"{text!r} {problem}; accepted are {ACCEPTED}", setting="goal")
