"""What trainings with several seeds gain by running side by side: ``python benchmarks/seeds.py [--rounds 3]``.

The same search with three seeds, whose trainings run side by side, and seed by seed. First on this machine, in both
ways in turns, so that a slow moment hits both alike; then by the clock of a simulated cluster with more workers.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import simulated_cluster

from shape_dnn import tune
from shape_dnn.events import Event, TrainingFinished, TrainingsPlanned
from shape_dnn.study.seeds import mean_over_seeds

SEEDS = 3
WAYS = ("side by side", "seed by seed")
WORKERS = (2, 4, 6, 8, 16)
QUESTION: dict[str, Any] = {"goal": "accuracy", "seeds": SEEDS, "device": "cpu"}


@contextmanager
def searching(way: str) -> Iterator[None]:
    """Have searches train in one of the ways."""
    if way == WAYS[0]:
        yield
    else:
        with mock.patch("shape_dnn.api.tune.one_study", mean_over_seeds):
            yield


def seconds(way: str) -> float:
    """Return how long a search of digits takes here."""
    with tempfile.TemporaryDirectory() as directory, searching(way):
        began = time.perf_counter()
        tune(
            depth="10:23:6", width="1/4:1:1/4", epochs=3, workers=2, study=directory,
            option=["recipe.precision=float32"], **QUESTION,
        )  # fmt: skip
        return time.perf_counter() - began


def makespan(lengths: Iterable[float], workers: int) -> float:
    """Return when the last of some trainings ends, of which each worker takes the longest that waits."""
    free = [0.0] * workers
    for length in sorted(lengths, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)


def batches() -> list[dict[int, list[float]]]:
    """Search in a simulated cluster; return how long the trainings of each seed take, for each batch."""
    found: list[dict[int, list[float]]] = []

    def tell(event: Event) -> None:
        if isinstance(event, TrainingsPlanned):
            found.append({seed: [] for seed in range(SEEDS)})
        elif isinstance(event, TrainingFinished):
            assert event.training.seconds is not None
            found[-1][event.seed].append(event.training.seconds)

    with tempfile.TemporaryDirectory() as directory:
        tune(
            depth="10:47:6", width="1/4:9/4:1/4", plugin=[simulated_cluster.__file__], executor="simulated",
            study=directory, option=["executor.stay=0", "recipe.precision=float32"], notify=tell, **QUESTION,
        )  # fmt: skip
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = [{way: seconds(way) for way in (WAYS if i % 2 else WAYS[::-1])} for i in range(rounds)]
    print(f"digits, {SEEDS} seeds, two workers, seconds of a search: {', '.join(WAYS)}, ratio (median of {rounds})")
    ratio = statistics.median(each[WAYS[1]] / each[WAYS[0]] for each in found)
    print(*(f"{statistics.median(each[way] for each in found):.1f}" for way in WAYS), f"{ratio:.2f}")
    told = batches()
    made = sum(len(lengths) for batch in told for lengths in batch.values())
    print(f"\nby the clock of a simulated cluster, {made} trainings in {len(told)} batches of two shapes; minutes")
    print(f"{'workers':>7}{WAYS[0]:>15}{WAYS[1]:>15}{'ratio':>8}")
    for workers in WORKERS:
        side = sum(makespan(itertools.chain(*batch.values()), workers) for batch in told) / 60
        alone = sum(makespan(lengths, workers) for batch in told for lengths in batch.values()) / 60
        print(f"{workers:>7}{side:>15.1f}{alone:>15.1f}{alone / side:>8.2f}")


if __name__ == "__main__":
    main()
