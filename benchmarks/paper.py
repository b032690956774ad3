"""The paper's experiments on recorded tables: ``python benchmarks/paper.py TABLE [--noise POINTS] [--figures DIR]``.

Noise, fit of Equation 2, accuracy against size, the order of the samplers, how many trainings predict the rest to
within the noise (Table 1), and what its method and the default answer to thirteen questions (Table 3 has as many for
MNIST): the most accurate shape within a size, and the smallest one above an accuracy. Recorded shapes that no search
knows of are the truth.

``--figures DIR`` draws its figures 6 and 7 of each table, in a directory of its name: accuracy against parameters, and
what tuning depth and width gains over scaling by depth alone, by each metric that was recorded.

What searches cost is counted in trainings, and in their multiply-adds as a part of those of all trainings: seconds
were recorded on shared machines.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from shape_dnn import Shape, simulate, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.accuracy_models.equation2 import features
from shape_dnn.plugins.registry import Registry
from shape_dnn.report import figures
from shape_dnn.report.overview import Overview
from shape_dnn.search.failures import as_they_are
from shape_dnn.settings import Settings
from shape_dnn.study.tables import Table

SAMPLERS = ("interval", "random", "wider")
MODELS = ("paper", "log-linear", "log-error")
METHODS: Mapping[str, Mapping[str, Any]] = {
    "paper": {"sampler": "interval", "model": "paper", "strategy": "standard"},
    "default": {},
}
DRAWS = 20
"""Seeds of what depends on one."""
QUESTIONS = 13
ALIKE = 1.1
"""Factor up to which what two shapes cost is alike."""


@dataclass(frozen=True)
class Recorded:
    """A recorded table: ``path`` of its file, and what is read from it."""

    path: Path

    @cached_property
    def table(self) -> Table:
        """All rows."""
        return Table.read(self.path)

    def values(self, column: str) -> dict[Shape, float]:
        """Return a column as means over the seeds."""
        found = {}
        for shape in self.table.shapes:
            known = [value for row in self.table.rows[shape] if (value := row.get(column)) is not None]
            if known:
                found[shape] = statistics.fmean(known)
        return found

    def first(self) -> dict[Shape, float]:
        """Return the accuracies with the first seed, which searches look up."""
        return {shape: float(self.table.rows[shape][0]["accuracy"] or 0.0) for shape in self.table.shapes}

    def repeated(self) -> dict[Shape, list[float]]:
        """Return the accuracies of shapes that were trained with several seeds."""
        found = {shape: [float(row["accuracy"] or 0.0) for row in rows] for shape, rows in self.table.rows.items()}
        return {shape: accuracies for shape, accuracies in found.items() if len(accuracies) > 1}


def noise(recorded: Recorded) -> float | None:
    """Print two standard deviations of the accuracies of one shape, and return them; None without repetitions."""
    repeated = recorded.repeated()
    if not repeated:
        print("noise: no shape was trained twice")
        return None
    spreads = {shape: statistics.variance(accuracies) for shape, accuracies in repeated.items()}
    overall = 2 * math.sqrt(statistics.fmean(spreads.values()))
    middle = 2 * math.sqrt(statistics.median(spreads.values()))
    print(
        f"noise, two standard deviations: {overall:.2f} points over {len(repeated)} shapes, in the middle {middle:.2f}"
    )
    return overall


def fit(recorded: Recorded) -> None:
    """Print how well Equation 2 explains all accuracies."""
    accuracies = recorded.first()
    wanted = np.array(list(accuracies.values()))
    columns = np.column_stack([np.ones(len(wanted)), features(list(accuracies))])
    fitted = columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    explained = 1 - ((wanted - fitted) ** 2).sum() / ((wanted - wanted.mean()) ** 2).sum()
    error = abs(wanted - fitted).mean()
    print(f"Equation 2 on all {len(wanted)} shapes: R^2 {explained:.3f}, mean error {error:.2f} points")


def samplers(recorded: Recorded) -> None:
    """Print the mean error of predictions by sampler, model and number of trainings."""
    shapes = len(recorded.table.shapes)
    counts = [count for count in (shapes // 4, shapes // 3, shapes // 2) if count >= 4]
    print("mean error of the shapes that were not trained, in points (largest)")
    print(f"{'trained':>8} {'sampler':<10}" + "".join(f"{model:>20}" for model in MODELS))
    for count in counts:
        for sampler in SAMPLERS:
            rows = simulate(recorded.path, samplers=[sampler], models=MODELS, train=count,
                            seeds=DRAWS if sampler == "random" else 1)  # fmt: skip
            print(f"{count:>8} {sampler:<10}" + "".join(f"{r.mean_error:>11.2f} ({r.max_error:6.2f})" for r in rows))


def trade(recorded: Recorded) -> None:
    """Print how closely accuracy follows what shapes cost, and which of two that cost the same is the better."""
    accuracies = recorded.first()
    for column in ("size", "multiply-adds"):
        costs = recorded.values(column)
        correlation = spearmanr([costs[shape] for shape in accuracies], list(accuracies.values())).statistic
        gains = [
            accuracies[wide] - accuracies[deep]
            for wide, deep in itertools.permutations(costs, 2)
            if wide.width > deep.width and wide.depth < deep.depth
            and abs(math.log(costs[wide] / costs[deep])) < math.log(ALIKE)
        ]  # fmt: skip
        better, least, most = sum(gain > 0 for gain in gains), min(gains), max(gains)
        print(f"accuracy against {column}: rank correlation {correlation:.3f}; of {len(gains)} pairs of like {column}")
        print(f"    the wider and shallower is more accurate in {better}, by {least:.2f} to {most:.2f} points")


def trainings_for(recorded: Recorded, bounds: Mapping[str, float]) -> None:
    """Print the least number of trainings, evenly spaced, with a mean error below each bound."""
    shapes = len(recorded.table.shapes)
    counts = range(4, shapes)
    errors = {model: [error_of(recorded, model, count) for count in counts] for model in MODELS}
    for name, bound in bounds.items():
        said = []
        for model, by_count in errors.items():
            within = [n for n, error in zip(counts, by_count, strict=True) if error <= bound]
            of_all = f"with {len(within)} of {len(counts)} numbers"
            said.append(f"{model} " + (f"{within[0]} of {shapes} ({of_all})" if within else "never"))
        print(f"trainings for a mean error of at most {bound:.2f} points ({name}): {', '.join(said)}")


def error_of(recorded: Recorded, model: str, count: int) -> float:
    """Return the mean error of the other shapes, in points, where so many are trained, evenly spaced."""
    return (
        simulate(recorded.path, samplers=["interval"], models=[model], train=count, seeds=1)[0].mean_error or math.inf
    )


def questions(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """Yield the thirteen questions: seven sizes and six accuracies, spread evenly over those of the table."""
    sizes, accuracies = (sorted(recorded.values(column).values()) for column in ("size", "accuracy"))
    for i in range(1, 8):
        yield {"max_size": float(f"{sizes[i * (len(sizes) - 1) // 7]:.4g}") * 1.001, "goal": "accuracy"}
    for i in range(1, 7):
        yield {"min_accuracy": float(f"{accuracies[i * (len(accuracies) - 1) // 7]:.4g}") - 0.001, "goal": "size"}


def compare(recorded: Recorded, deviation: float) -> None:
    """Print what each method answers to the questions, beside the truth.

    An answer is as good as the truth if it is no worse by more than one standard deviation of a training: in accuracy
    itself, or no larger than what has the wanted accuracy by as much to spare.
    """
    sizes, accuracies, work = recorded.values("size"), recorded.first(), recorded.values("multiply-adds")
    everything = sum(work.values())
    print(f"{'question':<34}{'truth':<31}" + "".join(f"{name:<50}" for name in METHODS))
    total = dict.fromkeys(METHODS, 0.0)
    right = dict.fromkeys(METHODS, 0)
    good = dict.fromkeys(METHODS, 0)
    for question in questions(recorded):
        truth = answer_of_all(question, sizes, accuracies)
        cells = []
        for name, method in METHODS.items():
            found = tune(replay=recorded.path, **question, **method).to_dict()
            trained = [shape_of(row) for row in found["trained"]]
            cost = sum(work[shape] for shape in trained) / everything
            best = None if found["best"] is None else shape_of(found["best"])
            total[name] += len(trained)
            right[name] += best == truth
            good[name] += is_as_good(best, question, sizes, accuracies, deviation)
            cells.append(f"{told(best, sizes, accuracies):<30} {len(trained):>3} trained {cost:>5.0%}")
        print(
            f"{in_words(question):<34}{told(truth, sizes, accuracies):<31}" + "".join(f"{cell:<50}" for cell in cells)
        )
    for name in METHODS:
        mean = total[name] / QUESTIONS
        print(
            f"{name}: {good[name]} of {QUESTIONS} as good as the truth within the noise, {right[name]} the same shape;"
        )
        print(f"    {mean:.1f} trainings a question")


def in_words(question: Mapping[str, Any]) -> str:
    """Write a question."""
    if "max_size" in question:
        return f"size <= {question['max_size']:.4g} MB, accuracy"
    return f"accuracy >= {question['min_accuracy']:.2f} %, size"


def is_as_good(
    best: Shape | None,
    question: Mapping[str, Any],
    sizes: Mapping[Shape, float],
    accuracies: Mapping[Shape, float],
    deviation: float,
) -> bool:
    """Return whether an answer is as good as the truth, but for the noise."""
    truth = answer_of_all(question, sizes, accuracies)
    if best is None or truth is None:
        return best == truth
    if "max_size" in question:
        return sizes[best] <= question["max_size"] and accuracies[best] >= accuracies[truth] - deviation
    with_margin = answer_of_all({"min_accuracy": question["min_accuracy"] + deviation}, sizes, accuracies)
    return accuracies[best] >= question["min_accuracy"] and (with_margin is None or sizes[best] <= sizes[with_margin])


def answer_of_all(
    question: Mapping[str, Any], sizes: Mapping[Shape, float], accuracies: Mapping[Shape, float]
) -> Shape | None:
    """Return the answer of who has trained every shape."""
    if "max_size" in question:
        fitting = [shape for shape in sizes if sizes[shape] <= question["max_size"]]
        return max(fitting, key=lambda shape: accuracies[shape], default=None)
    good = [shape for shape in sizes if accuracies[shape] >= question["min_accuracy"]]
    return min(good, key=lambda shape: sizes[shape], default=None)


def shape_of(row: Mapping[str, Any]) -> Shape:
    """Read a shape of a result, whose width is the float that is nearest to it."""
    return Shape(row["depth"], Fraction(row["width"]).limit_denominator(1000))


def draw(recorded: Recorded, directory: Path) -> None:
    """Draw the paper's figures of all accuracies, and print which."""
    parts = Assembly(Settings.create({"replay": str(recorded.path)}))
    overview = Overview.of_replay(parts, as_they_are(parts.replay.train(parts.shapes)))
    for path in figures.write(overview, None, directory / recorded.path.stem):
        print(path)


def told(shape: Shape | None, sizes: Mapping[Shape, float], accuracies: Mapping[Shape, float]) -> str:
    """Write an answer."""
    return "none" if shape is None else f"{shape} {accuracies[shape]:.2f} % {sizes[shape]:.3f} MB"


def main() -> None:
    """Print everything for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="a CSV file, or the name of a table of a plugin")
    parser.add_argument("--noise", type=float, help="the paper's noise, in points: 0.1 for MNIST, 0.4 for CIFAR-10")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="where to draw the paper's figures 6 and 7")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of a poor fit, which is what is shown
    for name in given.tables:
        path = Path(name) if Path(name).exists() else Registry().load("table", name).instance.path
        recorded = Recorded(path)
        print(f"== {path.stem}: {len(recorded.table.shapes)} shapes")
        own = noise(recorded)
        fit(recorded)
        trade(recorded)
        samplers(recorded)
        bounds = {"our noise": own, "the paper's noise": given.noise}
        trainings_for(recorded, {name: bound for name, bound in bounds.items() if bound is not None})
        compare(recorded, (own or given.noise or 0) / 2)
        if given.figures is not None:
            draw(recorded, given.figures)


if __name__ == "__main__":
    main()
