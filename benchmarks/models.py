"""Mean errors of the accuracy models on recorded tables, side by side: ``python benchmarks/models.py TABLE.csv …``."""

from __future__ import annotations

import sys
from pathlib import Path

from shape_dnn import simulate
from shape_dnn.study.tables import Table

MODELS = ("paper", "ridge", "log-error", "log-linear", "power-law")
COUNTS = (5, 8, 10, 12, 15, 20)


def main(paths: list[str]) -> None:
    """Print a row for each table, sampler and number of trainings: mean absolute error of each model in points."""
    for path in map(Path, paths):
        shapes = len(Table.read(path).shapes)
        print(f"{path.name}: {shapes} shapes; mean error in points (largest error)")
        print(f"{'sampler':<10}{'trained':>8}" + "".join(f"{model:>20}" for model in MODELS))
        for sampler in ("interval", "random"):
            for count in (count for count in COUNTS if count < shapes):
                rows = simulate(
                    path, samplers=[sampler], models=MODELS, train=count, seeds=1 if sampler == "interval" else 30
                )
                cells = "".join(f"{row.mean_error:>11.3f} ({row.max_error:6.2f})" for row in rows)
                print(f"{sampler:<10}{count:>8}{cells}")


if __name__ == "__main__":
    main(sys.argv[1:])
