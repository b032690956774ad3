"""``shape-dnn measure``: metrics with intervals, without training."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import (
    CONFIG,
    DEBUG,
    FORMAT,
    QUIET,
    VERBOSE,
    is_verbose,
    print_found,
    results_only,
)


@click.command(
    "measure",
    cls=Command,
    examples={"Size and latency of 12 shapes:": "shape-dnn measure --depth 10:23:6 --width 1/4:5/4:1/4"},
)
@click.option(
    "--metrics",
    metavar="NAME,NAME",
    default="size,latency",
    show_default=True,
    help="Metrics to measure, separated by commas.",
)
@CONFIG
@options(
    "trainer", "arch", "dataset", "data_dir", "depth", "width", "batch_size", "device", "deploy", "target", "meter",
    "fit_depths", "option", "plugin", "executor", "study", "remeasure", "hang_minutes",
)  # fmt: skip
@FORMAT
@QUIET
@VERBOSE
@DEBUG
def command(metrics: str, config: str | None, output: str, quiet: bool, verbose: bool, **flags: Any) -> None:
    """Measure metrics of every shape of a space. What the study knows already is not measured again."""
    talkative = is_verbose(quiet, verbose)
    gathered = gather(flags, config)
    settings = gathered.settings()

    from shape_dnn.api.measure import measure
    from shape_dnn.display.progress import Progress
    from shape_dnn.events import ignore
    from shape_dnn.system.text import listed

    progress = None if talkative is None else Progress(verbose=talkative)
    gathered.origins = {"meter": "--metrics", **gathered.origins, "metrics": "--metrics"}
    with gathered.named(), results_only(), progress or nullcontext():
        found = measure(
            metrics, notify=progress or ignore, **{name: getattr(settings, name) for name in settings.given}
        )
        if progress is not None:
            for name in listed(metrics):
                progress.tell_known(name, len(found))
    print_found(found, output)
