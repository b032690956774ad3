"""An overview as the JSON values that the page shows and its script computes with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from shape_dnn.answers.question import in_order
from shape_dnn.assembly.assembly import CONFIDENCE
from shape_dnn.assembly.goal_expressions import Least, Most
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.quality import Quality
from shape_dnn.records import Measurement, Training
from shape_dnn.report.overview import Overview
from shape_dnn.report.states import ShapeState
from shape_dnn.report.timings import first_choice
from shape_dnn.search import durations
from shape_dnn.search.query import Candidate
from shape_dnn.settings import as_flags
from shape_dnn.shape import Shape

CONFIDENCES = (None, 0.8, 0.9, 0.95, 0.99)
"""With which probability a quality that is only predicted must meet a limit; None for the expected one."""
CURVE_POINTS = 50
"""Points of a learning curve that are shown."""
NOT_MEASURED = Measurement(None, status="not measured")
FLAGS: Mapping[tuple[str, bool], str] = {
    ("size", True): "--max-size",
    ("latency", True): "--max-latency",
    ("energy", True): "--max-energy",
    ("accuracy", False): "--min-accuracy",
}

Candidates = Mapping[Shape, Candidate]


def encode(overview: Overview) -> dict[str, Any]:
    """Return everything as JSON values."""
    parts = overview.parts
    candidates = {candidate.shape: candidate for candidate in overview.candidates}
    return {
        "title": overview.title,
        "subject": _subject(overview),
        "command": overview.command,
        "export": overview.export,
        "metrics": [{"name": metric.name, "unit": metric.unit} for metric in overview.metrics],
        "deployment": None if overview.deployment is None else dict(overview.deployment),
        "timings": [
            {"title": timing.title, "column": column, "metric": timing.metric}
            for column, timing in overview.timing_columns.items()
        ],
        "compared": list(first_choice(overview.timings)) if len(overview.timings) > 1 else [],
        "quality": _bounded(overview.quality),
        "limits": [_limit(constraint) for constraint in _limits(overview)],
        "levels": [_level(confidence) for confidence in sorted(_confidences(overview))],
        "confidence": parts.query.confidence or 0.5,
        "confident": parts.query.confidence is not None,
        "replayed": parts.table is not None,
        "usual_confidence": CONFIDENCE if parts.table is not None and parts.sampler.instance.confident else None,
        "goals": _goals(overview, candidates),
        "goal": parts.settings.goal or "",
        "verified": overview.verified,
        "shapes": [_row(overview, shape, candidates.get(shape)) for shape in overview.shapes],
        "curves": [point for training in overview.trainings.values() for point in _curve(training)],
        "pareto": list(parts.settings.pareto),
        "layers": not parts.is_own,
        "cases": "examples" if parts.is_own or parts.table is not None else "images",
        "batch": 1 if parts.table is not None else parts.settings.batch_size,
        "cost": _cost(overview),
    }


def _subject(overview: Overview) -> str:
    """Return what was searched."""
    parts = overview.parts
    if parts.table is not None:
        return "recorded table"
    if parts.is_own:
        return f"trainer {parts.architecture.choice.name}"
    return f"{parts.settings.arch} on {parts.settings.dataset}"


def _limits(overview: Overview) -> list[Constraint]:
    """Return one limit of each kind that can be chosen; infinite where none was."""
    limits = {(limit.metric, limit.upper): limit for limit in overview.parts.query.constraints}
    for metric in overview.metrics:
        limits.setdefault((metric.name, True), Constraint(metric.name, True, math.inf, metric.unit))
    quality = overview.quality
    name, upper = quality.name, quality.better == "lower"
    free = math.inf if upper else -math.inf
    limits.setdefault((name, upper), Constraint(name, upper, free, quality.unit))
    order = [*in_order({metric for metric, _ in limits} - {name}), name]
    return [limits[key] for key in sorted(limits, key=lambda key: (order.index(key[0]), not key[1]))]


def _limit(limit: Constraint) -> dict[str, Any]:
    flag = FLAGS.get((limit.metric, limit.upper), "--max" if limit.upper else "--min")
    value = limit.limit if math.isfinite(limit.limit) else None
    return {"metric": limit.metric, "upper": limit.upper, "unit": limit.unit, "flag": flag, "value": value}


def _bounded(quality: Quality) -> dict[str, Any]:
    bounds = {"minimum": quality.minimum, "maximum": quality.maximum}
    return {**quality.record, **{name: bound if math.isfinite(bound) else None for name, bound in bounds.items()}}


def _confidences(overview: Overview) -> set[float]:
    return {confidence or 0.5 for confidence in (*CONFIDENCES, overview.parts.query.confidence)}


def _level(confidence: float) -> dict[str, Any]:
    return {"confidence": confidence, "deviations": NormalDist().inv_cdf(confidence)}


def _row(overview: Overview, shape: Shape, candidate: Candidate | None) -> dict[str, Any]:
    training = overview.trainings.get(shape)
    prediction = candidate.prediction if candidate else None
    row: dict[str, Any] = {
        "name": str(shape),
        "depth": shape.depth,
        "width": float(shape.width),
        "fraction": str(shape.width),
        "state": _state(overview, training, candidate),
        "reason": (training.reason if training else "") or overview.remarks.get(shape, ""),
        "quality": candidate.quality if candidate else None,
        "mean": prediction.mean if prediction else None,
        "std": prediction.std if prediction else None,
        "tested": overview.tested.get(shape),
        **_conversion(overview, candidate),
    }
    measured = {f"m{i}": metric.values for i, metric in enumerate(overview.metrics)}
    beside = {column: timing.values for column, timing in overview.timing_columns.items() if not timing.metric}
    for column, values in (measured | beside).items():
        m = values.get(shape, NOT_MEASURED)
        row |= {column: m.value, f"{column}_low": m.low, f"{column}_high": m.high, f"{column}_status": m.status}
    return row


def _conversion(overview: Overview, candidate: Candidate | None) -> dict[str, float | None]:
    """Return the quality of a network before it was converted, and what it lost by that, where it may have."""
    if overview.as_trained is None:
        return {}
    before = None if candidate is None or candidate.quality is None else overview.as_trained.get(candidate.shape)
    lost = None
    if before is not None and candidate is not None and candidate.quality is not None:
        lost = overview.quality.sign * (before - candidate.quality)
    return {"before": before, "lost": lost}


def _state(overview: Overview, training: Training | None, candidate: Candidate | None) -> ShapeState:
    if training is None:
        return ShapeState.PREDICTED if candidate and candidate.prediction else ShapeState.UNKNOWN
    if training.quality is None:
        return ShapeState.STOPPED if training.stopped else ShapeState.FAILED
    return ShapeState.VERIFIED if training.shape in overview.tested else ShapeState.TRAINED


def _goals(overview: Overview, candidates: Candidates) -> list[dict[str, Any]]:
    """Return the scores of every shape by each goal; none for one that lacks a metric."""
    settings = overview.parts.settings
    named: dict[str, Goal] = {metric.name: Least(metric.name) for metric in overview.metrics}
    quality = overview.quality
    named[quality.name] = Most(quality.name) if quality.better == "higher" else Least(quality.name)
    own = settings.goal
    options = [text for text in settings.option if text.startswith("goal.")]
    if own is not None and overview.parts.goal is not None:
        named[own] = overview.parts.goal
    known = _known(overview, candidates)
    return [
        {
            "name": name,
            "flag": " ".join(as_flags({"goal": name, "option": options if name == own else []})),
            "metrics": sorted(goal.metrics),
            "scores": [checked.score_of(goal, of_shape) for of_shape in known],
        }
        for name, goal in named.items()
    ]


def _known(overview: Overview, candidates: Candidates) -> Sequence[Mapping[str, float | None]]:
    """Return what goals may know of each shape: its metrics, and the quality that is expected."""
    found: list[dict[str, float | None]] = []
    for shape in overview.shapes:
        candidate = candidates.get(shape)
        measured = ((metric.name, metric.values.get(shape)) for metric in overview.metrics)
        known = {name: measurement.value for name, measurement in measured if measurement is not None}
        found.append({**known, overview.quality.name: candidate.expected if candidate else None})
    return found


def _curve(training: Training) -> list[dict[str, Any]]:
    number = len(training.curve)
    step = max(1, -(-number // CURVE_POINTS))
    shown = [epoch for place, epoch in enumerate(training.curve, 1) if place % step == 0 or place == number]
    name, width, depth = str(training.shape), float(training.shape.width), training.shape.depth
    return [
        {"name": name, "depth": depth, "width": width, "epoch": e.number, "loss": e.loss, "quality": e.quality}
        for e in shown
    ]


def _cost(overview: Overview) -> dict[str, Any]:
    """Return what was trained, and what training every shape would have cost by the durations of those."""
    trainings, shapes = list(overview.trainings.values()), overview.shapes
    seconds = [training.seconds for training in trainings if training.seconds is not None]
    everything = None
    if seconds and len(seconds) == len(trainings):
        costs = dict(zip(shapes, durations.estimate(shapes, trainings), strict=True))
        trained = sum(costs[training.shape] for training in trainings)
        everything = sum(seconds) * float(sum(costs.values()) / trained) if trained else None
    return {
        "trained": len(trainings),
        "twice": overview.repeated,
        "shapes": len(shapes),
        "seconds": sum(seconds) if seconds else None,
        "exhaustive_seconds": everything,
    }
