"""How soon a small search trains where workers are copied from a server, beside workers that import torch themselves.

``python benchmarks/workers.py [--rounds 3]`` runs the same search in both ways in turns, so that a slow moment of the
machine hits both alike, and counts from the start of the command.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

SEARCH = """
import sys
from shape_dnn import tune
from shape_dnn.builtin.executors import local
from shape_dnn.events import TrainingFinished

if sys.argv[1] == "spawn":
    local._process_type = lambda: local.SpawnedProcess

def tell(event):
    if isinstance(event, TrainingFinished):
        print("trained", flush=True)

tune(depth="10:17:6", width="1/4:3/4:1/4", device="cpu", epochs=1, workers=2, goal="size", study=sys.argv[2],
     option=["dataset.limit=400", "recipe.precision=float32"], notify=tell)
"""
WAYS = ("forkserver", "spawn")


def seconds(way: str) -> tuple[float, float]:
    """Run the search; return when its first training was finished, and when everything was."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        command = [sys.executable, "-c", SEARCH, way, f"{directory}/study"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as search:
            assert search.stdout is not None
            search.stdout.readline()
            first = time.perf_counter() - began
            search.communicate()
        assert search.returncode == 0
        return first, time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = [{way: seconds(way) for way in WAYS} for _ in range(rounds)]
    for which, what in enumerate(("first training finished", "search finished")):
        both = [[each[way][which] for way in WAYS] for each in found]
        ratios = sorted(own / other for own, other in both)
        medians = [statistics.median(times) for times in zip(*both, strict=True)]
        print(f"{what:<24} after {medians[0]:.1f} s, by spawn {medians[1]:.1f} s; "
              f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
