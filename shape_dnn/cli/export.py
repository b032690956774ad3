"""``shape-dnn export``: a trained network of a study, in files that work without it."""

from __future__ import annotations

import json
from typing import Any

import click

from shape_dnn.cli.config import gather, options
from shape_dnn.cli.help import Command
from shape_dnn.cli.output import DEBUG, results_only
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.settings import QUESTION


@click.command(
    "export",
    cls=Command,
    examples={
        "The smallest network of 95 % or more, as ONNX:": (
            "shape-dnn export shape-dnn-study --min-accuracy 95% --goal size --formats onnx"
        )
    },
)
@click.argument("study")
@click.option(
    "--shape",
    metavar="DEPTH,WIDTH",
    help="Depth and width of the network, 10,3/4.  [default: the best trained one]",
)
@click.option("--output", "-O", metavar="DIR", help="Directory to write.  [default: export/DEPTH-WIDTH in the study]")
@click.option("--formats", metavar="NAME,NAME", help="Any of safetensors, pt2, onnx, artifact.  [default: what ships]")
@options(*(name for name in QUESTION if name != "pareto"), "option", "plugin", "trainer")
@DEBUG
def command(study: str, shape: str | None, output: str | None, formats: str | None, **flags: Any) -> None:
    """Write the best network of STUDY, or the one of a shape, as safetensors, torch.export and ONNX files.

    The best one is that of the search unless limits or a goal are given. A classifier takes batches of any number of
    images with pixels from 0 to 1, a network of another trainer what it takes there: its file has to be named again by
    --trainer, as it builds the network. Nothing is trained.
    """
    gathered = gather(flags, None, environ={})
    gathered.origins["study"] = "STUDY"

    from shape_dnn.exporting import CARD, export

    with gathered.named(), results_only():
        directory = export(study, output, shape=shape, formats=formats, **gathered.values)
    card = json.loads((directory / CARD).read_text(encoding="utf-8"))
    click.echo(_describe(card), err=True)
    for path in sorted(directory.iterdir()):
        click.echo(str(path))


def _describe(card: dict[str, Any]) -> str:
    shape, metrics, agreement = card["shape"], card["metrics"], card["agreement"]
    quality = Quality(**card.get("quality", ACCURACY.record))
    trained, tested = metrics[quality.name], metrics[f"test_{quality.name}"]
    known = f"trained {quality.name} {quality.with_unit(trained)}"
    seeds = card["training"].get("seeds", 1)
    known += f" with seed {card['training']['seed']}, of {seeds} whose mean the search tells" if seeds > 1 else ""
    lines = [f"depth {shape['depth']}, width {shape['fraction']}: {known}"]
    if tested is not None:
        lines.append(f"test {quality.name} {quality.with_unit(tested)}")
    for name, difference in agreement["largest_difference"].items():
        what, on = ("logits", "images") if "images" in agreement else ("outputs", "examples")
        differ = f"differ by at most {difference:.1e}" if difference else "do not differ"
        lines.append(f"{what} of {name} {differ} on {agreement[on]} {on}")
    return "; ".join(lines)
