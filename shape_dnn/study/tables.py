"""Recorded tables of shapes and what their trainings came to, and searches that look facts up in them.

A table is CSV with ``#`` comment lines and the columns ``depth,width,accuracy``; optional are ``seed`` (for repeated
trainings of a shape), ``size``, ``latency``, ``energy``, ``memory``, ``seconds``, and columns of any other metric.
Columns that hold text are ignored. A comment ``# quality: loss nats lower 0:`` says by what the trainings are judged if
that is not accuracy, in a column of that name instead: its name, its unit if it has one, whether a higher or a lower
value is better, and bounds, of which either may be missing. A comment ``# noise: 0.12 points`` gives the standard
deviation of the quality over one shape's trainings, where repeated trainings cannot tell it.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from shape_dnn.constraints import Constraint
from shape_dnn.errors import MeterError, UsageError
from shape_dnn.kinds import Formula, Meter, Workload
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.sources import Loaded
from shape_dnn.quality import ACCURACY, Better, Quality
from shape_dnn.records import Training
from shape_dnn.shape import Shape, by_width_then_depth, exact

SHAPE = ("depth", "width")
NUMBERS = (*SHAPE, "accuracy", "seed", "size", "latency", "energy", "memory", "seconds")
"""Columns in which text is a mistake; in any other it is ignored."""
NOISE, QUALITY = "# noise:", "# quality:"


@dataclass(frozen=True)
class Table:
    """A recorded table.

    Attributes:
        path: where it was read.
        columns: names of those that hold numbers.
        rows: for each shape its recorded repetitions in the order of their seeds, a row by column.
        ignored: names of the columns that hold text.
        noise: standard deviation of the qualities of one shape's trainings, if the file tells it.
        quality: by which trainings are judged; the name of its column.
        comments: lines that start with ``#``, which may tell how it was recorded.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[Shape, Sequence[Mapping[str, float | None]]]
    ignored: tuple[str, ...] = ()
    noise: float | None = None
    quality: Quality = ACCURACY
    comments: tuple[str, ...] = ()

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
        lines = _Lines.read(path)
        quality, numbers = lines.quality, {*NUMBERS, lines.quality.name}
        ignored = tuple(name for name in lines.columns if name not in numbers and lines.holds_text(name))
        columns = tuple(name for name in lines.columns if name not in ignored)
        found: dict[Shape, dict[float, dict[str, float | None]]] = {}
        for where, raw in lines.records:
            shape = _shape(where, raw)
            row = {name: _number(where, name, raw[name], quality) for name in columns if name not in SHAPE}
            repetitions = found.setdefault(shape, {})
            seed = row.get("seed") or 0.0
            if seed in repetitions:
                message = f"{where}: shape {shape} occurs twice; tell repeated trainings apart by a column seed"
                raise UsageError(message, setting="replay")
            repetitions[seed] = row
        rows = {shape: [rows[seed] for seed in sorted(rows)] for shape, rows in found.items()}
        comments = tuple(line for _, line in lines.comments)
        return cls(path, columns, rows, ignored, _noise(lines.comments), quality, comments)


def read_curves(path: Path, quality: Quality = ACCURACY) -> dict[tuple[Shape, int], tuple[float, ...]]:
    """Read the learning curves of the trainings of a table.

    They are CSV like a table, with a row for every epoch of a training in order; a column ``epoch``, if there is one,
    counts them from 1.

    Args:
        path: the file.
        quality: by which the trainings are judged, as the table has it.

    Returns:
        By shape and seed, the quality after each epoch.

    Raises:
        UsageError: names file, line and column of what cannot be used.
    """
    found: dict[tuple[Shape, int], list[float]] = {}
    for where, raw in _Lines.read(path, quality).records:
        shape, seed = _shape(where, raw), _number(where, "seed", raw.get("seed", ""), quality) or 0.0
        curve = found.setdefault((shape, int(seed)), [])
        value = _number(where, quality.name, raw[quality.name], quality)
        epoch = len(curve) + 1 if "epoch" not in raw else _number(where, "epoch", raw["epoch"], quality)
        if value is None or epoch != len(curve) + 1:
            message = f"{where}: not the {quality.name} of {shape} with seed {seed:g} after epoch {len(curve) + 1}"
            raise UsageError(f"{message}; the epochs of a training follow each other", setting="replay")
        curve.append(value)
    return {training: tuple(curve) for training, curve in found.items()}


class Replay:
    """Facts from a table: each look-up of a quality counts as one training.

    Args:
        table: what was recorded.
        seed: which repetition of each shape to use, in the order of its seeds, counted from 0 and wrapping around.
        meters: by metric, for closed forms of metrics that the table lacks.
        workload: for these; None if the user did not say what the table was recorded with.
        seeds: how many repetitions the search uses; those after them are for shapes that are trained again.
    """

    def __init__(
        self,
        table: Table,
        seed: int = 0,
        meters: Mapping[str, Loaded[Meter]] | None = None,
        workload: Workload | None = None,
        seeds: int = 1,
    ) -> None:
        self._table = table
        self._again = {s: rows[(seed + seeds) % len(rows)] for s, rows in table.rows.items() if len(rows) >= 2 * seeds}
        self._rows = {shape: rows[seed % len(rows)] for shape, rows in table.rows.items()}
        self._meters = meters or {}
        self._workload = workload

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Look a metric up.

        Raises:
            MeterError: the table does not hold it, and it cannot be computed.
        """
        if metric in self._table.columns:
            if all(row[metric] is None for row in self._rows.values()):
                raise MeterError(f"{self._table.path} has no value in column {metric!r} for any of its shapes")
            return [self._rows[shape][metric] for shape in shapes]
        meter = self._meters.get(metric)
        if meter is not None and isinstance(meter.instance, Formula) and self._workload is not None:
            return checked_meters.compute(meter.instance, self._workload, shapes)
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
        """Look qualities up."""
        return [self._training(shape, self._rows[shape]) for shape in shapes]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look qualities up."""
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Look the next repetitions up, of those shapes that have any."""
        return [self._training(shape, self._again[shape]) for shape in shapes if shape in self._again]

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Tables hold no second quality."""
        return None

    def _training(self, shape: Shape, row: Mapping[str, float | None]) -> Training:
        name = self._table.quality.name
        reason = f"no {name} recorded" if row[name] is None else ""
        return Training(shape, row[name], reason, seconds=row.get("seconds"))


def quality_line(quality: Quality) -> str:
    """Write a quality as the comment of a table has it, such as ``loss nats lower 0:``."""
    least, most = ("" if math.isinf(bound) else f"{bound:.12g}" for bound in (quality.minimum, quality.maximum))
    bounds = f"{least}:{most}" if least or most else ""
    return " ".join(part for part in (quality.name, quality.unit, quality.better, bounds) if part)


@dataclass(frozen=True)
class _Lines:
    """The lines of a file of CSV, each with file and line number.

    Attributes:
        quality: by which trainings are judged.
        comments: as they stand.
        columns: names.
        records: cells by column; at least one.
    """

    quality: Quality
    comments: Sequence[tuple[str, str]]
    columns: Sequence[str]
    records: Sequence[tuple[str, Mapping[str, str]]]

    @classmethod
    def read(cls, path: Path, quality: Quality | None = None) -> _Lines:
        """Read a file, of this quality if it does not say so itself."""
        lines = [(f"{path}:{i}", line) for i, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
        comments = [(where, line) for where, line in lines if line.startswith("#")]
        cells = [(where, _cells(where, line)) for where, line in lines if not line.startswith("#")]
        if not cells:
            raise UsageError(f"{str(path)!r} holds no table", setting="replay")
        quality = quality or _quality(comments) or ACCURACY
        required = (*SHAPE, quality.name)
        (where, columns), *rows = cells
        missing = [name for name in required if name not in columns]
        if missing or len(set(columns)) < len(columns):
            problem = f"no column {missing[0]!r}" if missing else "a column name occurs twice"
            message = f"{where}: {problem}; a table has the columns {','.join(required)} and any others"
            raise UsageError(message, setting="replay")
        for where, row in rows:
            if len(row) != len(columns):
                raise UsageError(f"{where}: {len(row)} values for {len(columns)} columns", setting="replay")
        if not rows:
            raise UsageError(f"{str(path)!r} has no rows", setting="replay")
        return cls(quality, comments, columns, [(where, dict(zip(columns, row, strict=True))) for where, row in rows])

    def holds_text(self, column: str) -> bool:
        """Tell whether any cell of a column that is not empty is no number."""
        return any(raw[column] and not _is_number(raw[column]) for _, raw in self.records)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", setting="replay") from None
    except UnicodeDecodeError:
        raise UsageError(f"{str(path)!r} is not a text file in UTF-8", setting="replay") from None


def _cells(where: str, line: str) -> list[str]:
    """Split one line; a quoted cell cannot run into the next."""
    try:
        (record,) = csv.reader([line], strict=True)
    except csv.Error as error:
        raise UsageError(f"{where}: not a line of CSV: {error}", setting="replay") from None
    return [cell.strip() for cell in record]


def _noise(comments: Iterable[tuple[str, str]]) -> float | None:
    """Read the comment that tells the noise, if there is one; whatever follows the number is free."""
    where, text = _told(comments, NOISE)
    if not where:
        return None
    number = (text.split() or [""])[0].rstrip(",;")
    if not (_is_number(number) and 0 <= float(number) < math.inf):
        form = f"expected a number from 0, as in '{NOISE} 0.12 points'"
        raise UsageError(f"{where}: noise {number!r} is not understood; {form}", setting="replay")
    return float(number)


def _quality(comments: Iterable[tuple[str, str]]) -> Quality | None:
    """Read the comment that tells the quality, if there is one."""
    where, text = _told(comments, QUALITY)
    if not where:
        return None
    form = r"\s*(\S+)(?:\s+(\S+))?\s+(higher|lower)(?:\s+([^\s:]*):([^\s:]*))?\s*"
    match = re.fullmatch(form, text)
    bounds = (
        [bound or infinity for bound, infinity in zip(match.groups()[3:], ("-inf", "inf"), strict=True)]
        if match
        else []
    )
    if match is None or not all(map(_is_number, bounds)):
        accepted = f"a name, a unit or none, higher or lower, and bounds or none, as in '{QUALITY} loss nats lower 0:'"
        raise UsageError(f"{where}: the quality {text.strip()!r} is not understood; expected {accepted}", "replay")
    try:
        return Quality(match[1], match[2] or "", cast("Better", match[3]), *map(float, bounds))
    except ValueError as error:
        raise UsageError(f"{where}: the quality is not understood: {error}", setting="replay") from None


def _told(comments: Iterable[tuple[str, str]], what: str) -> tuple[str, str]:
    """Return where a comment tells something, and what follows; nothing if none does."""
    told = [(where, text.removeprefix(what)) for where, text in comments if text.startswith(what)]
    if len(told) > 1:
        raise UsageError(f"{told[-1][0]}: the {what.strip('# :')} is told twice", setting="replay")
    return told[0] if told else ("", "")


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


def _number(where: str, column: str, text: str, quality: Quality) -> float | None:
    if not text:
        return None
    if not _is_number(text):
        raise UsageError(f"{where}: {column} {text!r} is not a number", setting="replay")
    value = float(text)
    if not math.isfinite(value):
        raise UsageError(f"{where}: {column} {text!r} is not finite", setting="replay")
    if column == quality.name and not quality.allows(value):
        kind = "percentage" if quality.unit == "%" else "number"
        raise UsageError(f"{where}: {column} {text!r} is not a {kind} {quality.metric.range}", setting="replay")
    if value < 0 and column != quality.name:
        raise UsageError(f"{where}: {column} {text!r} is below 0", setting="replay")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
