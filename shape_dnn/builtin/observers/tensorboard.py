"""Trainings in TensorBoard."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from shape_dnn.errors import UnavailableError, UsageError
from shape_dnn.events import Converted, EpochFinished, Event, Measured, SearchFinished, SearchStarted, TrainingFinished
from shape_dnn.kinds import Observer
from shape_dnn.quality import ACCURACY

try:
    # TensorBoard's own writer: torch.utils.tensorboard and tensorboardX both import torch, which takes seconds.
    from tensorboard.compat.proto.event_pb2 import Event as Record
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.text.summary_v2 import text_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as missing:
    message = f"observer 'tensorboard' needs TensorBoard ({missing}): pip install 'shape-dnn[tensorboard]'"
    raise UnavailableError(message) from None

Place = tuple[int, float]
"""Depth and width of a shape."""
SHOWN_ELSEWHERE = ("trained", "failed", "shapes")
"""Parts of a result that the runs of the shapes show."""
NO_METRICS = ("depth", "width", "predicted_std", "estimated")
"""Parts of a row of a result that are no metrics, beside those that the quality is a part of."""


class TensorBoard(Observer):
    """Writes a run for every shape that is trained, and one for the search with its question and its answer.

    The run of a shape has ``loss`` and ``accuracy`` by epoch, ``final/accuracy``, ``final/test_accuracy`` if it is the
    best, and each metric known of it, as ``metric/latency``, or ``estimated/latency`` where it was predicted. Another
    quality stands under its own name, and beside it whatever else a training reports. Where networks are converted,
    the last ``final/accuracy`` is that of what ships, and ``final/float_accuracy`` what it was before. Depth and width
    are its hyper-parameters. A shape that is trained again, with another seed, from other weights or because a process
    died, gets another run.

    Args:
        directory: where every search makes a directory of its own.
    """

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory) / f"{datetime.now():%Y-%m-%d_%H-%M-%S.%f}"
        try:
            self._directory.mkdir(parents=True)
        except OSError as error:
            message = f"observer.directory={directory}: cannot be written: {error.strerror}"
            raise UsageError(message, setting="option") from None
        self._search = _Run(self._directory)
        self._quality = ACCURACY
        self._runs: defaultdict[Place, dict[int, _Run]] = defaultdict(dict)  # of a shape by the seed
        self._begun: Counter[Place] = Counter()
        self._metrics: dict[Place, dict[str, float]] = {}

    def notify(self, event: Event) -> None:
        """Write what concerns a training or the whole search."""
        match event:
            case SearchStarted(settings, shapes, quality):
                self._quality = quality
                given = {name: value for name, value in settings.items() if value not in (None, [])}
                self._search.write(_text("question", {**given, "shapes": shapes}))
            case Measured(metric, _, shape, measurement):
                if measurement.value is not None:
                    self._learn((shape.depth, float(shape.width)), f"metric/{metric}", measurement.value)
            case EpochFinished(shape, epoch, seed=seed):
                place = shape.depth, float(shape.width)
                run = self._runs[place].get(seed)
                if run is None or epoch.number <= run.epochs:
                    run = self._begin(place, seed)
                run.epochs = epoch.number
                run.write(_scalars(epoch.numbers(self._quality)), epoch.number)
            case TrainingFinished(training, seed=seed):
                place = training.shape.depth, float(training.shape.width)
                self._finish(place, seed, training.quality, training.reason)
            case Converted(shape, quality, before, seed=seed):
                place = shape.depth, float(shape.width)
                self._finish(place, seed, quality, "")
                self._metrics.setdefault(place, {})[self._in_float] = before
                self._runs[place][seed].write(_scalars({self._in_float: before}))
            case SearchFinished(result):
                self._answer(cast("Mapping[str, Any]", result))

    @property
    def _in_float(self) -> str:
        """Under which name the quality stands that a network had before it was converted."""
        return f"final/float_{self._quality.name}"

    def close(self) -> None:
        """Close every file."""
        for run in (self._search, *(run for runs in self._runs.values() for run in runs.values())):
            run.close()

    def _begin(self, place: Place, seed: int) -> _Run:
        """Begin a run of a shape, with what is known of it."""
        if seed in self._runs[place]:
            self._runs[place][seed].close()
        depth, width = place
        self._begun[place] += 1
        again = f"_{self._begun[place]}" if self._begun[place] > 1 else ""
        run = self._runs[place][seed] = _Run(self._directory / f"{depth}-{width:g}{again}")
        run.write(hparams_pb({"depth": depth, "width": width}, trial_id=f"{self._directory.name}/{run.directory.name}"))
        run.write(_scalars(self._metrics.get(place, {})))
        return run

    def _finish(self, place: Place, seed: int, quality: float | None, reason: str) -> None:
        """Write what a training came to, and close its file: there may be many."""
        run = self._runs[place].get(seed) or self._begin(place, seed)
        final = f"final/{self._quality.name}"
        run.write(_text("reason", reason) if quality is None else _scalars({final: quality}), run.epochs)
        run.close()

    def _learn(self, place: Place, tag: str, value: float) -> None:
        """Take note of a metric of a shape, and write it to the runs that the shape has."""
        known = self._metrics.setdefault(place, {})
        if tag not in known:
            known[tag] = value
            for run in self._runs[place].values():
                run.write(_scalars({tag: value}))

    def _answer(self, result: Mapping[str, Any]) -> None:
        """Write the answer, and of each trained shape what no event told: what was known before, and sizes."""
        name = self._quality.name
        self._search.write(_text("answer", {n: value for n, value in result.items() if n not in SHOWN_ELSEWHERE}))
        for row in (*result["trained"], *result["failed"]):
            if not self._runs[row["depth"], row["width"]]:
                self._finish((row["depth"], row["width"]), 0, row.get(name), row.get("reason", ""))
        for row in result["shapes"]:
            for metric in row.keys() - {*NO_METRICS, name, f"predicted_{name}"}:
                if row[metric] is not None:
                    group = "estimated" if metric in row.get("estimated", ()) else "metric"
                    tag = self._in_float if metric == f"float_{name}" else f"{group}/{metric}"
                    self._learn((row["depth"], row["width"]), tag, row[metric])
        best = result["best"]
        if best and best[f"test_{name}"] is not None:
            *_, run = self._runs[best["depth"], best["width"]].values()
            run.write(_scalars({f"final/test_{name}": best[f"test_{name}"]}), run.epochs)


class _Run:
    """A run: a directory with files of records, the last of them open while the run goes on.

    Attributes:
        epochs: how many it shows.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.epochs = 0
        self._writer: Any = None

    def write(self, summary: Any, step: int = 0) -> None:
        """Write and flush, so that TensorBoard shows it at once."""
        if self._writer is None:
            self._writer = EventFileWriter(str(self.directory))
        self._writer.add_event(Record(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def close(self) -> None:
        """Close the file; what is written later goes to another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _scalars(values: Mapping[str, float]) -> Any:
    return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


def _text(tag: str, content: object) -> Any:
    """Show JSON values; indented, which is code in Markdown, in which no name is markup."""
    lines = json.dumps(content, indent=2, default=str).splitlines()
    return text_pb(tag, "\n".join(f"    {line}" for line in lines))
