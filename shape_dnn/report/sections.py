"""The parts of the page of a report, and their charts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shape_dnn.constraints import LATENCY
from shape_dnn.report import charts
from shape_dnn.report.charts import Spec
from shape_dnn.report.orders import compare
from shape_dnn.report.overview import Overview
from shape_dnn.report.states import ShapeState


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes:
        id: of its element.
        title: above it.
        description: for those who cannot see it.
        spec: in Vega-Lite; None for the front, of which there is one for each two metrics.
        live: whether it shows what complies.
    """

    id: str
    title: str
    description: str
    spec: Spec | None
    live: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, what to see in it, and charts."""

    id: str
    title: str
    text: str
    layout: str
    charts: tuple[Chart, ...]


def sections(overview: Overview, content: Mapping[str, Any]) -> list[Section]:
    """Return the parts of the page that have something to show, given the overview as JSON values."""
    rows, quality = content["shapes"], overview.quality
    name = quality.name
    columns = {f"m{i}": metric for i, metric in enumerate(overview.metrics)}
    titles = {column: charts.titled(metric.name, metric.unit) for column, metric in columns.items()}
    depths, widths = (len({row[axis] for row in rows}) for axis in ("depth", "width"))
    grid = f"over {depths} depths and {widths} widths"
    fits = []
    if any(row["quality"] is not None or row["mean"] is not None for row in rows):
        about = f"Predicted {name} with 95 % intervals {grid}, and that of the trained shapes."
        fits.append(Chart("fit", f"{name} by depth and width", about, charts.fit(rows, quality, states_in(rows))))
    intervals = [
        Chart(
            f"measured-{c}",
            columns[c].name,
            f"{columns[c].name} by depth with intervals.",
            charts.measured(c, t, {row[f"{c}_status"] for row in rows if row[c] is not None}),
        )
        for c, t in titles.items()
        if any(row[f"{c}_low"] is not None for row in rows)
    ]
    sections = [
        Section("model", f"{name[:1].upper()}{name[1:]} model", "Lines are predictions and the bands their 95 % "
                "intervals; points are trainings. " + _failures(rows, name), "wide", tuple(fits)),
    ]  # fmt: skip
    if columns:
        text = (
            "Each point is a network; those that do not comply are faint. The front is what no other network that "
            "complies beats: a line, or rings if it takes more than two metrics into account. Hollow points were not "
            "trained; their bars are 95 % intervals of what is predicted."
        )
        about = "Shapes by two metrics, and the front of those that comply."
        chart = Chart("front", "front of two metrics", about, None, live=True)
        sections.insert(0, Section("trade-off", "Trade-off", text, "wide", (chart,)))
    if intervals:
        text = "Bars are 95 % intervals. A status other than ok says what disturbed a measurement."
        sections.append(Section("measured", "Measurements", text, "charts", tuple(intervals)))
    sections += [*_order(overview), *_curves(overview, content["curves"])]
    for section in sections:
        for chart in section.charts:
            if chart.spec is not None:
                chart.spec["config"] = charts.THEME
    return sections


def _order(overview: Overview) -> list[Section]:
    if len(overview.timings) < 2:
        return []
    text = (
        "Each point is a shape. A falling line joins two that change their order from one latency to the other, beyond "
        "the intervals of both: whoever chooses by the one gets a slower network by the other."
    )
    about = "Shapes by two latencies, and the pairs of them whose order changes."
    chart = Chart("order", "one latency against another", about, None, live=True)
    return [Section("orders", "Order of latencies", text, "wide", (chart,))]


def _curves(overview: Overview, curves: Sequence[Mapping[str, Any]]) -> list[Section]:
    if not curves:
        return []
    quality = overview.quality
    spec = charts.curves("quality", charts.titled(quality.name, quality.unit))
    shown = [Chart("curve-quality", quality.name, f"{quality.name} of every training by epoch.", spec)]
    if any(point["loss"] is not None for point in curves):
        spec = charts.curves("loss", "training loss")
        shown.append(Chart("curve-loss", "loss", "loss of every training by epoch.", spec))
    text = "One line for each training" + (", before its network was converted." if overview.as_trained else ".")
    return [Section("curves", "Learning curves", text, "charts", tuple(shown))]


def orders(overview: Overview) -> dict[str, dict[str, Any]]:
    """Return what is shown of any two timings, by the places of both: a chart, its pairs of rows, and it in words."""
    rows = {shape: place for place, shape in enumerate(overview.shapes)}
    columns = [(column, f"latency, {timing.title} [{LATENCY.unit}]", timing.values)
               for column, timing in overview.timing_columns.items()]  # fmt: skip
    found = {}
    for (i, (x, x_title, first)), (j, (y, y_title, second)) in itertools.combinations(enumerate(columns), 2):
        order = compare(first, second)
        shown: dict[str, Any] = {
            "text": str(order),
            "pairs": [[rows[one], rows[other]] for one, other in order.drawn],
            "moved": sorted(rows[shape] for shape in order.shapes),
        }
        intervals = [column for column, values in ((x, first), (y, second)) if any(m.low for m in values.values())]
        for key, axes in (
            (f"{i} {j}", {"x": (x, x_title), "y": (y, y_title)}),
            (f"{j} {i}", {"x": (y, y_title), "y": (x, x_title)}),
        ):
            spec = charts.order(axes, intervals, changes=bool(order.drawn))
            found[key] = {**shown, "spec": {**spec, "config": charts.THEME}}
    return found


def doubts(overview: Overview) -> list[Chart]:
    """Return the chart of how the doubt of the search fell, which stands in its story."""
    if overview.story is None or len(overview.story.doubts) < 2:
        return []
    spec = {**charts.doubt(overview.story.doubts, overview.story.wanted), "config": charts.THEME}
    return [Chart("doubt", "doubt", "Doubt by the number of trainings.", spec)]


def states_in(rows: Sequence[Mapping[str, Any]]) -> list[ShapeState]:
    """Return the states of some shapes."""
    found = {row["state"] for row in rows}
    return [state for state in charts.STATES if state in found]


def fronts(overview: Overview, states: Sequence[ShapeState]) -> dict[str, Spec]:
    """Return the chart of any two metrics, by their names."""
    fields = {
        metric.name: (f"m{i}", charts.titled(metric.name, metric.unit)) for i, metric in enumerate(overview.metrics)
    }
    quality = overview.quality
    fields[quality.name] = ("expected", charts.titled(quality.name, quality.unit))
    return {
        f"{x} {y}": {**charts.front(*fields[x], *fields[y], quality, states), "config": charts.THEME}
        for x in fields
        for y in fields
        if x != y
    }


def _failures(rows: list[dict[str, Any]], quality: str) -> str:
    failed = [
        f"{row['name']}: {row['reason']}" for row in rows if row["state"] in (ShapeState.FAILED, ShapeState.STOPPED)
    ]
    return f"Without {quality}, and why: {'; '.join(failed)}." if failed else "No training failed."
