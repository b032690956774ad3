"""How soon a small search trains where workers are copied from a server, beside workers that import torch themselves.

``python benchmarks/workers.py [--rounds 3]`` runs two searches in one program, in both ways in turns, so that a slow
moment of the machine hits both alike, and counts from the start of the program, and from that of the second search.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = """
import sys, time
from shape_dnn import tune
from shape_dnn.builtin.executors import workers
from shape_dnn.events import TrainingFinished

if sys.argv[1] == "spawn":
    workers.process_type = lambda: workers.SpawnedProcess

def tell(event):
    if isinstance(event, TrainingFinished) and event.done in (1, event.total):
        print(event.done, time.time(), flush=True)

for seed in (0, 1):
    print("start", time.time(), flush=True)
    tune(depth="10:17:6", width="1/4:3/4:1/4", device="cpu", epochs=1, workers=2, goal="size", study=sys.argv[2],
         seed=seed, option=["dataset.limit=400", "recipe.precision=float32"], notify=tell)
"""
WAYS = ("forkserver", "spawn")
FIGURES = (
    "first training, from the start of the program",
    "last training, from the start of the program",
    "first training of a second search in the program",
)


def seconds(way: str) -> tuple[float, float, float]:
    """Run the program; return how long it took to each of the figures."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.time()
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, way, f"{directory}/study"], stdout=subprocess.PIPE, text=True, check=True
        )
    moments = [float(line.split()[1]) for line in ran.stdout.splitlines()]
    _, first, last, again, second, _ = moments
    return first - began, last - began, second - again


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = [{way: seconds(way) for way in (WAYS if i % 2 else WAYS[::-1])} for i in range(rounds)]
    for which, what in enumerate(FIGURES):
        both = [[each[way][which] for way in WAYS] for each in found]
        ratios = sorted(own / other for own, other in both)
        medians = [statistics.median(times) for times in zip(*both, strict=True)]
        print(f"{what:<50}{medians[0]:5.1f} s, by spawn {medians[1]:5.1f} s; "
              f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
