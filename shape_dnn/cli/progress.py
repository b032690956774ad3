"""Progress of a search as lines on standard error."""

from __future__ import annotations

import sys

import click

from shape_dnn.cli.text import visible
from shape_dnn.events import (
    EpochFinished,
    Event,
    Fitted,
    Measured,
    MeasuringFinished,
    StageFinished,
    Tested,
    TrainingFinished,
    TrainingsPlanned,
    TrainingsPrepared,
)


class Progress:
    """Prints events. On a terminal the epochs of running trainings are shown on a last line of their own."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._running: dict[str, str] = {}
        self._memory = 0

    def __call__(self, event: Event) -> None:
        """Print one event."""
        match event:
            case StageFinished(metric, limit, unit, before, after):
                self._print(f"{metric} {limit} {unit}".rstrip() + f": {before} -> {after} shapes")
            case Measured(metric, unit, shape, measurement, done, total):
                value = measurement.status
                if measurement.value is not None:
                    value = f"{measurement.value:.4g} {unit}"
                    if measurement.low is not None and measurement.high is not None:
                        value += f" ({measurement.low:.4g} to {measurement.high:.4g})"
                self._print(f"{metric} {done:>3}/{total} {shape!s:<12} {value}")
            case MeasuringFinished(metric, statuses):
                doubts = [f"{number} {status}" for status, number in sorted(statuses.items()) if status != "ok"]
                if doubts:
                    others = ", the others ok" if "ok" in statuses else ""
                    self._print(f"{metric} of {sum(statuses.values())} shapes: {', '.join(doubts)}{others}")
            case Fitted(metric, measured, predicted):
                self._print(f"{metric} of {measured} shapes is measured, of {predicted} predicted by lines in depth")
            case TrainingsPlanned(shapes, known, failed):
                text = f"training {len(shapes) - known} shapes" if len(shapes) - known != 1 else "training one shape"
                text += f"; {known} known from before" if known else ""
                text += f", of which {failed} failed (--retry-failed trains them again)" if failed else ""
                self._print(text)
            case TrainingsPrepared():
                self._prepared(event)
            case EpochFinished(shape, epoch, epochs):
                self._running[str(shape)] = f"{shape} epoch {epoch.number}/{epochs} {epoch.accuracy:.1f} %"
                self._status()
            case TrainingFinished(training, done, total):
                self._running.pop(str(training.shape), None)
                accuracy = training.accuracy
                value = f"{accuracy:6.2f} %" if accuracy is not None else f"failed: {training.reason}"
                seconds = "" if training.seconds is None else f"{training.seconds:6.1f} s"
                self._print(f"trained {done:>3}/{total} {training.shape!s:<12} {value} {seconds}".rstrip())
            case Tested(shape, accuracy):
                self._print(f"test set read for {shape}: {accuracy:.2f} %")

    def close(self) -> None:
        """Remove the last line."""
        self._running.clear()
        self._status()

    def _prepared(self, event: TrainingsPrepared) -> None:
        if event.speedup is not None:
            how = f"{event.speedup:.2f} times as fast as float32 here"
            self._print(f"training in {event.precision}: bfloat16 was {how}")
        if event.memory > 1.5 * self._memory:  # a little more is no news
            self._memory = event.memory
            self._print(f"a training needs at most {event.memory / 1e9:.2g} GB of memory")

    def _print(self, line: str) -> None:
        click.echo("\r\x1b[K" * self._live + visible(line), err=True)
        self._status()

    def _status(self) -> None:
        if self._live:
            text = visible("   ".join(self._running.values()))[:100]
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
