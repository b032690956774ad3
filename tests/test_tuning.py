"""Algorithm 1, checked against brute force on facts that are known in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shape_dnn import AccuracyModel, Constraint, Goal, PluginError, Prediction, Sampler, Shape, Training
from shape_dnn.builtin import goals, strategies
from shape_dnn.builtin.samplers import paper as samplers
from shape_dnn.events import Event, StageFinished
from shape_dnn.search.algorithm import predict
from shape_dnn.search.lookup import recall
from shape_dnn.search.modes import search
from shape_dnn.search.planning import plan
from shape_dnn.search.query import Modelling, Query

SHAPES = [Shape(depth, Fraction(width)) for width in range(1, 6) for depth in range(10, 40, 6)]
COSTS = {"size": 0.0, "latency": 1.0, "energy": 2.0}


@dataclass
class Known:
    """Facts that are all known, and a diary of what was asked."""

    metrics: Mapping[str, Mapping[Shape, float | None]]
    accuracy: Mapping[Shape, float | None]
    trained: list[Shape] = field(default_factory=list)
    measured: list[tuple[str, int]] = field(default_factory=list)
    tested: list[Shape] = field(default_factory=list)

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        return []

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        self.measured.append((metric, len(shapes)))
        return [self.metrics[metric][shape] for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        return self.measure(metric, shapes)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        self.trained += shapes
        return [Training(s, self.accuracy[s], "" if self.accuracy[s] is not None else "it failed") for s in shapes]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        return []

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        self.tested.append(shape)
        return 50.0


@dataclass
class Oracle(AccuracyModel):
    """Predicts what it is told, whatever it was fitted to."""

    predictions: Mapping[Shape, float]

    def fit(self, shapes: Sequence[Shape], accuracies: Sequence[float]) -> None:
        assert len(shapes) == len(accuracies) > 0

    def predict(self, shapes: Sequence[Shape]) -> Sequence[Prediction]:
        return [Prediction(self.predictions[shape]) for shape in shapes]


def by(function: object) -> dict[Shape, float]:
    return {shape: float(function(shape)) for shape in SHAPES}  # type: ignore[operator]


SIZE = by(lambda s: s.depth * s.width**2)
LATENCY = by(lambda s: s.depth + s.width)
ENERGY = by(lambda s: s.depth * s.width)
ACCURACY = by(lambda s: 99 - 20 / s.width - 50 / s.depth)
METRICS = {"size": SIZE, "latency": LATENCY, "energy": ENERGY}


def modelling(predictions: Mapping[Shape, float] = ACCURACY, sampler: Sampler | None = None) -> Modelling:
    return Modelling(strategies.standard(), sampler or samplers.Interval(), Oracle(predictions))


def limit(metric: str, value: float, upper: bool = True) -> Constraint:
    return Constraint(metric, upper, value)


limits = st.fixed_dictionaries(
    {},
    optional={
        "size": st.floats(5, 1000),
        "latency": st.floats(10, 45),
        "energy": st.floats(5, 200),
        "accuracy": st.floats(60, 99),
    },
)


@given(limits=limits, goal=st.sampled_from([None, goals.Size(), goals.Latency(), goals.Energy(), goals.Accuracy()]))
def test_the_answer_is_exact_when_the_predictions_are(limits: dict[str, float], goal: Goal | None) -> None:
    constraints = [limit(metric, value, metric != "accuracy") for metric, value in limits.items()]
    facts = Known(METRICS, ACCURACY)
    answer = search(SHAPES, Query(constraints, goal, COSTS), modelling(), facts)
    columns = {**METRICS, "accuracy": ACCURACY}
    expected = [s for s in SHAPES if all(c.allows(columns[c.metric][s]) for c in constraints)]
    assert sorted(c.shape for c in answer.complying) == sorted(expected)
    if goal is None or not expected:
        assert answer.best is None
    else:
        scores = {s: goal.score({m: columns[m][s] for m in goal.metrics}) for s in expected}
        assert answer.best is not None
        assert scores[answer.best.shape] == min(scores.values())
        assert answer.verified
    assert len(facts.trained) == len(set(facts.trained)), "a shape was trained twice"
    non_functional = [c for c in constraints if c.metric != "accuracy"]
    assert answer.candidates == sum(all(c.allows(columns[c.metric][s]) for c in non_functional) for s in SHAPES)


@given(
    accuracy=st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=len(SHAPES), max_size=len(SHAPES)),
    predicted=st.lists(st.floats(0, 100), min_size=len(SHAPES), max_size=len(SHAPES)),
    minimum=st.floats(0, 100),
)
def test_whatever_the_predictions_the_best_was_trained_and_complies(
    accuracy: list[float | None], predicted: list[float], minimum: float
) -> None:
    truth = dict(zip(SHAPES, accuracy, strict=True))
    facts = Known(METRICS, truth)
    query = Query([limit("accuracy", minimum, upper=False)], goals.Size(), COSTS)
    answer = search(SHAPES, query, modelling(dict(zip(SHAPES, predicted, strict=True))), facts)
    assert len(facts.trained) == len(set(facts.trained))
    for candidate in answer.complying:
        known = truth[candidate.shape] if candidate.shape in facts.trained else candidate.expected
        assert known is not None
        assert known >= minimum
    if answer.best is not None:
        assert answer.verified
        assert facts.tested == [answer.best.shape]
        assert all(SIZE[answer.best.shape] <= SIZE[c.shape] for c in answer.complying)
    else:
        assert not facts.tested


def test_the_cheapest_limit_is_applied_first_and_accuracy_last() -> None:
    events: list[Event] = []
    metrics = {**METRICS, "params": SIZE, "heat": ENERGY}
    constraints = [
        limit("accuracy", 70, upper=False), limit("heat", 150), limit("energy", 120), limit("params", 400),
        limit("latency", 40), limit("size", 500),
    ]  # fmt: skip
    facts = Known(metrics, ACCURACY)
    search(SHAPES, Query(constraints, None, {**COSTS, "heat": 3.0, "params": 0.5}), modelling(), facts, events.append)
    order = [event.metric for event in events if isinstance(event, StageFinished)]
    assert order == ["size", "params", "latency", "energy", "heat", "accuracy"]
    counts = [count for _, count in facts.measured[: len(order) - 1]]
    assert counts == sorted(counts, reverse=True), "each metric is measured only for what the one before left"


def test_a_goal_that_was_not_limited_is_measured_only_for_what_complies() -> None:
    facts = Known(METRICS, ACCURACY)
    search(SHAPES, Query([limit("accuracy", 90, upper=False)], goals.Energy(), COSTS), modelling(), facts)
    complying = sum(value >= 90 for value in ACCURACY.values())
    assert {metric for metric, _ in facts.measured} == {"energy"}
    assert max(count for _, count in facts.measured) == complying


def test_the_next_best_is_trained_until_one_holds() -> None:
    truth = {**ACCURACY}
    sampled = set(samplers.Interval().choose(SHAPES, (), strategies.standard().count(len(SHAPES))))
    order = sorted((s for s in SHAPES if s not in sampled), key=lambda s: SIZE[s])
    predictions = dict.fromkeys(SHAPES, 50.0) | dict.fromkeys(order[:3], 95.0)
    truth |= {order[0]: 80.0, order[1]: None, order[2]: 94.0}
    truth |= dict.fromkeys(sampled, 60.0)
    facts = Known(METRICS, truth)
    query = Query([limit("accuracy", 90, upper=False)], goals.Size(), COSTS)
    answer = search(SHAPES, query, modelling(predictions), facts)
    assert facts.trained[-3:] == order[:3]
    assert answer.best is not None
    assert (answer.best.shape, answer.best.quality) == (order[2], 94.0)


def test_the_most_accurate_shape_is_never_worse_than_one_that_was_trained() -> None:
    sampled = samplers.Interval().choose(SHAPES, (), strategies.standard().count(len(SHAPES)))
    predictions = dict.fromkeys(SHAPES, 99.0)
    truth = dict.fromkeys(SHAPES, 80.0) | {sampled[3]: 97.0}
    answer = search(SHAPES, Query((), goals.Accuracy(), COSTS), modelling(predictions), Known(METRICS, truth))
    assert answer.best is not None
    assert (answer.best.shape, answer.best.quality) == (sampled[3], 97.0)
    assert len(answer.trainings) == len(sampled) + 1


def test_a_shape_without_a_measured_value_does_not_comply_with_a_limit_on_it() -> None:
    latency = {**LATENCY, SHAPES[0]: None}
    answer = search(
        SHAPES, Query([limit("latency", 1e9)], None, COSTS), modelling(), Known({"latency": latency}, ACCURACY)
    )
    assert SHAPES[0] not in [c.shape for c in answer.complying]
    assert len(answer.complying) == len(SHAPES) - 1


def test_nothing_is_trained_when_a_limit_empties_the_space() -> None:
    facts = Known(METRICS, ACCURACY)
    answer = search(SHAPES, Query([limit("size", 0.1)], goals.Size(), COSTS), modelling(), facts)
    assert not facts.trained
    assert (answer.complying, answer.best, answer.candidates) == ((), None, 0)


def test_a_search_without_a_single_successful_training_returns_nothing_it_does_not_know() -> None:
    facts = Known(METRICS, dict.fromkeys(SHAPES))
    answer = search(SHAPES, Query([limit("accuracy", 1, upper=False)], goals.Size(), COSTS), modelling(), facts)
    assert (answer.complying, answer.best) == ((), None)


def test_a_sampler_may_look_at_results_before_it_chooses_again() -> None:
    class OneByOne(Sampler):
        def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
            assert [t.shape for t in observed] == list(shapes[: len(observed)])
            return shapes[len(observed) : len(observed) + 1] if len(observed) < budget else ()

    facts = Known(METRICS, ACCURACY)
    search(SHAPES, Query(), modelling(sampler=OneByOne()), facts)
    assert facts.trained == SHAPES[: strategies.standard().count(len(SHAPES))]


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ([Shape(11, Fraction(1))], "not one of the shapes"),
        ([SHAPES[0], SHAPES[0]], "twice"),
        (SHAPES, "25 shapes with a budget of 13"),
    ],
)
def test_a_sampler_that_breaks_the_rules_is_told_so(chosen: list[Shape], complaint: str) -> None:
    class Broken(Sampler):
        def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
            return chosen

    with pytest.raises(PluginError, match=complaint):
        search(SHAPES, Query(), modelling(sampler=Broken()), Known(METRICS, ACCURACY))


def test_a_sampler_that_never_ends_is_stopped() -> None:
    class Endless(Sampler):
        def choose(self, shapes: Sequence[Shape], observed: Sequence[Training], budget: int) -> Sequence[Shape]:
            return shapes[:1]

    with pytest.raises(PluginError, match="twice"):
        search(SHAPES, Query(), modelling(sampler=Endless()), Known(METRICS, ACCURACY))


def test_a_plan_says_what_would_be_trained_and_trains_nothing() -> None:
    facts = Known(METRICS, ACCURACY)
    query = Query([limit("size", 300)], goals.Size(), COSTS)
    planned = plan(SHAPES, query, modelling(), facts)
    assert not facts.trained
    done = search(SHAPES, Query([limit("size", 300)], None, COSTS), modelling(), Known(METRICS, ACCURACY))
    assert [t.shape for t in planned.trainings] == [t.shape for t in done.trainings]
    assert planned.candidates == done.candidates


def test_a_question_is_answered_from_what_is_known() -> None:
    known = SHAPES[::2]

    class Partly(Known):
        def train(self, shapes: Sequence[Shape]) -> list[Training]:
            return super().train([s for s in shapes if s in known])

    query = Query([limit("size", 300), limit("accuracy", 85, upper=False)], goals.Size(), COSTS)
    facts = Partly(METRICS, ACCURACY)
    answer = recall(SHAPES, query, predict(SHAPES, facts.train(SHAPES), Oracle(ACCURACY)), facts)
    expected = [s for s in SHAPES if SIZE[s] <= 300 and ACCURACY[s] >= 85]
    assert sorted(c.shape for c in answer.complying) == sorted(expected)
    assert answer.best is not None
    assert answer.best.shape == min(expected, key=lambda s: SIZE[s])
    assert answer.verified == (answer.best.shape in known)
    assert answer.trainings == ()
