"""Printing results."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shape_dnn.cli.text import visible
from shape_dnn.result import Result
from shape_dnn.shape import Shape

FORMAT = click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    envvar="SHAPE_DNN_FORMAT",
    help="Form of the output.",
)
DEBUG = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors.")
"""Read by :func:`shape_dnn.cli.main`, and accepted by every command."""


@contextmanager
def results_only() -> Iterator[None]:
    """Keep standard output for the result: what plugins and workers print meanwhile goes to standard error.

    The file descriptor itself is redirected, since worker processes inherit it.
    """
    sys.stdout.flush()
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError):  # an output without a descriptor of its own, as in a notebook
        yield
        return
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)


def plain(text: str) -> Text:
    """Prepare a text in which nothing is markup and nothing steers the terminal."""
    return Text(visible(text))


def console() -> Console:
    """Return a console for standard output that does not fold tables when nobody looks at it."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False, soft_wrap=False)


def print_json(value: object) -> None:
    """Print one JSON value; numbers that are not finite do not occur."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def print_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print records with a header."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)


def print_table(rows: Iterable[Sequence[str]], columns: Sequence[str], title: str = "") -> None:
    """Print cells in aligned columns. Text is shown as it is: nothing in it is markup."""
    table = Table(box=box.SIMPLE_HEAD, title=plain(title) if title else None, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(plain(column), justify="right" if column not in LEFT else "left")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console().print(table)


LEFT = frozenset(
    {
        "metric",
        "meter",
        "device",
        "reason",
        "name",
        "kind",
        "source",
        "state",
        "what it is, or why it cannot be used",
        "path",
        "strategy",
        "sampler",
        "model",
    }
)


def number(value: float | None, digits: int = 4) -> str:
    """Write a number with a sensible precision; a value nobody knows is a dash."""
    return "-" if value is None else f"{value:.{digits}g}"


def percent(value: float | None) -> str:
    """Write an accuracy."""
    return "-" if value is None else f"{value:.2f}"


def print_result(result: Result, output: str) -> None:
    """Print the answer of a search."""
    if output == "json":
        print_json(result.to_dict())
    elif output == "csv":
        columns = ["depth", "width", *result.metric_names, "accuracy", "predicted_accuracy", "predicted_std"]
        rows = [{**row, "estimated": " ".join(row.get("estimated", ()))} for row in result.rows()]
        print_csv(rows, columns if result.estimated is None else [*columns, "estimated"])
    else:
        _print_human(result)


def _value(result: Result, metric: str, shape: Shape) -> str:
    """Write a value of a metric; one that was not measured is approximate."""
    return ("~" if result.is_estimated(metric, shape) else "") + number(result.metrics[metric][shape])


def _notes(result: Result) -> Iterator[str]:
    """Say how sure the answer is, and what that rests on."""
    answer, transferred = result.answer, result.transferred
    certificate, noise = answer.certificate, answer.noise
    if certificate is not None and answer.best is not None:
        missed = f"the probability that a better shape was missed is {_probability(certificate.doubt)}"
        yield f"{missed}; what is within {certificate.tolerance:.2f} points counts as equal"
    if noise is not None:
        yield f"noise: {noise.points:.2f} points, by {noise.trainings} trainings of {noise.shapes} shapes"
    if transferred is not None:
        count = f"{len(transferred.shapes)} shapes were" if len(transferred.shapes) != 1 else "one shape was"
        bias = "none could be compared with one from scratch"
        if transferred.bias is not None:
            bias = f"one that was also trained from scratch came out {transferred.bias:+.2f} points different"
        yield f"{count} trained from the weights of a smaller one; {bias}"


def _probability(value: float) -> str:
    """Write a probability, which is told from a few hundred draws."""
    return "below 0.5 %" if value < 0.005 else f"{100 * value:.1f} %"


def _print_human(result: Result) -> None:
    out = console()
    answer = result.answer
    out.print(plain(f"space: {answer.space} shapes" + (f" of {result.arch}" if result.arch else "")))
    for stage in answer.stages:
        dropped = stage.before - stage.after
        certificate = answer.certificate if stage.constraint.metric == "accuracy" else None
        sure = "" if certificate is None else f" with a probability of {100 * certificate.confidence:g} %"
        out.print(plain(f"{stage.constraint}{sure}: {stage.before} -> {stage.after} shapes, {dropped} dropped"))
    metrics = [
        name for name in result.metric_names if any(v is not None for v in result.metrics.get(name, {}).values())
    ]
    headers = [f"{name} [{result.units[name]}]" if result.units.get(name) else name for name in metrics]
    rows = []
    for candidate in answer.complying:
        prediction = candidate.prediction
        rows.append(
            [
                str(candidate.shape.depth),
                str(candidate.shape.width),
                *(_value(result, name, candidate.shape) for name in metrics),
                "-" if prediction is None else f"{prediction.mean:.2f}",
                "-" if prediction is None or prediction.std is None else f"{prediction.std:.2f}",
                percent(candidate.accuracy),
            ]
        )
    count = f"{len(rows)} of {answer.space} shapes comply"
    print_table(rows, ["depth", "width", *headers, "predicted [%]", "+/-", "trained [%]"], title=count)
    if answer.best is not None:
        best = answer.best
        state = f"trained accuracy {best.accuracy:.2f} %" if best.accuracy is not None else "not trained yet"
        test = "" if answer.test_accuracy is None else f", test accuracy {answer.test_accuracy:.2f} %"
        out.print(plain(f"best: depth {best.shape.depth}, width {best.shape.width}; {state}{test}"))
    for note in _notes(result):
        out.print(plain(note))
    failed = [t for t in answer.trainings if t.reason]
    for training in failed:
        out.print(plain(f"{training.shape} has no accuracy: {training.reason}"))
    planned = [t.shape for t in answer.trainings if t.accuracy is None and not t.reason]
    trained = len(answer.trainings)
    if planned:
        times = f"{answer.candidates / trained:.2g} times fewer trainings than all"
        known = trained * result.seeds - result.new_trainings
        others = f" ({known} of them are trained already)" if known else ""
        if result.seeds > 1:
            others = f" {result.seeds} times" + (f" ({known} of these trainings were made before)" if known else "")
        out.print(plain(f"would train {trained} of {answer.candidates} candidates{others}, {times}:"))
        out.print(plain(" ".join(map(str, planned))))
    elif trained:
        fewer = (
            f": {answer.candidates / trained:.2g} times fewer trainings than all" if trained < answer.candidates else ""
        )
        now = result.new_trainings
        new = f"{now} of them now" if now <= trained else f"{now} trainings now"
        out.print(plain(f"trained {trained} of {answer.candidates} candidates, {new}{fewer}"))
    if answer.best is None and answer.complying and not planned and not result.is_front:
        out.print(plain("without --goal (size, latency, energy, accuracy, …) no shape is called the best"))
