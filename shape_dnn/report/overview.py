"""All that a report shows: what is known of every shape, and what was asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shape_dnn.answers import shipped
from shape_dnn.answers.question import KnownMetric, in_order
from shape_dnn.constraints import known_metric
from shape_dnn.events import Event
from shape_dnn.quality import Quality
from shape_dnn.records import Measurement, Training
from shape_dnn.report import history, story
from shape_dnn.report.story import Story
from shape_dnn.report.timings import Timing, timings
from shape_dnn.search.algorithm import predict
from shape_dnn.search.facts import Facts
from shape_dnn.search.failures import Counted
from shape_dnn.search.query import Answer, Candidate
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.system.text import encodable

if TYPE_CHECKING:
    from shape_dnn.answers.question import StudyQuestion
    from shape_dnn.assembly.assembly import Assembly


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
            is_column = name in parts.table.columns
            recorded = (row[name] for rows in parts.table.rows.values() for row in rows) if is_column else ()
            if any(value is not None for value in recorded) or (not is_column and parts.workload_of_table is not None):
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

    @cached_property
    def timing_columns(self) -> dict[str, Timing]:
        """Each timing by the column of its values; that of a metric is the metric's."""
        names = [metric.name for metric in self.metrics]
        return {
            f"m{names.index(timing.metric)}" if timing.metric else f"t{i}": timing
            for i, timing in enumerate(self.timings)
        }


def _remarks(counted: Answer | Counted, quality: Quality) -> dict[Shape, str]:
    accidents = {accident.shape: accident.tell(quality) for accident in counted.accidents}
    return accidents | {failing.shape: f"does not train: {failing.tell(quality)}" for failing in counted.failing}


def _tested(facts: Facts, trainings: Mapping[Shape, Training], again: Collection[Shape]) -> dict[Shape, float]:
    trained = [shape for shape, training in trainings.items() if training.quality is not None]
    found = {shape: facts.test(shape, again=shape in again) for shape in trained}
    return {shape: quality for shape, quality in found.items() if quality is not None}


def study_path(directory: Path) -> Path:
    """Return where the report of a study lies unless another place is named."""
    return directory / "report.html"
