"""A recorded table as a problem for searches: the truth, and what questions can be asked about it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from shape_dnn.benchmarking.curves import curves_of
from shape_dnn.errors import UsageError
from shape_dnn.kinds import TableFile
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.search.kernel import Floats
from shape_dnn.search.scale import Scale
from shape_dnn.shape import Shape
from shape_dnn.study.tables import Table

ASKED_ABOUT = ("size", "multiply-adds", "latency", "energy", "memory")
"""Metrics that questions are about where a table has them."""
CLOSED_FORMS = frozenset({"size", "params"})
"""Metrics that cost nothing to know."""
ASSUMED_NOISE = 0.2
"""Standard deviation of a training where nothing tells it, in percent (:class:`Scale`): the middle of the paper's
Table 1."""
LEAST = 8
"""Shapes that a question leaves at least."""


@dataclass(frozen=True)
class RecordedTable:
    """What is known of every shape of a table.

    Attributes:
        name: the stem of its file.
        shapes: sorted by width and depth; every array has one row for each.
        qualities: of repeated trainings, of shape (number of shapes, repetitions).
        curves: quality after each epoch, of shape (number of shapes, repetitions, epochs); None if not recorded.
        metrics: what questions are about, by name, known without training.
        seconds: of a training; only ratios matter.
        noise: standard deviation of the qualities of one shape's trainings.
        notes: what was assumed, a sentence each.
        quality: by which trainings are judged.
    """

    name: str
    shapes: Sequence[Shape]
    qualities: Floats
    curves: Floats | None
    metrics: Mapping[str, Floats]
    seconds: Floats
    noise: float
    notes: tuple[str, ...] = ()
    quality: Quality = ACCURACY

    @cached_property
    def truth(self) -> Floats:
        """The mean quality of each shape."""
        return np.asarray(self.qualities.mean(1))

    @cached_property
    def digest(self) -> str:
        """A name for all that determines questions and answers."""
        parts = [self.qualities, self.seconds, *self.metrics.values(), *([] if self.curves is None else [self.curves])]
        words = [str(shape) for shape in self.shapes], list(self.metrics), self.noise, self.quality
        whole = hashlib.sha256(repr(words).encode())
        for part in parts:
            whole.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return whole.hexdigest()[:16]

    @classmethod
    def read(cls, file: TableFile, noise: float | None = None, metrics: Collection[str] = ()) -> RecordedTable:
        """Read a table, and its learning curves if it names some, or ``STEM-curves.csv`` lies beside it.

        Args:
            file: where the table lies.
            noise: standard deviation of a training, for a table that does not tell it.
            metrics: columns that questions are about; by default those of ``ASKED_ABOUT`` that there are.

        Raises:
            UsageError: something in the files cannot be used; names it.
        """
        path, table = file.path, Table.read(file.path)
        name = table.quality.name
        trained = {
            shape: kept for shape in table.shapes if (kept := [r for r in table.rows[shape] if r[name] is not None])
        }
        if len(trained) < LEAST:
            message = f"{path}: {len(trained)} shapes with a value of {name}; a question takes at least {LEAST}"
            raise UsageError(message, setting="table")
        notes = [f"column {name!r} of {path.stem} holds text and is ignored" for name in table.ignored]
        if len(trained) < len(table.shapes):
            notes.append(
                f"{path.stem}: {len(table.shapes) - len(trained)} shapes without a value of {name} are left out"
            )
        read = _Reader(path, table, trained, notes)
        repetitions = min(map(len, trained.values()))
        qualities = np.array([[row[name] for row in rows[:repetitions]] for rows in trained.values()], float)
        seeds = {shape: [int(row.get("seed") or 0) for row in rows] for shape, rows in trained.items()}
        return cls(
            path.stem,
            list(trained),
            qualities,
            curves_of(file, seeds, repetitions, table.quality),
            read.metrics(metrics),
            read.seconds(),
            read.noise(noise),
            tuple(notes),
            table.quality,
        )


@dataclass(frozen=True)
class _Reader:
    """Reads columns of a table, and notes what it had to assume."""

    path: Path
    table: Table
    trained: Mapping[Shape, Sequence[Mapping[str, float | None]]]
    notes: list[str]

    def metrics(self, wanted: Collection[str]) -> dict[str, Floats]:
        """Return what questions are about."""
        there = [name for name in self.table.metrics if name != self.table.quality.name]
        for name in wanted:
            if name not in there:
                known = ", ".join(there) or "none"
                message = f"{self.path} has no metric {name!r}; its metrics are: {known}"
                raise UsageError(message, setting="metrics")
        usual = [name for name in ASKED_ABOUT if name in there]
        named = list(dict.fromkeys(wanted)) or usual or list(filter(self._tells, ("params", "seconds")))[:1]
        if named:
            return {name: self._column(name) for name in named}
        self.notes.append(f"{self.path.stem} has no metric; depth times the square of the width stands for the size")
        return {"size": self._closed_form()}

    def seconds(self) -> Floats:
        """Return the durations of trainings, or what grows as they do."""
        for name in ("seconds", "multiply-adds", "latency"):
            if self._tells(name):  # of seconds the least, since other work on the machine can only add to a duration
                return self._column(name, least=name == "seconds")
        self.notes.append(f"{self.path.stem} has no seconds; depth times the square of the width stands for them")
        return self._closed_form()

    def _tells(self, name: str) -> bool:
        """Tell whether the table has a value of every shape, and not 0 of all."""
        if name not in self.table.columns:
            return False
        known = [[row[name] for row in rows if row[name] is not None] for rows in self.trained.values()]
        return all(known) and any(map(any, known))

    def noise(self, given: float | None) -> float:
        """Return the noise from repeated trainings, or else from the table, or else as given, or else as assumed."""
        name = self.table.quality.name
        groups = [[row[name] or 0.0 for row in rows] for rows in self.trained.values()]
        free = sum(len(group) - 1 for group in groups)
        squares = sum(float(np.var(group)) * len(group) for group in groups)
        if free and squares:
            return math.sqrt(squares / free)
        if self.table.noise is not None:
            return self.table.noise
        if given is not None:
            return given
        is_accuracy = self.table.quality == ACCURACY
        assumed = ASSUMED_NOISE * Scale.of(self.table.quality, [value for group in groups for value in group]).unit
        amount = f"{assumed:g} points are" if is_accuracy else f"a standard deviation of {assumed:.2g} is"
        source = ", the middle of the paper's Table 1" if is_accuracy else ""
        self.notes.append(
            f"{self.path.stem} does not tell the noise of trainings: {amount} assumed{source}; --noise sets it"
        )
        return assumed

    def _column(self, name: str, *, least: bool = False) -> Floats:
        values = []
        for shape, rows in self.trained.items():
            known = [value for row in rows if (value := row[name]) is not None]
            if not known:
                message = f"{self.path} has no {name} of shape {shape}; choose other metrics"
                raise UsageError(message, setting="metrics")
            values.append(min(known) if least else math.fsum(known) / len(known))
        return np.array(values)

    def _closed_form(self) -> Floats:
        return np.array([float(shape.depth * shape.width**2) for shape in self.trained])
