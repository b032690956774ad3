"""``shape-dnn measure``: metrics with intervals, without training."""

from __future__ import annotations

from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.output import DEBUG, FORMATS, number, print_csv, print_json, print_table, results_only


@click.command("measure")
@click.option("--metrics", default="size,latency", show_default=True, help="Names of metrics, separated by commas.")
@click.option("--config", metavar="FILE.yaml", help="Settings by name.")
@options(
    "arch", "dataset", "data_dir", "depth", "width", "batch_size", "device", "meter", "option", "plugin", "executor",
    "study",
)  # fmt: skip
@click.option("--format", "output", type=FORMATS, default="table", show_default=True, help="Form of the list.")
@DEBUG
def command(metrics: str, config: str | None, output: str, **flags: Any) -> None:
    """Measure metrics of every shape of a space. What the study knows already is not measured again."""
    gathered = gather(flags, config)
    settings = gathered.settings()

    from shape_dnn.api import measure
    from shape_dnn.cli.progress import Progress

    names = [name.strip() for name in metrics.split(",") if name.strip()]
    progress = Progress()
    gathered.origins["metrics"] = "--metrics"
    with gathered.named(), results_only():
        try:
            found = measure(names, notify=progress, **settings.model_dump(exclude_unset=True))
        finally:
            progress.close()
    rows = []
    for shape, measurements in found.items():
        row: dict[str, Any] = {"depth": shape.depth, "width": float(shape.width)}
        for name, m in measurements.items():
            row |= {name: m.value, f"{name}_low": m.low, f"{name}_high": m.high, f"{name}_status": m.status}
        rows.append(row)
    columns = ["depth", "width", *(f"{name}{part}" for name in names for part in ("", "_low", "_high", "_status"))]
    if output == "json":
        print_json(rows)
    elif output == "csv":
        print_csv(rows, columns)
    else:
        cells = [[str(shape.width) if c == "width" else _cell(row[c]) for c in columns]
                 for shape, row in zip(found, rows, strict=True)]  # fmt: skip
        print_table(cells, columns, title=f"{len(rows)} shapes")


def _cell(value: object) -> str:
    if isinstance(value, str | int):
        return str(value)
    return number(value) if isinstance(value, float) else "-"
