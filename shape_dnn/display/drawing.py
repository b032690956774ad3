"""What is going on in a search at the moment, drawn again and again on a terminal or in a notebook."""

from __future__ import annotations

import atexit
import html
import io
import itertools
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from shape_dnn.display.tally import MANY, Best, Tally, named
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import (
    Converted,
    DatasetRead,
    EpochFinished,
    Event,
    Measured,
    SearchStarted,
    StageFinished,
    TrainingFinished,
    TrainingLost,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.quality import ACCURACY
from shape_dnn.system import interrupts
from shape_dnn.system.text import grouped, visible

FRAMES = 2
"""Drawings a second. More would take time from what is measured meanwhile."""
NOTEBOOK_LINES = 8
"""The latest lines that a notebook shows."""
NOTEBOOK_SIZE = (100, 40)
"""Columns and lines of a drawing in a notebook."""
LONGEST = 5
"""Trainings that are shown by themselves where many run: those that have run longest."""
LEFT_SECONDS = 2.0
"""Least time between two estimates of the time that is left; of thousands of trainings each takes a while."""
ROOM_FOR_BARS = 60
"""Columns from which on there is room for bars beside the text."""


class Scene:
    """What is drawn: the limits applied so far, what is done now with the time that is left, and who trains.

    Args:
        clock: returns seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()  # a terminal is drawn by a thread of its own
        self._clock, self._time_left = clock, TimeLeft(clock)
        self._stages: list[str] = []
        self._quality = ACCURACY
        self._tally, self._best = Tally(), Best(ACCURACY)
        self._title, self._part = "", ""
        self._done, self._total = 0, 0
        self._left: tuple[float, float | None] = (-math.inf, None)
        self._has_seeds = False
        self._interrupted = False

    def take(self, event: Event) -> None:
        """Take note of one event."""
        with self._lock:
            self._time_left(event)
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case SearchStarted(quality=quality):
                self._begin("", "", 0)
                self._quality, self._best = quality, Best(quality)
            case StageFinished(metric, limit, unit, before, after):
                self._begin("", "", 0)
                self._stages.append(f"{metric} {grouped(limit)} {unit}".rstrip() + f": {before:,} -> {after:,}")
            case DatasetRead(dataset, done, total):
                self._begin(f"reading {dataset}", "reading", total)
                self._done = done
            case Measured(metric=metric, done=done, total=total):
                self._begin(f"measuring {metric}", "measuring", total)
                self._done = done
            case Converted(done=done, total=total):
                self._begin("judging what ships", "judging", total)
                self._done = done
            case TrainingsPlanned():
                self._begin("training", "batch", event.missing)
                self._has_seeds = event.seeds > 1
            case EpochFinished() | TrainingLost():
                self._tally.take(event)
            case TrainingFinished(training, done):
                self._tally.take(event)
                self._best.take(training)
                self._done = done
            case TrainingsPrepared():
                pass
            case _:
                self._begin("", "", 0)

    def _begin(self, title: str, part: str, total: int) -> None:
        self._title, self._part = title, part
        self._done, self._total = 0, total
        self._tally, self._left = Tally(), (-math.inf, None)

    def interrupt(self) -> None:
        """Take note of an interrupt."""
        self._interrupted = True

    @property
    def active(self) -> bool:
        """Whether something runs that is worth a drawing."""
        return self._done < self._total

    @property
    def is_crowded(self) -> bool:
        """Whether so many trainings run at once that they are told of together."""
        return min(self._total, max(self._tally.most, self._time_left.workers)) > MANY

    @property
    def summary(self) -> str:
        """What became so far of the trainings that were planned together, in a line."""
        told = [f"{self._done:,}/{self._total:,}: {self._tally}", str(self._best), self._phrase_of_time_left()]
        return "; ".join(text for text in told if text)

    def draw(self, width: int, height: int) -> RenderableType:
        """Return what is to be seen in so many columns and lines."""
        with self._lock:
            return Group(*self._parts(width, height))

    def _parts(self, width: int, height: int) -> Iterator[RenderableType]:
        if self._stages:
            yield Text(visible("; ".join(self._stages)), no_wrap=True, overflow="ellipsis")
        if self.active:
            yield self._draw_stage(width)
            yield from self._draw_running(width, max(1, height - 6))
        if self._interrupted:
            yield Text(interrupts.NOTICE, no_wrap=False, overflow="fold")

    def _draw_stage(self, width: int) -> RenderableType:
        cells: list[RenderableType] = [Text(visible(self._title))]
        if width >= ROOM_FOR_BARS:
            done = self._done + self._tally.parts_of_running
            cells.append(ProgressBar(self._total, min(self._total, done), width=20))
        cells.append(Text(f"{self._done:,}/{self._total:,}"))
        left = self._phrase_of_time_left()
        return _grid([[*cells, Text(left)] if left else cells])

    def _phrase_of_time_left(self) -> str:
        """Say how long it takes, which is not worked out anew for every drawing: of much work that takes long."""
        now = self._clock()
        if now - self._left[0] >= LEFT_SECONDS:
            self._left = now, self._time_left.seconds
        worked_out, seconds = self._left
        left = 0.0 if seconds is None else seconds - (now - worked_out)
        return f"about {duration(left)} left of this {self._part}" if left >= 1 else ""

    def _draw_running(self, width: int, most: int) -> Iterator[RenderableType]:
        """Draw those that run; where they are many, the few that run longest, and numbers that tell of all."""
        running = self._tally.running
        is_crowded = self.is_crowded or len(running) > most
        if is_crowded:
            most = min(LONGEST, max(1, most - 2))
        rows: list[list[RenderableType]] = []
        for (shape, seed), (number, epochs, value) in itertools.islice(running.items(), most):
            place = f"step {number}" if epochs is None else f"epoch {number:>{len(str(epochs))}}/{epochs}"
            name = named(shape, seed, among_seeds=self._has_seeds)
            row: list[RenderableType] = [Text(f"  {name}"), Text(place), Text(f"{self._quality.phrase(value):>8}")]
            bar = Text() if epochs is None else ProgressBar(epochs, number, width=20)
            rows.append([*row, bar] if width >= ROOM_FOR_BARS else row)
        told = [str(self._tally), str(self._best)] if is_crowded else []
        if is_crowded and rows:
            told.append("longest under way:")
        for text in filter(None, told):
            yield Text(f"  {text}", no_wrap=True, overflow="ellipsis")
        if rows:
            yield _grid(rows)


def _grid(rows: Sequence[Sequence[RenderableType]]) -> Table:
    """Align cells, and cut off those that do not fit."""
    grid = Table.grid(padding=(0, 1))
    for _ in rows[0]:
        grid.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*row)
    return grid


def duration(seconds: float) -> str:
    """Write a duration, no more precisely than an estimate deserves."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 9.5 else f"{number:.2g} {unit}"
    return f"{seconds:.0f} s" if seconds < 9.5 else f"{5 * round(seconds / 5)} s"


class Plain:
    """Lines, and nothing that is drawn again.

    Args:
        console: where.
    """

    draws = False

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, lines: Sequence[str]) -> None:
        """Write lines. No text is markup, and none steers a terminal."""
        for line in lines:
            self._console.print(Text(visible(line)), soft_wrap=True)

    def close(self) -> None:
        """Do nothing."""


class Terminal(Plain):
    """Lines, and below them the scene for as long as something runs.

    Args:
        scene: what is drawn.
        console: of a terminal.
    """

    draws = True

    def __init__(self, scene: Scene, console: Console) -> None:
        super().__init__(console)
        self._scene = scene
        self._live: ExitStack | None = None

    def show(self, lines: Sequence[str]) -> None:
        """Write lines above the drawing; begin or end it as the scene does."""
        if self._scene.active and self._live is None:
            self._start()
        super().show(lines)
        if not self._scene.active:
            self.close()

    def close(self) -> None:
        """Remove the drawing, and leave the terminal as it was."""
        live, self._live = self._live, None
        if live is not None:
            live.close()

    def _start(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._console.show_cursor)  # whatever happens to the drawing
            atexit.register(self.close)  # for those who do not close
            stack.callback(atexit.unregister, self.close)
            stack.enter_context(interrupts.announced_by(self._scene.interrupt))
            stack.enter_context(
                Live(
                    get_renderable=lambda: self._scene.draw(*self._console.size),
                    console=self._console,
                    refresh_per_second=FRAMES,
                    transient=True,
                    redirect_stdout=sys.stdout.isatty(),  # what goes into a file is not for the terminal
                )
            )
            self._live = stack.pop_all()


class Notebook:
    """The latest lines and the scene, in one output of a cell.

    Args:
        scene: what is drawn.
    """

    draws = True

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lines: deque[str] = deque(maxlen=NOTEBOOK_LINES)
        self._handle: Any = None
        self._latest = 0.0

    def show(self, lines: Sequence[str]) -> None:
        """Draw with new lines, unless it was just done and more is to come."""
        self._lines.extend(lines)
        if not self._scene.active or time.monotonic() - self._latest >= 1 / FRAMES:
            self._update()

    def close(self) -> None:
        """Draw a last time."""
        if self._lines:
            self._update()
        self._lines.clear()
        self._handle = None

    def _update(self) -> None:
        from IPython.display import display

        width, height = NOTEBOOK_SIZE
        out = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False, highlight=False)
        for line in self._lines:
            out.print(Text(visible(line)), soft_wrap=True)
        out.print(self._scene.draw(width, height))
        text = out.file.getvalue().rstrip()  # type: ignore[attr-defined]
        page = f'<pre style="line-height: normal">{html.escape(text)}</pre>'
        content = {"text/plain": text, "text/html": page}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
        self._latest = time.monotonic()
