"""The paper's figures 3 to 7 for a study or a recorded table, as SVG, PNG and PDF."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shape_dnn.answers.question import KnownMetric, StudyQuestion
from shape_dnn.constraints import KNOWN_METRICS, base_of
from shape_dnn.errors import UsageError
from shape_dnn.quality import Quality
from shape_dnn.records import Measurement
from shape_dnn.report import charts
from shape_dnn.report.charts import Spec
from shape_dnn.report.overview import Overview
from shape_dnn.shape import Shape
from shape_dnn.store.families import Family

Rows = list[dict[str, Any]]

THEME: Spec = {
    "background": "white",
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None, "continuousWidth": 260, "continuousHeight": 180},
    "axis": {"labelFontSize": 10, "titleFontSize": 11, "titleFontWeight": "normal", "gridOpacity": 0.4},
    "legend": {"labelFontSize": 10, "titleFontSize": 11, "titleFontWeight": "normal"},
}
MOST_IN_LEGEND = 8
"""Depths or widths that a legend lists one by one."""
RESOLUTION = 4.0
"""Pixels of a PNG for each of the figure's units: about 300 to the inch in a column of a paper."""


def write(overview: Overview, known: StudyQuestion | None, directory: Path) -> list[Path]:
    """Write every figure that there are the data for, each in three formats; warn of those that a study has not.

    Args:
        overview: of a study or a recorded table.
        known: the study; None for a table.
        directory: for the files.

    Raises:
        UsageError: a file cannot be written.
    """
    import vl_convert

    written = []
    formats: Mapping[str, Callable[[str], bytes]] = {
        "svg": lambda spec: vl_convert.vegalite_to_svg(spec).encode(),
        "png": lambda spec: bytes(vl_convert.vegalite_to_png(spec, scale=RESOLUTION)),
        "pdf": lambda spec: bytes(vl_convert.vegalite_to_pdf(spec)),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, spec in figures(overview, known):
            text = json.dumps({"$schema": charts.SCHEMA, "config": THEME, **spec})
            for suffix, render in formats.items():
                path = directory / f"{name}.{suffix}"
                path.write_bytes(render(text))
                written.append(path)
    except OSError as error:
        message = f"cannot write {error.filename or str(directory)!r}: {error.strerror}"
        raise UsageError(message, setting="figures") from None
    return written


def figures(overview: Overview, known: StudyQuestion | None) -> Iterator[tuple[str, Spec]]:
    """Yield the name and the specification of each figure that there are the data for."""
    missing = []
    for name in ("latency", "energy"):
        metrics = [metric for metric in overview.metrics if base_of(metric.name) == name]
        if not metrics:
            missing.append(f"{name} against depth, width and batch: it knows the {name} of no shape")
        for metric in metrics:
            yield f"{metric.name}-by-depth", _by(metric, "depth", "width")
            yield f"{metric.name}-by-width", _by(metric, "width", "depth")
            batches = {} if known is None else measured_batches(known, metric.name)
            if len(batches) < 2:
                once = "it was measured at one batch size (measure --batch-size N adds more)"
                missing.append(f"{metric.name} against batch: {once}")
            else:
                yield f"{metric.name}-by-batch", _by_batch(metric, batches)
    rows, quality = _qualities(overview), overview.quality.name
    if rows:
        yield f"{quality}-by-parameters", _by_parameters(rows, overview.quality)
    else:
        missing.append(f"{quality} against parameters: it knows the {quality} of no shape")
    for metric in overview.metrics:
        if rows and (known is None or base_of(metric.name) in KNOWN_METRICS):  # what else a table records is a cost
            base = base_width(overview.shapes)
            if len({shape.width for shape in overview.shapes}) > 1:
                yield f"tuned-by-{metric.name}", _tuned(overview, metric, base)
            else:
                missing.append(f"tuned against depth-scaled by {metric.name}: all its shapes have one width")
    if missing and known is not None:
        warnings.warn(f"the study has no figure of {'; of '.join(missing)}", stacklevel=2)


def measured_batches(known: StudyQuestion, metric: str) -> dict[int, dict[Shape, Measurement]]:
    """Return what was measured of a metric under the conditions of the search, but for the batch size, by that."""
    family = Family(metric)
    context = known.first_seed.contexts.get(family)
    if context is None:
        return {}
    with known.store.decoding():
        own = known.store.identity(context)
        found = {}
        for number in known.store.contexts(family.kind):
            identity = known.store.identity(number)
            if {**identity, "batch_size": 0} == {**own, "batch_size": 0}:
                found[int(identity["batch_size"])] = known.store.measurements(number)
    return {batch: found[batch] for batch in sorted(found)}


def base_width(shapes: Sequence[Shape]) -> Any:
    """Return the width that scaling by depth alone keeps: 1, or else the one nearest to it."""
    return min({shape.width for shape in shapes}, key=lambda width: (abs(width - 1), width))


def _values(measurements: Mapping[Shape, Measurement]) -> Rows:
    return [
        {"depth": shape.depth, "width": float(shape.width), "fraction": str(shape.width), "shape": str(shape),
         "value": m.value, "low": m.value if m.low is None else m.low, "high": m.value if m.high is None else m.high}
        for shape, m in sorted(measurements.items())
        if m.value is not None
    ]  # fmt: skip


def _lines(rows: Rows, x: str, title: str, color: Spec, **scale: Any) -> Spec:
    """Lines with 95 % intervals."""
    rows = [{**row, "series": row["depth"] if x == "width" else row["fraction"]} for row in rows]
    if x == "batch":
        rows = [{**row, "series": row["shape"]} for row in rows]
    axis = {"field": x, "type": "quantitative", "scale": {"zero": False, "nice": False, **scale}}
    return {
        "data": {"values": rows},
        "encoding": {"x": axis, "color": color, "detail": {"field": "series"}},
        "layer": [
            {"mark": {"type": "rule"}, "encoding": {"y": charts.quantity("low", title), "y2": {"field": "high"}}},
            {
                "mark": {"type": "line", "point": {"size": 18}, "strokeWidth": 1.2},
                "encoding": {"y": charts.quantity("value", title)},
            },
        ],
    }


def _by(metric: KnownMetric, x: str, color: str) -> Spec:
    rows = _values(metric.values)
    return _lines(rows, x, charts.titled(metric.name, metric.unit), _shade(color, rows))


def _shade(name: str, rows: Rows) -> Spec:
    """Return the channel of colour for depths or widths, each of them in the legend if they are few."""
    scale = {"scheme": "viridis"}
    if len({row[name] for row in rows}) > MOST_IN_LEGEND:
        return {"field": name, "type": "quantitative", "scale": scale, "legend": {"gradientLength": 120}}
    if name == "width":
        sort = charts.fractions(rows)
        return {"field": "fraction", "type": "ordinal", "title": name, "sort": sort, "scale": scale}
    return {"field": name, "type": "ordinal", "scale": scale}


def _by_batch(metric: KnownMetric, batches: Mapping[int, Mapping[Shape, Measurement]]) -> Spec:
    """Show the shapes that were measured at every batch size: the smallest, the largest, and some between."""
    common = sorted(set.intersection(*(set(measurements) for measurements in batches.values())))
    chosen = {common[round(i * (len(common) - 1) / 5)] for i in range(6)} if common else set()
    rows = [
        {**row, "batch": batch}
        for batch, measurements in batches.items()
        for row in _values({shape: m for shape, m in measurements.items() if shape in chosen})
    ]
    color = {"field": "shape", "type": "nominal", "title": "depth, width"}
    return _lines(rows, "batch", charts.titled(metric.name, metric.unit), color)


def _qualities(overview: Overview) -> Rows:
    """Return the quality of each shape that has one, trained or predicted, with its parameters."""
    sizes = next((metric.values for metric in overview.metrics if metric.name == "size"), {})
    return [
        {"depth": c.shape.depth, "width": float(c.shape.width), "fraction": str(c.shape.width),
         "quality": c.expected, "millions": (sizes[c.shape].value or 0.0) / 4,
         "known by": "prediction" if c.quality is None else "training"}
        for c in overview.candidates
        if c.expected is not None and c.shape in sizes
    ]  # fmt: skip


def _by_parameters(rows: Rows, quality: Quality) -> Spec:
    scale = {"type": "log", "nice": False}  # whole decades would be half empty
    x = {"field": "millions", "type": "quantitative", "title": "stored values [millions]", "scale": scale}
    shape = {"field": "known by", "type": "nominal", "scale": {"domain": ["training", "prediction"],
             "range": ["circle", "cross"]}}  # fmt: skip
    color = _shade("width", rows)
    return {
        "data": {"values": rows},
        "mark": {"type": "point", "size": 36},
        "encoding": {"x": x, "y": _of(quality), "color": color, "shape": shape},
    }


def _tuned(overview: Overview, metric: KnownMetric, base: Any) -> Spec:
    """Show the best quality up to each value of a metric, of all shapes and of those that differ in depth alone."""
    rows: Rows = []
    quality = overview.quality
    for name, chosen in (("tuned in depth and width", None), (f"scaled by depth, width {base}", base)):
        best: float | None = None
        candidates = [
            (value, c.expected, c.shape)
            for c in overview.candidates
            if c.expected is not None
            and (chosen is None or c.shape.width == chosen)
            and c.shape in metric.values
            and (value := metric.values[c.shape].value) is not None
        ]
        for value, reached, shape in sorted(candidates):
            if best is None or quality.is_better(reached, best):
                best = reached
                rows.append({"networks": name, "value": value, "quality": reached, "shape": str(shape)})
    color = {"field": "networks", "type": "nominal", "title": None, "scale": {"range": ["#0072B2", "#D55E00"]},
             "legend": {"orient": "bottom"}}  # fmt: skip
    x = {**charts.quantity("value", charts.titled(metric.name, metric.unit)), "scale": {"type": "log", "nice": False}}
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "point": {"size": 24}, "interpolate": "step-after", "strokeWidth": 1.2},
        "encoding": {"x": x, "y": _of(quality), "color": color},
    }


def _of(quality: Quality) -> Spec:
    return charts.quantity("quality", charts.titled(quality.name, quality.unit))
