"""One HTML file with everything: it works without a network, and nothing in it is taken for markup or code."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import shape_dnn
from shape_dnn.errors import UsageError
from shape_dnn.report import charts
from shape_dnn.report.charts import Spec
from shape_dnn.report.overview import Overview
from shape_dnn.report.states import ShapeState
from shape_dnn.system import durable


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


def write(overview: Overview, path: Path) -> None:
    """Write the report.

    Raises:
        UsageError: the file cannot be written.
    """
    save(render(overview), path)


def save(page: str, path: Path) -> None:
    """Write a page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(path, page)
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}", setting="report") from None


def render(overview: Overview) -> str:
    """Return the page as HTML."""
    content = overview.to_dict()
    sections, quality = _sections(overview, content), overview.quality
    everything = {
        "overview": {name: content[name] for name in content if name != "provenance"},
        "charts": [{"id": c.id, "spec": c.spec, "live": c.live} for s in sections for c in s.charts],
        "fronts": _fronts(overview),
    }
    return complete(
        "report",
        everything,
        overview=overview,
        summary=_summary(content),
        cost=_cost(content["cost"]),
        sections=sections,
        columns=["complies", "score", "depth", "width", *(charts.titled(m.name, m.unit) for m in overview.metrics),
                 *map(quality.heading, ("trained", "predicted")), "+/-", quality.heading("test"),
                 f"{quality.name} is", "reason"],
        rows=[_cells(overview, row) for row in content["shapes"]],
        scores=[_number(score, "–") for score in _scores(content)],
    )  # fmt: skip


def complete(room: str, data: object, **values: object) -> str:
    """Return a page of a room as HTML: its template within ``page.html``, its program, and what all pages share.

    Args:
        room: of the package, in which ``template.html`` and ``ROOM.js`` lie.
        data: JSON values for the program.
        **values: for the template.
    """
    import jinja2

    package = resources.files(shape_dnn)
    style = (package / "report" / "report.css").read_text(encoding="utf-8")
    program = (package / room / f"{room}.js").read_text(encoding="utf-8")
    library = vega()
    loader = jinja2.FunctionLoader(lambda name: (package / name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=loader)
    # Nothing runs or styles the page but these three texts; whatever strangers named stays text.
    policy = (
        f"default-src 'none'; script-src '{_hash(library)}' '{_hash(program)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return environment.get_template(f"{room}/template.html").render(
        policy=policy,
        style=_trusted(style),
        library=_trusted(library),
        program=_trusted(program),
        data=_trusted(_escaped_json(data)),
        version=shape_dnn.__version__,
        **values,
    )


SNIPPET = "window.vegaEmbed = vegaEmbed;"
"""What of the libraries the page needs."""


@lru_cache(maxsize=1)
def vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; kept in the user's cache, since making it takes seconds."""
    import platformdirs

    path = platformdirs.user_cache_path("shape_dnn") / f"vega-{metadata.version('vl-convert-python')}.js"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        pass
    import vl_convert

    script = vl_convert.javascript_bundle(SNIPPET)
    if "</script" in script.lower() or "<!--" in script:  # where a browser would see the end of the script
        script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_text(path, script)
    except OSError:
        pass  # it is only slower the next time
    return script


def _trusted(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - our own files, and JSON without a character that HTML knows


def _escaped_json(value: object) -> str:
    """Write JSON that ends no element of HTML, whatever is in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sections(overview: Overview, content: dict[str, Any]) -> list[Section]:
    rows, quality = content["shapes"], overview.quality
    name, title = quality.name, charts.titled(quality.name, quality.unit)
    columns = {f"m{i}": metric for i, metric in enumerate(overview.metrics)}
    titles = {column: charts.titled(metric.name, metric.unit) for column, metric in columns.items()}
    depths, widths = (len({row[axis] for row in rows}) for axis in ("depth", "width"))
    grid = f"over {depths} depths and {widths} widths"
    maps = [
        Chart(f"map-{c}", columns[c].name, f"Heat map of {columns[c].name} {grid}.", charts.heat_map(c, t, rows), True)
        for c, t in titles.items()
    ]
    fits = []
    if any(row["quality"] is not None or row["mean"] is not None for row in rows):
        spec = charts.heat_map("expected", title, rows, reverse=quality.better == "higher")
        about = f"Heat map of {name} {grid}, trained or else predicted."
        maps.append(Chart("map-quality", f"{name}, trained or predicted", about, spec, live=True))
        about = f"Predicted {name} with 95 % intervals {grid}, and that of the trained shapes."
        fits.append(Chart("fit", f"{name} by depth and width", about, charts.fit(rows, quality)))
    intervals = [
        Chart(f"measured-{c}", columns[c].name, f"{columns[c].name} by depth with intervals.", charts.measured(c, t))
        for c, t in titles.items()
        if any(row[f"{c}_low"] is not None for row in rows)
    ]
    sections = [
        Section("trade-off", "Trade-off", "Each point is a shape; those that do not comply are faint. The line is the "
                "front: no shape that complies is better in both. The best by the goal has a ring.", "wide",
                (Chart("front", "front of two metrics", "Shapes by two metrics, and the front of those that comply.",
                       None, live=True),)),
        Section("maps", "Every metric", "Shapes that do not comply are faint; the star is the best by the goal.",
                "charts", tuple(maps)),
        Section("model", f"{name[:1].upper()}{name[1:]} model", "Lines are predictions and the bands their 95 % "
                "intervals; points are trainings. " + _failures(rows, name), "wide", tuple(fits)),
    ]  # fmt: skip
    if intervals:
        text = "Bars are 95 % intervals. A status other than ok says what disturbed a measurement."
        sections.append(Section("measured", "Measurements", text, "charts", tuple(intervals)))
    if content["curves"]:
        shown = [Chart("curve-quality", name, f"{name} of every training by epoch.", charts.curves("quality", title))]
        if any(point["loss"] is not None for point in content["curves"]):
            spec = charts.curves("loss", "training loss")
            shown.append(Chart("curve-loss", "loss", "loss of every training by epoch.", spec))
        sections.append(Section("curves", "Learning curves", "One line for each training.", "charts", tuple(shown)))
    for section in sections:
        for chart in section.charts:
            if chart.spec is not None:
                chart.spec["config"] = charts.THEME
    return sections


def _fronts(overview: Overview) -> dict[str, Spec]:
    fields = {
        metric.name: (f"m{i}", charts.titled(metric.name, metric.unit)) for i, metric in enumerate(overview.metrics)
    }
    quality = overview.quality
    fields[quality.name] = ("expected", charts.titled(quality.name, quality.unit))
    return {
        f"{x} {y}": {**charts.front(*fields[x], *fields[y], quality), "config": charts.THEME}
        for x in fields
        for y in fields
        if x != y
    }


def _failures(rows: list[dict[str, Any]], quality: str) -> str:
    failed = [
        f"{row['name']}: {row['reason']}" for row in rows if row["state"] in (ShapeState.FAILED, ShapeState.STOPPED)
    ]
    return f"Without {quality}, and why: {'; '.join(failed)}." if failed else "No training failed."


def _summary(content: dict[str, Any]) -> str:
    states = [row["state"] for row in content["shapes"]]
    counted = ", ".join(f"{states.count(state)} {state}" for state in charts.STATES if state in states)
    return f"{content['subject']}: {len(states)} shapes. Their {content['quality']['name']}: {counted}."


def _cost(cost: dict[str, Any]) -> str:
    share = (
        f"{cost['trained']} of {cost['shapes']} shapes were trained ({100 * cost['trained'] / cost['shapes']:.3g} %)"
    )
    if cost["exhaustive_seconds"] is None:
        return f"{share}."
    spent, everything = cost["seconds"], cost["exhaustive_seconds"]
    return (
        f"{share}, in {_duration(spent)} of training. By these durations, training all of them would take about "
        f"{_duration(everything)}: {everything / spent:.2g} times as long."
    )


def _duration(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} seconds"


def _scores(content: dict[str, Any]) -> list[float | None]:
    """Return the score of every shape by the goal of the question."""
    asked = [goal["scores"] for goal in content["goals"] if goal["name"] == content["goal"]]
    return asked[0] if asked else [None] * len(content["shapes"])


def _cells(overview: Overview, row: dict[str, Any]) -> list[str]:
    metrics = [f"m{i}" for i in range(len(overview.metrics))]
    number, spread = overview.quality.number, overview.quality.spread
    qualities = (("quality", number), ("mean", number), ("std", spread), ("tested", number))
    return [
        str(row["depth"]),
        row["fraction"],
        *(_measured(row[column], row[f"{column}_status"]) for column in metrics),
        *(("–" if row[name] is None else write(row[name])) for name, write in qualities),
        row["state"],
        row["reason"],
    ]


def _measured(value: float | None, status: str) -> str:
    return _number(value, status) + ("" if value is None or status == "ok" else f" ({status})")


def _number(value: float | None, unknown: str) -> str:
    return unknown if value is None else f"{value:.4g}"
