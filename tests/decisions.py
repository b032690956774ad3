"""What searches of the recorded tables decide, as JSON: the trainings in their order, and the answer.

``python tests/decisions.py NUMBER TABLE…``; run in processes of their own, whose libraries compute in different ways.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from shape_dnn import ShapeDnnError, tune
from shape_dnn.study.tables import Table

OTHERS = ("ridge", "paper", "log-linear", "power-law")
"""Accuracy models beside the default one; every third question is put to one of them."""


def decisions(path: str, places: range) -> list[object]:
    """Ask a table questions about size and accuracy."""
    table = Table.read(Path(path))
    accuracies = sorted(rows[0]["accuracy"] or 0.0 for rows in table.rows.values())
    found: list[object] = []
    for place in places:
        limit = accuracies[(place * 7 + 3) % len(accuracies)]
        goal = (None, "size", "accuracy", "size*(100-accuracy)")[place % 4]
        question = {"goal": goal, "min_accuracy": limit, "max_size": "2MB" if place % 2 else None}
        if place % 3 == 2:
            question["model"] = OTHERS[place // 3 % len(OTHERS)]
            question["sampler"] = ("d-optimal", "active", "cheap-d-optimal", "interval")[place // 3 % 4]
        try:
            result = tune(replay=path, **question)
        except ShapeDnnError as error:
            found.append(str(error))
            continue
        trained = [str(training.shape) for training in result.answer.trainings]
        found.append([trained, str(result.best), list(map(str, result.shapes))])
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    number = int(sys.argv[1])
    tables = enumerate(sys.argv[2:])
    print(json.dumps([decisions(path, range(number * i, number * (i + 1))) for i, path in tables]))
