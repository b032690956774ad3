"""One HTML file with everything: it works without a network, and nothing in it is taken for markup or code."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shape_dnn
from shape_dnn.answers.words import AS_TRAINED, deployment_in_words, number
from shape_dnn.constraints import LATENCY
from shape_dnn.errors import UsageError
from shape_dnn.report import charts, sections
from shape_dnn.report.encoding import encode
from shape_dnn.report.overview import Overview
from shape_dnn.system import durable
from shape_dnn.system.text import counted, encodable

if TYPE_CHECKING:
    import jinja2

PROGRAM = [f"report/script/{name}.js" for name in
           ("question", "words", "answer", "controls", "map", "table", "charts", "main")]  # fmt: skip
"""The parts of the program of a report."""
MOST_ROWS = 500
"""Shapes in the table of a page whose program does not run."""


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
    return render_content(content(overview))


def render_content(shown: Mapping[str, Any]) -> str:
    """Return the page as HTML that shows what :func:`content` returned."""
    made = {name: trusted(shown[name]) for name in ("header", "main")}  # by templates that escape what they are given
    return complete("report", shown["data"], PROGRAM, title=shown["title"], **made)


def content(overview: Overview) -> dict[str, Any]:
    """Return what a page shows as JSON values: a page that is open can take newer ones (see ``script/main.js``).

    Returns:
        ``title``, the HTML of ``header`` and ``main``, and ``data`` for the program.
    """
    known = encode(overview)
    parts, quality = sections.sections(overview, known), overview.quality
    for row in known["shapes"]:
        cells = _cells(overview, row)
        row["cells"] = list(cells.values())
    first = known["shapes"][:MOST_ROWS]
    main = environment().get_template("report/main.html").render(
        overview=overview,
        cost=_cost(known["cost"]),
        sections=parts,
        story=overview.story,
        axes={"trade-off": "front", "orders": "order"},
        columns=["complies", "score", "depth", "width", *_titles(overview).values(),
                 quality.heading("trained"), *_conversion_headings(overview), quality.heading("predicted"), "+/-",
                 quality.heading("test"), f"{quality.name} is", "reason"],
        rows=[row["cells"] for row in first],
        scores=[_number(score, "–") for score in _scores(known)],
        more=f"{hidden:,}" if (hidden := len(known["shapes"]) - len(first)) else "",
    )  # fmt: skip
    header = (
        environment()
        .get_template("report/header.html")
        .render(overview=overview, summary=_summary(known), ships=_ships(known["deployment"]))
    )
    drawn = [*(chart for part in parts for chart in part.charts), *sections.doubts(overview)]
    data = {
        "overview": known,
        "cells": list(cells),
        "charts": [{"id": chart.id, "spec": chart.spec, "live": chart.live} for chart in drawn],
        "fronts": sections.fronts(overview, sections.states_in(known["shapes"])),
        "orders": sections.orders(overview),
    }
    return {"title": overview.title, "header": header, "main": main, "data": data}


@cache
def environment() -> jinja2.Environment:
    """Return what renders the templates of the package; whatever strangers named stays text."""
    import jinja2

    package = resources.files(shape_dnn)
    loader = jinja2.FunctionLoader(lambda name: (package / name).read_text(encoding="utf-8"))
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=loader, trim_blocks=True)


def program(names: Sequence[str]) -> str:
    """Return scripts of the package as one, whose names are its own."""
    package = resources.files(shape_dnn)
    texts = [(package / name).read_text(encoding="utf-8") for name in names]
    return '"use strict";\n(() => {\n' + "\n".join(texts) + "})();\n"


def complete(
    room: str, data: object, scripts: Sequence[str], *, styles: Sequence[str] = (), live: bool = False, **values: object
) -> str:
    """Return a page of a room as HTML: its template within ``page.html``, its program, and what all pages share.

    Args:
        room: of the package, in which ``template.html`` lies.
        data: JSON values for the program.
        scripts: paths of the files in the package that are its program.
        styles: paths of the files in the package that are its style, beside that of all pages.
        live: whether its program may ask whoever serves it for more.
        **values: for the template.
    """
    package = resources.files(shape_dnn)
    style = "".join((package / name).read_text(encoding="utf-8") for name in ("report/report.css", *styles))
    script, library = program(scripts), vega()
    # Nothing runs or styles the page but these three texts.
    policy = (
        f"default-src 'none'; script-src '{_hash(library)}' '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'" + ("; connect-src 'self'" if live else "")
    )
    page = (
        environment()
        .get_template(f"{room}/template.html")
        .render(
            policy=policy,
            style=trusted(style),
            library=trusted(library),
            program=trusted(script),
            data=trusted(_escaped_json(data)),
            version=shape_dnn.__version__,
            live=live,
            **values,
        )
    )
    return encodable(page)  # it names files, such as that of a trainer or a table


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


def trusted(text: str) -> Any:
    """Take text for HTML that needs no escapes."""
    import markupsafe

    return markupsafe.Markup(text)  # noqa: S704 - our own files, and JSON without a character that HTML knows


def _escaped_json(value: object) -> str:
    """Write JSON that ends no element of HTML, whatever is in it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _summary(content: dict[str, Any]) -> str:
    states = [row["state"] for row in content["shapes"]]
    known = ", ".join(f"{states.count(state):,} {state}" for state in charts.STATES if state in states)
    whose = "Its" if len(states) == 1 else "Their"
    return f"{content['subject']}: {counted(len(states), 'shape')}. {whose} {content['quality']['name']}: {known}."


def _ships(deployment: Mapping[str, Any] | None) -> str:
    """Say what ships and where it runs, with the versions there; empty where networks run as torch does here."""
    words = "" if deployment is None else deployment_in_words(deployment)
    if deployment is None or not words:
        return ""
    versions = ", ".join(f"{package} {version}" for package, version in deployment["versions"].items())
    return f"Networks ship {words}" + (f" ({versions})" if versions else "") + "; what is known is known of these."


def _titles(overview: Overview) -> dict[str, str]:
    """Return what stands above the values of each metric, and of each timing beside them, by their column."""
    metrics = {f"m{i}": charts.titled(metric.name, metric.unit) for i, metric in enumerate(overview.metrics)}
    timings = {c: f"latency, {t.title} [{LATENCY.unit}]" for c, t in overview.timing_columns.items() if not t.metric}
    return metrics | timings


def _conversion_headings(overview: Overview) -> list[str]:
    return [] if overview.as_trained is None else [*map(overview.quality.heading, (AS_TRAINED, "lost"))]


def _cost(cost: dict[str, Any]) -> str:
    twice = f", {cost['twice']:,} of them twice" if cost["twice"] else ""
    part = f"{100 * cost['trained'] / cost['shapes']:.3g} %"
    were = "was" if cost["trained"] == 1 else "were"
    share = f"{cost['trained']:,} of {counted(cost['shapes'], 'shape')} {were} trained ({part}){twice}"
    if not cost["exhaustive_seconds"] or not cost["seconds"]:  # nothing was timed, or all in no time
        return f"{share}."
    spent, everything = cost["seconds"], cost["exhaustive_seconds"]
    if cost["trained"] == cost["shapes"]:
        return f"{share}, in {_duration(spent)} of training."
    return (
        f"{share}, in {_duration(spent)} of training. By these durations, training all of them would take about "
        f"{_duration(everything)}: {number(everything / spent, 2)} times as long."
    )


def _duration(seconds: float) -> str:
    for size, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{number(seconds / size, 3)} {name}"
    return f"{number(seconds, 3)} seconds"


def _scores(content: dict[str, Any]) -> list[float | None]:
    """Return the score of every shape by the goal of the question."""
    asked = [goal["scores"] for goal in content["goals"] if goal["name"] == content["goal"]]
    return asked[0] if asked else [None] * len(content["shapes"])


def _cells(overview: Overview, row: dict[str, Any]) -> dict[str, str]:
    """Return what stands in the table for a shape, by the entries of its row."""
    number, spread = overview.quality.number, overview.quality.spread
    conversion = {} if overview.as_trained is None else {"before": number, "lost": spread}
    qualities = {"quality": number, **conversion, "mean": number, "std": spread, "tested": number}
    return {
        "depth": str(row["depth"]),
        "fraction": row["fraction"],
        **{column: _measured(row[column], row[f"{column}_status"]) for column in _titles(overview)},
        **{name: "–" if row[name] is None else write(row[name]) for name, write in qualities.items()},
        "state": row["state"],
        "reason": row["reason"],
    }


def _measured(value: float | None, status: str) -> str:
    return _number(value, status) + ("" if value is None or status == "ok" else f" ({status})")


def _number(value: float | None, unknown: str) -> str:
    return unknown if value is None else number(value)
