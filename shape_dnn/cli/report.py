"""``shape-dnn report``: what a study knows as one HTML file, and figures of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, results_only
from shape_dnn.settings import QUESTION


@click.command(
    "report",
    cls=Command,
    examples={
        "A page to send, by another question:": (
            "shape-dnn report shape-dnn-study --max-size 2MB --goal accuracy -O page.html"
        )
    },
)
@click.argument("study")
@click.option("--output", "-O", metavar="FILE.html", help="Where to write it.  [default: report.html in the study]")
@click.option(
    "--figures", metavar="DIR", help="Also write the paper's figures 3 to 7 for this study, SVG, PNG and PDF."
)
@options(*QUESTION, "option", "plugin")
@DEBUG
def command(study: str, output: str | None, figures: str | None, **flags: Any) -> None:
    """Write one HTML file with all that STUDY knows. Nothing is measured or trained.

    Limits and goal are those of the search unless others are given; whoever reads the report can change them.
    """
    gathered = gather(flags, None, environ={})
    gathered.origins |= {"study": "STUDY", "report": "--output"}

    from shape_dnn.report import write_report

    with gathered.named(), results_only():
        written = write_report(study, output, figures=figures, **gathered.values)
    for path in written:
        click.echo(str(Path(path)))
