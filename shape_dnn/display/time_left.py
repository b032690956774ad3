"""How long the measuring, or the batch of trainings, that is under way still takes, by what was seen of it."""

from __future__ import annotations

import heapq
import itertools
import statistics
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shape_dnn.display.tally import Key
from shape_dnn.events import (
    Converted,
    DatasetRead,
    EpochFinished,
    Event,
    Measured,
    TrainingFinished,
    TrainingLost,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.records import Training
from shape_dnn.search import durations
from shape_dnn.shape import Shape

PAUSE = 0.5
"""Seconds without a report after which the next one belongs to another burst."""
BURST = 5.0
"""Seconds that a burst lasts at most; reports that keep coming are no burst."""
START = 10.0
"""Seconds that worker processes may take to start: only after these it shows how many there are."""
RECENT = 3
"""The last epochs of a training, whose median counts; those made before an interruption are reported in no time."""


class TimeLeft:
    """Follows the events of a search and estimates how long what is planned now still takes.

    Args:
        clock: returns seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest = clock()
        self._pace = Pace()
        self._work: Measuring | Batch | None = None

    def __call__(self, event: Event) -> None:
        """Take note of one event."""
        now = self._clock()
        match event:
            case (
                Measured(done=done, total=total)
                | DatasetRead(done=done, total=total)
                | Converted(done=done, total=total)
            ):
                # Another metric begins anew, and of many measurements not every one is told.
                if not (isinstance(self._work, Measuring) and self._work.goes_on(done, total)):
                    self._work = Measuring(self._latest, total)
                self._work.report(now, done)
            case TrainingsPlanned(shapes, seeds=seeds):
                self._work = Batch(now, shapes, event.missing, self._pace, seeds)
            case _ if isinstance(self._work, Batch):
                self._follow(self._work, now, event)
            case _:
                self._work = None
        self._latest = now

    def _follow(self, batch: Batch, now: float, event: Event) -> None:
        match event:
            case TrainingsPrepared():
                batch.began = now
            case EpochFinished(shape, epoch, epochs, seed):
                batch.report(now, (shape, seed), epoch.number, epochs)
            case TrainingLost(shape, _, seed):
                batch.lose((shape, seed))
            case TrainingFinished(training, seed=seed):
                batch.finish(now, training, seed)
            case _:
                self._work = None

    @property
    def workers(self) -> int:
        """How many trainings ran at once, as far as was seen."""
        return self._pace.workers

    @property
    def seconds(self) -> float | None:
        """The estimate; None while nothing is under way, or too little was seen of it."""
        return None if self._work is None else self._work.left(self._clock())


@dataclass
class Measuring:
    """One metric of some shapes, what ships of some shapes, or reading some images.

    Shapes take about equally long, but their measurements come in bursts where a meter measures groups of them. Only
    whole bursts count and, as soon as there are two, not the time before the end of the first, in which a process was
    started.

    Attributes:
        began: when.
        total: number of shapes, or of images.
    """

    began: float
    total: int
    _bursts: list[tuple[float, float, int]] = field(default_factory=list)

    def goes_on(self, done: int, total: int) -> bool:
        """Tell whether the ``done``-th of so many measurements can be one of these."""
        return total == self.total and (not self._bursts or done > self._bursts[-1][-1])

    def report(self, now: float, done: int) -> None:
        """Take note of the ``done``-th measurement."""
        begin = now
        if self._bursts and now - self._bursts[-1][1] < PAUSE and now - self._bursts[-1][0] < BURST:
            begin, *_ = self._bursts.pop()
        self._bursts.append((begin, now, done))

    def left(self, now: float) -> float | None:
        """Return the seconds that are left; None before there was a whole burst."""
        whole = [(end, done) for _, end, done in self._bursts]
        if whole and now - whole[-1][0] < PAUSE and whole[-1][1] < self.total:
            whole.pop()
        if not whole:
            return None
        first, *_, (end, done) = [(self.began, 0), *whole] if len(whole) == 1 else whole
        if done == first[1]:  # a dataset may begin by telling that it has read none
            return None
        pace = (end - first[0]) / (done - first[1])
        return max(0.0, pace * (self.total - done) - (now - end))


@dataclass
class Running:
    """A training under way.

    Attributes:
        latest: when it last reported.
        number: epochs so far.
        first: seconds of an epoch until its first report, in which its process may have started.
        gaps: seconds of an epoch between its reports.
    """

    latest: float
    number: int
    first: float
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def report(self, now: float, number: int) -> None:
        """Take note of an epoch."""
        self.gaps.append((now - self.latest) / (number - self.number))
        self.latest, self.number = now, number

    @property
    def seconds(self) -> float:
        """Seconds of an epoch."""
        return statistics.median(self.gaps) if self.gaps else self.first


@dataclass
class Pace:
    """What trainings showed so far, in earlier batches too.

    Attributes:
        seconds: of an epoch, by shape.
        workers: how many trainings ran at once.
        epochs: of a whole training; None as long as that was not told.
        lengths: epochs of the trainings that ended with a result, or were stopped.
    """

    seconds: dict[Shape, float] = field(default_factory=dict)
    workers: int = 0
    epochs: int | None = None
    lengths: list[int] = field(default_factory=list)

    @property
    def whole(self) -> float | None:
        """Epochs of a whole training, or as many as those had that ended; None if neither is known."""
        if self.epochs is not None:
            return self.epochs
        return statistics.fmean(self.lengths) if self.lengths else None

    def estimate(self, shapes: Sequence[Shape]) -> Mapping[Shape, float]:
        """Return the seconds of an epoch of each shape, as seen or else as estimated from those that were."""
        every = list(dict.fromkeys([*shapes, *self.seconds]))
        seen = [Training(shape, 0.0, seconds=seconds) for shape, seconds in self.seconds.items()]
        relative = dict(zip(every, map(float, durations.estimate(every, seen)), strict=True))
        scale = sum(self.seconds.values()) / sum(relative[shape] for shape in self.seconds)
        return {shape: scale * part for shape, part in relative.items()} | self.seconds


@dataclass
class Batch:
    """Trainings that were planned together.

    The epochs that are missing are weighed by the duration of an epoch of their shape, as far as it was seen, and else
    as :func:`shape_dnn.search.durations.estimate` has it. What waits is handed, the longest first, to whichever
    training ends first.

    Attributes:
        began: when.
        shapes: of the batch.
        missing: how many trainings of them are made now; which is not told, but it shows when they report.
        pace: of trainings.
        seeds: with how many each of them is trained.
    """

    began: float
    shapes: Sequence[Shape]
    missing: int
    pace: Pace
    seeds: int = 1
    _running: dict[Key, Running] = field(default_factory=dict)
    _finished: set[Key] = field(default_factory=set)
    _lengths: list[int] = field(default_factory=list)
    _spans: list[tuple[float, float]] = field(default_factory=list)
    _freed: deque[float] = field(default_factory=deque)
    _known_from: float | None = None

    def __post_init__(self) -> None:
        if self.pace.workers:
            self._known_from = self.began

    def report(self, now: float, key: Key, number: int, epochs: int | None) -> None:
        """Take note of an epoch; a training that begins again reports an earlier one."""
        one = self._running.get(key)
        if one is None or number <= one.number:
            began = self._freed.popleft() if self._freed else self.began
            self._running[key] = Running(now, number, (now - began) / number)
        else:
            one.report(now, number)
        self.pace.seconds[key[0]] = self._running[key].seconds
        self.pace.workers = max(self.pace.workers, len(self._running))
        self.pace.epochs = epochs
        self._see(now)

    def _see(self, now: float) -> None:
        """Take note that something of a training was seen."""
        if self._known_from is None:
            self._known_from = now + max(START, (now - self.began) / 2)

    def lose(self, key: Key) -> None:
        """Take note that a training has to begin again, elsewhere."""
        self._running.pop(key, None)

    def finish(self, now: float, training: Training, seed: int) -> None:
        """Take note of the end of a training."""
        one = self._running.pop((training.shape, seed), None)
        self._finished.add((training.shape, seed))
        self._freed.append(now)
        if training.quality is not None or training.stopped:
            told = training.curve[-1].number if training.curve else 1  # as one that reports nothing has
            epochs = told if one is None else one.number
            self._lengths.append(epochs)
            self.pace.lengths.append(epochs)
            if training.seconds and (one is None or not one.gaps):
                self.pace.seconds[training.shape] = training.seconds / epochs
                self._see(now)
        if training.seconds and now - training.seconds >= self.began:  # else a part of it was trained earlier
            self._count_at_once(now - training.seconds, now)

    def _count_at_once(self, began: float, now: float) -> None:
        """Take note of a training of which perhaps nobody heard before it ended, and of how many ran beside it."""
        self._spans.append((began, now))
        beside = self._spans[bisect_right(self._spans, began, key=lambda span: span[1]) :]
        if len(beside) > self.pace.workers:  # otherwise they tell nothing new
            events = sorted([(begin, 1) for begin, _ in beside] + [(end, -1) for _, end in beside])
            self.pace.workers = max(self.pace.workers, *itertools.accumulate(step for _, step in events))

    def left(self, now: float) -> float | None:
        """Return the seconds that are left; None before an epoch was seen, or while nobody knows how many come."""
        length = statistics.fmean(self._lengths) if self._lengths else self.pace.whole
        if self._known_from is None or now < self._known_from or length is None or not self.pace.seconds:
            return None
        waiting = self._waiting(self.pace.estimate(self.shapes))
        ends = [self._left_of(one, now) for one in self._running.values()]
        silent = max(1, self.pace.workers) - len(ends)  # those whose training has not reported an epoch yet, or idle
        since = [*[self.began] * (silent - len(self._freed)), *self._freed]
        busy = max(0, min(silent, len(waiting)))
        ends += [-min(now - begin, waiting[0]) for begin in since[:busy]]
        heapq.heapify(ends)
        for seconds in waiting:
            heapq.heappush(ends, heapq.heappop(ends) + seconds * length)
        return max([0.0, *ends])  # nothing runs or waits between the last training and what is planned next

    def _left_of(self, one: Running, now: float) -> float:
        silence = now - one.latest
        seconds = max(one.seconds, silence)  # what takes longer than expected does so in later epochs too
        return max(0.0, ((self.pace.whole or 0) - one.number) * seconds - silence)

    def _waiting(self, epoch: Mapping[Shape, float]) -> list[float]:
        """Return the seconds of an epoch of each training that waits, the longest first.

        Since the longest begin first, none of them takes longer than one that began already.
        """
        begun = self._running.keys() | self._finished
        number = max(0, self.missing - len(begun))
        seeds_begun = Counter(shape for shape, _ in begun)
        others = (epoch[shape] for shape in self.shapes for _ in range(self.seeds - seeds_begun[shape]))
        candidates = sorted(others, reverse=True)
        if number >= len(candidates):
            return candidates
        shortest = min((epoch[shape] for shape in seeds_begun.keys() & epoch.keys()), default=candidates[0])
        possible = [seconds for seconds in candidates if seconds <= shortest]
        candidates = possible if len(possible) >= number else candidates
        return [statistics.fmean(candidates)] * number if number else []
