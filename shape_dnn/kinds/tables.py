"""Recorded tables of shapes and of the results of their trainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class TableFile:
    """Where a recorded table lies, for ``--replay`` and ``shape-dnn simulate``.

    Attributes:
        path: CSV file with the columns ``depth,width,accuracy`` and one for each other metric, and with a row for every
            training. If trainings are judged by another quality, a comment says so (:mod:`shape_dnn.study.tables`), and
            the column has its name.
        curves: CSV file with the columns ``depth,width,seed,epoch,accuracy``, and with a row for every epoch of these
            trainings; None if their learning curves were not recorded.
    """

    path: Path
    curves: Path | None = None
