"""What a goal with steps costs, and how often its answers are right: ``python benchmarks/stepped_goals.py``.

Recorded tables are asked for the smallest of the shapes on the highest step of accuracy. An answer is right if no shape
is better with its mean accuracy worse by the noise of the table. The answer itself has the accuracy that was seen.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simulated_cluster

from shape_dnn import tune
from shape_dnn.assembly.goal_expressions import Least, Most, parse
from shape_dnn.benchmarking import asking
from shape_dnn.benchmarking.methods import parse as method
from shape_dnn.benchmarking.problems import LEAST, RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.kinds import TableFile
from shape_dnn.plugins.registry import Registry

TABLES = sorted(
    path
    for path in (Path(__file__).parents[1] / "plugins/shape-dnn-tables/shape_dnn_tables").glob("*.csv")
    if not path.stem.endswith("curves")
)
STEPS = (0.5, 1.0, 2.0)
QUESTIONS = 40


class Stepped(Question):
    """A question whose goal looks at accuracy in steps."""

    @property
    def goal_is_quality(self) -> bool:
        """It is not."""
        return False

    def scores(self, table: RecordedTable, qualities: np.ndarray) -> np.ndarray:
        """Score every shape of the table, given qualities for them."""
        assert self.goal is not None
        pairs = zip(qualities.tolist(), table.metrics["size"].tolist(), strict=True)
        return np.array([self.goal.score({"accuracy": quality, "size": size}) for quality, size in pairs])


class Outcome(NamedTuple):
    """What came of one question."""

    candidates: int
    trained: int
    is_right: bool


def questions(table: RecordedTable, step: float) -> list[Stepped]:
    """Draw questions about the smallest quarter of the shapes, or more of them."""
    goal = parse(f"accuracy:{step},size", {"size": Least("size"), "accuracy": Most("accuracy")}.get)
    generator, sizes = np.random.default_rng(0), table.metrics["size"]
    drawn: list[Stepped] = []
    while len(drawn) < QUESTIONS:
        candidates = np.flatnonzero(sizes <= np.quantile(sizes, generator.uniform(0.25, 1)))
        if len(candidates) >= LEAST:
            repetition = len(drawn) % table.qualities.shape[1]
            drawn.append(Stepped(candidates, goal, None, repetition))  # type: ignore[arg-type] # no weights are needed
    return drawn


def asked(path: Path, step: float, number: int) -> Outcome:
    """Ask one question about a table."""
    table = RecordedTable.read(TableFile(path))
    question = questions(table, step)[number]
    run = asking.ask(table, question, method("default", Registry([])), number)
    assert run.answer is not None
    own = question.scores(table, table.qualities[:, question.repetition])[run.answer]
    best = question.scores(table, table.truth - table.noise)[question.candidates].min()
    return Outcome(len(question.candidates), len(run.trained), bool(own <= best))


def simulated(step: float) -> tuple[float | None, float | None]:
    """Search a large simulated space; return its shapes and the trainings."""
    with tempfile.TemporaryDirectory() as directory:
        found = tune(
            depth="10:250:6", width="1/4:6:1/4", goal=f"accuracy:{step},size", device="cpu", executor="simulated",
            plugin=[simulated_cluster.__file__], study=f"{directory}/study", option=["recipe.precision=float32"],
        )  # fmt: skip
    return found.cost["candidates"], found.cost["trained"]


def main() -> None:
    """Print means for each table and step."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    print(f"{QUESTIONS} questions each: smallest shape on the highest step of accuracy, 95 % confidence")
    print(f"{'table':<26}{'step':>6}{'shapes':>9}{'trained':>9}{'right':>8}")
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for path, step in itertools.product(TABLES, STEPS):
            few = zip(*[(path, step, number) for number in range(QUESTIONS)], strict=True)
            outcomes = list(pool.map(asked, *few))
            shapes, trained, right = (float(np.mean(column)) for column in zip(*outcomes, strict=True))
            print(f"{path.stem:<26}{step:>6}{shapes:>9.1f}{trained:>9.1f}{right:>8.0%}", flush=True)
    for step in STEPS:
        number, made = simulated(step)
        print(f"{'simulated, one search':<26}{step:>6}{number:>9}{made:>9}", flush=True)


if __name__ == "__main__":
    main()
