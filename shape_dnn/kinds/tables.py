"""Recorded tables of shapes and accuracies."""

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
        curves: CSV with the columns ``depth,width,seed,epoch,accuracy``, a row for every epoch of these trainings; None
            if their learning curves were not recorded.
    """

    path: Path
    curves: Path | None = None
