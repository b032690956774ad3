"""Charts of what depth and width are, and of what they are good for."""

from __future__ import annotations

import math
from pathlib import Path

from charted.tables import read, shape_of
from shape_dnn import Shape
from shape_dnn.plugins.registry import Registry
from shape_dnn.report.charts import ACCENT, Spec, quantity

EXAMPLES = ("10,1/4", "10,1", "28,1/4", "28,1")
"""Shapes whose layers are shown."""
DIGITS = (1, 8, 8)
"""Channels, height and width of an image of handwritten digits."""


def layers() -> Spec:
    """The layers of four Wide ResNets, each as high as it has channels."""
    import torch

    family = Registry([]).load("architecture", "wrn").instance
    rows, titles = [], []
    for shape in map(Shape.parse, EXAMPLES):
        with torch.device("meta"):
            network = family.build(shape, DIGITS, 10)
        values = family.count_values(shape, DIGITS, 10)
        titles.append(f"depth {shape.depth}, width {shape.width}: {4 * values / 1e6:.2g} MB")
        channels = [
            module.out_channels if isinstance(module, torch.nn.Conv2d) else module.out_features
            for module in network.modules()
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
        ]
        rows += [
            {"network": titles[-1], "layer": number, "channels": each}
            for number, each in enumerate(channels, start=1)
        ]  # fmt: skip
    return {
        "data": {"values": rows},
        "facet": {"field": "network", "type": "nominal", "title": None, "sort": titles},
        "columns": 2,
        "spec": {
            "mark": {"type": "bar", "color": ACCENT},
            "encoding": {
                "x": {"field": "layer", "type": "ordinal", "axis": {"values": [1, 10, 28], "labelAngle": 0},
                      "scale": {"domain": list(range(1, 29))}},
                "y": {"field": "channels", "type": "quantitative"},
            },
            "width": 290,
            "height": 90,
        },
    }  # fmt: skip


def sine() -> Spec:
    """What three networks have learnt of a sine."""
    rows = read(Path(__file__).with_name("sine.csv"))
    learnt = [
        {"network": str(shape_of(row)), "input": float(row["x"]), "output": float(row["y"])} for row in rows
    ]  # fmt: skip
    places = [place / 50 for place in range(-50, 51)]
    truth = [{"network": "sine", "input": x, "output": math.sin(5 * x)} for x in places]
    names = ["sine", *dict.fromkeys(row["network"] for row in learnt)]
    colors = {"domain": names, "range": ["#767676", "#E69F00", "#CC79A7", ACCENT]}
    dashes = {"domain": names, "range": [[2, 2], [1, 0], [6, 2], [1, 0]]}
    kind = {"field": "network", "type": "nominal", "title": "depth, width"}
    return {
        "data": {"values": [*truth, *learnt]},
        "mark": {"type": "line", "strokeWidth": 2},
        "encoding": {
            "x": quantity("input", "input"),
            "y": quantity("output", "output"),
            "color": {**kind, "scale": colors},
            "strokeDash": {**kind, "scale": dashes},
        },
        "width": 480,
        "height": 220,
    }
