"""A search in the middle, as a page and a terminal show it: recorded trainings, and a clock that is put on by them."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from unittest import mock

from charted.learning import curves_of
from charted.tables import accuracies, means, path_of
from rich.console import Console

from shape_dnn import Epoch, Progress, Shape, Training, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.display.drawing import Scene
from shape_dnn.events import Chosen, EpochFinished, Event, Judged, SearchStarted, TrainingFinished, TrainingsPlanned
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS
from shape_dnn.store.journal import Journal
from shape_dnn.watching import pages
from shape_dnn.watching.studies import Watched

TABLE = "wrn-digits"
QUESTION = {"min_accuracy": "98%", "goal": "size", "confidence": 0.95, "together": 2}
SPACE = {"dataset": "digits", "device": "cpu", "depth": "10:47:6", "width": "1/8:5/4:1/8"}
BEGAN = 1_764_165_720.0
"""When the search began, in seconds since 1970."""
ROUNDS = 3
"""Times that trainings were chosen and are done; those after that are under way."""
REACHED = (10, 6)
"""Epochs of the trainings that are under way."""


@dataclass
class Clock:
    """A clock that somebody else puts on."""

    now: float = BEGAN

    def __call__(self) -> float:
        """Return seconds since 1970."""
        return self.now


@dataclass
class Search:
    """A search as it would have gone with the trainings of a table."""

    clock: Clock
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        tune(replay=path_of(TABLE), notify=self.told.append, **QUESTION)
        self.accuracies, self.seconds = accuracies(TABLE), means(TABLE, "seconds")
        self.curves = curves_of(TABLE)

    def training(self, shape: Shape) -> Training:
        """Return what came of a shape."""
        curve = tuple(Epoch(number, None, value) for number, value in enumerate(self.curves[shape], start=1))
        return Training(shape, self.accuracies[shape][0], "", curve, self.seconds[shape])

    def events(self) -> Iterator[Event]:
        """Give what happens until the middle, with the clock put on."""
        chosen: list[Shape] = []
        judged = 0
        for event, following in pairwise(self.told):
            yield event
            judged += isinstance(event, Judged)
            if isinstance(event, Chosen):
                chosen.append(event.shape)
            if chosen and not isinstance(following, Chosen):
                yield TrainingsPlanned(tuple(chosen), 0, 0)
                if judged == ROUNDS:
                    yield from self._under_way(chosen)
                    return
                yield from self._done(chosen)
                chosen = []

    def _done(self, shapes: list[Shape]) -> Iterator[Event]:
        for done, shape in enumerate(shapes, start=1):
            training = self.training(shape)
            yield from self._epochs(training, len(training.curve))
            yield TrainingFinished(training, done, len(shapes))

    def _under_way(self, shapes: list[Shape]) -> Iterator[Event]:
        for shape, reached in zip(shapes, REACHED, strict=False):
            yield from self._epochs(self.training(shape), reached)

    def _epochs(self, training: Training, reached: int) -> Iterator[Event]:
        total = len(training.curve)
        for epoch in training.curve[:reached]:
            self.clock.now += (training.seconds or 0) / total
            yield EpochFinished(training.shape, epoch, total)


def page() -> str:
    """Return the page as it is served."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        study = Path("digits")
        with _searching(study, Search(clock)):
            watched = Watched(study, study.name, ())
            watched.look()
            return pages.of_study(watched, is_single=True)


def terminal(columns: int) -> str:
    """Return what a terminal of so many columns shows at the same moment."""
    clock = Clock()
    scene, written = Scene(clock), io.StringIO()
    with redirect_stderr(written):
        progress = Progress()
        for event in Search(clock).events():
            scene.take(event)
            progress(event)
    drawn = io.StringIO()
    console = Console(file=drawn, width=columns, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print(scene.draw(columns, 40))
    return written.getvalue() + drawn.getvalue()


@contextmanager
def _searching(directory: Path, search: Search) -> Iterator[None]:
    """Have a study as it is in the middle of a search, of which this is the process."""
    parts = Assembly(Settings.create({"study": str(directory), **SPACE, **QUESTION}))
    problem = parts.problem.in_precision("float32")
    with (
        mock.patch("time.time", search.clock),
        mock.patch("time.localtime", time.gmtime),
        mock.patch("psutil.Process.create_time", return_value=BEGAN),
        closing(Store(directory)) as store,
    ):
        run = store.runs.begin("tune", parts.settings.to_dict(), problem.record)
        context = store.context(TRAINING, problem.training_identity)
        store.runs.know(run, {TRAININGS: context})
        journal = Journal(directory)
        with journal.of_run(run, SearchStarted(parts.settings.to_dict(), len(parts.shapes))):
            for event in search.events():
                if not isinstance(event, SearchStarted):
                    journal.append(event)
                if isinstance(event, TrainingFinished):
                    store.add_training(context, event.training, {})
            yield
