"""Ways to answer a question about a recorded table, each with its best reasonable settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from recorded import Floats, Question, Recorded, Seen

from shape_dnn.assembly.assembly import CONFIDENCE
from shape_dnn.assembly.modelling import TrainingCount
from shape_dnn.kinds import AccuracyModel, Strategy
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Training
from shape_dnn.search import fitting, modes
from shape_dnn.search.query import Modelling, Query


@dataclass(frozen=True)
class Run:
    """What came of one search.

    Attributes:
        trained: positions in the order of training; those that were trained again twice.
        answer: position of the shape that was returned; None if none complied.
        epochs: part of a training that each of ``trained`` took; None for whole ones.
        covered: part of the candidates that were not trained whose training lies within the 90 % interval of its
            prediction; None without a model.
        measured: number of shapes of which another metric than the size was asked for.
    """

    trained: Sequence[int]
    answer: int | None
    epochs: Sequence[float] | None = None
    covered: float | None = None
    measured: int = 0


Contender = Callable[[Recorded, Question, int], Run]
"""Takes a table, a question and a seed."""


def search(
    sampler: str,
    model: str,
    strategy: str,
    confidence: float | None,
    train: int | None = None,
    together: int = 1,
    measures_all: bool = False,
) -> Contender:
    """Search with this project; every metric of the goal costs something but the size, unless all are measured."""
    registry = Registry([])
    position: dict[int, dict[object, int]] = {}

    def run(table: Recorded, question: Question, seed: int) -> Run:
        places = position.setdefault(id(table), {shape: i for i, shape in enumerate(table.shapes)})
        how_many: Strategy = (
            registry.load("strategy", strategy, {}).instance if train is None else TrainingCount(number=train)
        )
        options = {"seed": str(seed)} if sampler == "random" else {}
        modelling = Modelling(
            how_many,
            registry.load("sampler", sampler, options).instance,
            registry.load("accuracy_model", model, {}).instance,
            together,
        )
        shapes = [table.shapes[i] for i in question.candidates]
        costs = dict.fromkeys(table.metrics, 0.0) if measures_all else {"size": 0.0}
        query, facts = Query(question.limits, question.goal, costs, confidence), Seen(table, question)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the paper's model with few trainings
            answer = modes.search(shapes, query, modelling, facts)
        trained = [places[training.shape] for training in answer.trainings]
        best = None if answer.best is None else places[answer.best.shape]
        covered = _covered(table, question, trained, modelling.model)
        again = [places[shape] for shape in facts.repeated]
        return Run([*trained, *again], best, covered=covered, measured=len(facts.measured))

    return run


def _covered(table: Recorded, question: Question, trained: Sequence[int], model: AccuracyModel) -> float | None:
    seen = table.accuracies[:, question.repetition]
    others = np.setdiff1d(question.candidates, trained)
    if not len(others):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = [Training(table.shapes[i], float(seen[i])) for i in trained]
        predictions = fitting.predict(model, known, [table.shapes[i] for i in others])
    if any(prediction.std is None for prediction in predictions):
        return None
    means, stds = np.array([(prediction.mean, prediction.std) for prediction in predictions], float).T
    return float((np.abs(seen[others] - means) <= 1.645 * stds).mean())


def ours(
    model: str = "log-error", confidence: float = CONFIDENCE, together: int = 1, measures_all: bool = False
) -> Contender:
    """Search with the sampler ``active``."""
    return search("active", model, "standard", confidence, together=together, measures_all=measures_all)


def paper(strategy: str) -> Contender:
    """Search as the paper does."""
    return search("interval", "paper", strategy, None)


def best_of(table: Recorded, question: Question, trained: Sequence[int]) -> int | None:
    """Return the best of trained shapes by what was seen of them, for methods that have no model."""
    seen = table.accuracies[:, question.repetition]
    complying = [i for i in trained if question.complies(seen[i])]
    scores = question.scores(table, seen)
    return min(complying, key=lambda i: scores[i], default=None)


def exhaustive(table: Recorded, question: Question, _seed: int) -> Run:
    """Train everything."""
    trained = question.candidates.tolist()
    return Run(trained, best_of(table, question, trained))


def at_random(table: Recorded, question: Question, seed: int) -> Run:
    """Train in random order; stopped after each number of trainings in turn."""
    trained = np.random.default_rng(seed).permutation(question.candidates).tolist()
    return Run(trained, best_of(table, question, trained))


def top_after_one_epoch(keep: int) -> Contender:
    """Train everything for one epoch, and the best of them to the end; they go on from there."""

    def run(table: Recorded, question: Question, _seed: int) -> Run:
        assert table.curves is not None
        first = table.curves[:, question.repetition, 0]
        order = sorted(question.candidates.tolist(), key=lambda i: -first[i])
        kept, epochs = order[:keep], table.curves.shape[2]
        parts = [1.0 if i in kept else 1 / epochs for i in order]
        return Run(order, best_of(table, question, kept), parts)

    return run


def optuna(kind: str, most: int) -> Contender:
    """Search with Optuna's TPE or Gaussian process, one training after the other.

    Depth and width are two real numbers on logarithmic scales; what lies between shapes counts as the nearest that the
    limits leave, so no suggestion breaks a limit that needs no training. The limit on accuracy is a constraint as
    Optuna supports it. A shape that is suggested again is not trained again: Optuna is told its result once more; after
    five such in a row a random shape that was not trained is taken. TPE: multivariate, 5 random trials at first (10 by
    default, too many for so few trainings). GP: deterministic objective off, 5 random trials at first.
    """

    def run(table: Recorded, question: Question, seed: int) -> Run:
        import optuna as package

        package.logging.set_verbosity(package.logging.ERROR)
        logs = np.log([(table.shapes[i].depth, float(table.shapes[i].width)) for i in question.candidates])
        low, high = logs.min(0), logs.max(0)
        unit = (logs - low) / np.where(high > low, high - low, 1.0)
        seen = table.accuracies[:, question.repetition]
        scores = question.scores(table, seen)
        limited = question.least_accuracy is not None

        def shortfall(trial: package.trial.FrozenTrial) -> tuple[float]:
            return ((question.least_accuracy or 0.0) - trial.user_attrs["accuracy"],)

        constraints = shortfall if limited else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = (
                package.samplers.TPESampler(
                    seed=seed, n_startup_trials=5, multivariate=True, constraints_func=constraints
                )
                if kind == "tpe"
                else package.samplers.GPSampler(seed=seed, n_startup_trials=5, constraints_func=constraints)
            )
            study = package.create_study(direction="minimize", sampler=sampler)
            rng = np.random.default_rng(seed)
            trained: list[int] = []
            repeats = 0
            while len(trained) < min(most, len(question.candidates)):
                trial = study.ask()
                place = np.array([trial.suggest_float("depth", 0, 1), trial.suggest_float("width", 0, 1)])
                i = int(question.candidates[((unit - place) ** 2).sum(1).argmin()])
                if i in trained and repeats == 5:
                    i = int(rng.choice(np.setdiff1d(question.candidates, trained)))
                repeats = repeats + 1 if i in trained else 0
                if i not in trained:
                    trained.append(i)
                trial.set_user_attr("accuracy", float(seen[i]))
                study.tell(trial, float(scores[i]))
        return Run(trained, best_of(table, question, trained))

    return run


def seconds_of(table: Recorded, run: Run) -> float:
    """Return the training seconds of a search."""
    parts: Floats = np.ones(len(run.trained)) if run.epochs is None else np.asarray(run.epochs, float)
    return float(table.seconds[list(run.trained)] @ parts)
