"""Time to decide which of 1,000 shapes to train next, with 20 trainings made: ``python benchmarks/deciding.py``."""

from __future__ import annotations

import statistics
import time
from fractions import Fraction

from shape_dnn import Constraint, Goal, Shape, Training
from shape_dnn.assembly.goal_expressions import Expression
from shape_dnn.plugins.registry import Registry
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.shape import by_width_then_depth

MODELS = ("log-error", "log-linear", "ridge", "power-law")
GOALS = ("size", "-accuracy", "size*(100-accuracy)", "none")
RUNS = 5


def main() -> None:
    """Print the median time of each model and goal."""
    registry = Registry([])
    shapes = sorted(
        (Shape(depth, Fraction(width, 4)) for width in range(1, 41) for depth in range(10, 160, 6)),
        key=by_width_then_depth,
    )
    sizes = [float(shape.depth * shape.width**2) for shape in shapes]
    by_shape = dict(zip(shapes, sizes, strict=True))
    observed = [
        Training(shape, 95 - 40 / shape.depth - 2 / float(shape.width) + i % 3 / 5, seconds=sizes[i * 50])
        for i, shape in enumerate(shapes[::50])
    ]
    print(f"{len(shapes)} shapes, {len(observed)} trainings; milliseconds to choose 4 more")
    print(f"{'':<12}" + "".join(f"{goal:>24}" for goal in GOALS))
    for name in MODELS:
        cells = []
        for goal in GOALS:
            seconds = []
            for _ in range(RUNS + 1):
                wanted: Goal | None = None if goal == "none" else Expression(goal)
                began = time.perf_counter()
                model = registry.load("accuracy_model", name, {}).instance
                limits = [Constraint("accuracy", False, 93.0, "%")]
                posterior = AnswerPosterior(
                    shapes, observed, model, limits, wanted, lambda _metric, some: [by_shape[s] for s in some]
                )
                if not posterior.settled:
                    posterior.choose(4)
                seconds.append(time.perf_counter() - began)
            cells.append(f"{1000 * statistics.median(seconds[1:]):>24.0f}")  # the first imports what it needs
        print(f"{name:<12}" + "".join(cells))


if __name__ == "__main__":
    main()
