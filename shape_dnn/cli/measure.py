"""``shape-dnn measure``: metrics with intervals, without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.output import DEBUG, FORMAT, number, print_csv, print_json, print_table, results_only

if TYPE_CHECKING:
    from shape_dnn.records import Measurement


@click.command("measure")
@click.option("--metrics", default="size,latency", show_default=True, help="Names of metrics, separated by commas.")
@click.option("--config", metavar="FILE.yaml", envvar="SHAPE_DNN_CONFIG", help="Settings by name.")
@options(
    "arch", "dataset", "data_dir", "depth", "width", "batch_size", "device", "meter", "fit_depths", "option", "plugin",
    "executor", "study", "remeasure",
)  # fmt: skip
@FORMAT
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
        cells = [
            [str(shape.depth), str(shape.width), *(_cell(measurements[name]) for name in names)]
            for shape, measurements in found.items()
        ]
        print_table(cells, ["depth", "width", *names], title=f"{len(rows)} shapes")


def _cell(measurement: Measurement) -> str:
    """Write a value with its interval, if it has one, or why there is none."""
    if measurement.value is None:
        return measurement.status
    value, low, high = number(measurement.value), number(measurement.low), number(measurement.high)
    interval = "" if low == high else f" ({low} to {high})"
    return value + interval + ("" if measurement.status == "ok" else f", {measurement.status}")
