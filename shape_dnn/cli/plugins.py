"""``shape-dnn plugins``: what is installed, and why something cannot be used."""

from __future__ import annotations

from pathlib import Path

import click

from shape_dnn.cli.output import DEBUG, FORMATS, print_csv, print_json, print_table, results_only


@click.command("plugins")
@click.option("--plugin", "files", multiple=True, metavar="FILE.py", help="Python file that declares plugins.")
@click.option("--kind", help="Only this kind.")
@click.option("--format", "output", type=FORMATS, default="table", show_default=True, help="Form of the list.")
@DEBUG
def command(files: tuple[str, ...], kind: str | None, output: str) -> None:
    """List every plugin with kind, distribution, version and state."""
    from shape_dnn.cli.config import Gathered
    from shape_dnn.errors import UsageError
    from shape_dnn.plugins import KINDS, Registry

    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind: {kind!r} is not a kind; known are {', '.join(KINDS)}")
    with Gathered().named(), results_only():
        registry = Registry([Path(name) for name in files])
    entries = [entry for entry in registry.entries() if kind in (None, entry.kind)]
    columns = ["name", "kind", "distribution", "version", "state", "reason"]
    rows = [
        dict(zip(columns, (e.name, e.kind, e.source.distribution, e.source.version, e.state, e.reason), strict=True))
        for e in entries
    ]
    if output == "json":
        print_json(rows)
    elif output == "csv":
        print_csv(rows, columns)
    else:
        print_table([[str(value or "-") for value in row.values()] for row in rows], columns)
