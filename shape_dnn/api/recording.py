"""Record in a study what a command does with it, and close what the command used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.errors import PluginError, blame
from shape_dnn.events import EpochFinished, Event, Measured, SearchStarted
from shape_dnn.kinds import Executor, Observer
from shape_dnn.store.facts import Store
from shape_dnn.store.families import Family
from shape_dnn.store.journal import Journal
from shape_dnn.store.runs import RunState
from shape_dnn.study.study import Memo


@contextmanager
def recorded(store: Store, command: str, parts: Assembly, studies: Sequence[Memo]) -> Iterator[int]:
    """Record in the study that a command works on it, and how the command ended; yield the number of the run."""
    number = store.runs.begin(command, parts.settings.to_dict(), _problem_record(parts))
    store.runs.know(number, _contexts(studies))  # for questions before anything has happened
    state = RunState.INTERRUPTED
    try:
        parts.problem.tidy()  # from now on nobody else works on the study
        yield number
        state = RunState.DONE
    finally:
        store.runs.end(number, _contexts(studies), state)


class Recorder:
    """Follows everything that happens in a search, and keeps its study up to date for those who look into it meanwhile.

    Args:
        store: the study file.
        notify: called with every event after it was recorded.

    Attributes:
        studies: the studies whose facts the search uses.
    """

    def __init__(self, store: Store, notify: Callable[[Event], None]) -> None:
        self.studies: Sequence[Memo] = ()
        self._store, self._notify = store, notify
        self._journal = Journal(store.directory)
        self._run: int | None = None
        self._known: dict[Family, int] = {}

    @contextmanager
    def of_run(self, number: int, started: SearchStarted) -> Iterator[None]:
        """Record what happens in a run."""
        with self._journal.of_run(number, started):
            self._run = number
            try:
                yield
            finally:
                self._run = None

    def __call__(self, event: Event) -> None:
        """Record an event, and which facts exist by now."""
        self._journal.append(event)
        if self._run is not None and not isinstance(event, EpochFinished | Measured):
            known = _contexts(self.studies)
            if known != self._known:
                self._store.runs.know(self._run, known)
                self._known = known
        self._notify(event)


def _contexts(studies: Sequence[Memo]) -> dict[Family, int]:
    """Return the families of facts that studies use."""
    contexts = dict(studies[0].facts.contexts)
    # Second trainings have the seeds that follow those of the search.
    second = [study.second for study in studies if study.second is not None]
    for place, study in enumerate([*studies, *second]):
        families = {family: context for family, context in study.facts.contexts.items() if family.metric is None}
        contexts |= {replace(family, seed=place): context for family, context in families.items()}
    return contexts


def _problem_record(parts: Assembly) -> dict[str, object]:
    problem, recipe = parts.problem, parts.recipe_record
    of_meters = sorted(text for text in parts.settings.option if text.startswith("meter."))
    return {
        **problem.record,
        **problem.shipping_record,
        **({"meters": of_meters} if of_meters else {}),
        **({"chosen_meters": sorted(parts.settings.meter)} if parts.settings.meter else {}),
        **({} if recipe is None else {"recipe": recipe}),
    }


def close(plugin: Observer | Executor) -> None:
    """Close a plugin. If that fails, only warn, so that the result is not lost."""
    try:
        with blame(plugin):
            plugin.close()
    except PluginError as error:
        warnings.warn(str(error), stacklevel=2)
