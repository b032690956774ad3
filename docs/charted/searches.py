"""Charts of how a search goes: which shapes are trained, how many, and what is expected of the others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from charted.tables import accuracies, means, path_of
from shape_dnn import Shape, tune
from shape_dnn.answers.result import Result
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.plugins.registry import Registry
from shape_dnn.report import charts
from shape_dnn.report.charts import ACCENT, STAR, Spec, quantity
from shape_dnn.report.encoding import encode
from shape_dnn.report.overview import Overview
from shape_dnn.report.states import ShapeState
from shape_dnn.settings import Settings

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
    "random": "by chance",
    "wider": "the shallowest first",
    "interval": "evenly through the list",
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
    rows, titles = [], []
    for sampler, about in SAMPLERS.items():
        result = sampled(sampler)
        order = {training.shape: number for number, training in enumerate(result.answer.trainings, start=1)}
        title = f"{sampler}: {about}, {len(order)} trainings"
        titles.append(title)
        for shape, accuracy in truth.items():
            number = order.get(shape)
            rows.append({
                "map": title, **place(shape), "accuracy": accuracy, "number": number,
                "kind": None if number is None else "chosen" if number <= int(CHOSEN) else "to verify",
                "answer": shape == result.best,
            })  # fmt: skip
    where = on_a_map(list(truth))
    color = {"field": "accuracy", "type": "quantitative", "title": "accuracy [%]",
             "scale": {"scheme": "viridis", "domain": [91, 100], "clamp": True}}  # fmt: skip
    look = {"field": "kind", "type": "nominal", "title": "trained",
            "scale": {"domain": ["chosen", "to verify"], "range": ["#ffffff", "#b0b0b0"]}}  # fmt: skip
    trained = [{"filter": "isValid(datum.number)"}]
    layers = [
        {"mark": "rect", "encoding": {"color": color}},
        {"transform": trained, "mark": {"type": "circle", "size": 330, "opacity": 1, "stroke": "#000000"},
         "encoding": {"fill": look}},
        {"transform": [{"filter": "datum.answer"}],
         "mark": {"type": "circle", "size": 330, "opacity": 1, "fill": None, "stroke": "#D55E00", "strokeWidth": 3}},
        {"transform": trained, "mark": {"type": "text", "fontSize": 11, "fontWeight": "bold", "color": "#000000"},
         "encoding": {"text": {"field": "number", "type": "quantitative"}}},
    ]  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"field": "map", "type": "nominal", "title": None, "sort": titles, "header": {"labelFontSize": 13}},
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
    """Show what was expected, with intervals, and what came out: a row for a model, a column for a depth."""
    y = {"type": "quantitative", "title": "accuracy [%]", "scale": {"domain": [75, 101], "nice": False}}
    models, depths = (list(dict.fromkeys(row[name] for row in rows)) for name in ("model", "depth"))
    names = ["trained", "not trained"]
    kind = {"field": "kind", "type": "nominal", "title": None, "legend": {"orient": "top"}}
    points = {
        "transform": [
            {"calculate": "isValid(datum.trained) ? datum.trained : datum.truth", "as": "point"},
            {"calculate": "isValid(datum.trained) ? 'trained' : 'not trained'", "as": "kind"},
        ],
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "y": {"field": "point", **y},
            "color": {**kind, "scale": {"domain": names, "range": ["#E69F00", "currentColor"]}},
            "shape": {**kind, "scale": {"domain": names, "range": ["diamond", "circle"]}},
            "size": {"condition": {"test": "datum.kind == 'trained'", "value": 110}, "value": 18},
        },
    }
    return {
        "data": {"values": rows},
        "facet": {"row": {"field": "model", "type": "nominal", "title": None, "sort": models},
                  "column": {"field": "depth", "type": "nominal", "title": None, "sort": depths}},
        "spec": {
            "encoding": {"x": {"field": "width", "type": "quantitative", "axis": {"tickCount": 4}}},
            "layer": [
                {"transform": [{"filter": "isValid(datum.low)"}],
                 "mark": {"type": "area", "opacity": 0.25, "color": ACCENT, "clip": True},
                 "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}}},
                {"mark": {"type": "line", "color": ACCENT, "clip": True},
                 "encoding": {"y": {"field": "expected", **y}}},
                points,
            ],
            "width": 190,
            "height": 130,
        },
    }  # fmt: skip


STRATEGIES = ("thorough", "standard", "optimistic")


def strategies() -> Spec:
    """How many shapes each strategy trains, by how many there are."""
    registry = Registry([])
    rows = [
        {"strategy": name, "candidates": number, "trainings": registry.load("strategy", name).instance.count(number)}
        for name in STRATEGIES
        for number in range(1, 181)
    ]
    kind = {"field": "strategy", "type": "nominal", "title": None}
    colors = {"domain": list(STRATEGIES), "range": ["#E69F00", ACCENT, "#CC79A7"]}
    dashes = {"domain": list(STRATEGIES), "range": [[1, 0], [6, 2], [2, 2]]}
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": quantity("candidates", "shapes left after the limits"),
            "y": quantity("trainings", "shapes to train"),
            "color": {**kind, "scale": colors},
            "strokeDash": {**kind, "scale": dashes},
        },
        "width": 520,
        "height": 230,
    }


def front() -> Spec:
    """The front of a recorded table as the report draws it, with the names of what is on it."""
    question = {"replay": path_of("wrn-fashion-mnist"), "pareto": "size,accuracy"}
    result = tune(**question)
    overview = Overview.of_replay(Assembly(Settings.create(question)), result.answer)
    on_front = {(row["depth"], row["width"]) for row in result.rows()}
    rows = []
    for row in encode(overview)["shapes"]:
        expected = row["mean"] if row["quality"] is None else row["quality"]
        spread = 1.96 * row["std"]
        rows.append({
            "name": row["name"], "size": row["m0"], "quality": row["quality"], "expected": expected,
            "low": row["mean"] - spread, "high": row["mean"] + spread, "state": str(row["state"]), "best": False,
            "complies": True, **dict.fromkeys(("on_front", "on_line"), (row["depth"], row["width"]) in on_front),
        })  # fmt: skip
    states = [ShapeState(state) for state in dict.fromkeys(row["state"] for row in rows)]
    drawn = charts.front("size", "size [MB]", "expected", "accuracy [%]", overview.quality, states)
    names = {
        "transform": [{"filter": "datum.on_front"}],
        "mark": {"type": "text", "align": "right", "dx": -5, "dy": -8, "fontSize": 11, "color": "currentColor"},
        "encoding": {"text": {"field": "name"}},
    }
    x = {**drawn["encoding"]["x"], "scale": {"type": "log", "nice": False, "domain": [0.003, 4]}}
    return {
        **drawn,
        "data": {"values": rows},
        "encoding": {**drawn["encoding"], "x": x},
        "layer": [*drawn["layer"], names],
        "width": 620,
        "height": 320,
    }


GOALS = ("size", "accuracy", "size + 0.05*(100 - accuracy)")
"""Goals, which choose among the same networks."""


def goals() -> Spec:
    """Which network each of three goals chooses among those that comply with the same limits."""
    sizes, truth = means("wrn-fashion-mnist", "size"), accuracies("wrn-fashion-mnist")
    limits = {"max_size": "0.5MB", "min_accuracy": "82%"}
    chosen: dict[Shape, list[str]] = {}
    for goal in GOALS:
        best = tune(replay=path_of("wrn-fashion-mnist"), strategy="exhaustive", goal=goal, **limits).best
        chosen.setdefault(best, []).append(goal)
    rows = [
        {"size": sizes[shape], "accuracy": recorded[0], "complies": sizes[shape] <= 0.5 and recorded[0] >= 82,
         "goal": "; ".join(chosen.get(shape, [])) or None}
        for shape, recorded in truth.items()
    ]  # fmt: skip
    x = {**quantity("size", "size [MB]"), "scale": {"domain": [0, 0.7], "zero": False}}
    y = {**quantity("accuracy", "accuracy [%]"), "scale": {"domain": [79, 89]}}
    color = {"field": "goal", "type": "nominal", "title": "goal", "sort": list(GOALS), "legend": {"orient": "top"},
             "scale": {"domain": list(GOALS), "range": ["#E69F00", "#CC79A7", "#56B4E9"]}}  # fmt: skip
    named = [{"filter": "isValid(datum.goal)"}]
    limit = {"strokeDash": [4, 4], "color": "currentColor", "opacity": 0.6}
    return {
        "data": {"values": rows},
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "point", "filled": True, "size": 45, "color": ACCENT, "clip": True},
             "encoding": {"opacity": {"condition": {"test": "datum.complies", "value": 1}, "value": 0.25}}},
            {"data": {"values": [{"size": 0.5}]}, "mark": {"type": "rule", **limit}, "encoding": {"y": None}},
            {"data": {"values": [{"accuracy": 82}]}, "mark": {"type": "rule", **limit}, "encoding": {"x": None}},
            {"transform": named, "mark": {**STAR, "size": 420, "stroke": "currentColor"},
             "encoding": {"fill": color}},
        ],
        "width": 560,
        "height": 260,
    }  # fmt: skip
