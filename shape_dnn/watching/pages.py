"""The pages that are served: a report that grows, and many studies beside each other."""

from __future__ import annotations

from shape_dnn.report import page
from shape_dnn.watching.studies import Watched

STYLES = ["watching/watching.css"]


def of_study(study: Watched, *, is_single: bool) -> str:
    """Return the page of one study: what goes on, and below it the report.

    Args:
        study: to be shown.
        is_single: whether it is the only one that is watched.
    """
    content, live = study.content(), study.live()
    scripts = page.PROGRAM if content["data"] else []
    return page.complete(
        "watching",
        {"live": live, "facts": content["facts"], **(content["data"] or {})},
        [*scripts, "watching/news.js", "watching/watching.js"],
        styles=STYLES,
        live=True,
        title=study.name,
        header=page.trusted(content["header"]),
        main=page.trusted(content["main"]),
        error=content["error"],
        several=not is_single,
    )


def of_all() -> str:
    """Return the page of many studies, which fetches what it shows."""
    return page.complete("watching/several", {}, ["watching/news.js", "watching/several.js"], styles=STYLES, live=True)
