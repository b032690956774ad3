"""Deciding under uncertainty: training what matters to a question, and saying how sure the answer is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern

from shape_dnn import AccuracyModel, Constraint, Goal, NothingCompliesError, Shape, Training, UsageError, tune
from shape_dnn.assembly.goal_expressions import parse
from shape_dnn.assembly.modelling import TrainingCount
from shape_dnn.builtin import goals, strategies
from shape_dnn.builtin.accuracy_models.log_error import LogError
from shape_dnn.builtin.accuracy_models.log_linear import LogLinear
from shape_dnn.builtin.samplers.active import Active
from shape_dnn.builtin.samplers.d_optimal import CheapDOptimal, DOptimal, corners
from shape_dnn.events import ignore
from shape_dnn.kinds import Strategy
from shape_dnn.search import fitting, guesses, rounding
from shape_dnn.search.algorithm import apply_quality_limits, predict
from shape_dnn.search.contest import between
from shape_dnn.search.design import d_optimal
from shape_dnn.search.durations import assume, estimate
from shape_dnn.search.facts import in_order
from shape_dnn.search.guesses import guess
from shape_dnn.search.modes import search
from shape_dnn.search.planning import plan
from shape_dnn.search.posterior import DRAWS, AnswerPosterior
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.search.query import Answer, Modelling, Query
from shape_dnn.search.together import improving_most

SHAPES = [Shape(depth, Fraction(width, 4)) for width in range(1, 13) for depth in range(10, 58, 6)]


def size(shape: Shape) -> float:
    return float(shape.depth * shape.width**2)


def smooth(shape: Shape) -> float:
    return 97 - 20 / shape.depth - 2 / float(shape.width)


@dataclass
class Surface:
    """Facts of a surface of accuracies, with noise that is the same for every shape."""

    accuracy: Callable[[Shape], float | None] = smooth
    noise: float = 0.0
    seed: int = 0
    latency_of_estimates: Mapping[Shape, float] = field(default_factory=dict)
    before: Sequence[Training] = ()
    trained: list[Shape] = field(default_factory=list)
    measured: list[Shape] = field(default_factory=list)

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        return list(self.before)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        if metric == "latency":
            self.measured += shapes
            return [float(shape.depth) for shape in shapes]
        return [size(shape) for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        if metric == "latency" and self.latency_of_estimates:
            promised = {s: v for s, v in self.latency_of_estimates.items() if s not in self.measured}
            return [promised.get(shape, float(shape.depth)) for shape in shapes]
        return [float(shape.depth) if metric == "latency" else size(shape) for shape in shapes]

    def single(self, shape: Shape) -> float | None:
        accuracy = self.accuracy(shape)
        generator = random.Random(f"{self.seed} {shape}")
        return None if accuracy is None else accuracy + generator.gauss(0, self.noise)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        self.trained += shapes
        return [
            Training(shape, accuracy, "" if accuracy is not None else "it failed", seconds=size(shape))
            for shape in shapes
            for accuracy in (self.single(shape),)
        ]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        return []

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        return None


def least(accuracy: float) -> Constraint:
    return Constraint("accuracy", False, accuracy, "%")


def ask(
    facts: Surface,
    goal: Goal | None,
    *limits: Constraint,
    confidence: float | None = 0.9,
    strategy: Strategy | None = None,
    workers: int = 1,
) -> Answer:
    modelling = Modelling(strategy or strategies.standard(), Active(), LogLinear(), workers)
    return search(SHAPES, Query(limits, goal, {}, confidence), modelling, facts)


@pytest.mark.parametrize("goal", [goals.Size(), goals.Latency(), goals.Accuracy()])
@pytest.mark.parametrize("limit", [88.0, 92.0, 94.5])
def test_the_best_shape_is_found_with_a_fraction_of_the_trainings(goal: Goal, limit: float) -> None:
    facts = Surface()
    answer = ask(facts, goal, least(limit))
    complying = [shape for shape in SHAPES if smooth(shape) >= limit]
    columns = {"size": size, "latency": lambda s: float(s.depth), "accuracy": smooth}
    (metric,) = goal.metrics
    best = min(goal.score({metric: columns[metric](shape)}) for shape in complying)
    assert answer.best is not None
    assert answer.verified
    assert answer.certificate is not None
    assert answer.certificate.doubt <= 0.1
    tolerance = answer.certificate.tolerance
    clearly = [goal.score({metric: columns[metric](shape)}) for shape in SHAPES if smooth(shape) >= limit + tolerance]
    found = goal.score({metric: columns[metric](answer.best.shape)})
    assert best <= found <= (best + 0.5 if metric == "accuracy" else min(clearly))
    assert tolerance < 1
    assert len(answer.trainings) <= len(SHAPES) / 6


def test_the_doubt_is_about_as_often_justified_as_it_says() -> None:
    missed, doubts = [], []
    for seed in range(40):
        facts = Surface(noise=0.3, seed=seed)
        answer = ask(facts, goals.Size(), least(91 + seed % 9 / 2))
        assert answer.certificate is not None
        assert answer.best is not None
        doubts.append(answer.certificate.doubt)
        clearly = [s for s in SHAPES if smooth(s) >= 91 + seed % 9 / 2 + answer.certificate.tolerance]
        missed.append(any(size(shape) < size(answer.best.shape) for shape in clearly))
    assert max(doubts) <= 0.1
    assert np.mean(missed) <= 0.2


@pytest.mark.parametrize("workers", [1, 3])
def test_the_order_in_which_trainings_end_changes_nothing(workers: int) -> None:
    class Shuffled(Surface):
        def train(self, shapes: Sequence[Shape]) -> list[Training]:
            return random.Random(str(shapes)).sample(super().train(shapes), len(shapes))

    one, other = (kind(noise=0.4) for kind in (Surface, Shuffled))
    answers = [ask(facts, goals.Size(), least(92), workers=workers) for facts in (one, other)]
    assert one.trained == other.trained
    assert answers[0].best == answers[1].best


def test_several_workers_get_different_shapes() -> None:
    observed = Surface().train(SHAPES[::9])
    for goal, limits in ((goals.Size(), [least(92)]), (goals.Accuracy(), []), (None, [least(92)]), (None, [])):
        posterior = AnswerPosterior(
            SHAPES, observed, LogLinear(), limits, goal, lambda _metric, shapes: [size(s) for s in shapes]
        )
        chosen = posterior.choose(5)
        assert len(set(chosen)) == len(chosen) >= 1
        assert not set(chosen) & {training.shape for training in observed}


def test_shapes_near_the_limit_are_trained_when_all_that_comply_are_asked_for() -> None:
    facts = Surface(noise=0.05)
    answer = ask(facts, None, least(92))
    assert answer.best is None
    complying = {shape for shape in SHAPES if smooth(shape) >= 92}
    listed = {candidate.shape for candidate in answer.complying}
    wrong = complying ^ listed
    assert all(abs(smooth(shape) - 92) < 1 for shape in wrong)
    assert len(answer.trainings) < len(SHAPES) / 4
    later = facts.trained[4:]
    assert np.mean([abs(smooth(s) - 92) for s in later]) < np.mean([abs(smooth(s) - 92) for s in SHAPES])


def test_what_is_likely_to_comply_is_listed_and_what_is_sure_is_told_apart() -> None:
    trainings = Surface(noise=0.5).train(SHAPES[::9])
    candidates = predict(SHAPES, trainings, LogLinear())
    queries = [Query([least(93)], confidence=confidence) for confidence in (None, 0.5, 0.9, 0.99)]
    listed = [apply_quality_limits(candidates, query, ignore)[0] for query in queries]
    assert listed == [listed[0]] * 4, "the expected accuracy decides"
    sure = [[candidate for candidate in listed[0] if query.is_sure(candidate)] for query in queries]
    assert sure[0] == sure[1] == listed[0]
    assert len(sure[1]) > len(sure[2]) > len(sure[3]) > 0
    for candidate in listed[0]:
        probability = candidate.probability([least(93)])
        assert probability is not None
        assert (candidate in sure[2]) == (probability >= 0.9)
        assert candidate.quality is None or probability == 1.0


@pytest.mark.parametrize("limit", [85.0, 91.0, 94.0])
def test_without_a_goal_every_shape_is_put_on_its_side_of_the_limit_with_fewer_trainings_than_the_paper(
    limit: float,
) -> None:
    facts = Surface(noise=0.1)
    answer = ask(facts, None, least(limit), confidence=0.95)
    assert answer.certificate is not None
    assert answer.certificate.doubt <= 0.05
    assert answer.best is None
    listed = {candidate.shape for candidate in answer.complying}
    clearly = {shape for shape in SHAPES if smooth(shape) >= limit + 0.2}
    possibly = {shape for shape in SHAPES if smooth(shape) >= limit - 0.2}
    assert len(listed & clearly) >= 0.95 * len(clearly)
    assert len(listed & possibly) >= 0.97 * len(listed)
    assert len(answer.trainings) <= 2 / 3 * strategies.standard().count(len(SHAPES))


def test_without_a_goal_so_many_are_trained_as_are_asked_for() -> None:
    answer = ask(Surface(noise=0.5), None, least(93), strategy=TrainingCount(number=6))
    assert len(answer.trainings) == 6


def test_to_find_nothing_the_most_promising_shape_was_trained() -> None:
    facts = Surface()
    answer = ask(facts, goals.Size(), least(99))
    assert (answer.complying, answer.best) == ((), None)
    assert answer.closest is not None
    assert answer.closest.shape in facts.trained
    assert smooth(SHAPES[-1]) - smooth(answer.closest.shape) < 0.5, "the largest shape is the best there is"
    assert len(facts.trained) < 10


@pytest.mark.parametrize("text", ["accuracy:0.5,size", "accuracy:2,size", "log(100.5-accuracy)+0.3*log(size)"])
@pytest.mark.parametrize("number", [4, 6, 9])
@pytest.mark.parametrize("kind", [LogLinear, LogError])
def test_the_doubt_is_that_of_every_draw_scored_in_earnest_whatever_the_goal(
    text: str, number: int, kind: type[AccuracyModel]
) -> None:
    goal = parse(text, {"accuracy": goals.Accuracy(), "size": goals.Size()}.get)
    trainings = in_order(Surface(noise=0.3).train(SHAPES[:: len(SHAPES) // number][:number]))
    posterior = AnswerPosterior(SHAPES, trainings, kind(), (), goal, Surface().estimate, ["size"], noise=0.3)
    draws = fitting.draw(kind(), trainings, SHAPES, DRAWS)

    def scores(shape: Shape, worse_by: float) -> np.ndarray:
        qualities = np.minimum(draws[:, SHAPES.index(shape)] - worse_by, 100.0)
        return np.array([goal.score({"accuracy": float(quality), "size": size(shape)}) for quality in qualities])

    best = min(trainings, key=lambda t: goal.score({"accuracy": t.quality or 0.0, "size": size(t.shape)})).shape
    assert posterior.best == best
    others = set(SHAPES) - {training.shape for training in trainings}
    if not goal.stepped:
        better = [np.maximum(scores(s, 0.3), scores(s, -0.3)) < scores(best, 0.0) for s in others]
    else:  # steps say themselves what is alike, and a training on which side of one its shape is
        own = next(training.quality or 0.0 for training in trainings if training.shape == best)
        better = [scores(s, 0.0) < goal.score({"accuracy": own, "size": size(best)}) for s in others]
    assert posterior.doubt == pytest.approx(np.any(better, axis=0).mean(), abs=0.01 if goal.stepped else 0.08)


@pytest.mark.parametrize("text", ["accuracy:0.5,size", "accuracy:2,size", "accuracy:1,size:40,accuracy"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shapes_near_a_step_do_not_keep_a_search_from_its_end(text: str, seed: int) -> None:
    goal = parse(text, {"accuracy": goals.Accuracy(), "size": goals.Size()}.get)
    facts = Surface(noise=0.3, seed=seed)
    answer = ask(facts, goal)
    assert answer.best is not None
    assert answer.certificate is not None
    assert answer.certificate.doubt <= 0.1
    assert len(answer.trainings) <= len(SHAPES) / 3

    def score(shape: Shape, accuracy: float) -> float:
        return goal.score({"accuracy": accuracy, "size": size(shape)})

    own = score(answer.best.shape, facts.single(answer.best.shape) or 0.0)
    assert own <= min(score(shape, smooth(shape)) for shape in SHAPES), "no shape is expected to be better"


def test_scores_between_levels_are_interpolated_and_there_is_none_beside_none() -> None:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 50, 7)
    levels = np.linspace(low, low + generator.uniform(1, 50, 7), 9)
    scores = generator.standard_normal(levels.shape)
    qualities = generator.uniform(levels[0] - 1, levels[-1] + 1, (200, 7))
    wanted = [np.interp(*columns) for columns in zip(qualities.T, levels.T, scores.T, strict=True)]
    np.testing.assert_allclose(between(levels, scores, qualities), np.transpose(wanted), rtol=1e-12, atol=1e-12)
    scores[4] = np.inf
    at_hand = (qualities < levels[3]) | (qualities > levels[5])
    assert (np.isfinite(between(levels, scores, qualities)) == at_hand).all()


@pytest.mark.parametrize(("shapes", "number"), [(1, 1), (10, 10), (200, 50), (300, 400)])
def test_shapes_are_chosen_together_each_for_what_it_adds_to_the_others(shapes: int, number: int) -> None:
    generator = np.random.default_rng(shapes)
    gains = np.maximum(generator.standard_normal((64, shapes)) * generator.uniform(0, 2, shapes) - 1, 0)
    prices = generator.uniform(0.2, 3, shapes)
    reached, wanted = np.zeros(64), list[int]()
    for _ in range(min(shapes, number)):
        worth = np.maximum(gains - reached[:, None], 0).mean(0) / prices
        worth[wanted] = -np.inf
        wanted.append(rounding.first_largest(worth))
        reached = np.maximum(reached, gains[:, wanted[-1]])
    assert improving_most(gains, prices, number).tolist() == wanted


def test_failed_trainings_are_passed_over() -> None:
    facts = Surface(lambda shape: None if shape.depth == 10 else smooth(shape))
    answer = ask(facts, goals.Size(), least(92))
    assert answer.best is not None
    assert answer.best.shape.depth > 10
    assert all(candidate.shape.depth > 10 or candidate.quality is None for candidate in answer.complying)


def test_a_search_of_which_every_training_fails_ends() -> None:
    answer = ask(Surface(lambda _shape: None), goals.Size(), least(92))
    assert (answer.complying, answer.best, answer.closest) == ((), None, None)
    assert len(answer.trainings) == 4
    assert answer.certificate is None


def test_a_shape_that_was_only_estimated_to_meet_a_limit_is_not_the_answer() -> None:
    promised = {shape: 5.0 for shape in SHAPES if shape.width == 3}
    facts = Surface(latency_of_estimates=promised)
    answer = ask(facts, goals.Accuracy(), Constraint("latency", True, 20.0))
    assert any(shape.depth > 20 for shape in facts.measured), "an estimate promised too much"
    assert answer.best is not None
    assert answer.best.shape in facts.measured
    assert answer.best.shape.depth <= 20


def test_where_no_shape_meets_a_limit_after_all_nothing_complies() -> None:
    facts = Surface(latency_of_estimates=dict.fromkeys(SHAPES, 5.0))
    answer = ask(facts, goals.Size(), Constraint("latency", True, 9.0, "ms"))
    assert answer.best is answer.certificate is None
    assert not answer.complying
    assert answer.stages[0].after == 0


@pytest.mark.parametrize("confidence", [None, 0.95])
def test_every_shape_on_a_front_was_trained_whatever_was_expected_of_it_at_first(confidence: float | None) -> None:
    for seed in range(12):
        modelling = Modelling(TrainingCount(number=4), DOptimal(), LogLinear())
        query = Query([least(92.0)], None, {}, confidence, ("latency", "size", "accuracy"))
        answer = search(SHAPES[::3], query, modelling, Surface(noise=2.0, seed=seed))
        assert all(candidate.quality is not None for candidate in answer.complying)


def test_the_doubt_about_a_front_is_that_which_all_its_trainings_leave() -> None:
    facts, limits = Surface(noise=0.3), [least(92.0)]
    modelling = Modelling(strategies.standard(), Active(initial=4), LogLinear())
    query = Query(limits, None, {}, 0.95, ("size", "accuracy"))
    answer = search(SHAPES, query, modelling, facts)
    left = PosteriorOf(query, modelling, facts)(SHAPES, answer.trainings)
    assert answer.certificate is not None
    assert len(answer.trainings) > 4
    assert (answer.certificate.doubt, answer.certificate.tolerance) == (left.doubt, left.tolerance)
    assert 0 < left.doubt <= 0.05


def test_so_many_trainings_as_are_asked_for_are_made() -> None:
    facts = Surface()
    ask(facts, None, strategy=TrainingCount(number=17))
    assert len(facts.trained) == 17
    ask(facts := Surface(), None, strategy=strategies.Exhaustive())
    assert len(facts.trained) == len(SHAPES)


@pytest.mark.parametrize("limit", [50.0, 92.0, 99.9])
def test_any_number_of_trainings_can_be_asked_for_whatever_is_known(limit: float) -> None:
    for number in (5, 40, len(SHAPES)):
        facts = Surface()
        ask(facts, goals.Size(), least(limit), strategy=TrainingCount(number=number))
        assert len(facts.trained) == len(set(facts.trained)) >= number


def test_a_strategy_is_the_most_an_active_search_trains_without_a_question() -> None:
    facts = Surface()
    ask(facts, None)
    assert 4 <= len(facts.trained) < strategies.standard().count(len(SHAPES))


def test_a_passive_sampler_with_a_confidence_goes_on_until_the_answer_stands() -> None:
    facts = Surface(noise=0.3)
    query = Query([least(93.5)], goals.Size(), {}, 0.95)
    answer = search(SHAPES, query, Modelling(TrainingCount(number=5), DOptimal(), LogLinear()), facts)
    assert answer.certificate is not None
    assert answer.certificate.doubt <= 0.05
    assert len(facts.trained) > 5


def test_a_d_optimal_design_is_better_than_one_by_chance() -> None:
    def information(shapes: Sequence[Shape]) -> float:
        logs = np.log([(s.depth, float(s.width)) for s in shapes])
        d, w = ((logs - np.log([(s.depth, float(s.width)) for s in SHAPES]).mean(0)) / 0.5).T
        features = np.stack([np.ones(len(d)), d, w, d**2, d * w, w**2], axis=1)
        return float(np.linalg.slogdet(features.T @ features)[1])

    chosen = information(DOptimal().choose(SHAPES, (), 9))
    by_chance = [information(random.Random(seed).sample(SHAPES, 9)) for seed in range(200)]
    assert chosen > max(by_chance)


def test_a_design_per_cost_takes_the_corners_and_then_cheap_shapes() -> None:
    ends = [Shape(d, w) for d in (10, 52) for w in (Fraction(1, 4), Fraction(3))]
    assert sorted(corners(SHAPES)) == sorted(ends)
    cheap, plain = (list(sampler.choose(SHAPES, (), 10)) for sampler in (CheapDOptimal(), DOptimal()))
    assert set(ends) <= set(cheap)
    assert sum(map(size, cheap)) < sum(map(size, plain))


def test_a_design_goes_on_from_what_was_chosen() -> None:
    whole = d_optimal(SHAPES, 8)
    assert d_optimal(SHAPES, 4, chosen=whole[:4]) == whole[4:]


def test_durations_are_learnt_from_finished_trainings() -> None:
    def seconds(shape: Shape) -> float:
        return 3 + 0.2 * shape.depth + 0.01 * shape.depth * float(shape.width) ** 2

    observed = [Training(shape, 90.0, seconds=seconds(shape)) for shape in SHAPES[::11]]
    observed += [Training(SHAPES[5], None, "killed", seconds=1000.0)]  # from which nothing is learnt
    true = np.array([seconds(shape) for shape in SHAPES])
    assert estimate(SHAPES, observed) == pytest.approx(true / true.mean(), rel=1e-6)
    assumed = estimate(SHAPES, observed[:2])
    assert assumed.mean() == pytest.approx(1)
    assert assumed[SHAPES.index(Shape(52, Fraction(3)))] == assumed.max()


@pytest.mark.parametrize("text", ["0", "1", "0.4", "0.999", "100%", "x", "nan", "-0.9"])
def test_a_confidence_is_checked(text: str) -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,91\n")
    with pytest.raises(UsageError, match="accepted are 0.5 to 0.99, or 50% to 99%") as caught:
        tune(replay="table.csv", confidence=text)
    assert repr(text) in str(caught.value)


def test_a_confidence_may_be_a_percentage() -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,91\n")
    for text in ("95%", "0.95", 0.95):
        certificate = tune(replay="table.csv", confidence=text, goal="accuracy").answer.certificate
        assert certificate is not None
        assert certificate.confidence == 0.95


def test_what_a_table_lacks_and_nobody_asked_for_costs_no_answer() -> None:
    rows = [f"{s.depth},{s.width},{smooth(s)}," for s in SHAPES[:-1]]
    last = SHAPES[0]
    Path("table.csv").write_text(
        "depth,width,accuracy,size\n" + "\n".join([f"{last.depth},{last.width},{smooth(last)},1", *rows[1:]]) + "\n"
    )
    result = tune(replay="table.csv", min_accuracy=92)
    assert result.shapes
    assert all(row["size"] is None for row in result.rows())


def test_a_table_trains_nothing_that_could_be_stopped() -> None:
    Path("table.csv").write_text("depth,width,accuracy\n10,1,90\n16,1,91\n")
    with pytest.raises(UsageError, match="trains nothing that could be stopped"):
        tune(replay="table.csv", terminator="median")


def test_an_answer_says_how_sure_it_is_and_what_came_closest() -> None:
    rows = [f"{s.depth},{s.width},{smooth(s)},{size(s)}" for s in SHAPES]
    Path("table.csv").write_text("depth,width,accuracy,size\n" + "\n".join(rows) + "\n")
    found = tune(replay="table.csv", goal="size", min_accuracy=92).to_dict()
    assert found["certificate"]["confidence"] == 0.95
    assert 0 <= found["certificate"]["doubt"] <= 0.05
    result = tune(replay="table.csv", goal="size", min_accuracy=99)
    closest = result.to_dict()["closest"]
    nearest = Shape(int(closest["depth"]), Fraction(closest["width"]))
    assert smooth(nearest) > smooth(SHAPES[-1]) - 0.1, "the largest shape is the best there is"
    assert closest["size"] == pytest.approx(size(nearest))
    with pytest.raises(NothingCompliesError, match=r"the closest is \(\d+, \S+\) with a trained accuracy of 95\."):
        result.raise_if_empty()
    paper = tune(replay="table.csv", goal="size", min_accuracy=92, sampler="interval", model="paper").to_dict()
    assert "certificate" not in paper


def test_a_search_begins_with_what_is_known_and_trains_only_what_is_open() -> None:
    first = ask(facts := Surface(noise=0.2), goals.Size(), least(92))
    again = ask(more := Surface(noise=0.2, before=Surface(noise=0.2).train(facts.trained)), goals.Size(), least(92))
    assert more.trained == [], "it answers the question already"
    assert (again.best, again.complying, again.certificate) == (first.best, first.complying, first.certificate)
    assert {t.shape for t in again.trainings} == {t.shape for t in first.trainings}
    other = Surface(noise=0.2, before=Surface(noise=0.2).train(facts.trained))
    easier = ask(other, goals.Size(), least(90))
    alone = ask(Surface(noise=0.2), goals.Size(), least(90))
    assert easier.verified
    assert len(other.trained) < len(alone.trainings)


class Metered(Surface):
    """Facts whose latency is neither linear nor smooth, and that take note of what is asked of it."""

    asked: set[Shape]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        if metric != "latency":
            return super().estimate(metric, shapes, limit)
        self.asked = getattr(self, "asked", set()) | set(shapes)
        return [latency(shape) for shape in shapes]

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        return self.estimate(metric, shapes)


def latency(shape: Shape) -> float:
    return (3 + shape.depth * (1 + float(shape.width) ** 1.6)) * random.Random(str(shape)).uniform(0.97, 1.03)


@pytest.mark.parametrize("least_accuracy", [90.0, 92.0, 94.5])
def test_a_metric_of_the_goal_is_measured_only_where_it_may_decide(least_accuracy: float) -> None:
    facts = Metered()
    answer = ask(facts, goals.Latency(), least(least_accuracy))
    assert answer.best is not None
    assert answer.certificate is not None
    assert set(facts.trained) <= facts.asked
    assert len(facts.asked) <= len(SHAPES) / 4
    clearly = [s for s in SHAPES if smooth(s) >= least_accuracy + answer.certificate.tolerance]
    assert latency(answer.best.shape) <= min(map(latency, clearly))
    assert all(latency(shape) > latency(answer.best.shape) for shape in clearly if shape not in facts.asked)


def test_what_was_measured_before_changes_nothing_of_what_is_trained() -> None:
    limits, modelling = [least(92)], Modelling(strategies.standard(), Active(), LogLinear())
    alone, facts = Metered(), Metered()
    facts.estimate("latency", SHAPES)
    for each in (alone, facts):
        search(SHAPES, Query(limits, goals.Latency(), {"latency": 1.0}, 0.95), modelling, each)
    assert alone.trained == facts.trained


def test_a_shape_without_the_metric_is_no_answer_and_measured_once() -> None:
    class Partial(Metered):
        def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
            found = super().estimate(metric, shapes, limit)
            return [None if shape.depth < 30 else value for shape, value in zip(shapes, found, strict=True)]

    answer = ask(Partial(), goals.Latency(), least(92))
    assert answer.best is not None
    assert answer.best.shape.depth >= 30
    nothing = ask(Nothing(), goals.Latency(), least(92))
    assert nothing.best is None


class Nothing(Metered):
    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        return [None for _ in shapes] if metric == "latency" else super().estimate(metric, shapes, limit)


@pytest.mark.parametrize("metric", [latency, size])
def test_guesses_of_a_metric_hold_what_is_measured_later(metric: Callable[[Shape], float]) -> None:
    first = d_optimal(SHAPES, 4, assume(SHAPES), set())
    held, errors = [], []
    for seed in range(20):
        known = {shape: metric(shape) for shape in [*first, *random.Random(seed).sample(SHAPES, 2)]}
        others = [shape for shape in SHAPES if shape not in known]
        means, deviations = guess(known, others)
        distances = np.abs(np.log([metric(shape) for shape in others]) - means)
        held.append(np.mean(distances <= 3 * deviations + 0.03))
        errors.append(distances.mean())
    assert np.mean(held) > 0.97
    assert np.mean(errors) < 0.2


def test_guesses_are_those_of_gaussian_processes_averaged_by_their_evidence() -> None:
    """As scikit-learn computes each; the second moment of the mixture is that of its parts."""
    known = {shape: latency(shape) * (1.3 if shape.depth > 30 else 1.0) for shape in SHAPES[::7]}
    others = [shape for shape in SHAPES if shape not in known]
    places = np.log([(shape.depth, float(shape.width)) for shape in [*known, *others]])
    places = (places - places.mean(0)) / places.std(0)
    target = np.log(list(known.values()))
    plane = DotProduct(guesses.LEVEL / guesses.SLOPES) * ConstantKernel(guesses.SLOPES**2)
    evidences, moments = [], []
    for amplitude, length in itertools.product(guesses.AMPLITUDES, guesses.LENGTHS):
        kernel = plane + ConstantKernel(amplitude**2) * Matern(length, nu=2.5)
        process = GaussianProcessRegressor(kernel, alpha=guesses.NOISE**2, optimizer=None)
        process.fit(places[: len(known)], target - target.mean())
        mean, std = process.predict(places[len(known) :], return_std=True)
        evidences.append(process.log_marginal_likelihood_value_)
        moments.append((mean, std**2 + mean**2))
    weights = np.exp(np.array(evidences) - max(evidences))
    first, second = np.einsum("p,pmn->mn", weights / weights.sum(), np.array(moments))
    means, deviations = guess(known, others)
    assert means == pytest.approx(first + target.mean(), abs=1e-6)
    assert deviations == pytest.approx(np.sqrt(second - first**2), rel=1e-3)


def test_a_plan_says_that_more_depends_on_results() -> None:
    modelling = Modelling(strategies.standard(), Active(), LogLinear())
    query = Query([least(92)], goals.Size(), {}, 0.95)
    planned = plan(SHAPES, query, modelling, Surface())
    assert (len(planned.trainings), planned.budget) == (4, 32)
    known = Surface().train([t.shape for t in planned.trainings])
    (more,) = plan(SHAPES, query, modelling, Surface(before=known)).trainings
    assert more.shape not in {t.shape for t in known}
