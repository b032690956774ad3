"""Regret against cost of this project, the paper's method and general tuners, on recorded tables.

``python benchmarks/search.py --tables DIRECTORY`` asks random questions about the tables of ``shape-dnn-tables`` and
those in the directory; ``--plot FILE.svg`` draws what it finds. The truth of a shape is its mean accuracy over repeated
trainings; a search sees one training of each. An answer is *within the noise* if no shape is better that meets the
limit on accuracy, or exceeds the accuracy of the answer, by one standard deviation of a training. It *violates* if its
true accuracy falls short of the limit by more than the noise of the dataset, two such deviations (paper, Table 1).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import contenders
import numpy as np
from contenders import Contender, Run
from recorded import Question, Recorded, Source, questions, sources

from shape_dnn.assembly.assembly import CONFIDENCE

BINS = ((8, 14), (15, 44), (45, 99), (100, 10_000))
MOST = 40
"""Trainings after which the contenders are stopped that never end by themselves."""
ANYTIME = ("random", "optuna-tpe", "optuna-gp")
GROUPS = ("ours", "paper", "top-k", *ANYTIME, "exhaustive")
"""Kinds of contenders, each with a colour of its own."""
SLOW: Mapping[str, int] = {"optuna-gp": 100}
"""Contenders that are asked fewer questions, since each takes them several seconds."""


def make(name: str) -> Contender:
    """Return a contender by its name in the results: ``ours``, with a confidence or a model, or another one."""
    kind, _, setting = name.partition(" ")
    if kind == "ours":
        if setting[:1].isalpha():
            return contenders.ours(model=setting)
        return contenders.ours(confidence=float(setting) if setting else CONFIDENCE)
    if kind == "paper":
        return contenders.paper(setting)
    if kind == "top-k":
        return contenders.top_after_one_epoch(int(setting))
    if kind.startswith("optuna"):
        return contenders.optuna(kind.removeprefix("optuna-"), 25 if kind == "optuna-tpe" else 18)
    return {"random": contenders.at_random, "exhaustive": contenders.exhaustive}[kind]


@dataclass(frozen=True)
class Outcome:
    """How one search did.

    Attributes:
        candidates: number of shapes that the limits left.
        trainings: whole trainings made; parts count as such.
        trained: part of the candidates.
        seconds: of training, as a part of those of all candidates.
        answered: whether a shape was returned, or rightly none.
        within: whether the answer is as good as the noise allows.
        points: regret in points, where accuracy is the goal.
        percent: regret in percent of the goal, elsewhere.
        violates: whether it falls short of the limit by more than the noise.
        falls_short: whether it falls short at all.
        covered: part of the trainings not made that lie within the 90 % interval of their prediction.
    """

    candidates: int
    trainings: float
    trained: float
    seconds: float
    answered: bool
    within: bool
    points: float | None
    percent: float | None
    violates: bool
    falls_short: bool
    covered: float | None


def judge(table: Recorded, question: Question, run: Run) -> Outcome:
    """Compare an answer with the truth."""
    left, truth, sigma = question.candidates, table.truth, table.sigma
    scores = question.scores(table, truth)
    trainings = float(len(run.trained) if run.epochs is None else sum(run.epochs))
    complying, clearly = left[question.complies(truth[left])], left[question.complies(truth[left], sigma)]
    points = percent = None
    violates = falls_short = False
    if run.answer is None:
        answered = within = not len(clearly)
    else:
        answered, truly = True, float(truth[run.answer])
        violates, falls_short = not question.complies(truly, -2 * sigma), not question.complies(truly)
        if question.goal.metrics == ("accuracy",):
            points = max(0.0, float(truth[left].max()) - truly)
            within = points <= sigma
        else:
            best = scores[complying].min(initial=np.inf)
            percent = 100 * max(0.0, float(scores[run.answer] / best) - 1)
            within = bool(scores[run.answer] <= scores[clearly].min(initial=np.inf) * (1 + 1e-9))
    return Outcome(
        len(left),
        trainings,
        trainings / len(left),
        contenders.seconds_of(table, run) / float(table.seconds[left].sum()),
        answered,
        within,
        points,
        percent,
        violates,
        falls_short,
        run.covered,
    )


def prefix(table: Recorded, question: Question, run: Run, number: int) -> Run:
    """Return what a search had come to after so many trainings."""
    trained = run.trained[:number]
    return Run(trained, contenders.best_of(table, question, trained))


@cache
def _load(name: str, source: Source) -> Recorded:
    return Recorded.load(name, source)


def ask(job: tuple[str, Source, str, int, int, int]) -> list[list[Outcome]]:
    """Ask one contender some of the questions; return outcomes of each, after every training for those that go on."""
    name, source, contender, number, first, step = job
    warnings.simplefilter("ignore")
    table, run = _load(name, source), make(contender)
    outcomes = []
    for i, question in list(enumerate(questions(table, number, seed=0)))[first::step]:
        result = run(table, question, i)
        lengths = range(1, min(MOST, len(result.trained)) + 1) if contender in ANYTIME else (len(result.trained),)
        runs = [prefix(table, question, result, n) for n in lengths] if contender in ANYTIME else [result]
        outcomes.append([judge(table, question, each) for each in runs])
    return outcomes


def line(label: str, outcomes: Sequence[Outcome]) -> str:
    """Summarise outcomes."""

    def mean(values: Sequence[float]) -> float:
        return 100 * statistics.fmean(values) if values else 0.0

    def regret(values: Sequence[float | None], unit: str) -> str:
        known = [value for value in values if value is not None]
        cell = f"{statistics.median(known):6.2f} {statistics.fmean(known):6.2f} {unit}" if known else f"{'-':>15} "
        return f"{cell:>17}"

    seconds = [outcome.seconds for outcome in outcomes]
    cells = [
        f"{label:<34}{statistics.fmean(o.trainings for o in outcomes):6.1f}{mean([o.trained for o in outcomes]):7.1f}",
        f"{100 * statistics.median(seconds):7.1f}{mean(seconds):7.1f}",
        f"{mean([o.within for o in outcomes]):8.1f}",
        regret([o.points for o in outcomes], "pt"),
        regret([o.percent for o in outcomes], "%"),
        f"{mean([o.violates for o in outcomes]):7.1f}{mean([o.falls_short for o in outcomes]):7.1f}",
        f"{100 - mean([o.answered for o in outcomes]):7.1f}",
    ]
    return "".join(cells)


HEADER = (
    f"{'':<34}{'trained':>13}{'seconds %':>14}{'within':>8}{'regret, accuracy':>17}{'regret, other':>17}"
    f"{'violates':>14}{'none':>7}\n"
    f"{'':<34}{'mean':>6}{'%':>7}{'median':>7}{'mean':>7}{'%':>8}{'median   mean':>17}{'median   mean':>17}"
    f"{'%':>7}{'strict':>7}{'%':>7}"
)


def after(outcomes: Sequence[Sequence[Outcome]], number: int) -> list[Outcome]:
    """Return the outcomes after so many trainings, or after all where there are fewer."""
    return [steps[min(number, len(steps)) - 1] for steps in outcomes]


def within(outcomes: Sequence[Outcome]) -> float:
    """Return the part of the answers within the noise."""
    return statistics.fmean(outcome.within for outcome in outcomes)


def report(table: Recorded, found: Mapping[str, list[list[Outcome]]]) -> None:
    """Print the figures of one table."""
    print(f"\n{table.name}: {len(table.shapes)} shapes x {table.accuracies.shape[1]}, sigma {table.sigma:.2f} points")
    print(HEADER)
    ours = after(found["ours"], 1)
    goal, number = within(ours), round(statistics.fmean(o.trainings for o in ours))
    for name, outcomes in found.items():
        asked = f" ({len(outcomes)} questions)" if len(outcomes) < len(ours) else ""
        if name not in ANYTIME:
            print(line(name + asked, after(outcomes, 1)))
            continue
        print(line(f"{name} after {number}{asked}", after(outcomes, number)))
        most = max(map(len, outcomes))
        enough = next((n for n in range(1, most + 1) if within(after(outcomes, n)) >= goal), None)
        if enough is None:
            print(line(f"{name} after {most}, never as good", after(outcomes, most)))
        else:
            print(line(f"{name} as good after {enough}", after(outcomes, enough)))
    for low, high in BINS:
        some = [outcome for outcome in ours if low <= outcome.candidates <= high]
        if some:
            label = f"{low} to {high}" if high < 10_000 else f"{low} or more"
            print(line(f"ours, {label} candidates ({len(some)})", some))
    covered = [outcome.covered for outcome in ours if outcome.covered is not None]
    print(f"90 % intervals of the trainings not made hold {100 * statistics.fmean(covered):.1f} % of them")


def plot(path: Path, tables: Mapping[str, Mapping[str, list[list[Outcome]]]]) -> None:
    """Draw, for each table, the part of the answers that are not within the noise against training seconds."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(tables), figsize=(4.2 * len(tables), 3.8), sharey=True, squeeze=False)
    for axis, (name, found) in zip(axes[0], tables.items(), strict=True):
        groups: dict[str, list[tuple[float, float]]] = {}
        for contender, outcomes in found.items():
            steps = range(1, max(map(len, outcomes)) + 1) if contender in ANYTIME else (1,)
            for step in steps:
                some = after(outcomes, step)
                point = (100 * statistics.fmean(o.seconds for o in some), 100 * (1 - within(some)))
                groups.setdefault(contender.split()[0], []).append(point)
        for group, points in groups.items():
            colour, marker = f"C{GROUPS.index(group)}", "." if group not in ANYTIME else ""
            axis.plot(*zip(*sorted(points), strict=True), label=group, color=colour, marker=marker)
        axis.set(title=name, xlabel="training seconds, % of all candidates", xlim=(0, 102), ylim=(0, 100))
    axes[0][0].set_ylabel("answers worse than the noise, %")
    axes[0][-1].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("tables"), help="directory with further tables")
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--contenders", nargs="*", help="names of contenders, 'ours' among them; by default all")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--slow", type=float, default=1.0, help="part of the questions for the slow contenders")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("shape-dnn", "optuna", "scikit-learn", "torch")
    )
    print(f"{datetime.now(UTC):%Y-%m-%d}; {versions}; {arguments.questions} questions to each table")
    os.environ["OMP_NUM_THREADS"] = "1"  # one process per processor
    everything: dict[str, dict[str, list[list[Outcome]]]] = {}
    with multiprocessing.get_context("spawn").Pool() as pool:
        for name, source in sources(arguments.tables).items():
            if arguments.only and name not in arguments.only:
                continue
            table = _load(name, source)
            names = ["ours", *(f"ours {setting}" for setting in (0.5, 0.8, 0.9, 0.99, "log-linear"))]
            names += [f"paper {strategy}" for strategy in ("optimistic", "standard", "thorough")]
            names += [f"top-k {k}" for k in (1, 3, 5, 10)] if table.curves is not None else []
            names += [*ANYTIME, "exhaustive"]
            names = [name for name in names if not arguments.contenders or name in arguments.contenders]
            found = {}
            for contender in names:
                number = arguments.questions
                if contender in SLOW:
                    number = max(1, min(number, round(SLOW[contender] * arguments.slow)))
                step = 8
                jobs = [(name, source, contender, number, first, step) for first in range(step)]
                began = time.perf_counter()
                parts = pool.map(ask, jobs, chunksize=1)
                found[contender] = [outcome for part in parts for outcome in part]
                print(f"{name}: {contender} {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            report(table, found)
            everything[name] = found
    if arguments.plot:
        plot(arguments.plot, everything)


if __name__ == "__main__":
    main()
