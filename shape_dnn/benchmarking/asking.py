"""One question put to one method, and what came of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from shape_dnn.benchmarking.facts import Seen
from shape_dnn.benchmarking.judging import Decision, Run
from shape_dnn.benchmarking.method import Found, Method
from shape_dnn.benchmarking.problems import RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.errors import PluginError, ShapeDnnError, describe
from shape_dnn.records import Prediction

DEVIATIONS = 1.645
"""Standard deviations on either side that hold 90 % of a normal distribution."""


def ask(table: RecordedTable, question: Question, method: Method, seed: int) -> Run:
    """Ask a method a question.

    Args:
        table: that it is about.
        question: what is asked.
        method: is told what it trains, and no more.
        seed: of everything random in the method.

    Raises:
        PluginError: the method failed.
    """
    seen = Seen(table, question)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model has to say of few trainings shows in how the search does
            found = method.answer(seen, seed)
    except ShapeDnnError:
        raise
    except Exception as error:
        message = f"method {method.spec!r} failed at question {seed} about {table.name}: {describe(error)}"
        raise PluginError(f"{message} (--debug shows where)") from error
    return record(table, question, seen, found)


def record(table: RecordedTable, question: Question, seen: Seen, found: Found) -> Run:
    """Write down what came of a question: the answer, and what was really trained for it."""
    place = {shape: i for i, shape in enumerate(table.shapes)}
    return Run(
        [place[shape] for shape in seen.parts],
        list(seen.parts.values()),
        None if found.best is None else place[found.best],
        [place[shape] for shape in found.complying] if question.goal is None else None,
        _covered(table, question, {place[shape]: p for shape, p in found.predictions.items()}),
        len(seen.measured),
        [Decision(d.doubt, None if d.best is None else place[d.best], d.tolerance) for d in found.decisions],
    )


def _covered(table: RecordedTable, question: Question, predictions: Mapping[int, Prediction]) -> float | None:
    """Return the part of the trainings not made that lie within the 90 % intervals of their predictions."""
    if not predictions or any(prediction.std is None for prediction in predictions.values()):
        return None
    means, stds = np.array([(prediction.mean, prediction.std) for prediction in predictions.values()], float).T
    trained = table.qualities[list(predictions), question.repetition]
    return float((np.abs(trained - means) <= DEVIATIONS * stds).mean())
