"""``shape-dnn plugins``: what is installed, and why something cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, FORMAT, PLUGIN_FILES, print_csv, print_json, print_table, results_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shape_dnn.plugins.registry import Registry


@click.command(
    "plugins",
    cls=Command,
    examples={"Every dataset, with its options:": "shape-dnn plugins --kind dataset"},
)
@PLUGIN_FILES
@click.option("--kind", metavar="KIND", help="Only plugins of this kind, and the options of each.")
@FORMAT
@DEBUG
def command(files: tuple[str, ...], kind: str | None, output: str) -> None:
    """List every plugin with kind, distribution, version and state; those of one kind with their options."""
    from shape_dnn.errors import UsageError
    from shape_dnn.plugins.registry import Registry
    from shape_dnn.plugins.sources import EntryState
    from shape_dnn.plugins.table_of_kinds import KINDS

    kind = next((known.name for known in KINDS.values() if kind == known.flag), kind)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind: {kind!r} is not a kind; known are {', '.join(KINDS)}")
    try:
        with results_only():
            registry = Registry([Path(name) for name in files])
    except UsageError as error:
        raise UsageError(f"--plugin: {error.message}") from None
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
        cells = []
        for entry in entries:
            what = entry.reason or (entry.plugin.summary if entry.plugin else "")
            cells.append([entry.name, entry.kind or "-", str(entry.source), entry.state, what])
            if kind is not None and entry.state == EntryState.OK:
                cells += [["", "", "", "", line] for line in _options(registry, kind, entry.name)]
        print_table(cells, ["name", "kind", "source", "state", "what it is, or why it cannot be used"])


def _options(registry: Registry, kind: str, name: str) -> Iterator[str]:
    from shape_dnn.errors import PluginError
    from shape_dnn.plugins.table_of_kinds import KINDS

    try:
        options = registry.options(kind, name)
    except PluginError as error:  # its code is imported only now
        yield str(error)
        return
    for option, declared in sorted(options.items()):
        accepted = f" ({', '.join(map(str, declared.choices))})" if declared.choices else ""
        yield f"-o {KINDS[kind].flag}.{option}={declared.default}  {declared.help}{accepted}"
