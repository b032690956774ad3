"""``shape-dnn doctor``: what this machine can measure, and what targets are fit for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import (
    DEBUG,
    FORMAT,
    PLUGIN_FILES,
    console,
    plain,
    print_csv,
    print_json,
    print_table,
    results_only,
)


@click.command(
    "doctor",
    cls=Command,
    examples={
        "Whether a Raspberry Pi can run networks:": (
            "shape-dnn doctor --target ssh://pi@raspberrypi --deploy onnxruntime"
        )
    },
)
@PLUGIN_FILES
@options("deploy", "target", "option")
@FORMAT
@DEBUG
def command(files: tuple[str, ...], output: str, **flags: Any) -> None:
    """Say which metrics can be measured on which device of this machine, and why not the rest. Measures nothing.

    With --deploy or --target, say also whether what ships runs where it is to run, and what is missing there.
    """
    from shape_dnn.api.doctor import examine
    from shape_dnn.errors import UsageError

    gathered = gather(flags, None)
    asked = {name: gathered.values[name] for name in flags if name in gathered.values}
    with gathered.named(), results_only():
        try:
            diagnosis = examine([Path(name) for name in files], **asked)
        except UsageError as error:
            raise UsageError(error.message, error.setting or "plugin") from None
    found = diagnosis.to_dict()
    columns = ["metric", "meter", "device", "state", "reason"]
    if output == "json":
        print_json(found)
    elif output == "csv":
        blank = dict.fromkeys(columns, "")
        targets = [{**blank, **row, "device": row["target"]} for row in found["targets"]]
        print_csv([*found["meters"], *targets], columns)
    else:
        out = console()
        for name, value in diagnosis.system.items():
            out.print(plain(f"{name}: {value}"))
        for warning in diagnosis.warnings:
            out.print(plain(f"warning: {warning}"))
        print_table([[row[column] or "-" for column in columns] for row in found["meters"]], columns)
        _print_targets(found["targets"])
        untold = [sign for sign, is_told in diagnosis.signs.items() if not is_told]
        if untold:
            out.print(plain(f"this system does not tell: {', '.join(untold)}"))


def _print_targets(targets: list[Mapping[str, Any]]) -> None:
    if not targets:
        return
    columns = ["target", "address", "state", "reason"]
    print_table([[row[column] or "-" for column in columns] for row in targets], columns)
    out = console()
    for row in targets:
        told = {**row["fingerprint"], **row["condition"]}
        parts = [f"{name} {value}" for name, value in told.items() if value not in (None, [], {})]
        if parts:
            out.print(plain(f"{row['target']}: {', '.join(parts)}"))
        for warning in row["warnings"]:
            out.print(plain(f"warning: {warning}"))
