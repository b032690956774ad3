"""What meters must keep to when they are asked; what they raise or return wrongly is laid at their door."""

from __future__ import annotations

import json
import math
import numbers
import re
import threading
from collections.abc import Collection, Mapping, Sequence, Set
from concurrent import futures
from typing import cast

from shape_dnn.constraints import KNOWN_METRICS
from shape_dnn.errors import MeterError, PluginError, blame, label
from shape_dnn.kinds import Formula, Instrument, Meter, Workload
from shape_dnn.quality import RESERVED_METRICS
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape


def metric(meter: Meter) -> str:
    """Ask what a meter measures: a word that can be written in a flag, with a unit and a place in the order."""
    lacks = [attribute for attribute in ("metric", "unit", "cost") if not hasattr(meter, attribute)]
    if lacks:
        raise PluginError(f"{label(meter)} does not say its {' and '.join(lacks)}")
    name, unit, cost = meter.metric, meter.unit, meter.cost
    if not isinstance(name, str) or name in RESERVED_METRICS or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
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
