"""Charts of measurements: on a machine whose slow moments are known, and of what was recorded."""

from __future__ import annotations

import random
import statistics
from typing import Any

from simulated_machine import Machine, Network

from charted.tables import ROOT
from shape_dnn.measuring.rounds import Anchor, Visit, visit_in_rounds
from shape_dnn.report.charts import ACCENT, Spec

LATENCIES = {"A": 1.0, "B": 1.1, "C": 1.2, "D": 1.3}
"""True latencies of four networks, in ms."""
BUSY = (0.6, 1.5)
"""Seconds between which the simulated machine has other work to do."""
SLOWER = 0.35
"""How much longer everything takes then."""
VISITS = 8
"""Of each network that is measured without rounds."""


class Watched(Network):
    """A network of which it is written down when it was visited."""

    def __init__(self, machine: Machine, name: str) -> None:
        super().__init__(machine, LATENCIES[name] / 1000)
        self.name = name
        self.seen: list[tuple[float, Visit]] = []

    def visit(self) -> Visit:
        """Time it."""
        began = self.machine.now
        visit = super().visit()
        self.seen.append((began, visit))
        return visit


def _machine() -> Machine:
    return Machine(random.Random(1), lambda moment: SLOWER if BUSY[0] < moment < BUSY[1] else 0.0)


def _rows(way: str, networks: list[Watched], values: dict[str, float], disturbed: set[tuple[str, int]]) -> Any:
    end = networks[0].machine.now
    for network in networks:
        for number, (began, visit) in enumerate(network.seen):
            counts = (network.name, number) not in disturbed
            yield {"way": way, "network": network.name, "second": began, "latency": 1000 * visit.value,
                   "kind": "counts" if counts else "does not count"}  # fmt: skip
        yield {"way": way, "network": network.name, "second": end + 0.15, "latency": 1000 * values[network.name],
               "kind": "result"}  # fmt: skip


def rounds() -> Spec:
    """Four networks measured one after the other, and in rounds, while the machine is busy for a second."""
    machine = _machine()
    networks = [Watched(machine, name) for name in LATENCIES]
    values = {network.name: statistics.median(network.visit().value for _ in range(VISITS)) for network in networks}
    rows = [*_rows("one after the other", networks, values, set())]

    machine = _machine()
    networks = [Watched(machine, name) for name in LATENCIES]
    anchor = Anchor(machine.anchor)
    series = visit_in_rounds(networks, anchor, 0.5, random.Random(2))
    values = {network.name: each.estimate().value for network, each in zip(networks, series, strict=True)}
    slow = 1.1 * anchor.quick
    disturbed = {
        (network.name, number)
        for network, each in zip(networks, series, strict=True)
        for number, (_, anchors) in enumerate(each.visits)
        if max(anchors) > slow
    }
    rows += _rows("in rounds", networks, values, disturbed)
    return _timeline(rows)


def _timeline(rows: list[dict[str, Any]]) -> Spec:
    color = {"field": "network", "type": "nominal", "title": "network",
             "scale": {"range": ["#E69F00", ACCENT, "#CC79A7", "#56B4E9"]}}  # fmt: skip
    kinds = ["counts", "does not count", "result"]
    shape = {"field": "kind", "type": "nominal", "title": "visit",
             "scale": {"domain": kinds, "range": ["circle", "cross", "diamond"]}}  # fmt: skip
    size = {"condition": {"test": "datum.kind == 'result'", "value": 160}, "value": 30}
    y = {"field": "latency", "type": "quantitative", "title": "latency [ms]", "scale": {"domain": [0.9, 1.8]}}
    truth = {
        "data": {"values": [{"network": name, "true": value} for name, value in LATENCIES.items()]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "opacity": 0.8},
        "encoding": {"y": {**y, "field": "true"}, "color": color},
    }
    busy = {
        "data": {"values": [{"from": BUSY[0], "to": BUSY[1]}]},
        "mark": {"type": "rect", "color": "#767676", "opacity": 0.15},
        "encoding": {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": "to"}},
    }
    points = {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {"y": y, "color": color, "shape": shape, "size": size,
                     "x": {"field": "second", "type": "quantitative", "title": "second of the measurement"}},
    }  # fmt: skip
    ways = list(dict.fromkeys(row["way"] for row in rows))
    return {
        "data": {"values": rows},
        "facet": {"field": "way", "type": "nominal", "title": None, "sort": ways},
        "spec": {"layer": [busy, truth, points], "width": 260, "height": 250},
    }


RECORDED = ROOT / "benchmarks" / "results" / "2026-11-26-deploying-recorded.txt"
"""What comes of choices by latencies other than those of what ships."""
OUTCOMES = {"is right": "#009E73", "takes a worse network": "#E69F00", "breaks the limit": "#D55E00"}


def deploying() -> Spec:
    """What comes of choosing by the latency of another device, another runtime, or another precision."""
    rows = []
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("| chosen by | breaks"))
    for line in lines[first + 2 : first + 5]:
        name, breaks, _, _, worse, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        parts = {"breaks the limit": float(breaks.rstrip(" %")), "takes a worse network": float(worse.rstrip(" %"))}
        parts["is right"] = 100 - sum(parts.values())
        rows += [{"name": name, "outcome": each, "percent": parts[each], "order": place}
                 for place, each in enumerate(OUTCOMES)]  # fmt: skip
    color = {"field": "outcome", "type": "nominal", "title": None, "legend": {"orient": "top"},
             "scale": {"domain": list(OUTCOMES), "range": list(OUTCOMES.values())}}  # fmt: skip
    share = {"field": "percent", "type": "quantitative", "title": "choices [%]", "scale": {"domain": [0, 100]}}
    order = {"order": {"field": "order"}}
    text = {"mark": {"type": "text", "color": "#000000", "fontSize": 12},
            "encoding": {**order, "x": {**share, "stack": "zero", "bandPosition": 0.5},
                         "text": {"field": "percent", "type": "quantitative", "format": ".0f"}}}  # fmt: skip
    return {
        "data": {"values": rows},
        "encoding": {"y": {"field": "name", "type": "nominal", "title": "chosen by the latency of", "sort": None,
                           "axis": {"labelLimit": 300}}},
        "layer": [
            {"mark": {"type": "bar", "height": 24},
             "encoding": {**order, "x": {**share, "stack": "zero"}, "color": color}},
            text,
        ],
        "width": 400,
        "height": 120,
    }  # fmt: skip
