"""``shape-dnn simulate``: compare modelling strategies on a recorded table."""

from __future__ import annotations

from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, FORMAT, print_found, results_only
from shape_dnn.cli.usage import AT_LEAST_1


@click.command(
    "simulate",
    cls=Command,
    examples={
        "Two samplers on a table:": "shape-dnn simulate table.csv --sampler interval --sampler random --goal size"
    },
)
@click.argument("table")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    help="Strategy to compare; repeatable.  [default: standard]",
)
@click.option(
    "--sampler",
    "samplers",
    multiple=True,
    metavar="NAME",
    help="Sampler to compare; repeatable.  [default: all that are installed]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Accuracy model to compare; repeatable.  [default: all that are installed]",
)
@click.option(
    "--seeds", type=AT_LEAST_1, metavar="N", default=10, show_default=True, help="Searches for each combination."
)
@options(
    "arch",
    "dataset",
    "train",
    "max",
    "min",
    "max_size",
    "max_latency",
    "max_energy",
    "min_accuracy",
    "goal",
    "prior",
    "option",
    "plugin",
)
@FORMAT
@DEBUG
def command(
    table: str,
    strategies: tuple[str, ...],
    samplers: tuple[str, ...],
    models: tuple[str, ...],
    seeds: int,
    output: str,
    **flags: Any,
) -> None:
    """Search TABLE with every combination of strategy, sampler and accuracy model, and list what each achieved."""
    gathered = gather(flags, None, environ={})
    gathered.origins["replay"] = "TABLE"

    from shape_dnn.api.simulation import simulate

    with gathered.named(), results_only():
        found = simulate(table, strategies=strategies, samplers=samplers, models=models, seeds=seeds, **gathered.values)
    print_found(found, output)
