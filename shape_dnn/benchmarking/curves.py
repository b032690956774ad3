"""Recorded learning curves, which lie beside a table."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from shape_dnn.errors import UsageError
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape, exact

NAMES = ("{}-curves.csv", "{}_curves.csv")


def is_curves_of(path: Path, tables: Collection[Path]) -> bool:
    """Tell whether a file has the name of the learning curves of one of some tables."""
    return any(path == table.with_name(name.format(table.stem)) for table in tables for name in NAMES)


def curves_beside(path: Path, seeds: Mapping[Shape, Sequence[int]], repetitions: int) -> Floats | None:
    """Read the curves of a table.

    Args:
        path: of the table.
        seeds: of the trainings of each shape, in order.
        repetitions: how many of them count.

    Returns:
        Accuracies in percent, of shape (number of shapes, repetitions, epochs); None if there is no such file.

    Raises:
        UsageError: names what is missing.
    """
    found = [place for name in NAMES if (place := path.with_name(name.format(path.stem))).is_file()]
    if not found:
        return None
    curves = _read(found[0])
    rows = []
    for shape, own in seeds.items():
        for seed in own[:repetitions]:
            if (shape, seed) not in curves:
                raise UsageError(f"{found[0]} has no curve of shape {shape}, seed {seed}", setting="table")
            rows.append(curves[shape, seed])
    longest = max(map(len, rows))
    if min(map(len, rows)) < longest:
        raise UsageError(f"{found[0]}: some curves are shorter than the {longest} epochs of others", setting="table")
    return np.array(rows).reshape(len(seeds), repetitions, longest)


def _read(path: Path) -> dict[tuple[Shape, int], list[float]]:
    """Read all curves, by shape and seed."""
    curves: dict[tuple[Shape, int], list[float]] = {}
    with path.open(encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip() and not line.startswith("#")]
    rows = csv.DictReader(line for _, line in lines)
    for (number, _), row in zip(lines[1:], rows, strict=False):
        try:
            shape = Shape(int(row["depth"]), exact(row["width"]))
            accuracy, seed = float(row["accuracy"]), int(row.get("seed") or 0)
        except (KeyError, TypeError, ValueError):
            message = f"{path}:{number}: not a row of depth, width, accuracy, and seed if there is one"
            raise UsageError(message, setting="table") from None
        curves.setdefault((shape, seed), []).append(accuracy)
    return curves
