"""Makes the pictures of README and documentation: ``python docs/pictures.py [NAME ...]``, those named or all.

Each picture is two files, ``docs/pictures/NAME.SUFFIX`` and ``NAME-dark.SUFFIX``. They show what commands print,
reports, and charts, of recorded trainings alone, so whoever makes them again gets the same. Each carries what it was
made of, and ``tests/test_pictures.py`` tells when that is no longer what the code makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # the machine that is simulated there

import in_the_middle
from charted import learning, measured, networks, searches
from charting import Chart
from picturing import ROOT, Drawing, Screenshot, Terminal

HERE = ROOT / "docs" / "pictures"
SCHEMES = {"light": "", "dark": "-dark"}
"""What the name of a file ends with, by colour scheme."""
SEARCH = "shape-dnn --replay wrn-digits --max multiply-adds=2e6 --min-accuracy 98.5% --goal size"
BENCHMARK = (
    "shape-dnn bench wrn-digits wrn-fashion-mnist --method default --method paper --method random --questions 40"
)
TUTORIAL = "shape-dnn --replay docs/charted/tiles.csv --max-latency 5ms --goal accuracy"

PICTURES: dict[str, Terminal | Screenshot | Chart | Drawing] = {
    "search": Terminal(SEARCH),
    "progress": Terminal(
        "shape-dnn --depth 10:47:6 --width 1/8:5/4:1/8 --min-accuracy 98% --goal size --together 2",
        columns=86,
        shows=in_the_middle.terminal,
    ),
    "search-steps": Drawing("search_steps"),
    "help": Terminal("shape-dnn --help", columns=86),
    "networks": Chart(searches.networks),
    "samplers": Chart(searches.samplers),
    "accuracy-models": Chart(searches.accuracy_models),
    "strategies": Chart(searches.strategies),
    "front": Chart(searches.front),
    "recipes": Chart(learning.recipes),
    "terminators": Chart(learning.terminators),
    "watching": Screenshot(in_the_middle.page, width=1000, height=900),
    "benchmark": Screenshot(BENCHMARK, section="#cost", width=760),
    "tutorial": Screenshot(TUTORIAL, section="#maps", width=1000),
    "layers": Chart(networks.layers),
    "sine": Chart(networks.sine),
    "goals": Chart(searches.goals),
    "deploying": Chart(measured.deploying),
    "rounds": Chart(measured.rounds),
    "report-story": Screenshot(SEARCH, section="#story", width=1000),
    "report": Screenshot(SEARCH, width=1200, height=1240),
}
"""Every picture by its name, with what it is made of and its size."""


def files_of(name: str) -> dict[str, Path]:
    """Return the files of a picture by colour scheme."""
    endings = {"light": ""} if isinstance(PICTURES[name], Drawing) else SCHEMES
    return {scheme: HERE / f"{name}{ending}.{PICTURES[name].suffix}" for scheme, ending in endings.items()}


def main(names: list[str]) -> None:
    """Make pictures."""
    if unknown := set(names) - set(PICTURES):
        sys.exit(f"no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}")
    for name in names or PICTURES:
        for scheme, path in files_of(name).items():
            path.write_bytes(PICTURES[name].draw(scheme))
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
