"""``shape-dnn record``: a table to replay."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import CONFIG, DEBUG, QUIET, VERBOSE, is_debugging, is_verbose, results_only


@click.command(
    "record",
    cls=Command,
    examples={"9 shapes, three trainings of each:": "shape-dnn record digits.csv --depth 10:23:6 --width 1/4:1:1/4"},
)
@click.argument("file", metavar="FILE.csv")
@click.option("--seeds", metavar="N", help="How often each shape is trained, with seeds from --seed on.  [default: 3]")
@click.option("--metrics", metavar="NAME,NAME", default="", help="Metrics to record beside the size.")
@click.option("--overwrite", is_flag=True, help="Replace the files if they exist.")
@CONFIG
@options(
    "trainer", "arch", "dataset", "data_dir", "depth", "width", "max_size", "max_latency", "max_energy", "max", "min",
    "batch_size", "device", "deploy", "target", "recipe", "epochs", "lr", "seed", "protocol", "executor", "workers",
    "meter", "option", "plugin", "study", "retry_failed", "checkpoint_minutes", "hang_minutes", "remeasure",
)  # fmt: skip
@QUIET
@VERBOSE
@DEBUG
def command(
    file: str, metrics: str, overwrite: bool, config: str | None, quiet: bool, verbose: bool, **flags: Any
) -> None:
    """Train every shape of a space with several seeds, and write FILE.csv, for --replay, and FILE-curves.csv.

    Limits say which shapes are recorded. Interrupted, the same command goes on from where it was.
    """
    talkative = is_verbose(quiet, verbose)
    gathered = gather(flags, config)
    settings = gathered.settings()
    gathered.origins |= {"path": "FILE.csv", "metrics": "--metrics"}

    from shape_dnn.api.record import SEEDS, record
    from shape_dnn.display.progress import Progress
    from shape_dnn.events import ignore

    given = {"seeds": SEEDS, **{name: getattr(settings, name) for name in settings.given}}
    progress = None if talkative is None else Progress(verbose=talkative, debug=is_debugging())
    with gathered.named(), results_only(), progress or nullcontext():
        written = record(file, metrics=metrics, overwrite=overwrite, notify=progress or ignore, **given)
    click.echo(str(written.path))
    if written.curves is not None:
        click.echo(str(written.curves))
