"""The charts of a report and of figures, as Vega-Lite specifications.

Each takes its data from the dataset of the name it is given, whose rows are those of
:func:`shape_dnn.report.encoding.encode`. Colours are those of Okabe and Ito, or viridis, which people with
any colour vision can tell apart; what a colour says is also said by form, opacity or text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shape_dnn.quality import Quality
from shape_dnn.report.states import ShapeState

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]


SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
ACCENT = "#26828e"
"""Of viridis, on light grounds and on dark ones."""
STATES = {
    ShapeState.VERIFIED: ("#E69F00", "diamond"),
    ShapeState.TRAINED: (ACCENT, "circle"),
    ShapeState.PREDICTED: ("#767676", "square"),
    ShapeState.STOPPED: ("#CC79A7", "triangle-down"),
    ShapeState.FAILED: ("#D55E00", "cross"),
    ShapeState.UNKNOWN: ("#767676", "circle"),
}
"""Colour and form of each state."""
DEVIATIONS = 1.96
"""Standard deviations on either side that hold 95 % of a normal distribution."""

THEME: Spec = {
    "background": None,
    "font": "Inter, Helvetica Neue, Segoe UI, Roboto, Liberation Sans, Arial, sans-serif",
    "aria": False,  # every chart has a description of its own, and the table below has all values
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor", "titleColor": "currentColor", "domainColor": "currentColor",
        "tickColor": "currentColor", "gridColor": "currentColor", "gridOpacity": 0.1, "titleFontWeight": "normal",
        "labelFontSize": 11, "titleFontSize": 12, "labelOpacity": 0.8, "titleOpacity": 0.8, "domain": False,
        "ticks": False, "labelPadding": 6, "titlePadding": 10,
    },
    "legend": {
        "labelColor": "currentColor", "titleColor": "currentColor", "titleFontWeight": "normal", "labelFontSize": 11,
        "titleFontSize": 12, "symbolStrokeWidth": 1.5, "gradientLength": 120,
    },
    "header": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 11, "titleFontSize": 12},
    "title": {"color": "currentColor"},
}  # fmt: skip
"""Colours follow the text around a chart, so that it is readable on light and dark grounds and in print."""


def titled(name: str, unit: str) -> str:
    """Write a metric with its unit."""
    return f"{name} [{unit}]" if unit else name


def front(x: str, x_title: str, y: str, y_title: str, quality: Quality, states: Sequence[ShapeState]) -> Spec:
    """Show two columns of every shape against each other, with the front of those that comply.

    What was not trained is hollow, and has a bar as long as the 95 % interval of its prediction. A front of these two
    columns is a line; the shapes on one of more have rings. Rows need ``on_front``, ``on_line`` and ``complies``.
    """
    from_above = x == "expected" and quality.better == "higher"  # whoever asks for more of it gets the next shape
    bars = [
        {
            "transform": [{"filter": "datum.complies && datum.quality === null && isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 1, "color": "#767676", "opacity": 0.45},
            "encoding": {
                axis: quantity("low", title),
                f"{axis}2": {"field": "high"},
            },
        }
        for axis, column, title in (("x", x, x_title), ("y", y, y_title))
        if column == "expected"
    ]
    return {
        "data": {"name": "shapes"},
        "transform": [{"filter": f"isValid(datum['{x}']) && isValid(datum['{y}'])"}],
        "encoding": {"x": quantity(x, x_title), "y": quantity(y, y_title)},
        "layer": [
            *bars,
            {
                "transform": [{"filter": "datum.on_line"}],
                "mark": {"type": "line", "interpolate": "step-before" if from_above else "step-after",
                         "color": "currentColor", "strokeWidth": 1.5},
                "encoding": {"order": {"field": x, "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "tooltip": {"content": "data"}, "size": 55, "strokeWidth": 1.5},
                "encoding": {
                    **by_state(states),
                    "fillOpacity": {"condition": {"test": "datum.quality === null", "value": 0}, "value": 1},
                    "opacity": {"condition": {"test": "datum.complies", "value": 1}, "value": 0.3},
                },
            },
            {
                "transform": [{"filter": "datum.on_front && !datum.on_line"}],
                "mark": {"type": "point", "shape": "circle", "size": 190, "stroke": "currentColor", "strokeWidth": 1.5},
            },
            {"transform": [{"filter": "datum.best"}], "mark": STAR},
        ],
        "width": "container",
        "height": 380,
    }  # fmt: skip


STAR: Spec = {
    "type": "point", "size": 220, "filled": True, "fill": "#FFFFFF", "stroke": "#000000", "strokeWidth": 1.5,
    "strokeJoin": "round", "opacity": 1,
    "shape": "M0,-1L0.22,-0.31L0.95,-0.31L0.36,0.12L0.59,0.81L0,0.38L-0.59,0.81L-0.36,0.12L-0.95,-0.31L-0.22,-0.31Z",
}  # fmt: skip
"""What marks the answer, as on the map."""


def doubt(rows: Rows, wanted: float | None) -> Spec:
    """Show how the doubt of a search fell with its trainings, in percent, and below which it may end."""
    y = {"field": "doubt", "type": "quantitative", "title": "doubt [%]", "axis": {"tickCount": 4}}
    line: Spec = {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "point": {"size": 40, "filled": True, "tooltip": False}, "color": ACCENT},
        "encoding": {"x": whole("trained", "trainings"), "y": y},
    }
    limit: Spec = {
        "data": {"values": [{"doubt": wanted}]},
        "mark": {"type": "rule", "strokeDash": [4, 4], "stroke": "currentColor", "opacity": 0.6},
        "encoding": {"y": y},
    }
    return {"layer": [line, *([limit] if wanted is not None else [])], "width": "container", "height": 200}


def fit(rows: Rows, quality: Quality, states: Sequence[ShapeState]) -> Spec:
    """Show predicted qualities with 95 % intervals against the trained ones, over the axis with more values."""
    title = titled(quality.name, quality.unit)
    depths, widths = {row["depth"] for row in rows}, {row["width"] for row in rows}
    along, name = ("depth", "width") if len(depths) >= len(widths) else ("width", "depth")
    facet = {"field": "fraction", "sort": fractions(rows)} if name == "width" else {"field": "depth"}
    channel = whole("depth") if along == "depth" else quantity("width", "width")
    x = {**channel, "scale": {"zero": False, "nice": False}}
    return {
        "data": {"name": "shapes"},
        "facet": {**facet, "type": "ordinal", "title": name},
        "columns": 4,
        "spec": {
            "encoding": {"x": x},
            "layer": [
                {
                    "transform": [{"filter": "isValid(datum.low)"}],
                    "mark": {"type": "area", "opacity": 0.2, "color": ACCENT},
                    "encoding": {"y": quantity("low", title), "y2": {"field": "high"}},
                },
                {
                    "transform": [{"filter": "isValid(datum.mean)"}],
                    "mark": {"type": "line", "color": ACCENT, "strokeWidth": 1.5},
                    "encoding": {"y": quantity("mean", title)},
                },
                {
                    "transform": [{"filter": "isValid(datum.quality)"}],
                    "mark": {"type": "point", "size": 40, "tooltip": {"content": "data"}},
                    "encoding": {"y": quantity("quality", title), **by_state(states)},
                },
            ],
            "width": 170,
            "height": 120,
        },
    }


def measured(column: str, title: str, statuses: Collection[str]) -> Spec:
    """Show a measured metric of every shape with its interval, and by its status whether it was undisturbed."""
    domain = sorted(statuses, key=lambda status: (status != "ok", status))  # ok comes first, and has the first colour
    field = {"field": f"{column}_status", "type": "nominal", "title": "status"}
    color = {**field, "scale": {"domain": domain, "range": [ACCENT, "#D55E00", "#E69F00", "#CC79A7", "#767676"]}}
    return {
        "data": {"name": "shapes"},
        "transform": [{"filter": f"isValid(datum['{column}'])"}],
        "encoding": {"x": whole("depth"), "color": color},
        "layer": [
            {
                "transform": [{"filter": f"isValid(datum['{column}_low']) && isValid(datum['{column}_high'])"}],
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"y": quantity(f"{column}_low", title), "y2": {"field": f"{column}_high"}},
            },
            {
                "mark": {"type": "point", "size": 40, "tooltip": {"content": "data"}},
                "encoding": {
                    "y": quantity(column, title),
                    "shape": {**field, "scale": {"domain": domain}},
                },
            },
        ],
        "width": "container",
        "height": 260,
    }


def order(axes: Mapping[str, tuple[str, str]], intervals: Sequence[str], *, changes: bool) -> Spec:
    """Show two latencies of every shape against each other, and the pairs of shapes whose order changes.

    Rows need ``order``, either ``keeps`` or ``changes``; pairs of the dataset ``pairs`` have the columns of both axes,
    those of the second shape with a 2.

    Args:
        axes: of x and y the column, and what stands at the axis.
        intervals: the columns of which some shape has an interval.
        changes: whether there are such pairs. A layer without data would have no axes.
    """
    places = {axis: _logarithmic(*which) for axis, which in axes.items()}
    kinds: Spec = {"domain": ["changes", "keeps"]}
    color: Spec = {"scale": {**kinds, "range": ["#D55E00", ACCENT]}}
    shape: Spec = {"scale": {**kinds, "range": ["diamond", "circle"]}}
    pairs: Spec = {
        "data": {"name": "pairs"},
        "mark": {"type": "rule", "color": "#D55E00", "opacity": 0.5, "tooltip": {"content": "data"}},
        "encoding": {**places, **{f"{axis}2": {"field": f"{column}2"} for axis, (column, _) in axes.items()}},
    }
    bars: list[Spec] = [
        {
            "transform": [{"filter": f"datum['{column}_low'] > 0 && isValid(datum['{column}_high'])"}],
            "mark": {"type": "rule", "opacity": 0.3},
            "encoding": {**places, axis: _logarithmic(f"{column}_low", title), f"{axis}2": {"field": f"{column}_high"}},
        }
        for axis, (column, title) in axes.items()
        if column in intervals
    ]
    return {
        "data": {"name": "shapes"},
        "transform": [{"filter": " && ".join(f"datum['{column}'] > 0" for column, _ in axes.values())}],
        "layer": [
            *([pairs] if changes else []),
            *bars,
            {
                "mark": {"type": "point", "shape": "circle", "size": 260, "stroke": "currentColor", "strokeWidth": 2},
                "encoding": {**places, "opacity": {"condition": {"test": "datum.best", "value": 1}, "value": 0}},
            },
            {
                "mark": {"type": "point", "tooltip": {"content": "data"}, "size": 45},
                "encoding": {
                    **places,
                    "color": {"field": "order", "type": "nominal", **color},
                    "shape": {"field": "order", "type": "nominal", **shape},
                    "opacity": {"condition": {"test": "datum.complies", "value": 1}, "value": 0.25},
                },
            },
        ],
        "width": "container",
        "height": 360,
    }


def curves(value: str, title: str) -> Spec:
    """Show the learning curve of every training: ``quality`` or ``loss`` by epoch."""
    return {
        "data": {"name": "curves"},
        "transform": [{"filter": f"isValid(datum.{value})"}],
        "mark": {"type": "line", "strokeWidth": 1.2, "tooltip": {"content": "data"}},
        "encoding": {
            "x": whole("epoch"),
            "y": quantity(value, title),
            "color": {"field": "width", "type": "quantitative", "scale": {"scheme": "viridis"}},
            "strokeDash": {"field": "depth", "type": "ordinal"},
            "detail": {"field": "name", "type": "nominal"},
        },
        "width": "container",
        "height": 260,
    }


def quantity(field: str, title: str) -> Spec:
    """Return the channel of a number that need not start at 0."""
    axis = {"tickCount": 6}
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False}, "axis": axis}


def whole(field: str, title: str = "") -> Spec:
    """Return the channel of a whole number; ticks between, which a short axis has all the same, have no labels."""
    labels = "datum.value % 1 ? '' : format(datum.value, ',')"
    return {**quantity(field, title or field), "axis": {"tickCount": 6, "tickMinStep": 1, "labelExpr": labels}}


def _logarithmic(field: str, title: str) -> Spec:
    """Return the channel of a positive number, of which factors are told apart rather than differences."""
    scale = {"type": "log", "nice": False, "padding": 12}
    return {"field": field, "type": "quantitative", "title": title, "scale": scale}


def by_state(states: Sequence[ShapeState]) -> Spec:
    """Return the channels that say by colour and form what is known of a quality; the legend has these states."""
    colors, shapes = (list(part) for part in zip(*(STATES[state] for state in states), strict=True))
    names = [str(state) for state in states]
    legend = {"title": None, "orient": "top"}
    color = {"field": "state", "type": "nominal", "scale": {"domain": names, "range": colors}, "legend": legend}
    shape = {"field": "state", "type": "nominal", "scale": {"domain": names, "range": shapes}, "legend": legend}
    return {"stroke": color, "fill": color, "shape": shape}


def fractions(rows: Rows) -> list[str]:
    """Return the widths as fractions, ascending."""
    return [text for _, text in sorted({(row["width"], row["fraction"]) for row in rows})]
