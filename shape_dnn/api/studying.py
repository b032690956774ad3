"""The memo of a search, made from the parts of the search."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction

from shape_dnn.assembly.assembly import Assembly
from shape_dnn.events import Event
from shape_dnn.kinds import Meter
from shape_dnn.plugins.sources import Loaded
from shape_dnn.store.facts import Store
from shape_dnn.study.known import KnownFacts, stop_by
from shape_dnn.study.runner import Conduct
from shape_dnn.study.shipped import ShippedStudy
from shape_dnn.study.study import Memo, Study


def study_of(
    parts: Assembly,
    store: Store,
    meters: Mapping[str, Loaded[Meter]],
    notify: Callable[[Event], None],
    *,
    question: str = "",
    seed: int | None = None,
    transfer: Fraction | None = None,
) -> Memo:
    """Make a study that measures and trains what is missing.

    Args:
        parts: the parts of a search.
        store: where its facts lie.
        meters: meters, by metric.
        notify: called with every event.
        question: the question, in words, for which trainings may be stopped.
        seed: seed of its trainings; by default that of the settings.
        transfer: fraction of the epochs that verification takes when it starts from other weights; None to train from
            scratch.
    """
    settings = parts.settings
    seed = settings.seed if seed is None else seed
    problem = parts.problem if seed == settings.seed else parts.problem.with_seed(seed)
    stop = stop_by(parts.terminator, question)
    facts = KnownFacts(
        store, problem.workload, meters, {}, settings.fit_depths, stop, settings.retry_failed, len(parts.seeds)
    )
    conduct = Conduct(notify, settings.workers, settings.checkpoint_minutes, settings.hang_minutes)

    def reseeded() -> Memo:
        return study_of(parts, store, {}, notify, question=question, seed=seed + len(parts.seeds))

    if not problem.judges:
        return Study(
            facts, problem, parts.executor, parts.terminator, conduct,
            remeasure=settings.remeasure, transfer=transfer, reseeded=reseeded,
        )  # fmt: skip
    of_networks = dataclasses.replace(facts, meters={}, contexts={})
    trained = Study(of_networks, problem, parts.executor, parts.terminator, conduct, transfer=transfer)
    return ShippedStudy(
        facts, trained, problem, parts.executor, conduct, remeasure=settings.remeasure, reseeded=reseeded
    )
