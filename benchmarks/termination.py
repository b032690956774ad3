"""Epochs saved and regret of the terminators, on recorded learning curves.

``python benchmarks/termination.py --tables DIRECTORY`` asks random questions about every table that has curves, trains
all shapes that the limits leave, two at a time, and lets each terminator stop what it would. The answer is the best
shape by what was trained to its end; regret is against what the same trainings give without termination.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import contenders
import numpy as np
from recorded import Question, Recorded, questions, sources

from shape_dnn.kinds import Terminator
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Epoch, Training

NAMES = ("none", "median", "asha", "curve")
WORKERS = 2


def train(table: Recorded, question: Question, rule: Terminator, seed: int) -> tuple[list[int], int]:
    """Train in random order; return what was trained to its end, and the number of epochs."""
    assert table.curves is not None
    curves = table.curves[:, question.repetition]
    epochs = curves.shape[1]
    rule.consider(question.limits, question.goal)
    waiting = np.random.default_rng(seed).permutation(question.candidates).tolist()
    running: dict[int, list[Epoch]] = {}
    ended: list[Training] = []
    done: list[int] = []
    spent = 0
    while waiting or running:
        while waiting and len(running) < WORKERS:
            running[waiting.pop(0)] = []
        for i, points in list(running.items()):
            points.append(Epoch(len(points) + 1, 0.0, float(curves[i, len(points)])))
            spent += 1
            others = [*ended, *(Training(table.shapes[j], None, curve=tuple(c)) for j, c in running.items() if j != i)]
            whole = len(points) == epochs
            if whole or rule.should_stop(points, epochs, others):
                del running[i]
                accuracy = max(epoch.accuracy for epoch in points) if whole else None
                ended.append(Training(table.shapes[i], accuracy, "" if whole else "stopped by it", tuple(points)))
                done += [i] if whole else []
    return done, spent


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("tables"), help="directory with further tables")
    parser.add_argument("--questions", type=int, default=300)
    arguments = parser.parse_args()
    registry = Registry([])
    print(f"{'table':<20}{'':<8}{'epochs saved':>14}{'regret, accuracy [pt]':>24}{'regret, other [%]':>20}{'none':>8}")
    for name, source in sources(arguments.tables).items():
        table = Recorded.load(name, source)
        if table.curves is None:
            continue
        asked = questions(table, arguments.questions, seed=0)
        for rule_name in NAMES:
            factors, points, percents, lost = [], [], [], []
            for i, question in enumerate(asked):
                rule = registry.load("terminator", rule_name, {}).instance
                done, spent = train(table, question, rule, seed=i)
                factors.append(len(question.candidates) * table.curves.shape[2] / spent)
                found, best = (contenders.best_of(table, question, s) for s in (done, question.candidates.tolist()))
                if found is None or best is None:
                    lost.append(best is not None)
                    continue
                lost.append(False)
                if question.goal.metrics == ("accuracy",):
                    points.append(float(table.truth[best] - table.truth[found]))
                else:
                    scores = question.scores(table, table.truth)
                    percents.append(100 * float(scores[found] / scores[best] - 1))
            print(
                f"{name:<20}{rule_name:<8}{statistics.fmean(factors):>13.2f}x{_mean(points):>24.3f}{_mean(percents):>20.2f}"
                f"{100 * statistics.fmean(lost):>7.1f}%"
            )


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


if __name__ == "__main__":
    main()
