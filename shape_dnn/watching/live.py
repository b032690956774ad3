"""What goes on in a search, as its journal tells it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from shape_dnn.display.tally import Best, Key, Tally, named
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import (
    Chosen,
    Converted,
    DatasetRead,
    EpochFinished,
    Event,
    Judged,
    Measured,
    Reason,
    SearchFinished,
    SearchInterrupted,
    SearchStarted,
    StageFinished,
    TrainingFinished,
    TrainingLost,
    TrainingsPlanned,
)
from shape_dnn.report.story import confidence_of
from shape_dnn.shape import Shape
from shape_dnn.store import journal
from shape_dnn.store.journal import Entry
from shape_dnn.system.text import grouped

IN_PASSING = (DatasetRead, Measured, EpochFinished)
"""Events after which a report is as it was."""
REASONS = {
    Reason.SAMPLE: "one of the first: it tells much about all shapes",
    Reason.IMPROVES: "most likely to improve on the best so far, for what its training costs",
    Reason.CLOSEST: "the one that should come closest to the limits",
    Reason.UNDECIDED: "the one that is least clearly within the limits or beyond them",
    Reason.UNCERTAIN: "the one of which least is known",
    Reason.BEYOND: "most likely to lie beyond the front so far, for what its training costs",
    Reason.VERIFY: "the answer as far as is predicted: trained before it is given",
    Reason.FRONT: "on the front as far as is predicted: trained before it is given",
    Reason.AGAIN: "trained again with another seed, since a smaller shape came out far better",
}
LAST = 5
"""Trainings that are listed with why they were chosen."""
CURVES = 20
"""Trainings under way whose learning curves are shown."""
POINTS = 200
"""Points of a learning curve that are shown: all are sent anew at every change."""
FAILED = 50
"""Trainings that are listed with why they failed."""


class Live:
    """The last run of a study, followed by its journal.

    Args:
        directory: of the study.

    Attributes:
        steps: what happened so far that may change a report.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._after = 0
        self._begin(0.0, SearchStarted({}, 0))
        self.steps = 0

    def _begin(self, when: float, event: SearchStarted) -> None:
        self._now = self._started = when
        self._ended: float | None = None
        self._time_left = TimeLeft(lambda: self._now)
        self._start = event
        self._reason: str | None = None
        self._done, self._doing, self._total = 0, "", 0
        self._tally, self._best = Tally(), Best(event.quality)
        self._stages: list[StageFinished] = []
        self._doubts: list[Judged] = []
        self._chosen: dict[Shape, Chosen] = {}
        self._failures: dict[Shape, str] = {}
        self._clear()

    def _clear(self) -> None:
        """Forget which trainings are under way."""
        self._running: dict[Key, list[EpochFinished]] = {}
        self._has_seeds = False

    @property
    def doubt(self) -> float | None:
        """The probability that the answer is not right yet; None if it was not told."""
        return self._doubts[-1].doubt if self._doubts else None

    @property
    def has_ended(self) -> bool:
        """Whether the search came to an end, be it a bad one."""
        return self._ended is not None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was told yet."""
        return self._started == 0

    def follow(self) -> bool:
        """Read what is new; tell whether there is anything."""
        entries, after = journal.read(self._directory, self._after)
        if after < self._after:  # another study has come into this place
            self._begin(0.0, SearchStarted({}, 0))
        changed = after != self._after
        self._after = after
        self._take(entries)
        return changed

    def _take(self, entries: Iterable[Entry]) -> None:
        for when, _, event in entries:
            if isinstance(event, SearchStarted):
                self._begin(when, event)
            self._now = max(self._now, when)
            self._time_left(event)
            self._tally.take(event)
            self._note(when, event)
            self.steps += not isinstance(event, IN_PASSING)

    def _note(self, when: float, event: Event) -> None:  # noqa: PLR0912 - a case for each kind
        match event:
            case StageFinished():
                self._stages.append(event)
                self._doing = ""
            case DatasetRead(dataset, done, total):
                self._doing, self._done, self._total = f"reading {dataset}", done, total
            case Measured(metric=metric, done=done, total=total):
                self._doing, self._done, self._total = f"measuring {metric}", done, total
            case Converted(done=done, total=total):
                self._doing, self._done, self._total = "judging what ships", done, total
            case Chosen(shape):
                self._chosen.pop(shape, None)
                self._chosen[shape] = event
            case TrainingsPlanned():
                self._clear()
                self._tally = Tally()
                self._has_seeds = event.seeds > 1
                self._doing, self._done, self._total = "training", 0, event.missing
            case EpochFinished(shape, epoch, _, seed):
                curve = self._running.setdefault((shape, seed), [])
                if curve and epoch.number <= curve[-1].epoch.number:
                    curve.clear()
                curve.append(event)
            case TrainingLost(shape, _, seed):
                self._running.pop((shape, seed), None)
            case TrainingFinished(training, done, total, seed=seed):
                self._best.take(training)
                self._running.pop((training.shape, seed), None)
                self._done = done
                if done == total:
                    self._clear()
                if training.quality is None and not training.stopped:
                    self._failures[training.shape] = training.reason
            case Judged():
                self._doubts.append(event)
            case SearchInterrupted(reason):
                self._ended, self._reason = when, reason
                self._clear()
            case SearchFinished():
                self._ended = when
                self._clear()

    def content(self, *, is_alive: bool) -> dict[str, Any]:
        """Return what is shown of the run, as JSON values.

        Args:
            is_alive: whether its process is still there.
        """
        is_running = is_alive and not self.has_ended and not self.is_empty
        self._now = max(self._now, time.time()) if is_running else self._now
        seconds = self._time_left.seconds if is_running else None
        quality, confidence = self._start.quality, confidence_of(self._start.settings)
        return {
            "state": self._state(is_running),
            "text": self._text(is_running),
            "doing": self._phrase() if is_running else "",
            "left": None if seconds is None else round(seconds),
            "quality": {"name": quality.name, "unit": quality.unit},
            "stages": [
                f"{s.metric} {grouped(s.limit)} {s.unit}".rstrip()
                + f": {s.before - s.after:,} of {s.before:,} shapes dropped"
                for s in self._stages
            ],
            "running": [self._training(curve) for curve in self._shown] if is_running else [],
            "waiting": self._waiting if is_running else 0,
            "doubts": [[judged.trained, judged.doubt] for judged in self._doubts],
            "wanted": None if confidence is None else 1 - confidence,
            "failures": self._told_failures(),
            "chosen": [
                {"shape": str(each.shape), "reason": _why(each), "numbers": self._numbers(each)}
                for each in list(self._chosen.values())[: -LAST - 1 : -1]
            ],
        }

    def _state(self, is_running: bool) -> str:
        if self.is_empty:
            return "none"
        if self._reason is not None:
            return "interrupted"
        return "running" if is_running else "finished" if self.has_ended else "stopped"

    def _text(self, is_running: bool) -> str:
        match self._state(is_running):
            case "none":
                return "This study has no journal, so nothing is known of how its search goes on."
            case "running":
                return f"Searching since {_clock(self._started)}."
            case "finished":
                return f"The search finished at {_clock(self._ended or 0.0)}."
            case "interrupted":
                why = f" by an error: {self._reason}" if self._reason else ""
                return f"Stopped at {_clock(self._ended or 0.0)}{why}; run the same command to go on."
        return f"Stopped at about {_clock(self._now)} without an end; run the same command to go on."

    def _phrase(self) -> str:
        if not self._doing or self._done >= self._total:
            return "deciding what to do next"
        phrase = f"{self._doing}: {self._done:,} of {self._total:,} done"
        if len(self._running) <= CURVES:
            return "; ".join([phrase, str(self._tally.lost)] if self._tally.lost.trainings else [phrase])
        shown = f"shown are the {CURVES} that have run longest"
        return "; ".join(text for text in (phrase, str(self._tally), str(self._best), shown) if text)

    @property
    def _waiting(self) -> int:
        """Trainings that were planned and of which nothing was heard yet."""
        return max(0, self._total - self._done - len(self._running)) if self._doing == "training" else 0

    @property
    def _shown(self) -> list[list[EpochFinished]]:
        """The curves of the trainings that have run longest."""
        return list(itertools.islice(self._running.values(), CURVES))

    def _told_failures(self) -> list[str]:
        """Return what failed and why, the latest of many."""
        told = [f"{shape}: {reason}" for shape, reason in list(self._failures.items())[-FAILED:]]
        others = len(self._failures) - len(told)
        return [f"{others:,} before these", *told] if others else told

    def _training(self, curve: list[EpochFinished]) -> dict[str, Any]:
        last = curve[-1]
        of = "" if last.epochs is None else f" of {last.epochs}"
        quality, step = self._start.quality, -(-len(curve) // (POINTS - 1))
        shown = [*curve[:-1:step], last]
        return {
            "shape": named(last.shape, last.seed, among_seeds=self._has_seeds),
            "text": f"epoch {last.epoch.number}{of}, {quality.name} {quality.phrase(last.epoch.quality)}",
            "points": [[event.epoch.number, event.epoch.quality] for event in shown],
            "epochs": last.epochs,
        }

    def _numbers(self, chosen: Chosen) -> str:
        quality, told = self._start.quality, []
        if chosen.expected is not None:
            told.append(f"{quality.name} of about {quality.phrase(chosen.expected)} expected")
        if chosen.complies is not None:
            told.append(f"complies with probability {chosen.complies:.2f}")
        if chosen.better is not None:
            what = "beyond the front so far" if chosen.reason is Reason.BEYOND else "better than the best so far"
            told.append(f"{what} with probability {chosen.better:.2f}")
        return ", ".join(told)


def _why(chosen: Chosen) -> str:
    if chosen.reason is Reason.IMPROVES and chosen.better is None:
        return "most likely to be the best that complies, for what its training costs; none is known that does"
    return REASONS[chosen.reason]


def _clock(when: float) -> str:
    """Write a time with the offset of this machine's zone, as whoever reads the page may be in another."""
    day, _, hour = datetime.fromtimestamp(when).astimezone().isoformat(" ", "minutes").partition(" ")
    return hour if time.time() - when < 20 * 3600 else f"{day} {hour}"
