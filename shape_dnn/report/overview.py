"""All that a report shows, as JSON values: what is known of every shape, and what was asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from shape_dnn.answers import shipped
from shape_dnn.answers.question import KnownMetric, in_order
from shape_dnn.assembly.goal_expressions import Least, Most
from shape_dnn.constraints import Constraint, known_metric
from shape_dnn.events import Event
from shape_dnn.kinds import Goal
from shape_dnn.plugins import checked
from shape_dnn.quality import Quality
from shape_dnn.records import Measurement, Training
from shape_dnn.report import history, story
from shape_dnn.report.states import ShapeState
from shape_dnn.report.story import Story
from shape_dnn.report.timings import Timing, first_choice, timings
from shape_dnn.search import durations
from shape_dnn.search.algorithm import predict
from shape_dnn.search.facts import Facts
from shape_dnn.search.failures import Counted
from shape_dnn.search.query import Answer, Candidate
from shape_dnn.settings import as_flags
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.system.text import encodable

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.assembly.assembly import Assembly

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


@dataclass(frozen=True)
class Overview:
    """What is known of the shapes of a search, and what was asked.

    Attributes:
        title: what it is about.
        parts: of the search.
        metrics: that are known of some shape, but for the quality.
        trainings: every training, failed ones included.
        candidates: every shape whose training did not fail, with its prediction.
        tested: quality on the test set of those shapes that were answers.
        command: what to call for an answer to another question, such as ``shape-dnn ask STUDY``.
        provenance: how all this came about.
        export: what to call for the network of a trained shape; empty where there are no weights.
        verified: whether the question was searched, so that the best shape is one that was trained if any complies.
        remarks: on shapes that came to a quality though their training failed, be it the first one alone.
        repeated: number of shapes that were trained again.
        deployment: what ships and where it runs, as results have it; None where a table was looked up.
        as_trained: the quality of each network before it was converted; None where the precision changes none.
        timings: the latencies of what ships, and those that are known beside them.
        story: how the search went; None where nobody knows.
    """

    title: str
    parts: Assembly
    metrics: Sequence[KnownMetric]
    trainings: Mapping[Shape, Training]
    candidates: Sequence[Candidate]
    tested: Mapping[Shape, float]
    command: str
    provenance: Sequence[history.Origin] = ()
    export: str = ""
    verified: bool = True
    remarks: Mapping[Shape, str] = field(default_factory=dict)
    repeated: int = 0
    deployment: Mapping[str, Any] | None = None
    as_trained: Mapping[Shape, float] | None = None
    timings: Sequence[Timing] = ()
    story: Story | None = None

    @classmethod
    def of_study(cls, known: StudyQuestion) -> Overview:
        """Put together what a study knows."""
        shapes = known.parts.shapes
        counted = known.count(known.facts.verify(shapes))
        trainings = {training.shape: training for training in counted.trainings}
        return cls(
            encodable(known.store.directory.resolve().name),
            known.parts,
            known.metrics,
            trainings,
            known.candidates,
            _tested(known.facts, trainings, counted.accidental),
            history.ask_command(known),
            history.of_study(known),
            history.export_command(known),
            known.was_searched,
            _remarks(counted, known.parts.quality),
            counted.repeated,
            shipped.deployment(known.parts, known.first_seed),
            shipped.as_trained(known.parts, known.of_seeds, counted, trainings),
            timings(known),
            story.of_study(known, trainings),
        )

    @classmethod
    def of_replay(cls, parts: Assembly, counted: Answer | Counted, told: Sequence[Event] = ()) -> Overview:
        """Put together what a search on a recorded table looked up, and the events that it told."""
        assert parts.table is not None  # noqa: S101 - called only then
        shapes, metrics = parts.shapes, []
        for name in in_order({*parts.table.metrics, "size"} - {parts.quality.name, "seconds"}):
            if name in parts.table.columns or parts.workload_of_table is not None:
                values = dict(zip(shapes, parts.replay.measure(name, shapes), strict=True))
                found = {shape: Measurement(value) for shape, value in values.items() if value is not None}
                by_name = known_metric(name)
                metrics.append(KnownMetric(name, "" if by_name is None else by_name.unit, found))
        by_shape = {training.shape: training for training in counted.trainings}
        candidates = predict(shapes, counted.trainings, parts.model.instance)
        return cls(
            parts.table.path.stem,
            parts,
            metrics,
            by_shape,
            candidates,
            {},
            history.replay_command(parts),
            history.of_replay(parts),
            remarks=_remarks(counted, parts.quality),
            repeated=counted.repeated,
            story=story.tell(told, by_shape, parts.quality, parts.query.confidence) if told else None,
        )

    @property
    def quality(self) -> Quality:
        """By which trainings are judged."""
        return self.parts.quality

    @cached_property
    def shapes(self) -> list[Shape]:
        """Every shape of the space, sorted by width and then depth."""
        return sorted(self.parts.shapes, key=by_width_then_depth)

    @property
    def _subject(self) -> str:
        """What was searched."""
        parts = self.parts
        if parts.table is not None:
            return "recorded table"
        if parts.is_own:
            return f"trainer {parts.architecture.choice.name}"
        return f"{parts.settings.arch} on {parts.settings.dataset}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        query = self.parts.query
        return {
            "title": self.title,
            "subject": self._subject,
            "command": self.command,
            "export": self.export,
            "metrics": [{"name": metric.name, "unit": metric.unit} for metric in self.metrics],
            "deployment": None if self.deployment is None else dict(self.deployment),
            "timings": [
                {"title": timing.title, "column": column, "metric": timing.metric}
                for column, timing in self.timing_columns.items()
            ],
            "compared": list(first_choice(self.timings)) if len(self.timings) > 1 else [],
            "quality": _bounded(self.quality),
            "limits": [_limit(constraint) for constraint in self._limits],
            "levels": [_level(confidence) for confidence in sorted(self._confidences)],
            "confidence": query.confidence or 0.5,
            "goals": self._goals(),
            "goal": self.parts.settings.goal or "",
            "verified": self.verified,
            "shapes": [self._row(shape) for shape in self.shapes],
            "curves": [point for training in self.trainings.values() for point in _curve(training)],
            "pareto": list(self.parts.settings.pareto),
            "layers": not self.parts.is_own,
            "cases": "examples" if self.parts.is_own or self.parts.table is not None else "images",
            "batch": 1 if self.parts.table is not None else self.parts.settings.batch_size,
            "cost": self._cost(),
        }

    @cached_property
    def timing_columns(self) -> dict[str, Timing]:
        """Each timing by the column of its values; that of a metric is the metric's."""
        names = [metric.name for metric in self.metrics]
        return {
            f"m{names.index(timing.metric)}" if timing.metric else f"t{i}": timing
            for i, timing in enumerate(self.timings)
        }

    @property
    def _limits(self) -> list[Constraint]:
        """One limit of each kind that can be chosen; infinite where none was."""
        limits = {(limit.metric, limit.upper): limit for limit in self.parts.query.constraints}
        for metric in self.metrics:
            limits.setdefault((metric.name, True), Constraint(metric.name, True, math.inf, metric.unit))
        name, upper = self.quality.name, self.quality.better == "lower"
        free = math.inf if upper else -math.inf
        limits.setdefault((name, upper), Constraint(name, upper, free, self.quality.unit))
        order = [*in_order({metric for metric, _ in limits} - {name}), name]
        return [limits[key] for key in sorted(limits, key=lambda key: (order.index(key[0]), not key[1]))]

    @property
    def _confidences(self) -> set[float]:
        return {confidence or 0.5 for confidence in (*CONFIDENCES, self.parts.query.confidence)}

    def _row(self, shape: Shape) -> dict[str, Any]:
        candidate = self._candidates.get(shape)
        training = self.trainings.get(shape)
        prediction = candidate.prediction if candidate else None
        values = [metric.values.get(shape, NOT_MEASURED) for metric in self.metrics]
        row: dict[str, Any] = {
            "name": str(shape),
            "depth": shape.depth,
            "width": float(shape.width),
            "fraction": str(shape.width),
            "state": self._state(shape),
            "reason": (training.reason if training else "") or self.remarks.get(shape, ""),
            "quality": candidate.quality if candidate else None,
            "mean": prediction.mean if prediction else None,
            "std": prediction.std if prediction else None,
            "tested": self.tested.get(shape),
            **self._conversion(candidate),
        }
        measured = {f"m{i}": m for i, m in enumerate(values)}
        beside = {c: t.values.get(shape, NOT_MEASURED) for c, t in self.timing_columns.items() if not t.metric}
        for column, m in (measured | beside).items():
            row |= {column: m.value, f"{column}_low": m.low, f"{column}_high": m.high, f"{column}_status": m.status}
        return row

    def _conversion(self, candidate: Candidate | None) -> dict[str, float | None]:
        """Return the quality of a network before it was converted, and what it lost by that, where it may have."""
        if self.as_trained is None:
            return {}
        before = None if candidate is None or candidate.quality is None else self.as_trained.get(candidate.shape)
        lost = None
        if before is not None and candidate is not None and candidate.quality is not None:
            lost = self.quality.sign * (before - candidate.quality)
        return {"before": before, "lost": lost}

    @cached_property
    def _candidates(self) -> dict[Shape, Candidate]:
        return {candidate.shape: candidate for candidate in self.candidates}

    def _state(self, shape: Shape) -> ShapeState:
        training = self.trainings.get(shape)
        if training is None:
            candidate = self._candidates.get(shape)
            return ShapeState.PREDICTED if candidate and candidate.prediction else ShapeState.UNKNOWN
        if training.quality is None:
            return ShapeState.STOPPED if training.stopped else ShapeState.FAILED
        return ShapeState.VERIFIED if shape in self.tested else ShapeState.TRAINED

    def _goals(self) -> list[dict[str, Any]]:
        """The scores of every shape by each goal; none for one that lacks a metric."""
        named: dict[str, Goal] = {metric.name: Least(metric.name) for metric in self.metrics}
        name = self.quality.name
        named[name] = Most(name) if self.quality.better == "higher" else Least(name)
        own = self.parts.settings.goal
        options = [text for text in self.parts.settings.option if text.startswith("goal.")]
        if own is not None and self.parts.goal is not None:
            named[own] = self.parts.goal
        return [
            {
                "name": name,
                "flag": " ".join(as_flags({"goal": name, "option": options if name == own else []})),
                "metrics": sorted(goal.metrics),
                "scores": self._scores(goal),
            }
            for name, goal in named.items()
        ]

    def _scores(self, goal: Goal) -> list[float | None]:
        return [checked.score_of(goal, known) for known in self._known]

    @cached_property
    def _known(self) -> list[dict[str, float | None]]:
        """What goals may know of each shape: its metrics, and the quality that is expected."""
        found: list[dict[str, float | None]] = []
        for shape in self.shapes:
            candidate = self._candidates.get(shape)
            measured = ((metric.name, metric.values.get(shape)) for metric in self.metrics)
            known = {name: measurement.value for name, measurement in measured if measurement is not None}
            found.append({**known, self.quality.name: candidate.expected if candidate else None})
        return found

    def _cost(self) -> dict[str, Any]:
        """What was trained, and what training every shape would have cost by the durations of those."""
        trainings, shapes = list(self.trainings.values()), self.shapes
        seconds = [training.seconds for training in trainings if training.seconds is not None]
        everything = None
        if seconds and len(seconds) == len(trainings):
            costs = dict(zip(shapes, durations.estimate(shapes, trainings), strict=True))
            trained = sum(costs[training.shape] for training in trainings)
            everything = sum(seconds) * float(sum(costs.values()) / trained) if trained else None
        return {
            "trained": len(trainings),
            "twice": self.repeated,
            "shapes": len(shapes),
            "seconds": sum(seconds) if seconds else None,
            "exhaustive_seconds": everything,
        }


def _remarks(counted: Answer | Counted, quality: Quality) -> dict[Shape, str]:
    accidents = {accident.shape: accident.tell(quality) for accident in counted.accidents}
    return accidents | {failing.shape: f"does not train: {failing.tell(quality)}" for failing in counted.failing}


def _tested(facts: Facts, trainings: Mapping[Shape, Training], again: Collection[Shape]) -> dict[Shape, float]:
    trained = [shape for shape, training in trainings.items() if training.quality is not None]
    found = {shape: facts.test(shape, again=shape in again) for shape in trained}
    return {shape: quality for shape, quality in found.items() if quality is not None}


def _bounded(quality: Quality) -> dict[str, Any]:
    bounds = {"minimum": quality.minimum, "maximum": quality.maximum}
    return {**quality.record, **{name: bound if math.isfinite(bound) else None for name, bound in bounds.items()}}


def _limit(limit: Constraint) -> dict[str, Any]:
    flag = FLAGS.get((limit.metric, limit.upper), "--max" if limit.upper else "--min")
    value = limit.limit if math.isfinite(limit.limit) else None
    return {"metric": limit.metric, "upper": limit.upper, "unit": limit.unit, "flag": flag, "value": value}


def _level(confidence: float) -> dict[str, Any]:
    return {"confidence": confidence, "deviations": NormalDist().inv_cdf(confidence)}


def _curve(training: Training) -> list[dict[str, Any]]:
    number = len(training.curve)
    step = max(1, -(-number // CURVE_POINTS))
    shown = [epoch for place, epoch in enumerate(training.curve, 1) if place % step == 0 or place == number]
    name, width, depth = str(training.shape), float(training.shape.width), training.shape.depth
    return [
        {"name": name, "depth": depth, "width": width, "epoch": e.number, "loss": e.loss, "quality": e.quality}
        for e in shown
    ]


def study_path(directory: Path) -> Path:
    """Return where the report of a study lies unless another place is named."""
    return directory / "report.html"
