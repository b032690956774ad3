"""``shape-dnn bench``: compare ways of searching on recorded tables."""

from __future__ import annotations

from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, FORMAT, QUIET, print_found, results_only
from shape_dnn.cli.usage import AT_LEAST_0, AT_LEAST_1
from shape_dnn.system.text import visible


@click.command(
    "bench",
    cls=Command,
    examples={"Three methods on a table:": "shape-dnn bench table.csv --method default --method paper --method random"},
)
@click.argument("tables", nargs=-1, required=True, metavar="TABLE...")
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="SPEC",
    help="Way of searching: a name such as default, paper:thorough, top-k:5 or optuna-tpe, or settings such as "
    "model=ridge,confidence=0.9; repeatable.  [default: default, paper and random]",
)
@click.option("--peers", is_flag=True, help="Also compare every other method that is installed.")
@click.option(
    "--questions",
    type=AT_LEAST_1,
    metavar="N",
    default=200,
    show_default=True,
    help="Questions about each table.",
)
@click.option("--seed", type=AT_LEAST_0, metavar="N", default=0, show_default=True, help="Seed of the questions.")
@click.option(
    "--ask",
    type=click.Choice(["best", "sets"]),
    default="best",
    show_default=True,
    help="What is asked for: the best shape by a goal, or all shapes within the limits (sets).",
)
@click.option(
    "--noise",
    type=float,
    metavar="POINTS",
    help="Standard deviation of the accuracies of one shape, for tables that do not tell.",
)
@click.option("--metrics", metavar="A,B", help="Columns that questions are about.  [default: size, latency, …]")
@click.option("--workers", type=AT_LEAST_1, metavar="N", help="Processes at once.  [default: one per core]")
@click.option("--results", metavar="DIR", help="Directory that keeps the answers. The same command goes on from there.")
@click.option("--report", metavar="FILE.html", help="HTML page with charts to write as well.")
@options("plugin")
@FORMAT
@QUIET
@DEBUG
def command(output: str, quiet: bool, metrics: str | None, plugin: tuple[str, ...], **given: Any) -> None:
    """Ask ways of searching the same random questions about each TABLE, and compare the answers with the truth.

    A table is CSV with the columns depth, width, accuracy and any metrics; learning curves lie in STEM-curves.csv.
    """
    gathered = gather({"plugin": plugin}, None, environ={})
    gathered.origins["table"] = "TABLE"

    from shape_dnn.api.bench import bench

    with gathered.named(), results_only():
        found = bench(**given, metrics=metrics or (), plugin=plugin, notify=(lambda _line: None) if quiet else _say)
    print_found(found, output)


def _say(line: str) -> None:
    click.echo(visible(line), err=True)
