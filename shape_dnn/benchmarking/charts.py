"""The charts of a comparison, as Vega-Lite specifications that hold their data.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; a method has a form as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shape_dnn.report.charts import Spec

Rows = Sequence[Mapping[str, Any]]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#767676")
FORMS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-left", "triangle-right")


def _by_method(methods: Sequence[str], shown: Rows) -> Spec:
    """Return the channels that say by colour and form which of all methods it is; no two have the same of both."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(methods))]
    forms = [FORMS[i % len(FORMS)] for i in range(len(methods))]
    there = {row["method"] for row in shown}
    values = [name for name in methods if name in there]
    names, legend = list(methods), {"orient": "bottom", "columns": 2, "title": None, "values": values}
    return {
        "color": {"field": "method", "type": "nominal", "scale": {"domain": names, "range": colours}, "legend": legend},
        "shape": {"field": "method", "type": "nominal", "scale": {"domain": names, "range": forms}, "legend": legend},
    }


def cost(values: Rows, methods: Sequence[str]) -> Spec:
    """Show the part of wrong answers against training time, a line for a method with a point after every training."""
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": "training seconds, % of all candidates",
        "axis": {"tickCount": 5},
    }
    y = {"field": "wrong", "type": "quantitative", "title": "answers worse than the noise, %"}
    channels = _by_method(methods, values)
    return {
        "data": {"values": list(values)},
        "encoding": {"x": x, "y": y, "color": channels["color"]},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.2}, "encoding": {"order": {"field": "trainings"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 0.9, "tooltip": {"content": "data"}},
                "encoding": {"shape": channels["shape"]},
            },
        ],
        "width": "container",
        "height": 300,
    }


def reliability(values: Rows) -> Spec:
    """Show the part of decisions that missed a better shape by the doubt that they stated."""
    scale = {"domain": [0, 1]}
    x = {"field": "doubt", "type": "quantitative", "title": "stated doubt", "scale": scale}
    missed = {"type": "quantitative", "title": "missed a better shape", "scale": scale}
    y = {**missed, "field": "missed"}
    return {
        "layer": [
            {
                "data": {"values": [{"doubt": 0, "missed": 0}, {"doubt": 1, "missed": 1}]},
                "mark": {"type": "line", "color": "#767676", "strokeDash": [4, 4], "strokeWidth": 1},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": list(values)},
                "encoding": {"x": x},
                "layer": [
                    {
                        "mark": {"type": "rule", "color": "#0072B2", "strokeWidth": 1.5},
                        "encoding": {"y": {**missed, "field": "low"}, "y2": {"field": "high"}},
                    },
                    {
                        "mark": {"type": "point", "filled": True, "color": "#0072B2", "size": 60, "opacity": 1,
                                 "tooltip": {"content": "data"}},
                        "encoding": {"y": y},
                    },
                    {
                        "mark": {"type": "text", "dx": 6, "dy": -6, "align": "left", "fontSize": 10,
                                 "color": "currentColor"},
                        "encoding": {"y": y, "text": {"field": "decisions"}},
                    },
                ],
            },
        ],
        "width": "container",
        "height": 260,
    }  # fmt: skip


def coverage(values: Rows, methods: Sequence[str]) -> Spec:
    """Show the coverage of each method on each table."""
    x = {"field": "coverage", "type": "quantitative", "title": "coverage", "scale": {"domain": [0, 1]},
         "axis": {"tickCount": 5}}  # fmt: skip
    tables = list(dict.fromkeys(row["table"] for row in values))
    return {
        "layer": [
            {
                "data": {"values": [{"nominal": 0.9}]},
                "mark": {"type": "rule", "color": "#767676", "strokeDash": [4, 4]},
                "encoding": {"x": {**x, "field": "nominal"}},
            },
            {
                "data": {"values": list(values)},
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.9, "tooltip": {"content": "data"}},
                "encoding": {
                    "x": x,
                    "y": {"field": "table", "type": "nominal", "title": None, "sort": tables},
                    **_by_method(methods, values),
                },
            },
        ],
        "width": "container",
        "height": 30 * len(tables),
    }
