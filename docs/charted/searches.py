"""Charts of how a search goes: which shapes are trained, how many, and what is expected of the others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from charted.tables import accuracies, means, path_of

from shape_dnn import Shape, tune
from shape_dnn.answers.result import Result
from shape_dnn.plugins.registry import Registry
from shape_dnn.report.charts import ACCENT, STAR, Spec, quantity

QUESTION: Mapping[str, Any] = {"min_accuracy": "98%", "goal": "size"}
CHOSEN = "8"
"""Shapes that each sampler chooses."""


def networks() -> Spec:
    """Accuracy against size of every network of a table."""
    sizes = means("wrn-digits", "size")
    rows = [
        {"depth": shape.depth, "size": sizes[shape], "accuracy": accuracy}
        for shape, accuracy in means("wrn-digits", "accuracy").items()
    ]
    size = {**quantity("size", "size [MB]"), "scale": {"type": "log", "domain": [0.005, 4]}}
    accuracy = {**quantity("accuracy", "accuracy [%]"), "scale": {"domain": [89, 100]}}
    color = {"field": "depth", "type": "ordinal", "sort": None, "scale": {"scheme": "viridis"}}
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {"x": size, "y": accuracy, "color": color},
        "width": 620,
        "height": 300,
    }


def place(shape: Shape) -> dict[str, Any]:
    """Return the columns that say where a shape lies on a map."""
    return {"depth": shape.depth, "width": str(shape.width)}


def on_a_map(shapes: list[Shape]) -> Spec:
    """Return the channels of a map of these shapes: wide ones on the right, deep ones on top."""
    widths = [str(width) for width in sorted({shape.width for shape in shapes})]
    return {
        "x": {"field": "width", "type": "ordinal", "sort": widths, "axis": {"labelAngle": 0}},
        "y": {"field": "depth", "type": "ordinal", "sort": "descending"},
    }


SAMPLERS = {
    "interval": "evenly through the list",
    "wider": "the shallowest first",
    "random": "by chance",
    "active": "what decides the question",
}


@lru_cache
def sampled(sampler: str) -> Result:
    """Return a search with a sampler."""
    with warnings.catch_warnings(action="ignore"):
        return tune(replay=path_of("wrn-digits"), sampler=sampler, train=CHOSEN, **QUESTION)


def samplers() -> Spec:
    """Which shapes each sampler has trained, on maps of the space."""
    truth = means("wrn-digits", "accuracy")
    rows = []
    for sampler, about in SAMPLERS.items():
        result = sampled(sampler)
        order = {training.shape: number for number, training in enumerate(result.answer.trainings, start=1)}
        title = f"{sampler}: {about}, {len(order)} trainings"
        for shape, accuracy in truth.items():
            number = order.get(shape)
            rows.append({
                "map": title, **place(shape), "accuracy": accuracy, "number": number,
                "kind": None if number is None else "chosen" if number <= int(CHOSEN) else "to verify",
            })  # fmt: skip
    where = on_a_map(list(truth))
    color = {"field": "accuracy", "type": "quantitative", "title": "accuracy [%]",
             "scale": {"scheme": "viridis", "domain": [91, 99.5], "clamp": True}}  # fmt: skip
    look = {"field": "kind", "type": "nominal", "title": "trained",
            "scale": {"domain": ["chosen", "to verify"], "range": ["#ffffff", "#b0b0b0"]}}  # fmt: skip
    trained = [{"filter": "isValid(datum.number)"}]
    layers = [
        {"mark": "rect", "encoding": {"color": color}},
        {"transform": trained, "mark": {"type": "circle", "size": 330, "opacity": 1, "stroke": "#000000"},
         "encoding": {"fill": look}},
        {"transform": trained, "mark": {"type": "text", "fontSize": 11, "fontWeight": "bold", "color": "#000000"},
         "encoding": {"text": {"field": "number", "type": "quantitative"}}},
    ]  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"field": "map", "type": "nominal", "title": None, "sort": None, "header": {"labelFontSize": 13}},
        "columns": 2,
        "spec": {"encoding": where, "layer": layers, "width": {"step": 31}, "height": {"step": 24}},
        "resolve": {"axis": {"x": "independent", "y": "independent"}},
    }


MODELS = {"log-error": "the default", "power-law": "", "paper": "Equation 2: no intervals"}
DEPTHS = (10, 28, 46)
"""Of which the predictions are shown."""


def accuracy_models() -> Spec:
    """What models expect of shapes, fitted to the six trainings of the worked example of a search."""
    recorded = accuracies("wrn-digits")
    truth = means("wrn-digits", "accuracy")
    example = tune(replay=path_of("wrn-digits"), max=["multiply-adds=2e6"], min_accuracy="98.5%", goal="size")
    trained = [training.shape for training in example.answer.trainings]
    shown = [shape for shape in recorded if shape.depth in DEPTHS]
    registry, rows = Registry([]), []
    for name, about in MODELS.items():
        model = registry.load("accuracy_model", name).instance
        with warnings.catch_warnings(action="ignore"):  # as few trainings as these are warned of
            model.fit(trained, [recorded[shape][0] for shape in trained])
        for shape, expected in zip(shown, model.predict(shown), strict=True):
            spread = 1.96 * expected.std if expected.std is not None else None
            rows.append({
                "model": f"{name}: {about}" if about else name, "depth": f"depth {shape.depth}",
                "width": float(shape.width), "expected": expected.mean, "truth": truth[shape],
                "low": None if spread is None else expected.mean - spread,
                "high": None if spread is None else min(100.0, expected.mean + spread),
                "trained": recorded[shape][0] if shape in trained else None,
            })  # fmt: skip
    return _fits(rows)


def _fits(rows: list[dict[str, Any]]) -> Spec:
    scale = {"domain": [75, 101], "nice": False}
    y = {"type": "quantitative", "title": "accuracy [%]", "scale": scale}
    marks = {"expected": "expected", "not trained": "not trained", "trained": "trained"}
    kinds = {"field": "kind", "type": "nominal", "title": None, "legend": {"orient": "top"},
             "scale": {"domain": [*marks][1:], "range": ["#767676", "#E69F00"]}}  # fmt: skip
    forms = {**kinds, "scale": {"domain": [*marks][1:], "range": ["circle", "diamond"]}}
    points = {
        "transform": [
            {"calculate": "isValid(datum.trained) ? datum.trained : datum.truth", "as": "point"},
            {"calculate": "isValid(datum.trained) ? 'trained' : 'not trained'", "as": "kind"},
        ],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {"y": {"field": "point", **y}, "color": kinds, "shape": forms,
                     "size": {"condition": {"test": "datum.kind == 'trained'", "value": 90}, "value": 18}},
    }  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"row": {"field": "model", "type": "nominal", "title": None, "sort": None},
                  "column": {"field": "depth", "type": "nominal", "title": None, "sort": None}},
        "spec": {
            "encoding": {"x": {"field": "width", "type": "quantitative", "axis": {"tickCount": 4}}},
            "layer": [
                {"transform": [{"filter": "isValid(datum.low)"}],
                 "mark": {"type": "area", "opacity": 0.25, "color": ACCENT, "clip": True},
                 "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}}},
                {"mark": {"type": "line", "color": ACCENT, "clip": True}, "encoding": {"y": {"field": "expected", **y}}},
                points,
            ],
            "width": 190,
            "height": 120,
        },
    }  # fmt: skip
