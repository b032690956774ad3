"""A whole search: as the paper has it, with a confidence, or for a front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from shape_dnn.errors import PluginError, label
from shape_dnn.events import Event, ignore
from shape_dnn.plugins import checked
from shape_dnn.records import Training
from shape_dnn.search.algorithm import apply_limits, apply_quality_limits, predict, train_sample, verify
from shape_dnn.search.confident import train_until_sure
from shape_dnn.search.facts import Facts, in_order, with_known
from shape_dnn.search.failures import counting
from shape_dnn.search.front import verify_front
from shape_dnn.search.lookup import recall
from shape_dnn.search.ordering import eligible
from shape_dnn.search.posterior import AnswerPosterior
from shape_dnn.search.posterior_of import PosteriorOf
from shape_dnn.search.query import Answer, Modelling, Query
from shape_dnn.shape import Shape


def search(
    shapes: Sequence[Shape],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    notify: Callable[[Event], None] = ignore,
) -> Answer:
    """Find the shapes that comply and, given a goal, the best of them (Algorithm 1).

    Args:
        shapes: the design space.
        query: limits and goal. With a confidence, what is trained after the sample is what matters to the question,
            until the answer stands; without, the best by prediction is trained until one holds, as in the paper.
        modelling: which shapes to train, and how to predict the others.
        facts: measures and trains. What is known from before has a part in the answer; only with a confidence it has
            one also in what is trained, which otherwise is what the paper would train. And only with a confidence a
            shape that fails to train is trained once more before it counts.
        notify: told after each stage.

    Raises:
        PluginError: the sampler, the strategy, the model or the goal breaks the rules of its kind.
    """
    survivors, _ = apply_limits(shapes, query, facts, notify)
    known = facts.known(shapes)
    count = counting(query, facts, notify)
    posterior_of = PosteriorOf(query, modelling, facts, count)
    trainings = sample(survivors, known, modelling, facts, posterior_of, query.confidence is not None, notify)
    certificate = None
    if query.confidence is None and _succeeded(trainings):
        trainings += _verify(survivors, trainings, query, modelling, facts, notify)
    elif query.confidence is not None:
        trainings = with_known(trainings, known)
        while _succeeded(trainings):
            trainings, certificate = train_until_sure(survivors, trainings, query, facts, posterior_of, notify)
            made = _verify(survivors, count(trainings).trainings, query, modelling, facts, notify)
            if not made:
                break
            trainings += made
    counted = count(with_known(trainings, known))
    candidates = predict(survivors, counted.trainings, modelling.model) if _succeeded(counted.trainings) else []
    answer = recall(shapes, query, candidates, facts, notify, verified=True, again=counted.accidental)
    return replace(
        answer, trainings=counted.trainings, certificate=certificate,
        failing=counted.failing, accidents=counted.accidents, repeated=counted.repeated,
    )  # fmt: skip


def _verify(
    shapes: Sequence[Shape],
    trainings: Sequence[Training],
    query: Query,
    modelling: Modelling,
    facts: Facts,
    notify: Callable[[Event], None],
) -> list[Training]:
    """Train what may be the answer, or part of the front, unless it was trained; return the trainings made."""
    if query.pareto:
        return verify_front(shapes, trainings, query, modelling, facts, notify)
    if query.goal is None:
        return []
    complying, _ = apply_quality_limits(predict(shapes, trainings, modelling.model), query)
    return verify(eligible(complying, query, verified=query.confidence is not None), query, facts, notify)


def sample(
    shapes: Sequence[Shape],
    known: Sequence[Training],
    modelling: Modelling,
    facts: Facts,
    posterior_of: PosteriorOf,
    confident: bool = False,
    notify: Callable[[Event], None] = ignore,
) -> list[Training]:
    """Train what the sampler chooses, which is told before every choice what is known of the answer.

    Whoever listens is told why each shape is chosen and, with a confidence, what is known.

    Raises:
        PluginError: the sampler or the strategy breaks the rules of its kind, or nothing was chosen and none is known.
    """
    posterior: AnswerPosterior

    def consider(trainings: Sequence[Training]) -> list[Training]:
        nonlocal posterior
        posterior = posterior_of(shapes, with_known(trainings, known))
        if confident and posterior.observed:
            notify(posterior.judgement)
        checked.consider(modelling.sampler, posterior)
        asked = {training.shape for training in trainings}
        return in_order([training for training in posterior.observed if training.shape in asked])

    def explain(batch: Sequence[Shape]) -> None:
        for shape in batch:
            notify(posterior.explain(shape))

    trainings = train_sample(shapes, modelling, facts, consider, explain)
    if shapes and not trainings and not known:
        raise PluginError(f"{label(modelling.sampler)} chose none of {len(shapes)} shapes to train")
    return trainings


def _succeeded(trainings: Sequence[Training]) -> bool:
    return any(training.quality is not None for training in trainings)
