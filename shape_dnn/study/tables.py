"""Recorded tables of shapes and accuracies, and searches that look facts up in them instead of training.

A table is CSV with ``#`` comment lines and the columns ``depth,width,accuracy``; optional are ``seed`` (for repeated
trainings of a shape), ``size``, ``latency``, ``energy``, ``seconds``, and columns of any other metric. A comment
such as ``# noise: 0.12 points`` says how much the accuracies of one shape's trainings vary where each was trained once.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shape_dnn.constraints import Constraint
from shape_dnn.errors import MeterError, UsageError
from shape_dnn.kinds import Formula, Meter, Workload
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training
from shape_dnn.shape import Shape, by_width_then_depth, exact

REQUIRED = ("depth", "width", "accuracy")


@dataclass(frozen=True)
class Table:
    """A recorded table.

    Attributes:
        path: where it was read.
        columns: their names.
        rows: for each shape its recorded repetitions in the order of their seeds, a row by column.
        noise: standard deviation of the accuracies of one shape's trainings in points, if a comment says so.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[Shape, Sequence[Mapping[str, float | None]]]
    noise: float | None = None

    @property
    def shapes(self) -> list[Shape]:
        """The design space: every shape of the table, sorted by width and depth."""
        return sorted(self.rows, key=by_width_then_depth)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The columns that are metrics."""
        return tuple(name for name in self.columns if name not in ("depth", "width", "seed"))

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read a table.

        Raises:
            UsageError: names file, line and column of what cannot be used.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", setting="replay") from None
        except UnicodeDecodeError:
            raise UsageError(f"{str(path)!r} is not a text file in UTF-8", setting="replay") from None
        lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
        if not lines:
            raise UsageError(f"{str(path)!r} holds no table", setting="replay")
        cells = [_cells(f"{path}:{number}", line) for number, line in lines]
        columns = tuple(cells[0])
        where = f"{path}:{lines[0][0]}"
        missing = [name for name in REQUIRED if name not in columns]
        if missing or len(set(columns)) < len(columns):
            problem = f"no column {missing[0]!r}" if missing else "a column name occurs twice"
            message = f"{where}: {problem}; a table has the columns {','.join(REQUIRED)} and any others"
            raise UsageError(message, setting="replay")
        found: dict[Shape, dict[float, dict[str, float | None]]] = {}
        for (number, _), record in zip(lines[1:], cells[1:], strict=True):
            where = f"{path}:{number}"
            if len(record) != len(columns):
                raise UsageError(f"{where}: {len(record)} values for {len(columns)} columns", setting="replay")
            raw = dict(zip(columns, record, strict=True))
            shape = _shape(where, raw)
            row = {name: _number(where, name, raw[name]) for name in columns if name not in ("depth", "width")}
            repetitions = found.setdefault(shape, {})
            seed = row.get("seed") or 0.0
            if seed in repetitions:
                message = f"{where}: shape {shape} occurs twice; tell repeated trainings apart by a column seed"
                raise UsageError(message, setting="replay")
            repetitions[seed] = row
        rows = {shape: [rows[seed] for seed in sorted(rows)] for shape, rows in found.items()}
        if not rows:
            raise UsageError(f"{str(path)!r} has no rows", setting="replay")
        return cls(path, columns, rows, _noise(path, text))


class Replay:
    """Facts from a table: each look-up of an accuracy counts as one training.

    Args:
        table: what was recorded.
        seed: which repetition of each shape to use, in the order of its seeds, counted from 0 and wrapping around.
        meters: by metric, for closed forms of metrics that the table lacks.
        workload: for these; None if the user did not say what the table was recorded with.
    """

    def __init__(
        self,
        table: Table,
        seed: int = 0,
        meters: Mapping[str, Loaded[Meter]] | None = None,
        workload: Workload | None = None,
    ) -> None:
        self._table = table
        self._rows = {shape: rows[seed % len(rows)] for shape, rows in table.rows.items()}
        self._meters = meters or {}
        self._workload = workload

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Look a metric up.

        Raises:
            MeterError: the table does not hold it, and it cannot be computed.
        """
        if metric in self._table.columns:
            values = [self._rows[shape][metric] for shape in shapes]
            if shapes and all(value is None for value in values):
                raise MeterError(f"{self._table.path} has no value in column {metric!r} for any shape in question")
            return values
        meter = self._meters.get(metric)
        if meter is not None and isinstance(meter.instance, Formula) and self._workload is not None:
            return checked.compute(meter.instance, self._workload, shapes)
        computable = meter is not None and isinstance(meter.instance, Formula)
        hint = "; give --arch and --dataset to have it computed" if computable else ""
        raise MeterError(f"{self._table.path} has no column {metric!r}, and a replay measures nothing{hint}")

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Look a metric up: there is nothing to spare."""
        return self.measure(metric, shapes)

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Begin with nothing: every look-up counts."""
        return []

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look accuracies up."""
        return [
            Training(shape, row["accuracy"], "" if row["accuracy"] is not None else "no accuracy recorded",
                     seconds=row.get("seconds"))
            for shape in shapes
            for row in (self._rows[shape],)
        ]  # fmt: skip

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look accuracies up."""
        return self.train(shapes)

    def test(self, shape: Shape) -> float | None:
        """Tables hold no second accuracy."""
        return None


def _noise(path: Path, text: str) -> float | None:
    """Read the comment that tells the noise, if there is one."""
    for number, line in enumerate(text.splitlines(), 1):
        told = re.match(r"#\s*noise:(.*)", line)
        if told is None:
            continue
        value = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*points\s*", told[1])
        if value is None or not float(value[1]):
            message = f"{path}:{number}: {line.strip()!r} is not of the form '# noise: 0.12 points'"
            raise UsageError(message, setting="replay")
        return float(value[1])
    return None


def _cells(where: str, line: str) -> list[str]:
    """Split one line; a quoted cell cannot run into the next."""
    try:
        (record,) = csv.reader([line], strict=True)
    except csv.Error as error:
        raise UsageError(f"{where}: not a line of CSV: {error}", setting="replay") from None
    return [cell.strip() for cell in record]


def _shape(where: str, raw: Mapping[str, str]) -> Shape:
    try:
        depth, width = exact(raw["depth"]), exact(raw["width"])
    except ValueError:
        raise UsageError(
            f"{where}: depth {raw['depth']!r} and width {raw['width']!r} are not numbers", "replay"
        ) from None
    if depth.denominator != 1 or depth <= 0 or width <= 0:
        raise UsageError(
            f"{where}: depth {depth} is not a whole number above 0, or width {width} not above 0", "replay"
        )
    return Shape(int(depth), width)


def _number(where: str, column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{where}: {column} {text!r} is not a number", setting="replay") from None
    if not math.isfinite(value):
        raise UsageError(f"{where}: {column} {text!r} is not finite", setting="replay")
    if column == "accuracy" and not 0 <= value <= 100:
        raise UsageError(f"{where}: accuracy {text!r} is not a percentage from 0 to 100", setting="replay")
    if value < 0:
        raise UsageError(f"{where}: {column} {text!r} is below 0", setting="replay")
    return value
