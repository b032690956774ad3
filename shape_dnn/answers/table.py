"""Results for people: a table with a few lines around it, as text or as HTML for notebooks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from shape_dnn.answers.reliability import missed_in_100
from shape_dnn.answers.summary import Summary
from shape_dnn.answers.words import AS_TRAINED, beside, deployment_in_words, number, prior_in_words, recipe_lines
from shape_dnn.shape import Shape
from shape_dnn.system.text import counted

if TYPE_CHECKING:
    from shape_dnn.answers.result import Result
    from shape_dnn.search.query import Answer, Candidate

MOST_ROWS = 100
"""Shapes that a table lists; of more, the best by the goal are listed, or the first if there is no goal."""


def summarize(result: Result) -> Summary:
    """Say what a search found, how sure that is, and what it took."""
    answer, quality = result.answer, result.quality
    metrics = [
        name for name in result.metric_names if any(v is not None for v in result.metrics.get(name, {}).values())
    ]
    scored, limited = result.shows_score, result.shows_probability
    headers = [f"{name} [{result.units[name]}]" if result.units.get(name) else name for name in metrics]
    listed = _listed(result)
    rows = []
    for candidate in listed:
        prediction = candidate.prediction
        rows.append(
            [
                str(candidate.shape.depth),
                str(candidate.shape.width),
                *(_value(result, name, candidate.shape) for name in metrics),
                "-" if prediction is None else _judged(result, prediction.mean),
                "-" if prediction is None or prediction.std is None else quality.spread(prediction.std),
                "-" if candidate.quality is None else _judged(result, candidate.quality),
                *([] if result.as_trained is None else [_as_trained(result, candidate)]),
                *([_complies(result, candidate)] if limited else []),
                *([number(result.scores[candidate.shape])] if scored else []),
            ]
        )
    return Summary(
        f"{len(answer.complying):,} of {answer.space:,} shapes comply{_how_surely(result)}",
        [
            *("depth", "width", *headers, quality.heading("predicted"), "+/-", quality.heading("trained")),
            *([] if result.as_trained is None else [quality.heading(AS_TRAINED)]),
            *(["complies"] if limited else []),
            *(["score"] if scored else []),
        ],
        rows,
        tuple(_stages(result)),
        (*_left_out(result, listed), *_best(result), *_notes(result), *_predictions(result), *_cost(result)),
        next((place for place, candidate in enumerate(listed) if candidate.shape == result.best), None),
    )


def _listed(result: Result) -> Sequence[Candidate]:
    """Return the shapes that the table lists, in the order in which they comply."""
    complying, scores = result.answer.complying, result.scores
    if len(complying) <= MOST_ROWS:
        return complying

    def rank(place: int) -> tuple[bool, float, int]:
        shape = complying[place].shape
        score = scores.get(shape)
        return shape != result.best, math.inf if score is None else score, place

    return [complying[place] for place in sorted(sorted(range(len(complying)), key=rank)[:MOST_ROWS])]


def _left_out(result: Result, listed: Sequence[Candidate]) -> Iterator[str]:
    """Say that not all shapes that comply are listed, and where they are."""
    others = len(result.answer.complying) - len(listed)
    if others:
        which = "the best by the goal" if result.scores else "the first"
        yield f"these are {which}; --format csv and the report list {counted(others, 'other')} as well"


def _value(result: Result, metric: str, shape: Shape) -> str:
    """Write a value of a metric, and mark it as approximate if it was not measured."""
    value = result.metrics[metric][shape]
    text = number(value) if value is None else beside(result.limits_on(metric), value, number)
    return ("~" if result.is_estimated(metric, shape) else "") + text


def _judged(result: Result, value: float) -> str:
    """Write a quality, with two decimals of a percentage or more where a limit is nearer than they tell."""
    return beside(result.limits_on(result.quality.name), value, result.quality.number)


def _as_trained(result: Result, candidate: Candidate) -> str:
    """Write the quality that a network had before it was converted."""
    value = (result.as_trained or {}).get(candidate.shape)
    return "-" if value is None else result.quality.number(value)


def _complies(result: Result, candidate: Candidate) -> str:
    """Say how sure it is that a shape meets the limits on the quality, and how probable."""
    probability = result.probability(candidate)
    if candidate.quality is not None or probability is None:
        return _sureness(result, candidate)
    return f"{_sureness(result, candidate)}, {min(100 * probability, 99.9):.3g} %"


def _sureness(result: Result, candidate: Candidate) -> str:
    if candidate.quality is not None:
        return "yes"
    probability = result.probability(candidate)
    if probability is None:
        return "as predicted"
    return "surely" if result.confidence is not None and probability >= result.confidence else "likely"


def _how_surely(result: Result) -> str:
    """Count the shapes that comply by how sure that is; empty if there is nothing to say."""
    sure = [_sureness(result, candidate) for candidate in result.answer.complying]
    if not result.shows_probability or "likely" not in sure:
        return ""
    counts = {"trained": sure.count("yes"), "surely": sure.count("surely"), "likely": sure.count("likely")}
    return ": " + ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _stages(result: Result) -> Iterator[str]:
    answer = result.answer
    ships = "" if result.deployment is None else deployment_in_words(result.deployment)
    arch = f" of {result.arch}" if result.arch else ""
    yield f"space: {counted(answer.space, 'shape')}{arch}" + (ships and f", {ships}")
    if result.weights is not None:
        yield f"trainings start from weights: {', '.join(f'{shape} {name}' for shape, name in result.weights.items())}"
    for stage in answer.stages:
        before, after = stage.before, stage.after
        so_far = "; not measured yet of every shape" if stage.constraint.metric in answer.unknown else ""
        yield f"{stage.constraint.in_words}: {before:,} -> {after:,} shapes, {before - after:,} dropped{so_far}"


def _best(result: Result) -> Iterator[str]:
    best = result.answer.best
    if best is not None:
        quality, tested = result.quality, result.answer.test_quality
        state = "not trained yet"
        if best.quality is not None:
            known = best.shape in (result.as_trained or {})
            before = f" ({_as_trained(result, best)} {AS_TRAINED})" if known else ""
            state = f"trained {quality.name} {_judged(result, best.quality)} {quality.unit}".rstrip() + before
        test = "" if tested is None else f", test {quality.name} {quality.with_unit(tested)}"
        yield f"best: depth {best.shape.depth}, width {best.shape.width}; {state}{test}"


def _notes(result: Result) -> Iterator[str]:
    """Say how sure the answer is, and what that rests on."""
    answer, transferred, quality = result.answer, result.transferred, result.quality
    certificate, noise = answer.certificate, answer.noise
    equal = "" if certificate is None else f"what is within {quality.difference(certificate.tolerance)} counts as equal"
    if certificate is not None and answer.best is not None:
        yield f"the probability that a better shape was missed is {_probability(certificate.doubt)}; {equal}"
        missed = None if result.prior is not None else missed_in_100(certificate.doubt, result.plugins, quality)
        if missed is not None and len(answer.trainings) < answer.candidates:
            yield f"of 100 recorded searches that were as sure, {missed} missed a better shape"
    elif certificate is not None and result.is_front:
        yield f"the probability that a shape beyond the front was missed is {_probability(certificate.doubt)}; {equal}"
    elif certificate is not None and result.shows_probability and result.goal is None:
        wrong = _probability(certificate.doubt)
        yield f"the least certain shape is on the other side of the limit with a probability of {wrong}; {equal}"
    if noise is not None:
        told_by = f"{noise.trainings:,} trainings of {counted(noise.shapes, 'shape')}"
        yield f"noise: {quality.difference(noise.points)} (two standard deviations), by {told_by}"
    if result.prior is not None:
        yield f"prior: {prior_in_words(result.prior)}"
    if transferred is not None:
        count = f"{len(transferred.shapes):,} shapes were" if len(transferred.shapes) != 1 else "one shape was"
        bias = "none could be compared with one from scratch"
        if transferred.bias is not None:
            difference = quality.difference(transferred.bias, "+")
            bias = f"one that was also trained from scratch came out {difference} different"
        yield f"{count} trained from the weights of a smaller one; {bias}"
    yield from (accident.tell(quality) for accident in answer.accidents)
    if answer.failing:
        worst = min(answer.failing, key=lambda failing: quality.sign * failing.quality)
        count = f"{len(answer.failing):,} shapes do" if len(answer.failing) != 1 else "one shape does"
        remedy = "" if result.recipe is None else ": try a lower --lr or a longer warm-up (-o recipe.warmup)"
        yield f"{count} not train with this recipe ({worst.tell(quality)}){remedy}"


def _predictions(result: Result) -> Iterator[str]:
    """Say what of an answer given from memory is only predicted, and what would change the answer most."""
    candidates, advice = result.answer.complying, result.advice
    predicted = sum(candidate.quality is None and candidate.prediction is not None for candidate in candidates)
    if predicted and not result.answer.trainings:
        yield f"the {result.quality.name} of {predicted:,} of {len(candidates):,} is only predicted"
    if advice is not None:
        what = "training" if advice.metric == result.quality.name else f"measuring the {advice.metric} of"
        chance = _probability(advice.probability)
        yield f"{what} {advice.shape} is what would most likely change the answer, with a probability of {chance}"


def _probability(value: float) -> str:
    """Write a probability that was found from a few hundred draws."""
    return "below 0.5 %" if value < 0.005 else f"{100 * value:.1f} %"


def _cost(result: Result) -> Iterator[str]:
    """Say what was trained, or would be, and what failed."""
    answer = result.answer
    for training in answer.failed:
        yield f"{training.shape} has no {result.quality.name}: {training.reason}"
    trained, repeated = len(answer.trainings), answer.repeated
    if answer.budget is not None:
        yield from _plan(result)
        yield from (f"recipe of {line}" for line in recipe_lines(result.recipe or {}))
    elif trained:
        in_all = trained + repeated
        fewer = (
            f": {number(answer.candidates / in_all, 2)} times fewer trainings than all"
            if in_all < answer.candidates
            else ""
        )
        now = result.new_trainings
        is_shapes = now <= trained and result.seeds == 1 and not repeated
        new = f"{now:,} of them now" if is_shapes else f"{now:,} trainings now"
        again = f" and {repeated:,} of these again" if repeated else ""
        yield f"trained {_trained(answer)}{again}, {new}{fewer}"
    if result.report is not None:
        yield f"report: {result.report}"
    if answer.best is None and answer.complying and answer.budget is None and not result.is_front:
        if result.goal is None:
            yield f"without --goal (size, latency, energy, {result.quality.name}, …) no shape is called the best"
        else:
            yield f"no shape is called the best: none that complies has a value of the goal {result.goal!r}"


def _trained(answer: Answer) -> str:
    """Count the shapes that were trained, and separately those that are no candidates of this question."""
    among = f"{len(answer.trainings) - answer.beyond:,} of {answer.candidates:,} candidates"
    if not answer.beyond:
        return among
    others = f"{answer.beyond:,} shapes" if answer.beyond != 1 else "one shape"
    return f"{among} and {others} beyond the limits"


def _plan(result: Result) -> Iterator[str]:
    """Say what would be trained first, and how many at most."""
    answer, seeds = result.answer, result.seeds
    planned, most = len(answer.trainings), int(result.cost["most"] or 0)
    known = planned * seeds - result.new_trainings
    others = f" ({known:,} of them are trained already)" if known else ""
    if seeds > 1:
        others = f" {seeds} times" + (f" ({known:,} of these trainings were made before)" if known else "")
    less = number(answer.candidates / most, 2) if 0 < most < answer.candidates else ""
    fewer = f", {less} times fewer trainings than all" if less else ""
    if planned and planned == most:
        yield f"would train {planned:,} of {answer.candidates:,} candidates{others}{fewer}:"
    elif planned:
        yield f"would train {planned:,} of {answer.candidates:,} candidates first{others}:"
    elif answer.candidates:
        yield "would train nothing first: what is known suffices"
    if planned:
        yield " ".join(str(training.shape) for training in answer.trainings)
    if 0 < planned < most:
        yield f"what is trained then depends on the results: at most {most:,} in all before verification{fewer}"
    if answer.unknown:
        are = "is" if len(answer.unknown) == 1 else "are"
        yield f"it also depends on {' and '.join(answer.unknown)}, which {are} not measured yet of every shape"
