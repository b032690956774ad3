"""``shape-dnn tune``: Algorithm 1."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import EXAMPLES, Command, Option
from shape_dnn.cli.output import (
    CONFIG,
    DEBUG,
    FORMAT,
    QUIET,
    VERBOSE,
    is_debugging,
    is_verbose,
    print_result,
    results_only,
)
from shape_dnn.declaring import Group


@click.command("tune", cls=Command, examples=EXAMPLES, first=True)
@CONFIG
@options()
@click.option(
    "--dry-run",
    cls=Option,
    group=Group.OUTPUT,
    is_flag=True,
    help="Only show what would be trained. Nothing is measured or trained.",
)
@click.option(
    "--print-config",
    cls=Option,
    group=Group.GENERAL,
    is_flag=True,
    help="Only print every setting and where it came from, as YAML, and the recipe.",
)
@FORMAT
@QUIET
@VERBOSE
@DEBUG
def command(
    config: str | None,
    dry_run: bool,
    print_config: bool,
    output: str,
    quiet: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Find the shapes that meet the limits and, given a goal, the best of them.

    Cheap limits are applied first. A well-chosen part of the remaining shapes is trained, the accuracy of the others
    predicted, and the best shape by the goal is trained before it is returned.
    """
    talkative = is_verbose(quiet, verbose)
    gathered = gather(flags, config)
    if print_config:
        with results_only():
            text = gathered.as_yaml()
        click.echo(text)
        return
    settings = gathered.settings()

    from shape_dnn.api.tune import run
    from shape_dnn.assembly.assembly import Assembly
    from shape_dnn.display.progress import Progress
    from shape_dnn.events import ignore

    progress = None if talkative is None else Progress(verbose=talkative, debug=is_debugging())
    with gathered.named(), results_only(), progress or nullcontext():
        result = run(Assembly(settings, origins=gathered.origins), progress or ignore, dry_run=dry_run)
    print_result(result, output)
    result.raise_if_empty()
