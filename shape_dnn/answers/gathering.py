"""Put a result together: the answer of a search, with what is known of the shapes in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shape_dnn.answers import shipped
from shape_dnn.answers.result import ALWAYS_SHOWN, Result
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.constraints import KNOWN_METRICS, Metric, known_metric
from shape_dnn.errors import MeterError
from shape_dnn.plugins import checked
from shape_dnn.search.facts import Facts
from shape_dnn.search.query import Answer, Candidate
from shape_dnn.shape import Shape
from shape_dnn.store.families import Family
from shape_dnn.study.known import KnownFacts

FILE_SIZE = Metric("file-size", "MB")
"""The metric that is also shown wherever the user says what ships."""

Metrics = Mapping[str, Mapping[Shape, float | None]]


def gather(
    parts: Assembly,
    answer: Answer,
    facts: Facts,
    arch: str | None,
    new_trainings: int = 0,
    of_seeds: Sequence[KnownFacts] = (),
    **more: Any,
) -> Result:
    """Put an answer together with what is known of its shapes.

    Args:
        parts: the parts of the search or the question.
        answer: the answer of the search, or to the question.
        facts: the facts that it rests on.
        arch: name of the architecture, if there is one.
        new_trainings: trainings made for this answer.
        of_seeds: what a study knows for each seed.
        **more: other attributes of the result.

    Raises:
        MeterError: the question names a metric that is not available.
    """
    shown = [*answer.complying, *([] if answer.closest is None else [answer.closest])]
    shapes = [candidate.shape for candidate in shown]
    metrics = _metrics(parts, answer, facts, shapes)
    known = facts if isinstance(facts, KnownFacts) else None
    estimated = None
    if known is not None and known.fit_depths:
        estimated = {metric: known.predicted(metric, shapes) for metric in metrics}
    weights = None
    if parts.table is None and parts.pretrained is not None:
        weights = {shape: parts.pretrained[shape].name for shape in parts.shapes}
    return Result(
        answer, arch, metrics, _units(parts, metrics), parts.selection.plugins, new_trainings, estimated,
        len(parts.seeds), parts.settings.goal, _scores(parts, metrics, shown), parts.query.confidence,
        bool(parts.pareto),
        prior=None if parts.prior is None else parts.prior.record(parts.model.instance),
        quality=parts.quality,
        weights=weights,
        deployment=None if known is None else shipped.deployment(parts, known),
        as_trained=shipped.as_trained(parts, of_seeds, answer, shapes),
        **more,
    )  # fmt: skip


def _metrics(parts: Assembly, answer: Answer, facts: Facts, shapes: Sequence[Shape]) -> Metrics:
    """Return what is known of each shape, for the metrics of the question and those that are always shown."""
    found: dict[str, Mapping[Shape, float | None]] = {}
    for metric in sorted(_obtainable(parts) | _recorded(facts)):
        try:
            found[metric] = dict(zip(shapes, facts.estimate(metric, shapes), strict=True))
        except MeterError:
            if metric in parts.metrics_in_question and answer.complying:
                raise
            found[metric] = dict.fromkeys(shapes)  # nobody asked for it, or of the closest shape it is not known
    if isinstance(facts, KnownFacts) and parts.deployment is not None and FILE_SIZE.name not in found:
        files = facts.measurements(FILE_SIZE.name)
        found[FILE_SIZE.name] = {shape: files[shape].value if shape in files else None for shape in shapes}
    return found


def _recorded(facts: Facts) -> set[str]:
    """Return those of the metrics that are always shown of which a study knows something, whatever was asked."""
    contexts = facts.contexts if isinstance(facts, KnownFacts) else {}
    return {metric for metric in ALWAYS_SHOWN if Family(metric) in contexts}


def _obtainable(parts: Assembly) -> set[str]:
    """Return the metrics that a meter or a table may provide."""
    wanted = {*ALWAYS_SHOWN, *parts.query.costs} - {parts.quality.name}
    if parts.table is None:
        return wanted & parts.meters.keys()
    in_table = set(parts.table.columns)
    computed = parts.meters.keys() if parts.workload_of_table is not None else set()
    return wanted & (in_table | computed)


def _units(parts: Assembly, metrics: Metrics) -> dict[str, str]:
    """Return the unit of each metric, from its meter if it has one."""
    units = {name: found.unit for name in {*KNOWN_METRICS, *metrics} if (found := known_metric(name)) is not None}
    units[FILE_SIZE.name] = FILE_SIZE.unit
    return units | {name: meter.instance.unit for name, meter in parts.meters.items()}


def _scores(parts: Assembly, metrics: Metrics, shown: Sequence[Candidate]) -> dict[Shape, float | None]:
    """Return the score of each shape by the goal, if there is one."""
    if parts.goal is None:
        return {}
    scores = {}
    for candidate in shown:
        values = {name: of_shapes[candidate.shape] for name, of_shapes in metrics.items()}
        known = {**values, parts.quality.name: candidate.expected}
        scores[candidate.shape] = checked.score_of(parts.goal, known)
    return scores
