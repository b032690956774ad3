"""One HTML file with all figures of a comparison: it works without a network, on light and dark grounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from shape_dnn.benchmarking import charts, comparison
from shape_dnn.benchmarking.comparison import Performance, Row
from shape_dnn.benchmarking.judging import Outcome
from shape_dnn.benchmarking.statistics import Bin
from shape_dnn.report.charts import THEME, Spec
from shape_dnn.report.page import complete, save

INTERVALS = {
    "trainings": ("trainings_low", "trainings_high"),
    "within_percent": ("within_low", "within_high"),
    "violations_percent": ("violations_low", "violations_high"),
}
"""Figures that have an interval, which stands beside them."""
AS_GOOD = ("as_good_low", "as_good_high", "most_trainings")
"""Figures that stand beside the number of trainings that are as good."""


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        id: of its element.
        title: above it.
        description: for those who cannot see it.
        spec: in Vega-Lite.
    """

    id: str
    title: str
    description: str
    spec: Spec


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, what to see in it, and charts."""

    id: str
    title: str
    text: str
    charts: Sequence[Chart]


def write(rows: Sequence[Row], found: Sequence[Performance], path: Path) -> None:
    """Write the page.

    Args:
        rows: the figures.
        found: how each method did, question by question.
        path: of the file.

    Raises:
        UsageError: the file cannot be written.
    """
    save(render(rows, found), path)


def render(rows: Sequence[Row], found: Sequence[Performance]) -> str:
    """Return the page as HTML."""
    sections = [
        Section("cost", "Wrong answers against cost", "Of a method that never stops there is a point after every "
                "training.", _costs(found)),
        Section("reliability", "Is doubt what it says?", "Every decision of a search states the probability that it "
                "missed a better shape. Points on the line state it rightly; bars are 95 % intervals by the counts, "
                "which stand beside the points. Decisions about one question are alike, so the bars are too short: on "
                "three recorded tables by a tenth to a third.", _reliability(found)),
        Section("coverage", "Do intervals hold what they say?", "Trainings that were not made, within the 90 % "
                "intervals of their predictions; the line is 90 %.", _coverage(rows)),
    ]  # fmt: skip
    sections = [section for section in sections if section.charts]
    return complete(
        "benchmarking",
        [{"id": c.id, "spec": {**c.spec, "config": THEME}} for section in sections for c in section.charts],
        ["benchmarking/benchmarking.js"],
        sections=sections,
        columns=[name.replace("_", " ").replace("percent", "[%]") for name in _columns()],
        rows=[_cells(row) for row in rows],
        asked=[_about(each) for each in {each.table.name: each for each in found}.values()],
        bins=_bins(found),
    )


def _columns() -> list[str]:
    ends = {*AS_GOOD, *(end for both in INTERVALS.values() for end in both)}
    return [field.name for field in fields(Row) if field.name not in ends]


def _cells(row: Row) -> list[str]:
    cells = []
    for name in _columns():
        text = _number(row.as_good if name == "as_good_after" else getattr(row, name))
        if name in INTERVALS:
            low, high = (_number(getattr(row, end)) for end in INTERVALS[name])
            text += f" ({low} to {high})"
        cells.append(text)
    return cells


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.3g}" if isinstance(value, float) else str(value)


def _about(each: Performance) -> str:
    table = each.table
    number, repetitions = table.qualities.shape
    about = f"{number} shapes with {repetitions} trainings each, which vary by {table.quality.difference(table.noise)}"
    return "; ".join([f"{table.name}: {about}", f"questions are about {', '.join(table.metrics)}", *table.notes]) + "."


def _costs(found: Sequence[Performance]) -> list[Chart]:
    made = []
    for number, (table, own) in enumerate(comparison.by_table(found).items()):
        values = [
            {
                "method": each.method.spec,
                "trainings": comparison.mean(outcomes, lambda o: o.trainings),
                "cost": 100 * (comparison.mean(outcomes, lambda o: o.seconds) or 0.0),
                "wrong": 100 * (1 - comparison.part_within(outcomes)),
            }
            for each in own
            for outcomes in each.steps
        ]
        about = f"Answers worse than the noise against training time on {table}, for every method; also in the table."
        made.append(Chart(f"cost-{number}", table, about, charts.cost(values, [each.method.spec for each in own])))
    return made


def _reliability(found: Sequence[Performance]) -> list[Chart]:
    made = []
    for number, (method, bins) in enumerate(_pooled(found).items()):
        values = [
            {"doubt": b.doubt, "missed": b.part, "low": b.interval[0], "high": b.interval[1], "decisions": b.decisions}
            for b in bins
        ]
        about = f"Part of the decisions of {method} that missed a better shape, by the doubt that they stated."
        made.append(Chart(f"reliability-{number}", method, about, charts.reliability(values)))
    return made


def _pooled(found: Sequence[Performance]) -> dict[str, list[Bin]]:
    """Return the decisions of every method that states doubts, on all tables, in bins."""
    outcomes: dict[str, list[Outcome]] = {}
    for own in comparison.by_table(found).values():
        for each, reported in comparison.reported(own):
            outcomes.setdefault(each.method.spec, []).extend(reported)
    return {method: bins for method, each in outcomes.items() if (bins := comparison.bins(each))}


def _bins(found: Sequence[Performance]) -> list[list[str]]:
    """Return the cells of the table of bins."""
    return [
        [method, f"{b.low:.1f} to {b.high:.1f}", f"{b.doubt:.3f}", str(b.decisions), str(b.missed), f"{b.part:.3f}",
         f"{b.interval[0]:.3f} to {b.interval[1]:.3f}"]
        for method, bins in _pooled(found).items()
        for b in bins
    ]  # fmt: skip


def _coverage(rows: Sequence[Row]) -> list[Chart]:
    values = [
        {"method": row.method, "table": row.table, "coverage": row.coverage} for row in rows if row.coverage is not None
    ]
    if not values:
        return []
    about = "Part of the trainings within the 90 % intervals of their predictions, for every table and method."
    methods = list(dict.fromkeys(row.method for row in rows))
    return [Chart("coverage-0", "coverage", about, charts.coverage(values, methods))]
