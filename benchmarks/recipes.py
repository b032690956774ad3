"""How well short recipes rank shapes, by the long recipe of the paper on the same shapes.

``python benchmarks/recipes.py`` compares the recorded tables of both. No ranking can agree better with that of single
trainings than these agree among themselves, so that is printed beside it.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from shape_dnn.study.tables import Table

TABLES = Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables"
PAIRS = (("wrn-digits", "wrn-digits-paper-recipe"),)
"""A table of a short recipe with several seeds, and one of the long recipe."""


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation."""
    return float(spearmanr(first, second).statistic)


def main() -> None:
    """Print the correlations of each pair."""
    for short, long in PAIRS:
        tables = [Table.read(TABLES / f"{name}.csv") for name in (short, long)]
        shapes = tables[0].shapes
        assert tables[1].shapes == shapes
        seeds = min(len(tables[0].rows[shape]) for shape in shapes)
        own = np.array([[tables[0].rows[shape][seed]["accuracy"] for shape in shapes] for seed in range(seeds)], float)
        other = np.array([tables[1].rows[shape][0]["accuracy"] for shape in shapes], float)
        single = [agreement(one, other) for one in own]
        pairs = [agreement(own[i], own[j]) for i, j in itertools.combinations(range(seeds), 2)]
        seconds = [sum(float(t.rows[shape][0]["seconds"] or 0) for shape in shapes) for t in tables]
        best = float(other.max() - other[own.mean(0).argmax()])
        print(f"{short}: {len(shapes)} shapes, {seeds} seeds of the short recipe, one of the long, "
              f"which takes {seconds[1] / seconds[0]:.1f} times as long\n"
              f"  one short training and one long     {statistics.fmean(single):.3f}\n"
              f"  the mean of the short, and one long {agreement(own.mean(0), other):.3f}\n"
              f"  two short trainings                 {statistics.fmean(pairs):.3f}\n"
              f"  the best by the short recipe is {best:.2f} points below the best by the long one, "
              f"whose accuracies go from {other.min():.1f} to {other.max():.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
