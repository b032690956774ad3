"""Charts of learning curves, as they were recorded beside the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charted.tables import path_of
from shape_dnn import Epoch, Shape, Training
from shape_dnn.plugins.registry import Registry
from shape_dnn.report.charts import ACCENT, Spec, quantity
from shape_dnn.study.tables import read_curves

RECIPES = {"wrn-digits": "short recipe, 12 epochs", "wrn-digits-paper-recipe": "the paper's recipe, 200 epochs"}
SHAPES = ("10,1/8", "10,3/4", "28,1/2")
"""Whose trainings by both recipes are compared."""


def curves_of(name: str) -> dict[Shape, tuple[float, ...]]:
    """Return the first learning curve of every shape of a recorded table."""
    path = Path(path_of(name))
    found = read_curves(path.with_name(f"{path.stem}-curves.csv"))
    return {shape: curve for (shape, seed), curve in found.items() if seed == 0}


def recipes() -> Spec:
    """The same shapes trained by a short recipe and by the paper's."""
    rows = []
    for name, recipe in RECIPES.items():
        for shape in map(Shape.parse, SHAPES):
            curve = curves_of(name)[shape]
            kept = [n for n in range(1, len(curve) + 1) if n <= 20 or n % 4 == 0]
            rows += [{"recipe": recipe, "shape": str(shape), "epoch": n, "accuracy": curve[n - 1]} for n in kept]
    x = {"field": "epoch", "type": "quantitative", "title": "epoch",
         "scale": {"type": "log", "domain": [1, 200]}, "axis": {"values": [1, 2, 5, 12, 50, 200]}}  # fmt: skip
    y = {**quantity("accuracy", "validation accuracy [%]"), "scale": {"domain": [50, 100]}}
    color = {"field": "shape", "type": "nominal", "title": "depth, width", "sort": None,
             "scale": {"range": ["#E69F00", ACCENT, "#CC79A7"]}}  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"field": "recipe", "type": "nominal", "title": None, "sort": list(RECIPES.values())},
        "spec": {
            "mark": {"type": "line", "strokeWidth": 1.6, "clip": True},
            "encoding": {"x": x, "y": y, "color": color},
            "width": 250,
            "height": 210,
        },
    }


def stopped(name: str, shapes: Sequence[Shape], curves: dict[Shape, tuple[float, ...]]) -> dict[Shape, int]:
    """Return after how many epochs a terminator lets each training end, one after the other in this order."""
    terminator = Registry([]).load("terminator", name).instance
    ends: dict[Shape, int] = {}
    others: list[Training] = []
    for shape in shapes:
        curve = tuple(Epoch(number, None, quality) for number, quality in enumerate(curves[shape], start=1))
        end = next((n for n in range(1, len(curve)) if terminator.should_stop(curve[:n], len(curve), others)), None)
        ends[shape] = end or len(curve)
        others.append(Training(shape, None if end else curve[-1].quality, "", curve[: ends[shape]]))
    return ends


def terminators() -> Spec:
    """Which of sixteen trainings two terminators stop, and when."""
    curves = curves_of("wrn-fashion-mnist")
    shapes = sorted(curves, key=lambda shape: (shape.width, shape.depth))[::4]
    rows: list[dict[str, Any]] = []
    titles = []
    for name in ("median", "asha"):
        ends = stopped(name, shapes, curves)
        spent = sum(ends.values()) / sum(len(curves[shape]) for shape in shapes)
        title = f"{name}: {spent:.0%} of all epochs"
        titles.append(title)
        for shape, end in ends.items():
            kind = "finished" if end == len(curves[shape]) else "stopped"
            rows += [
                {"terminator": title, "shape": str(shape), "epoch": n, "accuracy": quality, "kind": kind,
                 "last": n == end and kind == "stopped"}
                for n, quality in enumerate(curves[shape][:end], start=1)
            ]  # fmt: skip
    color = {"field": "kind", "type": "nominal", "title": None,
             "scale": {"domain": ["finished", "stopped"], "range": [ACCENT, "#D55E00"]}}  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"field": "terminator", "type": "nominal", "title": None, "sort": titles},
        "spec": {
            "encoding": {
                "x": {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1}},
                "y": {**quantity("accuracy", "validation accuracy [%]"), "scale": {"domain": [40, 90]}},
                "color": color,
            },
            "layer": [
                {"mark": {"type": "line", "strokeWidth": 1.3, "clip": True},
                 "encoding": {"detail": {"field": "shape"}}},
                {"transform": [{"filter": "datum.last"}],
                 "mark": {"type": "point", "shape": "cross", "filled": True, "size": 60, "opacity": 1, "clip": True}},
            ],
            "width": 250,
            "height": 210,
        },
    }  # fmt: skip
