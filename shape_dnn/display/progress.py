"""Progress of a search for people: lines and, where they can be drawn anew, what is going on at the moment."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shape_dnn.display.console import Console
from shape_dnn.display.drawing import Notebook, Plain, Scene, Terminal
from shape_dnn.display.tally import Losses, named
from shape_dnn.events import (
    Converted,
    DatasetRead,
    EpochFinished,
    Event,
    Fitted,
    Measured,
    MeasuringFinished,
    Remarked,
    SearchStarted,
    StageFinished,
    Tested,
    TrainedAgain,
    TrainingFinished,
    TrainingLost,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.quality import ACCURACY
from shape_dnn.records import Measurement
from shape_dnn.system.text import grouped

if TYPE_CHECKING:
    from typing import Self

LINE_SECONDS = 5.0
"""Least time between two lines that tell how far something is, where nothing can be drawn anew."""
FAILURES = 5
"""Trainings that fail of which each is told, where many run at once."""


class Progress:
    """Shows the events of a search on standard error: ``tune(…, notify=Progress())``.

    What is finished is a line. On a terminal, and in a notebook, the limits applied so far, the running trainings and
    the time that is left are drawn below them, anew as long as something runs. Where more than ten trainings run at
    once, they are told of together. Used as a context manager, or closed, it leaves the terminal as it was, whatever
    ends the search.

    Args:
        verbose: also tell what is rarely of interest, such as every epoch where nothing can be drawn anew.
        debug: also tell where trainings failed.
    """

    def __init__(self, *, verbose: bool = False, debug: bool = False) -> None:
        self._verbose = verbose
        self._debug = debug
        self._scene = Scene()
        self._quality = ACCURACY
        self._memory = 0
        self._told = time.monotonic()
        self._measured: Counter[str] = Counter()
        self._remarks: set[str] = set()
        self._failures, self._lost = 0, Losses()
        self._has_seeds = False
        console = Console(stderr=True, highlight=False)
        self._display: Notebook | Terminal | Plain
        if console.is_jupyter:
            self._display = Notebook(self._scene)
        elif sys.stderr is not None and sys.stderr.isatty() and console.is_interactive:
            self._display = Terminal(self._scene, console)
        else:
            self._display = Plain(console)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, SearchStarted):
            self._told, self._quality = time.monotonic(), event.quality
        self._scene.take(event)
        lines = [*self._losses(event), *(self._crowd(event) if self._scene.is_crowded else self._lines(event))]
        self._display.show(lines)

    def close(self) -> None:
        """End the drawing; what is shown later begins a new one."""
        self._display.close()

    def tell_known(self, metric: str, shapes: int) -> None:
        """Tell, if that is wanted, of how many of some shapes a metric was not measured now."""
        self._display.show(list(self._known(metric, shapes)))

    def _known(self, metric: str, shapes: int) -> Iterator[str]:
        others = shapes - self._measured.pop(metric, 0)
        if self._verbose and others > 0 and metric != self._quality.name:
            count = f"{others:,} shapes" if others != 1 else "one shape"
            yield f"{metric} of {count} was not measured now: it is known from before, computed or predicted"

    def _lines(self, event: Event) -> Iterator[str]:
        match event:
            case DatasetRead(dataset, done, total) if not self._display.draws:
                if time.monotonic() - self._told >= LINE_SECONDS:
                    self._told = time.monotonic()
                    yield f"read {done:,} of {total:,} images of {dataset}"
            case StageFinished(metric, limit, unit, before, after):
                yield from self._known(metric, before)
                yield f"{metric} {grouped(limit)} {unit}".rstrip() + f": {before:,} -> {after:,} shapes"
            case Remarked(_, text) if text not in self._remarks:
                self._remarks.add(text)
                yield text
            case Measured(metric, unit, shape, measurement, done, total):
                self._measured[metric] += 1
                yield f"{metric} {done:>3,}/{total:,} {shape!s:<12} {_value(measurement, unit)}"
            case MeasuringFinished(metric, statuses):
                doubts = [f"{number:,} {status}" for status, number in sorted(statuses.items()) if status != "ok"]
                others = ["the others ok" if doubts else "all ok"] if "ok" in statuses else []
                if doubts or self._verbose:
                    yield f"{metric} of {sum(statuses.values()):,} shapes: {', '.join([*doubts, *others])}"
            case Fitted(metric, measured, predicted):
                yield f"{metric} of {measured:,} shapes is measured, of {predicted:,} predicted by lines in depth"
            case TrainingsPlanned():
                yield self._planned(event)
            case TrainingsPrepared():
                yield from self._prepared(event)
            case EpochFinished(shape, epoch, epochs, seed) if self._verbose and not self._display.draws:
                place = f"step    {epoch.number:>3}" if epochs is None else f"epoch   {epoch.number:>3}/{epochs}"
                loss = "" if epoch.loss is None else f" loss {epoch.loss:.4g}"
                name = named(shape, seed, among_seeds=self._has_seeds)
                yield f"{place} {name:<12} {self._quality.phrase(epoch.quality):>8}{loss}"
            case TrainingFinished() | TrainedAgain() | Converted() | Tested():
                yield from self._outcome(event)

    def _planned(self, event: TrainingsPlanned) -> str:
        self._has_seeds = event.seeds > 1
        number = len(event.shapes) if self._has_seeds else event.missing
        text = f"training {number:,} shapes" if number != 1 else "training one shape"
        if self._has_seeds:
            text += f" with {event.seeds} seeds: {event.missing:,} trainings"
        text += f"; {event.known:,} known from before" if event.known else ""
        failed = f", of which {event.failed:,} failed (--retry-failed trains them again)"
        return text + failed * bool(event.failed)

    def _losses(self, event: Event) -> Iterator[str]:
        """Tell of machines that were lost, of those at the same moment together."""
        if isinstance(event, TrainingsPlanned):
            self._failures, self._lost = 0, Losses()
        if isinstance(event, TrainingLost):
            self._lost.add(event)
        elif self._lost.trainings:
            lost, self._lost = self._lost, Losses()
            yield from () if self._scene.is_crowded else (str(lost),)

    def _crowd(self, event: Event) -> Iterator[str]:
        """Tell of many trainings at once together, now and then, and of the first that fail."""
        if not isinstance(event, EpochFinished | TrainingFinished | TrainingLost):
            yield from self._lines(event)
            return
        if isinstance(event, TrainingFinished) and event.training.quality is None and not event.training.stopped:
            self._failures += 1
            if self._failures <= FAILURES:
                yield from self._outcome(event)
            elif self._failures == FAILURES + 1:
                yield "further trainings that fail are counted only; the report says of each why"
        is_last = isinstance(event, TrainingFinished) and event.done == event.total
        is_time = not self._display.draws and time.monotonic() - self._told >= LINE_SECONDS
        if is_last or is_time:
            self._told = time.monotonic()
            yield f"trained {self._scene.summary}"

    def _outcome(self, event: TrainingFinished | TrainedAgain | Converted | Tested) -> Iterator[str]:
        quality = self._quality
        match event:
            case TrainingFinished(training, done, total, where, seed):
                value = training.reason if training.stopped else f"failed: {training.reason}"
                if training.quality is not None:
                    value = f"{quality.phrase(training.quality):>8}"
                seconds = "" if training.seconds is None else f"{training.seconds:6.1f} s"
                name = named(training.shape, seed, among_seeds=self._has_seeds)
                yield f"trained {done:>3,}/{total:,} {name:<12} {value} {seconds}".rstrip()
                yield from where.splitlines() if self._debug else ()
            case TrainedAgain(shape, first, again):
                where = "below" if quality.better == "higher" else "above"
                before = f"{shape} came out far {where} a smaller shape, with {quality.phrase(first)}"
                yield f"{before}; trained again with another seed it has {quality.phrase(again)}"
            case Converted(shape, shipped, before, too_much, done, total, seed):
                name = named(shape, seed, among_seeds=self._has_seeds)
                was = f"({quality.phrase(before)} before)"
                yield f"shipped {done:>3,}/{total:,} {name:<12} {quality.phrase(shipped):>8} {was}"
                if too_much:
                    lost = quality.difference(abs(before - shipped))
                    yield f"note: the conversion of {shape} loses {lost}, more than deploy.max_drop allows"
            case Tested(shape, tested, seed):
                name = named(shape, seed, among_seeds=self._has_seeds)
                yield f"test set read for {name}: {quality.phrase(tested)}"

    def _prepared(self, event: TrainingsPrepared) -> Iterator[str]:
        if event.reason or (self._verbose and event.precision):
            yield f"training in {event.reason or event.precision}"
        if event.memory > 1.5 * self._memory or (self._verbose and event.memory):  # a little more is no news
            self._memory = max(self._memory, event.memory)
            gigabytes = event.memory / 1e9
            needed = f"{gigabytes:.2g}" if gigabytes < 9.95 else f"{gigabytes:,.0f}"
            yield f"a training needs at most {needed} GB of memory"


def _value(measurement: Measurement, unit: str) -> str:
    """Write a value with its interval, if it has one, or why there is none."""
    if measurement.value is None:
        return measurement.status
    low, high = measurement.low, measurement.high
    is_exact = low is None or high is None or low == high
    return f"{measurement.value:.4g} {unit}" + ("" if is_exact else f" ({low:.4g} to {high:.4g})")
