"""A picture that is a chart of recorded trainings and measurements, or of what the code decides on them."""

from __future__ import annotations

import base64
import json
import re
import zlib
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
        """Return the specification, which the picture holds."""
        return json.dumps(_rounded(self.make()), ensure_ascii=False, sort_keys=True)

    def draw(self, scheme: str) -> bytes:
        """Return the picture."""
        import vl_convert

        ink, back = INK[scheme]
        source = self.source()
        config = {**THEME, "background": back, "font": "Helvetica, Arial, sans-serif", "padding": 10}
        spec = {"$schema": SCHEMA, "config": config, **json.loads(source)}
        picture = vl_convert.vegalite_to_svg(json.dumps(spec).replace("currentColor", ink))
        picture = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", picture)  # a hundredth of a pixel
        about = base64.b64encode(zlib.compress(source.encode(), 9)).decode()
        return picture.replace("</svg>", f"<desc>{SOURCE} {about}</desc></svg>").encode()

    @staticmethod
    def read(picture: bytes) -> str:
        """Return the source of a picture."""
        found = re.search(rf"<desc>{SOURCE} (.*?)</desc>", picture.decode())
        return zlib.decompress(base64.b64decode(found[1])).decode() if found else ""


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
