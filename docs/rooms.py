"""A picture of the rooms of the package and what they import, drawn from the code and from the linted layers."""

from __future__ import annotations

import html
import importlib
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
LEFT_OUT = {"__main__", "advice", "outlook", "simulation"}
"""Modules that are one line each."""
WIDTH, HEIGHT, GAP, RISE = 108, 30, 18, 62


def layers() -> list[list[str]]:
    """Return the rooms of each layer, the highest first, as ``lint-imports`` has them."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    rows = [
        [room.strip().removeprefix("shape_dnn.") for room in layer.replace("|", ":").split(":")]
        for layer in contract["layers"]
    ]
    kept = [[room for room in row if room not in LEFT_OUT] for row in rows]
    return [row for row in kept if row]


def imports(rooms: Sequence[str]) -> dict[str, set[str]]:
    """Return what each room imports, itself left out."""
    graph = grimp.build_graph("shape_dnn", cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            one, two = (name.split(".")[1] if "." in name else "" for name in (module, other))
            if one in found and two in found and one != two:
                found[one].add(two)
    return found


def needed(arrows: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Give those arrows that no way through other rooms stands for."""

    def reach(room: str) -> set[str]:
        return {room}.union(*(reach(other) for other in arrows[room]))

    for room, others in arrows.items():
        for other in sorted(others):
            if not any(other in reach(third) for third in others - {other}):
                yield room, other


def draw() -> str:
    """Return the picture as SVG; the purpose of a room shows when it is pointed at."""
    rows = layers()
    arrows = imports(list(itertools.chain(*rows)))
    width = GAP + max(map(len, rows)) * (WIDTH + GAP)
    place = {}
    for level, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for number, room in enumerate(row):
            place[room] = left + number * (WIDTH + GAP), GAP + level * RISE
    height = GAP + len(rows) * RISE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="The rooms of the package; each imports those below it">',
        "<style>rect { fill: #e8eef7; stroke: #4a6a9a } path { stroke: #888; fill: none } text { fill: #111 }</style>",
    ]
    for one, other in needed(arrows):
        (x, y), (u, v) = place[one], place[other]
        start, end, bend = x + WIDTH / 2, u + WIDTH / 2, (v - y - HEIGHT) / 2
        # One that passes rooms goes around them.
        aside = (1 if end >= width / 2 else -1) * WIDTH * min(1.6, bend / RISE) if v - y > RISE else 0.0
        down, up = f"{start + aside},{y + HEIGHT + bend}", f"{end + aside},{v - bend}"
        parts.append(f'<path d="M{start},{y + HEIGHT} C{down} {up} {end},{v}"/>')
    for room, (x, y) in place.items():
        purpose = (importlib.import_module(f"shape_dnn.{room}").__doc__ or "").splitlines()[0]
        parts.append(
            f'<g><title>{html.escape(purpose)}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
            f'<text x="{x + WIDTH / 2}" y="{y + 20}" text-anchor="middle">{room}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])
