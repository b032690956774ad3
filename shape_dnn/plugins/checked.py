"""What plugins must keep to when the search asks them; what they raise or return wrongly is laid at their door."""

from __future__ import annotations

import json
import math
import numbers
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from shape_dnn import devices
from shape_dnn.constraints import KNOWN_METRICS
from shape_dnn.errors import MeterError, NetworkError, PluginError, ShapeDnnError, blame, describe, label
from shape_dnn.kinds import (
    Architecture,
    Dataset,
    Executor,
    Formula,
    Goal,
    Images,
    InputShape,
    Instrument,
    Meter,
    Posterior,
    Sampler,
    Strategy,
    Terminator,
    Workload,
)
from shape_dnn.recipes import Recipe
from shape_dnn.records import Epoch, Measurement, Training
from shape_dnn.shape import Shape
from shape_dnn.work import Outcome, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESERVED = frozenset(
    {"depth", "width", "seed", "accuracy", "predicted_accuracy", "predicted_std", "test_accuracy", "training"}
)
"""Words of results and studies that no metric can be called."""
BUILD, LOAD = "to build", "to load the weights of"
EXAMPLE, FORWARD = "to make inputs for", "in the forward pass of"
"""What an architecture can fail to do, or in."""


@contextmanager
def blame_network(architecture: Architecture, what: str, shape: Shape) -> Iterator[None]:
    """Lay what the code of a network raises at the door of its architecture; lack of memory is not its fault.

    Args:
        architecture: which built it.
        what: ``BUILD``, ``LOAD``, ``EXAMPLE`` or ``FORWARD``.
        shape: of the network.

    Raises:
        NetworkError: names all of these, and what was raised.
    """
    try:
        yield
    except ShapeDnnError:
        raise
    except Exception as error:
        if devices.is_out_of_memory(error):
            raise
        given = getattr(architecture, "_inputs_label", "") if what == FORWARD else ""
        raise NetworkError(f"{label(architecture)} failed {what} shape {shape}{given}: {describe(error)}") from error


def load(
    dataset: Dataset, input_shape: InputShape, classes: int, progress: Callable[[int, int], None]
) -> tuple[Images, Images]:
    """Read a dataset, which says how far it is: images and labels are what it declares."""
    from shape_dnn.data import images

    with blame(dataset):
        train, test = dataset.load_with_progress(progress)
        images.check(train, test, input_shape, classes)
    return train, test


def class_names(dataset: Dataset, classes: int) -> tuple[str, ...]:
    """Ask for the names of the classes: a text for each, or none at all."""
    with blame(dataset):
        names = tuple(dataset.class_names)
        if names and (len(names) != classes or not all(isinstance(name, str) for name in names)):
            raise ValueError(f"its class_names are {len(names)} for {classes} classes, or no texts")
    return names


def budget(strategy: Strategy, candidates: int) -> int:
    """Ask how many shapes to train: at least one, and at most all."""
    with blame(strategy):
        answer: object = strategy.count(candidates)
        count = int(answer) if _is_number(type(answer)) and isinstance(answer, numbers.Integral) else 0
        if not 1 <= count <= candidates:
            accepted = f"accepted are whole numbers from 1 to {candidates}"
            raise PluginError(f"{label(strategy)} asks for {answer!r} trainings of {candidates} shapes; {accepted}")
    return count


def consider(sampler: Sampler, posterior: Posterior) -> None:
    """Tell a sampler what is asked, and what is known of the answer."""
    with blame(sampler):
        sampler.consider(posterior)


def choose(
    sampler: Sampler, shapes: Sequence[Shape], observed: Sequence[Training], budget: int, asked: Set[Shape]
) -> tuple[Shape, ...]:
    """Ask which shapes to train next: some of ``shapes``, none of ``asked``, and no more in all than the budget."""
    with blame(sampler):
        answer = sampler.choose(shapes, observed, budget)
        batch, known = tuple(() if answer is None else answer), set(shapes)
        for shape in batch:
            if not isinstance(shape, Shape) or shape not in known:
                raise PluginError(f"{label(sampler)} chose {shape!s:.60}, which is not one of the shapes it was given")
        chosen = set(asked)
        for shape in batch:
            if shape in chosen:
                raise PluginError(f"{label(sampler)} chose {shape} twice")
            chosen.add(shape)
        if len(asked) + len(batch) > budget:
            raise PluginError(f"{label(sampler)} chose {len(asked) + len(batch)} shapes with a budget of {budget}")
    return batch


def score(goal: Goal, known: Mapping[str, float | None]) -> float | None:
    """Ask for the score of a shape by what is known of it: a number; None if a metric of the goal is not known.

    Args:
        goal: orders shapes.
        known: metrics of the shape, more than the goal needs or fewer.
    """
    values = {metric: value for metric in goal.metrics if (value := known.get(metric)) is not None}
    if len(values) < len(goal.metrics):
        return None
    with blame(goal):
        result = float(goal.score(values))
        if math.isnan(result):
            raise ValueError(f"the score of {values} is not a number")
    return result


def scores(goal: Goal, columns: Mapping[str, NDArray[np.float64]]) -> list[float]:
    """Ask for the scores of many shapes; infinite where a metric of the goal is not a number, or where it fails.

    Args:
        goal: orders shapes.
        columns: metrics, each of shape (number of shapes,).
    """
    found = []
    for row in zip(*(columns[metric].tolist() for metric in goal.metrics), strict=True):
        try:
            result = math.nan if any(map(math.isnan, row)) else goal.score(dict(zip(goal.metrics, row, strict=True)))
            found.append(math.inf if math.isnan(result) else float(result))
        except Exception:  # noqa: BLE001 - whatever a plugin raises
            found.append(math.inf)
    return found


def score_of(goal: Goal, known: Mapping[str, float | None]) -> float | None:
    """Do the same to show it: None also for a shape that has no finite score."""
    try:
        result = score(goal, known)
    except ShapeDnnError:
        return None
    return result if result is not None and math.isfinite(result) else None


def adapt(architecture: Architecture, recipe: Recipe) -> Recipe:
    """Ask an architecture for the recipe of its networks, given that of the dataset."""
    with blame(architecture):
        adapted = architecture.recipe(recipe)
        if not isinstance(adapted, Recipe):
            raise TypeError(f"its recipe is a {type(adapted).__name__}, not a shape_dnn.Recipe")
    return adapted


def metrics(goal: Goal) -> Sequence[str]:
    """Ask which metrics a goal needs: names, none of them twice."""
    named: object = getattr(goal, "metrics", None)
    is_several = isinstance(named, tuple | list) and all(isinstance(metric, str) for metric in named)
    if not is_several or len(set(goal.metrics)) < len(goal.metrics):
        raise PluginError(f"{label(goal)} has metrics {named!r}, not a tuple of different names")
    return goal.metrics


def metric(meter: Meter) -> str:
    """Ask what a meter measures: a word that can be written in a flag, with a unit and a place in the order."""
    lacks = [attribute for attribute in ("metric", "unit", "cost") if not hasattr(meter, attribute)]
    if lacks:
        raise PluginError(f"{label(meter)} does not say its {' and '.join(lacks)}")
    name, unit, cost = meter.metric, meter.unit, meter.cost
    if not isinstance(name, str) or name in RESERVED or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise PluginError(f"{label(meter)} has a metric called {name!r}, a word that is taken")
    if not isinstance(unit, str):
        raise PluginError(f"{label(meter)} has the unit {unit!r}, which is not a text")
    if not _is_number(type(cost)) or not math.isfinite(cost):
        raise PluginError(f"{label(meter)} has the cost {cost!r}, which is not a finite number")
    return name


def check_unit(meter: Meter) -> None:
    """See that a meter of a metric that is known by name has the unit in which limits are compared with it."""
    known = KNOWN_METRICS.get(meter.metric)
    if known is not None and meter.unit != known.unit:
        remedy = f"declare unit = {known.unit!r} and return that"
        problem = f"has the unit {meter.unit!r}, and results and limits of {known.name} are in {known.unit}"
        raise PluginError(f"{label(meter)} {problem}; {remedy}")


def identity(instrument: Instrument, workload: Workload, patience: float | None = None) -> dict[str, object]:
    """Ask what a measured value depends on: JSON values, the same every time, since facts are found again by them.

    Args:
        instrument: which meter.
        workload: what it would measure.
        patience: seconds it may take, unless whoever runs this process sees to that.

    Raises:
        MeterError: it cannot measure here, or took too long.
    """
    with blame(instrument):
        answer = instrument.identity(workload) if patience is None else _ask(instrument, workload, patience)
        if not isinstance(answer, Mapping) or not all(isinstance(key, str) for key in answer):
            raise PluginError(
                f"identity of {label(instrument)} returned {answer!s:.80} instead of a mapping with text for keys"
            )
        try:
            json.dumps(dict(answer), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise PluginError(
                f"identity of {label(instrument)} returned {answer!s:.80}, which is not JSON: {error}"
            ) from None
    return dict(answer)


def remarks(instrument: Instrument, workload: Workload) -> list[str]:
    """Ask what should be known before an instrument measures: lines of text."""
    with blame(instrument):
        return [" ".join(str(text).split()) for text in instrument.remarks(workload)]


def _ask(instrument: Instrument, workload: Workload, patience: float) -> Mapping[str, object]:
    """Wait for an identity no longer than a time. A thread that hangs cannot be ended, but ends with the process."""
    answer: futures.Future[Mapping[str, object]] = futures.Future()

    def ask() -> None:
        try:
            answer.set_result(instrument.identity(workload))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    if not futures.wait([answer], patience).done:
        raise MeterError(
            f"{label(instrument)} hung: it did not say within {patience / 60:.3g} minutes what its values depend on"
        )
    return answer.result()


def measurement(
    instrument: Meter, shape: object, found: object, asked: Collection[Shape], pending: Set[Shape]
) -> Measurement:
    """Take what an instrument hands over: once for each shape that it was asked for, and in plain numbers.

    Args:
        instrument: which measured.
        shape: of which it hands something over.
        found: what it hands over.
        asked: what it was asked to measure.
        pending: those of them that it has not handed over yet.
    """
    with blame(instrument):
        if shape not in pending:
            what = "twice" if shape in asked else "that it was not asked for"
            raise PluginError(f"{label(instrument)} measured shape {shape} {what}")
        fault = fault_of(found)
        if fault:
            raise PluginError(f"{label(instrument)} returned for shape {shape} {fault}")
        values = cast("Measurement", found)
        value, low, high = (None if v is None else float(v) for v in (values.value, values.low, values.high))
        return Measurement(value, low, high, values.status, values.details)


def fault_of(measurement: object) -> str:
    """Say what is wrong with a measurement; nothing if it has a value, or none and a status that says why."""
    if not isinstance(measurement, Measurement):
        return f"a {type(measurement).__name__} instead of a shape_dnn.Measurement"
    value, status = measurement.value, measurement.status
    if not isinstance(status, str) or not status or len(status.splitlines()) > 1:
        return f"the status {status!r}, which is not a line of text"
    if value is None:
        return "no value, and the status ok" if status == "ok" else ""
    for number in (value, measurement.low, measurement.high):
        if number is not None and not _is_quantity(number):
            return f"{number!s:.40}, which is not a number from 0"
    low = value if measurement.low is None else measurement.low
    high = value if measurement.high is None else measurement.high
    if not low <= value <= high:
        return f"{value:g} outside its interval from {low:g} to {high:g}"
    try:
        json.dumps(dict(measurement.details), allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"details that are not JSON: {error}"
    return ""


def _is_quantity(number: object) -> bool:
    """Tell whether something is a finite number from 0, of Python or numpy."""
    try:
        return _is_number(type(number)) and 0 <= float(cast("float", number)) < math.inf
    except OverflowError:
        return False


def _is_number(kind: type) -> bool:
    """Tell whether a type is one of numbers, of Python or numpy; true and false are none."""
    return issubclass(kind, numbers.Real) and not issubclass(kind, bool)


def compute(meter: Meter, workload: Workload, shapes: Sequence[Shape]) -> list[float | None]:
    """Compute a closed form for every shape: finite numbers from 0.

    Raises:
        PluginError: the meter returns another number of values, or others.
    """
    with blame(meter):
        found = list(cast("Formula", meter).compute(workload, shapes))
        if len(found) != len(shapes):
            raise PluginError(f"{label(meter)} returned {len(found)} values for {len(shapes)} shapes")
        if all(map(_is_number, set(map(type, found)))):
            values = list(map(float, found))
            if all(map(math.isfinite, values)) and min(values, default=0.0) >= 0:
                return cast("list[float | None]", values)
        shape, wrong = next(pair for pair in zip(shapes, found, strict=True) if not _is_quantity(pair[1]))
        raise PluginError(f"{label(meter)} returned {wrong!s:.40} for shape {shape}, which is not a number from 0")


def run(
    executor: Executor, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
) -> Iterator[Outcome]:
    """Have an executor run tasks: each has one outcome at most. Those of attempts that were given up are passed over.

    Whether any is missing is for the caller to say, who knows of interrupts.
    """
    given, done = {task.attempt for task in tasks}, set()
    with blame(executor):
        outcomes = iter(executor.run(tasks, workers, report))
    while True:
        with blame(executor):
            outcome: object = next(outcomes, None)
        if outcome is None:
            return
        if not isinstance(outcome, Outcome):
            made = type(outcome).__name__
            raise PluginError(f"{label(executor)} returned a {made} instead of an Outcome with what the task returned")
        if outcome.task.attempt in done:
            raise PluginError(f"{label(executor)} handed over the outcome of a task twice")
        if outcome.task.attempt in given:
            done.add(outcome.task.attempt)
            yield outcome


def should_stop(terminator: Terminator, curve: Sequence[Epoch], epochs: int, others: Sequence[Training]) -> bool:
    """Ask whether a training is to be stopped: true or false, and nothing that only counts as one of them."""
    with blame(terminator):
        answer: object = terminator.should_stop(curve, epochs, others)
        if isinstance(answer, bool):
            return answer
        import numpy as np

        if isinstance(answer, np.bool_):
            return bool(answer)
        raise PluginError(f"{label(terminator)} answers {answer!r:.40}; accepted are True and False")
