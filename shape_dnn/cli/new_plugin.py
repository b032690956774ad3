"""``shape-dnn new-plugin``: a package to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG
from shape_dnn.plugins.table_of_kinds import KINDS


@click.command(
    "new-plugin", cls=Command, examples={"A sampler to start from:": "shape-dnn new-plugin mine --kind sampler"}
)
@click.argument("name")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(sorted(KINDS)),
    metavar="KIND",
    help=f"Kind of the plugin: {', '.join(sorted(KINDS))}.",
)
@click.option(
    "--directory", default=".", metavar="DIR", help="Directory in which the package is written.", show_default=True
)
@DEBUG
def command(name: str, kind: str, directory: str) -> None:
    """Write a package shape-dnn-NAME with a plugin that works, and tests, to start from."""
    from shape_dnn.api.new_plugin import write

    path = write(name, kind, Path(directory))
    install, test = shlex.quote(f"{path}[test]"), shlex.quote(str(path))
    click.echo(f"wrote {path}; try it:  pip install -e {install} && pytest {test}")
