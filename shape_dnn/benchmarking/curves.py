"""Recorded learning curves, which lie beside a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from shape_dnn.errors import UsageError
from shape_dnn.kinds import TableFile
from shape_dnn.quality import Quality
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape
from shape_dnn.study.tables import read_curves

NAMES = ("{}-curves.csv", "{}_curves.csv")


def is_curves_of(path: Path, tables: Collection[Path]) -> bool:
    """Tell whether a file has the name of the learning curves of one of some tables."""
    return any(path == table.with_name(name.format(table.stem)) for table in tables for name in NAMES)


def curves_of(
    file: TableFile, seeds: Mapping[Shape, Sequence[int]], repetitions: int, quality: Quality
) -> Floats | None:
    """Read the curves of a table: those that it names, or else those that lie beside it.

    Args:
        file: where the table lies.
        seeds: of the trainings of each shape, in order.
        repetitions: how many of them count.
        quality: by which they are judged.

    Returns:
        Qualities, of shape (number of shapes, repetitions, epochs); None if there are none.

    Raises:
        UsageError: names what is missing.
    """
    beside = [place for name in NAMES if (place := file.path.with_name(name.format(file.path.stem))).is_file()]
    path = file.curves or next(iter(beside), None)
    if path is None:
        return None
    curves = read_curves(path, quality)
    rows = []
    for shape, own in seeds.items():
        for seed in own[:repetitions]:
            if (shape, seed) not in curves:
                raise UsageError(f"{path} has no curve of shape {shape}, seed {seed}", setting="table")
            rows.append(curves[shape, seed])
    longest = max(map(len, rows))
    if min(map(len, rows)) < longest:
        raise UsageError(f"{path}: some curves are shorter than the {longest} epochs of others", setting="table")
    return np.array(rows).reshape(len(seeds), repetitions, longest)
