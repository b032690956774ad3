"""A picture that is a chart of recorded trainings and measurements, or of what the code decides on them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shape_dnn.report.charts import SCHEMA, THEME, Spec

SOURCE = "shape-dnn-picture"
"""The key under which a picture says what it was made of."""
INK = {"light": ("#1f2328", "#ffffff"), "dark": ("#e6edf3", "#0d1117")}
"""Text and background by colour scheme."""
DIGITS = 6
"""Significant digits of data in a chart."""


@dataclass(frozen=True)
class Chart:
    """A chart, as SVG.

    Attributes:
        make: returns it for Vega-Lite with its data, in the looks of a report.
    """

    make: Callable[[], Spec]
    suffix = "svg"

    def source(self) -> str:
        """Return the specification, which the picture holds as text."""
        return json.dumps(_rounded(self.make()), ensure_ascii=False, sort_keys=True)

    def draw(self, scheme: str) -> bytes:
        """Return the picture."""
        import vl_convert

        ink, back = INK[scheme]
        source = self.source()
        config = {**THEME, "background": back, "font": "Helvetica, Arial, sans-serif", "padding": 10}
        spec = {"$schema": SCHEMA, "config": config, **json.loads(source)}
        picture = vl_convert.vegalite_to_svg(json.dumps(spec).replace("currentColor", ink))
        about = html.escape(f"{SOURCE} {source}", quote=False)
        return picture.replace("</svg>", f"<desc>{about}</desc></svg>").encode()

    @staticmethod
    def read(picture: bytes) -> str:
        """Return the source of a picture."""
        found = re.search(rf"<desc>{SOURCE} (.*?)</desc>", picture.decode(), re.DOTALL)
        return html.unescape(found[1]) if found else ""


def _rounded(value: Any) -> Any:
    """Round numbers wherever they are, so that the last digits of another processor make no other picture."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
        case list():
            return [_rounded(each) for each in value]
    return value
