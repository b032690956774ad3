"""Time until ``shape-dnn --help`` answers, beside that of an interpreter that does nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

ALONE = {"SHAPE_DNN_PLUGINS": ""}
"""Leaves all plugin packages out but the built-in one."""


def seconds(environment: dict[str, str], *arguments: str) -> float:
    """Run Python with these arguments and return how long it took."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - began


def main() -> None:
    """Print the figures; the runs alternate, so that a slow moment hits all alike."""
    commands: dict[str, tuple[dict[str, str], *tuple[str, ...]]] = {
        "python -c pass": ({}, "-c", "pass"),
        "shape-dnn --help": ({}, "-m", "shape_dnn", "--help"),
        "shape-dnn plugins": ({}, "-m", "shape_dnn", "plugins"),
        "the same, alone": (ALONE, "-m", "shape_dnn", "plugins"),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(11):
        for name, arguments in commands.items():
            times[name].append(seconds(*arguments))
    for name, values in times.items():
        print(f"{name:<20} median {statistics.median(values):.3f} s")


if __name__ == "__main__":
    main()
