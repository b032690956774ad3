"""Recorded tables of shapes and what their trainings came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class TableFile:
    """Where a recorded table lies, for ``--replay`` and ``shape-dnn simulate``.

    Attributes:
        path: CSV with the columns ``depth,width,accuracy`` and any others that hold a metric, a row for every training.
            Where trainings are judged by something else, a comment says so (:mod:`shape_dnn.study.tables`), and the
            column has its name.
        curves: CSV with the columns ``depth,width,seed,epoch,accuracy``, a row for every epoch of these trainings; None
            if their learning curves were not recorded.
    """

    path: Path
    curves: Path | None = None
