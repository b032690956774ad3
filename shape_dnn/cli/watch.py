"""``shape-dnn watch``: a page that follows a study while a search runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG


@click.command(
    "watch",
    cls=Command,
    examples={
        "A search that runs in shape-dnn-study:": "shape-dnn watch shape-dnn-study",
        "All studies in this directory and below:": "shape-dnn watch .",
    },
)
@click.argument("study", metavar="STUDY|DIR")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to serve it at on this machine, 0 to 65535; 0 is one that is free.  [default: 0]",
)
@options("plugin")
@DEBUG
def command(study: str, port: int, **flags: Any) -> None:
    """Serve a page that shows STUDY while a search runs in it, or all studies below DIR beside each other.

    Prints the address, which only this machine can open, and serves until it is interrupted (Ctrl-C). Nothing in the
    study is changed. The report is on the page; after the search it is that of shape-dnn report.
    """
    gathered = gather(flags, None, environ={})
    gathered.origins |= {"study": "STUDY|DIR", "port": "--port"}

    from shape_dnn.watching.server import serving
    from shape_dnn.watching.studies import Directory

    with gathered.named():
        directory = Directory(Path(study), gathered.values.get("plugin", ()))
        with serving(directory, port) as server, suppress(KeyboardInterrupt):
            click.echo(server.address)
            server.serve_forever()
