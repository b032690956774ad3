"""``shape-dnn doctor``: what this machine can measure."""

from __future__ import annotations

from pathlib import Path

import click

from shape_dnn.cli.output import DEBUG, FORMAT, console, plain, print_csv, print_json, print_table, results_only


@click.command("doctor")
@click.option("--plugin", "files", multiple=True, metavar="FILE.py", help="Python file that declares plugins.")
@FORMAT
@DEBUG
def command(files: tuple[str, ...], output: str) -> None:
    """Say which metrics can be measured on which device of this machine, and why not the rest. Measures nothing."""
    from shape_dnn.api.doctor import examine
    from shape_dnn.errors import UsageError

    try:
        with results_only():
            diagnosis = examine([Path(name) for name in files])
    except UsageError as error:
        raise UsageError(f"--plugin: {error.message}") from None
    found = diagnosis.to_dict()
    columns = ["metric", "meter", "device", "state", "reason"]
    if output == "json":
        print_json(found)
    elif output == "csv":
        print_csv(found["meters"], columns)
    else:
        out = console()
        for name, value in diagnosis.system.items():
            out.print(plain(f"{name}: {value}"))
        print_table([[row[column] or "-" for column in columns] for row in found["meters"]], columns)
        untold = [sign for sign, is_told in diagnosis.signs.items() if not is_told]
        if untold:
            out.print(plain(f"this system does not tell: {', '.join(untold)}"))
