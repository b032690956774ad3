"""Recorded tables, as the charts read them."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from statistics import fmean

from shape_dnn import Shape

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "plugins" / "shape-dnn-tables" / "shape_dnn_tables"
Rows = list[dict[str, str]]


def path_of(name: str) -> str:
    """Return where a recorded table lies."""
    return str(TABLES / f"{name}.csv")


@lru_cache
def read(path: str | Path) -> Rows:
    """Read a table without its comments."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def accuracies(name: str) -> dict[Shape, list[float]]:
    """Return the accuracies of every shape of a recorded table, in the order of their seeds."""
    found: dict[Shape, list[float]] = {}
    for row in read(path_of(name)):
        found.setdefault(shape_of(row), []).append(float(row["accuracy"]))
    return found


def means(name: str, column: str) -> dict[Shape, float]:
    """Return the mean of a column for every shape of a recorded table."""
    found: dict[Shape, list[float]] = {}
    for row in read(path_of(name)):
        found.setdefault(shape_of(row), []).append(float(row[column]))
    return {shape: fmean(values) for shape, values in found.items()}


def shape_of(row: dict[str, str]) -> Shape:
    """Return the shape of a row."""
    return Shape.parse(f"{row['depth']},{row['width']}")
