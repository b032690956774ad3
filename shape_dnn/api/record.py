"""Recording a table: every shape of a space is trained, with several seeds."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from shape_dnn import devices
from shape_dnn.api.functions import by_file
from shape_dnn.api.recording import close, recorded
from shape_dnn.api.reporting import check_writable
from shape_dnn.api.studying import study_of
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.errors import NothingCompliesError, UsageError
from shape_dnn.events import Event, SearchStarted, ignore
from shape_dnn.kinds import TableFile
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.records import Training
from shape_dnn.search.algorithm import apply_limits
from shape_dnn.search.query import Query
from shape_dnn.settings import SETTINGS, Settings, as_flags
from shape_dnn.shape import Shape
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAININGS
from shape_dnn.study.seeds import of_every_seed
from shape_dnn.study.tables import quality_line
from shape_dnn.system import durable
from shape_dnn.system.text import listed, one_line

SEEDS = 3
"""Trainings of each shape unless the user says how many."""
REFUSED: Mapping[str, str] = {
    "min_accuracy": "accuracy is what is recorded",
    "replay": "a recorded table trains nothing",
    "terminator": "a table holds whole trainings",
    "transfer": "the trainings of a table start from scratch",
    "fit_depths": "a table holds what was measured",
}
"""Settings that contradict a recording, and why."""
TELLING = (
    "max_size", "max_latency", "max_energy", "max", "min", "batch_size", "recipe", "epochs", "lr", "seed", "protocol",
    "deploy", "target", "meter", "option", "plugin",
)  # fmt: skip
"""Settings that determine what a table holds. They are named in it unless they have their defaults."""
TAKEN = frozenset({"depth", "width", "seed", "seconds"})
"""Columns that, like the quality, are no metrics to be measured."""


def record(
    path: str | Path,
    *,
    seeds: int = SEEDS,
    metrics: Iterable[str] = (),
    overwrite: bool = False,
    notify: Callable[[Event], None] = ignore,
    **settings: Any,
) -> TableFile:
    """Train every shape of a space with several seeds, and write a table that can be replayed.

    The study remembers each training, so a recording that was interrupted goes on when it is called again. The table is
    written at the end. If trainings report learning curves, these are written beside it, as ``…-curves.csv``. Each file
    is written completely or not at all, and its first lines say how it came about.

    Args:
        path: the CSV file.
        seeds: trainings of each shape, with seeds from the setting ``seed`` on.
        metrics: names of metrics to measure, besides the size, which is known wherever there are networks.
        overwrite: whether existing files are replaced.
        notify: called with every event.
        **settings: as for :func:`tune`, including the functions of a trainer. Limits say which shapes are recorded;
            there can be none on quality. Settings that choose among shapes, such as a sampler or a goal, play no part,
            and neither do observers.

    Returns:
        Where the table and the learning curves lie.

    Raises:
        UsageError: a setting cannot be used, or a file already exists.
        NothingCompliesError: no shape is within the limits.
        MeterError: a metric cannot be measured here.
    """
    parts = Assembly(Settings.create({**by_file(settings), "seeds": seeds}))
    parts.check()
    _check(parts)
    columns, place = _columns(listed(metrics), parts), Path(path)
    _check_place(place, overwrite)
    curves = place.with_name(f"{place.stem}-curves{place.suffix}")
    _check_place(curves, overwrite)
    recording = _record(parts, columns, notify)
    for file, rows in ((curves, recording.epochs()), (place, recording.rows())):
        with durable.naming_errors(file):
            if file == curves and not recording.has_curves:
                curves.unlink(missing_ok=True)  # of a table that is replaced
            else:
                durable.write_text(file, _csv(recording.origin, rows))
    return TableFile(place, curves if recording.has_curves else None)


def _check(parts: Assembly) -> None:
    """Refuse settings that contradict a recording."""
    for name, why in REFUSED.items():
        if getattr(parts.settings, name) != SETTINGS[name].default:
            raise UsageError(f"{why}; leave it out", setting=name)
    for limit in parts.constraints:
        if limit.metric == parts.quality.name:
            message = f"{limit.metric} is what is recorded; leave it out"
            raise UsageError(message, setting="max" if limit.upper else "min")


def _columns(metrics: Sequence[str], parts: Assembly) -> list[str]:
    """Return the metrics to record. The size comes first, unless a trainer has no networks."""
    for place, name in enumerate(metrics):
        taken = name in TAKEN or name == parts.quality.name
        if taken or name in metrics[:place]:
            problem = "is no metric that is measured" if taken else "is named twice"
            raise UsageError(f"{name} {problem}", setting="metrics")
    sized = ["size"] if parts.own is None or parts.own.builds else []
    return list(dict.fromkeys((*sized, *metrics)))


def _check_place(path: Path, overwrite: bool) -> None:
    """Check, before hours of training, that a file can be written."""
    if path.exists() and not (overwrite and path.is_file()):
        remedy = "; --overwrite replaces it" if path.is_file() else ", and is no file"
        raise UsageError(f"{str(path)!r} is there already{remedy}", setting="path")
    check_writable(path, setting="path")


@dataclass(frozen=True)
class _Recording:
    """What a recording writes.

    Attributes:
        origin: how the recording came about, in lines.
        quality: the quality that trainings are judged by.
        metrics: values of each shape, by metric.
        trainings: the trainings, each with its seed.
    """

    origin: Sequence[str]
    quality: Quality
    metrics: Mapping[str, Mapping[Shape, float | None]]
    trainings: Sequence[tuple[int, Training]]

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield the lines of the table."""
        yield "depth", "width", "seed", self.quality.name, *self.metrics, "seconds"
        for seed, training in self.trainings:
            seconds = "" if training.seconds is None else f"{training.seconds:.3f}"
            metrics = [_text(values[training.shape]) for values in self.metrics.values()]
            yield *training.shape, seed, _text(training.quality), *metrics, seconds

    @property
    def has_curves(self) -> bool:
        """Whether any training has a learning curve."""
        return any(training.curve for _, training in self.trainings)

    def epochs(self) -> Iterator[tuple[object, ...]]:
        """Yield the lines of the learning curves. Reports count from 1, whether made at each step or now and then."""
        curves = [training.curve for _, training in self.trainings]
        steps = ["step"] if any(epoch.number != i for curve in curves for i, epoch in enumerate(curve, 1)) else []
        losses = [] if self.quality.name == "loss" else ["loss"]  # of training, beside what is judged
        yield "depth", "width", "seed", "epoch", *steps, *losses, self.quality.name
        for seed, training in self.trainings:
            for i, epoch in enumerate(training.curve, 1):
                step, loss = [epoch.number] if steps else [], [_text(epoch.loss, 6)] if losses else []
                yield *training.shape, seed, i, *step, *loss, _text(epoch.quality)


def _record(parts: Assembly, columns: Sequence[str], notify: Callable[[Event], None]) -> _Recording:
    """Measure and train what the study lacks."""
    with ExitStack() as stack:
        stack.callback(close, parts.executor.instance)
        notify(SearchStarted(parts.settings.to_dict(), len(parts.shapes), parts.quality))
        meters = parts.meters_of({*columns, *(limit.metric for limit in parts.constraints)})
        parts.problem.read(notify)  # so that a missing file shows before anything is measured
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        store.runs.lock()  # whoever prepares may write
        studies = [study_of(parts, store, meters, notify, seed=seed) for seed in parts.seeds]
        for study in studies:
            study.prepare()
        with recorded(store, "record", parts, studies):
            costs = {name: meter.instance.cost for name, meter in meters.items()}
            query = Query(parts.constraints, costs=costs, quality=parts.quality)
            shapes, _ = apply_limits(parts.shapes, query, studies[0], notify)
            if not shapes:
                raise NothingCompliesError("nothing complies: no shape of the space is within the limits")
            values = {name: dict(zip(shapes, studies[0].measure(name, shapes), strict=True)) for name in columns}
            of_seeds = zip(parts.seeds, of_every_seed(studies, shapes), strict=True)
            trained = [(seed, training) for seed, trainings in of_seeds for training in trainings]
        units = [f"{name} in {meters[name].instance.unit}" for name in columns]
        families = [study.facts.contexts[TRAININGS] for study in studies]
        return _Recording(list(_origin(parts, store, units, families, shapes)), parts.quality, values, trained)


def _origin(
    parts: Assembly, store: Store, units: Sequence[str], families: Sequence[int], shapes: Sequence[Shape]
) -> Iterator[str]:
    """Say what the columns are, and with which flags, recipe, hardware and versions they were obtained, and when."""
    if parts.quality == ACCURACY:
        judged = f"{'validation' if parts.settings.protocol == 'validation' else 'test'} accuracy in percent"
    else:
        yield f"quality: {quality_line(parts.quality)}"
        judged = parts.quality.name
    yield f"{', '.join((judged, *units))}, seconds of a training; {' '.join(_flags(parts))}"
    with store.decoding():
        identity = store.identity(families[0])
        versions = dict.fromkeys(_versions(store.provenance(family, shape)) for family in families for shape in shapes)
    if parts.own is None:
        precision = identity["recipe"].get("precision", "float32")
        recipe = dataclasses.asdict(dataclasses.replace(parts.recipe, precision=precision))
        yield "recipe: " + ", ".join(f"{name} {value}" for name, value in recipe.items())
    else:
        own = identity["trainer"]
        with_options = [f"{name} {value}" for name, value in own["options"].items()]
        yield f"trainer: {', '.join([own['name'], *with_options])} from {own['from']}"
    day = datetime.fromtimestamp(cast("float", store.summary()["updated"]), UTC)
    yield f"{day:%Y-%m-%d}, {_hardware(parts)}, {'; '.join(versions)}"


def _flags(parts: Assembly) -> Iterator[str]:
    """Write what determines a table as flags of a command."""
    settings = parts.settings
    depths, widths = parts.ranges if parts.pretrained is not None else (parts.space.depths, parts.space.widths)
    ranges = {name: values for name, values in (("depth", depths), ("width", widths)) if values is not None}
    chosen = ("arch", "dataset") if parts.own is None else ("trainer",)
    named = {**{name: getattr(settings, name) for name in chosen}, **ranges}
    others = {name: value for name, value in settings.changed().items() if name in TELLING}
    return as_flags({**named, **others, "device": parts.device, "seeds": settings.seeds})


def _hardware(parts: Assembly) -> str:
    """Name the hardware that the trainings ran on."""
    if parts.executor.instance.elsewhere:
        return f"executor {parts.settings.executor}"
    threads = parts.problem.threads
    counted = "one thread of " if threads == 1 else f"{threads} threads of "
    return (counted if parts.device == "cpu" else "") + devices.hardware(parts.device)


def _versions(provenance: Mapping[str, Any]) -> str:
    """Say with which versions of Python, torch and the distributions of its plugins a shape was trained."""
    plugins = sorted({f"{plugin['distribution']} {plugin['version']}" for plugin in provenance["plugins"]})
    return ", ".join([f"Python {provenance['python']}", f"torch {provenance['libraries']['torch']}", *plugins])


def _csv(origin: Sequence[str], rows: Iterator[tuple[object, ...]]) -> str:
    text = io.StringIO()
    text.writelines(f"# {one_line(line)}\n" for line in origin)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _text(value: float | None, digits: int = 12) -> str:
    """Write a number with so many digits: by default enough for limits to tell it from others as in the study."""
    return "" if value is None else f"{value:.{digits}g}"
