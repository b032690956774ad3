"""What comes of choosing by the latency of another runtime, precision or device than that which ships?

``python benchmarks/deploying.py recorded TABLES`` answers it for the detectors of YOLOBench, of which the directory
TABLES has ``yolobench.csv``. ``python benchmarks/deploying.py here DIR`` measures 48 Wide ResNets and 48 ResNets in
every deployment that is installed, some minutes for each, and keeps what it measured in DIR, so that it goes on where
it was interrupted; ``--beside TABLES`` adds the recorded ones. Questions and figures are those of ``choices.py``.
Tables are in Markdown, and ``--json FILE`` has all figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import choices
import detectors
import numpy as np
from choices import Space

from shape_dnn import Shape, devices
from shape_dnn.answers.measurements import Measurements
from shape_dnn.api.measure import measure
from shape_dnn.errors import UnavailableError, UsageError
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Measurement

QUESTIONS = 1000
RECORDED = {
    "latency": "Pi 4, ONNX Runtime",
    "latency_pi4_tflite_fp32": "Pi 4, TFLite",
    "latency_pi4_tflite_int8": "Pi 4, TFLite int8",
    "latency_jetson_nano_gpu": "Jetson Nano",
    "latency_intel_openvino": "Intel, OpenVINO",
    "latency_khadas_vim3_npu": "Khadas VIM3, NPU",
}
"""Columns of the table of YOLOBench, and what they are."""
ONNX_RUNTIME, FLOAT32, INT8, *OTHERS = RECORDED.values()
GROUPS = {
    "another device": list(itertools.permutations([ONNX_RUNTIME, *OTHERS], 2)),
    "another runtime on the same device": [(ONNX_RUNTIME, FLOAT32), (FLOAT32, ONNX_RUNTIME)],
    "float32, and int8 ships": [(FLOAT32, INT8)],
}
"""Pairs of what is chosen by and what ships, by what differs."""
DEPLOYMENTS = [
    "torch", "onnxruntime", "onnxruntime", "onnxruntime:precision=int8", "openvino", "openvino:precision=int8",
]  # fmt: skip
"""What is measured unless it is said; once more in one of them, to tell what is chance."""
QUICK = 2
"""Depths and widths of a space when it is only tried."""

Measured = dict[Shape, dict[str, Measurement]]


@dataclass(frozen=True)
class Steps:
    """Values of a depth or width: so many, from the first on."""

    first: Fraction
    step: Fraction
    number: int

    def setting(self, most: int) -> str:
        """Write the first of them, at most so many, as ``--depth`` and ``--width`` take it."""
        return f"{self.first}:{self.first + min(most, self.number) * self.step}:{self.step}"


@dataclass(frozen=True)
class Networks:
    """Networks to measure: shapes of an architecture on square colour images of so many pixels a side."""

    arch: str
    depths: Steps
    widths: Steps
    pixels: int


SPACES = [
    Networks("wrn", Steps(Fraction(10), Fraction(6), 8), Steps(Fraction(1, 2), Fraction(1, 2), 6), 32),
    Networks("resnet", Steps(Fraction(14), Fraction(3), 8), Steps(Fraction(1, 4), Fraction(1, 4), 6), 64),
]


def recorded(tables: Path) -> list[Space]:
    """Return the detectors of YOLOBench, a space for each family and resolution; quality is the mAP in percent."""

    def column(rows: Sequence[Mapping[str, str]], name: str) -> choices.Floats:
        return np.array([float(row[name]) for row in rows])

    return [
        Space(name, column(rows, "accuracy"), {title: column(rows, key) for key, title in RECORDED.items()})
        for name, rows in detectors.read(tables / "yolobench.csv").items()
    ]


def report_recorded(tables: Path, questions: int, limits: choices.Limits) -> tuple[list[str], dict[str, Any]]:
    """Ask about YOLOBench; return lines to print, and the figures."""
    spaces = recorded(tables)
    drawn = choices.draw(spaces, questions)
    found = {
        pair: choices.compare(drawn, *pair, limits)
        for pair in itertools.permutations(RECORDED.values(), 2)
    }  # fmt: skip
    groups = {name: choices.average([found[pair] for pair in pairs]) for name, pairs in GROUPS.items()}
    lines = [f"## YOLOBench: {len(spaces)} spaces, {questions} questions a pair, limits from {limits}", ""]
    lines += [
        f"| chosen by | {choices.columns('mAP')} |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [f"| {name} | {choices.cells(figures)} |" for name, figures in groups.items()]
    lines += ["", "Each pair, latencies multiplied by one factor:", "", *choices.table(list(found.values()), "mAP")]
    figures = {name: dataclasses.asdict(each) for name, each in groups.items()}
    return lines, {"groups": figures, "pairs": records(found.values())}


def records(comparisons: Iterable[choices.Comparison]) -> list[dict[str, Any]]:
    """Return comparisons as JSON values."""
    return list(map(dataclasses.asdict, comparisons))


def installed(deployments: Sequence[str]) -> dict[str, str]:
    """Return those deployments that there are, by titles; one that is named twice is there twice."""
    found: dict[str, str] = {}
    for deployment in deployments:
        name, options = split(deployment)
        try:
            Registry().load("deployment", name, options).instance.identity()
        except (UnavailableError, UsageError) as error:
            print(f"{deployment} is left out: {error}", file=sys.stderr)
            continue
        title = " ".join((name, *options.values()))
        while title in found:
            title += " again"
        found[title] = deployment
    return found


def split(deployment: str) -> tuple[str, dict[str, str]]:
    """Tell the name of a deployment from its options, as in ``onnxruntime:precision=int8,threads=2``."""
    name, _, text = deployment.partition(":")
    pairs = (option.partition("=") for option in text.split(",") if option)
    return name, {option: value for option, _, value in pairs}


def measured(networks: Networks, deployment: str, most: int, directory: Path, study: str, again: bool) -> Measured:
    """Measure what ships of a space, on one thread of this machine; the study remembers it.

    Args:
        networks: the space.
        deployment: with its options.
        most: depths and widths.
        directory: of all studies.
        study: name of this one.
        again: whether what was disturbed is measured again.
    """
    name, options = split(deployment)
    classes = directory / "classes"  # folders make a dataset whose images are never read
    for label in "ab":
        (classes / label).mkdir(parents=True, exist_ok=True)
    # Nothing ships of networks in torch itself, and to write a program of each would take long.
    metrics = ["size", "latency"] if name == "torch" else ["size", "latency", "file-size"]
    return measure(
        metrics,
        arch=networks.arch,
        depth=networks.depths.setting(most),
        width=networks.widths.setting(most),
        dataset="folder",
        data_dir=str(classes),
        device="cpu",
        deploy=name,
        option=[f"dataset.size={networks.pixels}", *(f"deploy.{key}={value}" for key, value in options.items())],
        study=str(directory / networks.arch / study),
        remeasure=again,
    )


def measure_all(
    networks: Networks, deployments: Mapping[str, str], directory: Path, *, quick: bool, again: bool
) -> dict[str, Measured]:
    """Measure a space in each deployment, each in a study of its own."""
    found, most = {}, QUICK if quick else max(networks.depths.number, networks.widths.number)
    for title, deployment in deployments.items():
        began = time.perf_counter()
        found[title] = measured(networks, deployment, most, directory, title.replace(" ", "-"), again)
        seconds = time.perf_counter() - began
        print(f"{networks.arch}, {title}: {len(found[title])} shapes, {seconds:.0f} s", file=sys.stderr, flush=True)
    return found


def space_of(name: str, found: Mapping[str, Measured]) -> Space:
    """Return the shapes that have a latency in every deployment; the more parameters, the better the network.

    Nothing is trained here. Differences of the quality, a hundred times the logarithm of the parameters, are about
    percents of them.
    """
    first = next(iter(found.values()))
    shapes = [shape for shape in first if all(each[shape]["latency"].value is not None for each in found.values())]
    if not shapes:
        raise SystemExit(f"{name}: no shape has a latency in each of {', '.join(found)}")
    latencies = {title: _values(each, "latency", shapes) for title, each in found.items()}
    return Space(name, 100 * np.log(_values(first, "size", shapes)), latencies)


def _values(measured: Measured, metric: str, shapes: Sequence[Shape]) -> choices.Floats:
    return np.array([measured[shape][metric].value for shape in shapes], float)


def overview(found: Mapping[str, Measured], space: Space) -> Iterator[str]:
    """Say of each deployment what its latencies and files are, and how well they were measured."""
    first, *_ = found
    yield f"| deployment | latency [ms] | times as fast as {first} | half interval, median | file [MB] | statuses |"
    yield "|---|---:|---:|---:|---:|---|"
    for title, shapes in found.items():
        known, statuses = space.latencies[title], Counter(each["latency"].status for each in shapes.values())
        ratios = space.latencies[first] / known
        widths = [_half_width(each["latency"]) for each in shapes.values() if each["latency"].value is not None]
        files = [value for each in shapes.values() if "file-size" in each and (value := each["file-size"].value)]
        cells = [
            title,
            f"{known.min():.3g} to {known.max():.3g}",
            f"{ratios.min():.2f} to {ratios.max():.2f}",
            f"{100 * statistics.median(widths):.1f} %",
            f"{min(files):.3g} to {max(files):.3g}" if files else "-",
            ", ".join(f"{number} {status}" for status, number in statuses.most_common()),
        ]
        yield f"| {' | '.join(cells)} |"


def _half_width(measurement: Measurement) -> float:
    """Return half of the interval of a measurement, as a part of its value."""
    value, low, high = measurement.value or 1.0, measurement.low or 0.0, measurement.high or 0.0
    return (high - low) / 2 / value


def report_measured(
    networks: Networks, found: Mapping[str, Measured], questions: int, limits: choices.Limits
) -> tuple[list[str], dict[str, Any]]:
    """Ask about a space that was measured; return lines to print, and the figures."""
    space = space_of(networks.arch, found)
    drawn = choices.draw([space], questions)
    pairs = [choices.compare(drawn, *pair, limits) for pair in itertools.permutations(found, 2)]
    number, pixels = len(space.quality), f"{networks.pixels}x{networks.pixels}"
    lines = [
        f"## {networks.arch}: {number} shapes on {pixels} pixels, {questions} questions a pair, limits from {limits}"
    ]
    lines += ["", *overview(found, space)]
    lines += ["", "Latencies as they are:", "", *choices.table(pairs, "% of parameters", plain=True)]
    lines += ["", "Latencies multiplied by one factor:", "", *choices.table(pairs, "% of parameters")]
    return lines, {
        "measured": {title: Measurements(each).rows() for title, each in found.items()},
        "pairs": records(pairs),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_tables = commands.add_parser("recorded", help="ask about YOLOBench")
    of_tables.add_argument("tables", type=Path, metavar="TABLES")
    here = commands.add_parser("here", help="measure, and ask about what was measured")
    here.add_argument("directory", type=Path, metavar="DIR")
    here.add_argument("--deploy", nargs="+", default=DEPLOYMENTS, metavar="NAME[:OPTION=VALUE,...]")
    here.add_argument("--spaces", nargs="+", default=[each.arch for each in SPACES], choices=[s.arch for s in SPACES])
    here.add_argument("--quick", action="store_true", help="four shapes of each space, to see that it works")
    here.add_argument("--remeasure", action="store_true", help="measure again what was disturbed or imprecise")
    here.add_argument("--beside", type=Path, metavar="TABLES", help="add what is recorded there")
    for command in (of_tables, here):
        command.add_argument("--questions", type=int, default=QUESTIONS)
        command.add_argument("--limits", choices=get_args(choices.Limits), default="range")
        command.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    reports: dict[str, tuple[list[str], dict[str, Any]]] = {}
    if arguments.command == "here":
        deployments = installed(arguments.deploy)
        print("; ".join(devices.fingerprint("cpu").values()), end="\n\n")
        for networks in SPACES:
            if networks.arch in arguments.spaces:
                quick, again = arguments.quick, arguments.remeasure
                found = measure_all(networks, deployments, arguments.directory, quick=quick, again=again)
                reports[networks.arch] = report_measured(networks, found, arguments.questions, arguments.limits)
    tables = arguments.tables if arguments.command == "recorded" else arguments.beside
    if tables is not None:
        reports["yolobench"] = report_recorded(tables, arguments.questions, arguments.limits)
    print("\n\n".join("\n".join(lines) for lines, _ in reports.values()))
    if arguments.json is not None:
        figures = {name: each for name, (_, each) in reports.items()}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
