"""Questions to a study are answered from what it knows, and say what would change the answer."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from shape_dnn import Goal, Shape
from shape_dnn.answers.advice import OUTCOMES, Advice, WhatIf, most_telling
from shape_dnn.builtin import goals
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import AccuracyModel
from shape_dnn.records import Measurement, Prediction, Training
from shape_dnn.search.lookup import recall
from shape_dnn.search.ordering import front, traded_off
from shape_dnn.search.query import Candidate, Query
from shape_dnn.study.known import KnownFacts

SHAPES = [Shape(10, Fraction(1)), Shape(16, Fraction(1)), Shape(22, Fraction(1))]


class Known(KnownFacts):
    """Latencies of 1, 2 and 3 ms, the last with an interval, and one training."""

    def __init__(self, status: str = "ok") -> None:
        self.status = status

    def measure(self, metric, shapes):  # type: ignore[no-untyped-def]
        return [float(SHAPES.index(shape) + 1) for shape in shapes]

    def estimate(self, metric, shapes, limit=None):  # type: ignore[no-untyped-def]
        return self.measure(metric, shapes)

    def estimates(self, metric, shapes):  # type: ignore[no-untyped-def]
        return {shape: Measurement(i + 1.0, i + 0.8, i + 1.2, self.status) for i, shape in enumerate(SHAPES)}

    def verify(self, shapes):  # type: ignore[no-untyped-def]
        return [Training(SHAPES[0], 90.0)] if SHAPES[0] in shapes else []

    def test(self, shape, *, again=False):  # type: ignore[no-untyped-def]
        return None


class NoModel(AccuracyModel):
    def fit(self, shapes, accuracies):  # type: ignore[no-untyped-def]
        raise AssertionError

    def predict(self, shapes):  # type: ignore[no-untyped-def]
        raise AssertionError


def advise(query: Query, *predictions: Prediction, status: str = "ok") -> Advice | None:
    candidates = [Candidate(SHAPES[0], 90.0, predictions[0])]
    candidates += [Candidate(shape, None, p) for shape, p in zip(SHAPES[1:], predictions[1:], strict=True)]
    return most_telling(query, candidates, Known(status), Known(status), NoModel())


SURE = Prediction(90.0, 0.1)


def test_the_training_is_named_that_most_likely_changes_which_shape_is_best() -> None:
    advice = advise(Query(goal=goals.Accuracy()), SURE, Prediction(89.0, 1.0), Prediction(89.5, 1.0))
    assert advice is not None
    assert (advice.metric, advice.shape) == ("accuracy", SHAPES[2])
    assert advice.probability == pytest.approx(1 - NormalDist(89.5, 1.0).cdf(90.0), abs=0.02)


def test_training_a_best_shape_that_is_only_predicted_may_lose_it_its_place() -> None:
    advice = advise(Query(goal=goals.Accuracy()), SURE, Prediction(90.5, 1.0), Prediction(80.0, 0.1))
    assert advice is not None
    assert advice.shape == SHAPES[1]
    assert advice.probability == pytest.approx(NormalDist(90.5, 1.0).cdf(90.0), abs=0.02)


def test_without_a_goal_a_shape_that_may_enter_or_leave_changes_the_answer() -> None:
    limits = [Constraint("accuracy", False, 90.0)]
    advice = advise(Query(limits), SURE, Prediction(92.0, 1.0), Prediction(90.4, 1.0))
    assert advice is not None
    assert advice.shape == SHAPES[2]
    assert advice.probability == pytest.approx(NormalDist(90.4, 1.0).cdf(90.0), abs=0.02)


def test_no_training_is_named_where_a_cheaper_limit_decides() -> None:
    query = Query([Constraint("latency", True, 1.5)], goals.Accuracy())
    assert advise(query, SURE, Prediction(95.0, 1.0), Prediction(95.0, 1.0)) is None


def test_a_measurement_that_was_disturbed_near_a_limit_is_named() -> None:
    query = Query([Constraint("latency", True, 2.95)])
    assert advise(query, SURE, SURE, SURE) is None
    advice = advise(query, SURE, SURE, SURE, status="contended")
    assert advice is not None
    assert (advice.metric, advice.shape) == ("latency", SHAPES[2])
    assert 0.2 < advice.probability < 0.4


def test_a_shape_on_the_front_or_not_counts_for_a_trade_off() -> None:
    query = Query(pareto=("latency", "accuracy"))
    advice = advise(query, SURE, Prediction(89.0, 1.0), Prediction(80.0, 1.0))
    assert advice is not None
    assert advice.shape == SHAPES[1]
    assert advice.probability == pytest.approx(1 - NormalDist(89.0, 1.0).cdf(90.0), abs=0.02)


@pytest.mark.parametrize("metrics", [("latency", "accuracy"), ("latency", "size", "accuracy")])
def test_a_front_changes_where_the_front_of_all_the_others_says_so(metrics: tuple[str, ...]) -> None:
    rng = random.Random(0)
    shapes = [Shape(depth, Fraction(1)) for depth in range(10, 50)]
    columns = {name: [float(rng.randint(1, 12)) for _ in shapes] for name in ("latency", "size")}
    candidates = [Candidate(shape, float(rng.randint(80, 90)), None) for shape in shapes]

    class Table(Known):
        def estimate(self, metric, shapes, limit=None):  # type: ignore[no-untyped-def]
            return columns[metric]

    query = Query(pareto=metrics)
    what_if = WhatIf(query, candidates, Table())
    before = {candidate.shape for candidate in front(candidates, query, Table())}
    for place, candidate in enumerate(candidates):
        for accuracy in (80.0, 85.0, 91.0):
            changed = [*candidates[:place], Candidate(candidate.shape, accuracy, None), *candidates[place + 1 :]]
            after = {candidate.shape for candidate in front(changed, query, Table())}
            is_other = (candidate.shape in after) != (candidate.shape in before)
            assert what_if.changes(place, "accuracy", accuracy) == is_other


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("goal", [goals.Accuracy(), goals.Latency()])
def test_the_best_shape_changes_where_an_answer_with_the_fact_says_so(goal: Goal, verified: bool) -> None:
    rng = random.Random(0)
    shapes = [Shape(depth, Fraction(1)) for depth in range(10, 16)]
    for _ in range(100):
        latencies = {shape: rng.uniform(1.0, 2.0) for shape in shapes}
        candidates = [
            Candidate(shape, quality, Prediction(quality or rng.gauss(90, 1), 1.0))
            for shape in shapes
            for quality in (rng.choice([None, rng.gauss(90, 1)]),)
        ]

        class Table(Known):
            def estimate(self, metric, shapes, limit=None, latencies=latencies):  # type: ignore[no-untyped-def]
                return [latencies[shape] for shape in shapes]

            measure = estimate

        limits = [Constraint("accuracy", False, 89.5), Constraint("latency", True, 1.8)]
        query = Query(limits, goal, confidence=rng.choice([None, 0.8]))
        what_if = WhatIf(query, candidates, Table(), verified)
        before = recall(shapes, query, candidates, Table(), verified=verified).best
        for place, candidate in enumerate(candidates):
            for metric, value in (("accuracy", rng.gauss(90, 1)), ("latency", rng.uniform(1.0, 2.0))):
                changed, slower = list(candidates), dict(latencies)
                if metric == "accuracy":
                    changed[place] = replace(candidate, quality=value)
                else:
                    slower[candidate.shape] = value
                facts = Table()
                facts.measure = facts.estimate = partial(facts.estimate, latencies=slower)  # type: ignore[method-assign]
                after = recall(shapes, query, changed, facts, verified=verified).best
                was, wins = (found is not None and found.shape == candidate.shape for found in (before, after))
                assert what_if.changes(place, metric, value) == (was != wins)


def test_what_would_change_a_front_is_looked_up_in_time_that_grows_with_the_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = [Shape(depth, Fraction(1)) for depth in range(10, 130)]
    looked_up = 0

    def count(values: Any, query: Query) -> Any:
        nonlocal looked_up
        looked_up += 1
        return traded_off(values, query)

    class Table(Known):
        def estimate(self, metric, shapes, limit=None):  # type: ignore[no-untyped-def]
            return [float(shape.depth) for shape in shapes]

    monkeypatch.setattr("shape_dnn.answers.advice.traded_off", count)
    candidates = [Candidate(shape, None, Prediction(90 - shape.depth / 10, 1.0)) for shape in shapes]
    assert most_telling(Query(pareto=("latency", "accuracy")), candidates, Table(), Table(), NoModel()) is not None
    assert looked_up <= (OUTCOMES + 2) * len(shapes)


def test_an_answer_from_memory_may_rest_on_a_value_that_nobody_measured() -> None:
    """What is only predicted by a line in depth cannot be measured now, and stands."""

    class OnALine(Known):
        def measure(self, metric, shapes):  # type: ignore[no-untyped-def]
            return [None] * len(shapes)

        def estimate(self, metric, shapes, limit=None):  # type: ignore[no-untyped-def]
            return [float(SHAPES.index(shape) + 1) for shape in shapes]

    assessed = [Candidate(shape, None, SURE) for shape in SHAPES]
    answer = recall(SHAPES, Query(goal=goals.Latency()), assessed, OnALine())
    assert answer.best is not None
    assert answer.best.shape == SHAPES[0]


def test_asking_imports_neither_torch_nor_what_trains(tmp_path: Path) -> None:
    program = "import sys, shape_dnn.cli.ask, shape_dnn.answers.question; print([m for m in sys.modules if m in {'torch', 'yaml', 'psutil', 'shape_dnn.study.study'}])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
