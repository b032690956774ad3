"""Draw how a search finds its answer, from the worked example of the page on the algorithm.

``python docs/search_steps.py`` writes the picture that the page shows; a test sees that it is current.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from shape_dnn import Shape, tune

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "search-steps.svg"
TABLE = ROOT / "plugins" / "shape-dnn-tables" / "shape_dnn_tables" / "wrn-digits.csv"
QUESTION: Mapping[str, object] = {"max": ["multiply-adds=2e6"], "min_accuracy": "98.5%", "goal": "size"}
CELL, LEFT, TOP, MARGIN = 22, 44, 64, 14
SHADES = {0.5: "#c6dbef", 0.7: "#8fbfe0", 0.8: "#5a9bd0", 0.9: "#2b7bba"}
"""Colours by the probability of complying from which they are used; told apart by lightness alone, too."""
STYLE = """<style>
rect { stroke: #fff } .page { fill: #fff; stroke: none } .dropped { fill: url(#hatched) } .left { fill: #dfe6ee }
.unlikely { fill: #f1f1f1 } .trained { fill: #1b2a41 } .best { fill: #e69f00; stroke: #1b2a41; stroke-width: 2 }
text { fill: #1b2a41; font-size: 12px } .title { font-size: 14px; font-weight: bold } .axis { font-size: 11px }
.number { fill: #fff; text-anchor: middle; font-weight: bold } .dark { fill: #1b2a41 }
</style>
<defs><pattern id="hatched" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="page" width="6" height="6"/><path d="M0 0V6" stroke="#b5b5b5" stroke-width="2"/></pattern></defs>"""


class Map:
    """A map of the space: a cell for each shape, wide ones on the right, deep ones on top."""

    def __init__(self, place: int, title: str, about: str, shapes: list[Shape]) -> None:
        self.depths = sorted({shape.depth for shape in shapes}, reverse=True)
        self.widths = sorted({shape.width for shape in shapes})
        self.left = MARGIN + LEFT + place * (LEFT + len(self.widths) * CELL)
        self.parts = [
            f'<text class="title" x="{self.left}" y="24">{place + 1}. {title}</text>',
            f'<text x="{self.left}" y="44">{about}</text>',
        ]
        for row, depth in enumerate(self.depths):
            self.parts.append(
                f'<text class="axis" x="{self.left - 6}" y="{TOP + row * CELL + 15}" text-anchor="end">{depth}</text>'
            )
        for column, width in enumerate(self.widths):
            if width.denominator in (1, 2, 4):
                x = self.left + column * CELL + CELL / 2
                y = TOP + len(self.depths) * CELL + 16
                self.parts.append(f'<text class="axis" x="{x}" y="{y}" text-anchor="middle">{width}</text>')

    def corner(self, shape: Shape) -> tuple[int, int]:
        """Return where the cell of a shape begins."""
        return self.left + self.widths.index(shape.width) * CELL, TOP + self.depths.index(shape.depth) * CELL

    def cell(self, shape: Shape, kind: str, colour: str = "") -> None:
        """Draw a cell."""
        x, y = self.corner(shape)
        fill = f' style="fill: {colour}"' if colour else ""
        self.parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{CELL}" height="{CELL}"{fill}/>')

    def write(self, shape: Shape, text: object, kind: str = "number") -> None:
        """Write into a cell."""
        x, y = self.corner(shape)
        self.parts.append(f'<text class="{kind}" x="{x + CELL / 2}" y="{y + 16}">{text}</text>')


def operations() -> dict[Shape, float]:
    """Return the multiply-adds of every shape of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {Shape.parse(f"{row['depth']},{row['width']}"): float(row["multiply-adds"]) for row in rows}


def shade(probability: float) -> str:
    """Return the colour of a probability of complying."""
    return next(colour for least, colour in reversed(SHADES.items()) if probability >= least)


def draw() -> str:
    """Return the picture as SVG."""
    cost, result = operations(), tune(replay=str(TABLE), **QUESTION)
    left = {shape for shape in cost if cost[shape] <= 2e6}
    order = {training.shape: number for number, training in enumerate(result.answer.trainings, start=1)}
    listed = result.to_dict()["shapes"]
    likely = {Shape(row["depth"], Fraction(row["width"])): row["probability"] for row in listed}

    def limits(drawn: Map, shape: Shape) -> None:
        drawn.cell(shape, "left" if shape in left else "dropped")

    def choice(drawn: Map, shape: Shape) -> None:
        limits(drawn, shape)
        if shape in order:
            drawn.cell(shape, "trained")
            drawn.write(shape, order[shape])

    def prediction(drawn: Map, shape: Shape) -> None:
        if shape in likely:
            drawn.cell(shape, "", shade(likely[shape]))
        else:
            drawn.cell(shape, "unlikely" if shape in left else "dropped")

    def verdict(drawn: Map, shape: Shape) -> None:
        if shape == result.best:
            drawn.cell(shape, "best")
            drawn.write(shape, "★", "number dark")
        else:
            prediction(drawn, shape)

    steps: list[tuple[str, str, Callable[[Map, Shape], None]]] = [
        ("Apply the limits", f"{len(left)} of {len(cost)} shapes are left", limits),
        ("Train a few", f"{len(order)} trainings, in this order", choice),
        ("Predict the rest", "darker: likelier to reach 98.5 %", prediction),
        ("Name the best", "the smallest that holds, trained", verdict),
    ]
    maps = [Map(place, title, about, list(cost)) for place, (title, about, _) in enumerate(steps)]
    for drawn, (_, _, paint) in zip(maps, steps, strict=True):
        for shape in cost:
            paint(drawn, shape)
    width = maps[-1].left + len(maps[-1].widths) * CELL + MARGIN
    height = TOP + len(maps[-1].depths) * CELL + 40
    label = "Four maps of a design space: limits, trainings, predictions and the answer"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" role="img" '
        f'aria-label="{label}">', STYLE, f'<rect class="page" width="{width}" height="{height}"/>',
        *[part for drawn in maps for part in drawn.parts],
        f'<text class="axis" x="{MARGIN}" y="{TOP - 6}">depth</text>',
        f'<text class="axis" x="{width / 2}" y="{height - 6}" text-anchor="middle">width</text>',
        "</svg>\n",
    ])  # fmt: skip


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
