"""``shape-dnn studies``: which studies there are, and how far they are."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.output import DEBUG, FORMAT, print_csv, print_json, print_table


@click.command("studies")
@click.argument("directory", default=".")
@FORMAT
@DEBUG
def command(directory: str, output: str) -> None:
    """List the studies in DIRECTORY and below."""
    from shape_dnn.errors import ShapeDnnError, UsageError
    from shape_dnn.store import FILE_NAME, Store

    root = Path(directory)
    if not root.is_dir():
        raise UsageError(f"DIRECTORY: {directory!r} is not a directory")
    rows: list[dict[str, Any]] = []
    for path in sorted(root.rglob(FILE_NAME)):
        row: dict[str, Any] = {"path": str(path.parent)}
        try:
            store = Store(path.parent, create=False)
            row |= store.summary()
            store.close()
        except ShapeDnnError as error:
            row |= {"state": f"unreadable: {error}", "measured": None, "trained": None, "failed": None,
                    "updated": None}  # fmt: skip
        rows.append(row)
    columns = ["path", "state", "measured", "trained", "failed", "updated"]
    if output == "table":
        cells = [["-" if row[c] is None else _when(row[c]) if c == "updated" else str(row[c]) for c in columns]
                 for row in rows]  # fmt: skip
        print_table(cells, columns, title=f"{len(rows)} studies")
        return
    records = [{**row, "updated": None if row["updated"] is None else _when(row["updated"])} for row in rows]
    if output == "json":
        print_json(records)
    else:
        print_csv(records, columns)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
