"""What is kept in a study of a command that works on it, and closing what it used."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.errors import PluginError, blame
from shape_dnn.kinds import Executor, Observer
from shape_dnn.store.facts import Store
from shape_dnn.store.runs import RunState
from shape_dnn.study.study import Memo


@contextmanager
def recorded(store: Store, command: str, parts: Assembly, studies: Sequence[Memo]) -> Iterator[int]:
    """Keep in the study that a command works on it, and how it ended; give the number of the run."""
    number = store.runs.begin(command, parts.settings.to_dict(), _problem_record(parts))
    state = RunState.INTERRUPTED
    try:
        yield number
        state = RunState.DONE
    finally:
        contexts = dict(studies[0].facts.contexts)
        # Second trainings have the seeds that follow those of the search.
        second = [study.second for study in studies if study.second is not None]
        for place, study in enumerate([*studies, *second]):
            families = {family: context for family, context in study.facts.contexts.items() if family.metric is None}
            contexts |= {replace(family, seed=place): context for family, context in families.items()}
        store.runs.end(number, contexts, state)


def _problem_record(parts: Assembly) -> dict[str, object]:
    recipe = parts.recipe_record
    return {**parts.problem.record, **({} if recipe is None else {"recipe": recipe})}


def close(plugin: Observer | Executor) -> None:
    """Close a plugin; what goes wrong is said, but costs nobody the result."""
    try:
        with blame(plugin):
            plugin.close()
    except PluginError as error:
        warnings.warn(str(error), stacklevel=2)
