"""Writes the detectors of YOLOBench as tables for ``shape-dnn bench``: ``python benchmarks/detectors.py FILE.csv DIR``.

The file holds several families at several resolutions, of which each is a table of its own. Its depths are multipliers,
many below 1; a table has them in hundredths.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

LEAST = 12
"""Shapes that a family must have."""
NOISE = 0.3
"""Points by which a training is assumed to vary, since there is one of each."""


def main(source: str, directory: str) -> None:
    """Write a table for each family and resolution."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    for name, rows in read(Path(source)).items():
        _write(Path(directory) / f"{name}.csv", Path(source).name, rows)


def read(source: Path) -> dict[str, list[dict[str, str]]]:
    """Return the detectors of each family at each resolution, of families that have enough shapes."""
    with source.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    tables: dict[str, list[dict[str, str]]] = {}
    for row in sorted(rows, key=lambda row: (row["family"], row["resolution"])):
        tables.setdefault(f"{row['family']}-{row['resolution']}", []).append(row)
    return {name: own for name, own in tables.items() if len(own) >= LEAST}


def _write(path: Path, source: str, rows: Sequence[dict[str, str]]) -> None:
    lines = [f"# {path.stem} of {source}; accuracy: mAP in percent, depth in hundredths", f"# noise: {NOISE} points"]
    lines.append("depth,width,accuracy,latency")
    for row in rows:
        depth = round(float(row["depth"]) * 100)
        lines.append(f"{depth},{row['width']},{row['accuracy']},{row['latency']}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
