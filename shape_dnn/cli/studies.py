"""``shape-dnn studies``: which studies there are, and how far they are; merging and deleting them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, FORMAT, print_csv, print_json, print_table
from shape_dnn.errors import UsageError
from shape_dnn.system.text import counted

COLUMNS = ["path", "state", "measured", "trained", "failed", "updated"]


class _ListByDefault(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take whatever names no sub-command as the arguments of ``list``."""
        if not args or args[0] not in {*self.commands, "--help", "-h"}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("studies", cls=_ListByDefault)
def command() -> None:
    """List, merge or delete studies."""


@command.command("list", cls=Command)
@click.argument("directory", default=".")
@FORMAT
@DEBUG
def list_(directory: str, output: str) -> None:
    """List the studies in DIRECTORY and below (the default)."""
    from shape_dnn.api import studies

    rows: list[dict[str, Any]] = list(studies.find(Path(directory)))
    for row in rows:
        row["updated"] = None if row["updated"] is None else _when(row["updated"])
    if output == "table":
        cells = [[_cell(row[column]) for column in COLUMNS] for row in rows]
        print_table(cells, COLUMNS, title=counted(len(rows), "study", "studies"))
    elif output == "json":
        print_json(rows)
    else:
        print_csv(rows, COLUMNS)


@command.command("merge", cls=Command)
@click.argument("source")
@click.argument("into")
@DEBUG
def merge(source: str, into: str) -> None:
    """Add to the study INTO what SOURCE knows and it does not. SOURCE stays as it is."""
    from shape_dnn.api import studies

    try:
        merged = studies.merge(Path(source), Path(into))
    except UsageError as error:
        raise UsageError(error.message) from None
    click.echo(
        f"added {counted(merged.measurements, 'measurement')} and {counted(merged.trainings, 'training')} to {into!r}; "
        f"{counted(merged.known, 'fact was', 'facts were')} not needed, since it has a value"
    )


@command.command("delete", cls=Command)
@click.argument("directory")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@DEBUG
def delete(directory: str, yes: bool) -> None:
    """Delete the study in DIRECTORY: its facts, weights and checkpoints."""
    from shape_dnn.api import studies
    from shape_dnn.store.database import FILE_NAME

    path = Path(directory)
    if not yes and (path / FILE_NAME).is_file():
        row = next(row for row in studies.find(path) if row["path"] == str(path))  # there may be others below it
        if not sys.stdin.isatty():
            raise UsageError(f"--yes is needed to delete {directory!r} where nobody can be asked")
        known = f"{_cell(row['measured'])} measurements and {_cell(row['trained'])} trainings"
        if not click.confirm(f"Delete {directory!r} with {known} for good?", err=True):
            click.echo("nothing was deleted")
            return
    others = studies.delete(path)
    kept = f"; {', '.join(repr(other.name) for other in others)} in it stayed" if others else ""
    click.echo(f"deleted the study {directory!r}{kept}")


def _cell(value: object) -> str:
    """Write a number or a text; what is not known is a dash."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
