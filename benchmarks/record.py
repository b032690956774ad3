"""Record a grid of trainings as a table to replay, with learning curves in a second one.

``python benchmarks/record.py NAME --seeds 3 FLAGS`` trains every shape of a space with every seed; FLAGS are those of a
search, such as ``--dataset digits --depth 10:47:6 --width 1/8:5/4:1/8``. Interrupted, it goes on from its study.
The tables are written to the package ``shape-dnn-tables`` as ``NAME.csv`` and ``NAME-curves.csv``.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from shape_dnn.api.tune import run
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.display.progress import Progress
from shape_dnn.records import Training
from shape_dnn.settings import Settings

TABLES = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables"


def record(name: str, seeds: int, settings: Mapping[str, str | list[str]]) -> None:
    """Train, and write both tables."""
    trainings: list[tuple[int, Training, float]] = []
    for seed in range(seeds):
        given = {"study": f"recorded-{name}", **settings, "strategy": "exhaustive", "seed": str(seed)}
        parts = Assembly(Settings.create(given))
        with Progress() as progress:
            result = run(parts, progress)
        sizes = result.metrics["size"]
        trainings += [(seed, training, sizes[training.shape] or 0.0) for training in result.answer.trainings]
    recipe = ", ".join(f"{key} {value}" for key, value in dataclasses.asdict(parts.recipe).items())
    named = {key: value for key, value in settings.items() if key not in ("study", "data_dir", "workers", "option")}
    flags = " ".join(
        [f"--{key.replace('_', '-')} {value}" for key, value in named.items()]
        + [f"-o {option}" for option in settings["option"]]
    )
    head = [
        f"# validation accuracy in percent, size in MB, seconds of a training; {flags}",
        f"# recipe: {recipe}",
        f"# {datetime.now(UTC):%Y-%m-%d}, one thread of {_processor()}, Python {platform.python_version()},"
        f" torch {metadata.version('torch')}, shape-dnn {metadata.version('shape-dnn')}",
    ]
    rows = [
        (t.shape.depth, t.shape.width, seed, _text(t.accuracy), f"{size:.6g}", f"{t.seconds:.3f}")
        for seed, t, size in trainings
    ]
    _write(TABLES / f"{name}.csv", head, ("depth", "width", "seed", "accuracy", "size", "seconds"), rows)
    epochs = [
        (t.shape.depth, t.shape.width, seed, epoch.number, f"{epoch.loss:.5g}", f"{epoch.accuracy:.5g}")
        for seed, t, _ in trainings
        for epoch in t.curve
    ]
    _write(TABLES / f"{name}-curves.csv", head, ("depth", "width", "seed", "epoch", "loss", "accuracy"), epochs)


def _text(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.6g}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _write(path: Path, head: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\n".join(head) + "\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def main() -> None:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, default=3)
    arguments, flags = parser.parse_known_args()
    settings: dict[str, str | list[str]] = {"option": []}
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        if flag in ("-o", "--option"):
            settings["option"] = [*settings["option"], value]
        else:
            settings[flag.removeprefix("--").replace("-", "_")] = value
    record(arguments.name, arguments.seeds, settings)


if __name__ == "__main__":
    main()
