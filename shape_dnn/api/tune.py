"""What the package offers in Python; the command calls the same functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from shape_dnn.answers.gathering import gather
from shape_dnn.answers.question import StudyQuestion, remember
from shape_dnn.answers.result import Result
from shape_dnn.api.functions import by_file
from shape_dnn.api.recording import Recorder, close, recorded
from shape_dnn.api.reporting import check_writable, write_if_possible
from shape_dnn.api.studying import study_of
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.replay import warn_of_oddities
from shape_dnn.assembly.selection import is_formula
from shape_dnn.errors import PluginError, blame
from shape_dnn.events import Event, SearchFinished, SearchStarted, ignore
from shape_dnn.kinds import Workload
from shape_dnn.quality import ACCURACY, Quality
from shape_dnn.report.overview import Overview, study_path
from shape_dnn.search.modes import search
from shape_dnn.search.planning import plan
from shape_dnn.settings import INCIDENTAL, Settings
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.store.families import Family
from shape_dnn.study.measurer import ask_elsewhere
from shape_dnn.study.seeds import mean_over_seeds, one_study
from shape_dnn.study.study import Memo

Notify = Callable[[Event], None]


def tune(
    *,
    notify: Notify = ignore,
    dry_run: bool = False,
    trainer: str | Callable[..., Any] | None = None,
    build: Callable[..., Any] | None = None,
    test: Callable[..., Any] | None = None,
    example: Any = None,
    resources: Any = None,
    calibration: Callable[..., Any] | None = None,
    judge: Callable[..., Any] | None = None,
    judge_test: Callable[..., Any] | None = None,
    quality: Quality = ACCURACY,
    **settings: Any,
) -> Result:
    """Find the shapes that meet the limits and, given a goal, the best of them (Algorithm 1 of the paper).

    Args:
        notify: called with every event (:mod:`shape_dnn.events`).
        dry_run: whether to only tell what would be trained.
        trainer: name or file, as ``--trainer`` takes it, or a function ``train(shape, run)``. The arguments from
            ``build`` to ``quality`` are for a function only. The function and these arguments are sent to worker
            processes by cloudpickle.
        build: function of the shape that returns its network; needed for everything that concerns networks.
        test: function of shape and run that judges the trained network on data kept for the end.
        example: inputs of a network, or a function of the batch size that makes them; needed to run networks.
        resources: what a training takes: :class:`~shape_dnn.Resources`, or a function of the shape that returns them.
        calibration: function of batch size and run that gives inputs of the training split. The ranges of activations
            are found on these inputs, where what ships needs them.
        judge: function of ``predict`` and run that returns the quality of what ships, if that has another runtime or
            precision; ``predict`` computes what the network does.
        judge_test: the same, on data kept for the end.
        quality: the quality that trainings are judged by.
        **settings: the flags of the command with underscores, such as ``max_size="2MB"``
            (:class:`shape_dnn.settings.Settings`).

    Returns:
        The result; empty if nothing complies.

    Raises:
        UsageError: a setting cannot be used.
        UnavailableError: a plugin, a sensor or a dataset is missing.
    """
    declared = {
        "build": build, "test": test, "example": example, "resources": resources,
        "calibration": calibration, "judge": judge, "judge_test": judge_test,
    }  # fmt: skip
    named = by_file({**settings, **declared, "trainer": trainer, "quality": quality})
    return run(Assembly(Settings.create(named)), notify, dry_run=dry_run)


def run(parts: Assembly, notify: Notify = ignore, *, dry_run: bool = False) -> Result:
    """Do what :func:`tune` does, with parts that are already put together."""
    parts.check()
    if parts.settings.report is not None:
        check_writable(Path(parts.settings.report), setting="report")
    if dry_run:
        return _plan(parts) if parts.table is None else _replay(parts, notify, dry_run=True)
    with ExitStack() as stack:
        observers = [observer.instance for observer in parts.observers]
        for observer in observers:
            stack.callback(close, observer)

        def tell(event: Event) -> None:
            notify(event)
            for observer in observers:
                with blame(observer):
                    observer.notify(event)

        tell(_start_of(parts))
        if parts.table is None:
            result, weights = _search(parts, tell)
        else:
            result, weights = _replay(parts, tell, dry_run=False), None
        files = tuple(path for path in (weights, result.report) if path is not None)
        tell(SearchFinished(result.to_dict(), files))
        return result


def _start_of(parts: Assembly) -> SearchStarted:
    return SearchStarted(parts.settings.to_dict(), len(parts.shapes), parts.quality)


def _recorded_start(parts: Assembly) -> SearchStarted:
    """Return the first event of a journal, with the confidence that applies if the settings leave it to a default."""
    return replace(_start_of(parts), settings=parts.settings.to_dict() | {"confidence": parts.confidence})


def _search(parts: Assembly, notify: Notify) -> tuple[Result, Path | None]:
    """Search; return the result, and where the weights of the best shape lie if it was trained."""
    with ExitStack() as stack:
        stack.callback(close, parts.executor.instance)  # it may have connected to a cluster to tell the device
        terminator, shapes, query, modelling = parts.terminator, parts.shapes, parts.query, parts.modelling
        problem = parts.problem
        problem.read(notify)  # so that a missing file shows before anything is measured
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        store.runs.lock()  # whoever prepares may write
        recorder = Recorder(store, notify)
        with blame(terminator.instance):
            terminator.instance.consider(query.functional, query.goal)
        studies = [
            study_of(parts, store, parts.meters, recorder, question=parts.question, seed=seed, transfer=parts.transfer)
            for seed in parts.seeds
        ]
        recorder.studies = studies
        for study in studies:
            study.prepare()
        with recorded(store, "tune", parts, studies) as run, recorder.of_run(run, _recorded_start(parts)):
            began = store.runs.begin_search(run, parts.question_record, INCIDENTAL, parts.resolved)
            for study in studies:
                study.facts.began = began
            answer = search(shapes, query, modelling, one_study(studies), recorder)
        # The same search another time finds them there, so their order must not tell when they were made.
        if parts.own is not None and "size" in parts.meters:
            _count_sizes(studies[0], [candidate.shape for candidate in answer.complying])
        in_order = sorted(answer.trainings, key=lambda training: by_width_then_depth(training.shape))
        answer = replace(answer, trainings=tuple(in_order))
        known = _recollect(store, parts, problem.workload)
        path = Path(parts.settings.report or study_path(store.directory))
        result = gather(
            parts, answer, known.first_seed, problem.architecture.choice.name,
            sum(study.new_trainings for study in studies), known.of_seeds, transferred=studies[0].transferred,
            report=write_if_possible(lambda: Overview.of_study(known), path), recipe=parts.recipe_record,
        )  # fmt: skip
        if result.best is None:
            return result, None
        return result, studies[0].weights(result.best, again=result.best in answer.accidental)


def _count_sizes(study: Memo, shapes: Sequence[Shape]) -> None:
    """Count sizes for which networks have to be built. If that fails, only warn, so that the result is not lost."""
    try:
        study.measure("size", shapes)
    except PluginError as error:
        warnings.warn(f"not all sizes are known: {error}", stacklevel=2)


def _recollect(store: Store, parts: Assembly, workload: Workload) -> StudyQuestion:
    """Return what a study knows after a search; nothing is measured or trained any more."""
    run = store.runs.last()
    assert run is not None  # noqa: S101 - it has just ended
    return StudyQuestion(store, run, parts, remember(store, workload, parts, run.contexts), repeats=True)


def _replay(parts: Assembly, notify: Notify, *, dry_run: bool) -> Result:
    assert parts.table is not None  # noqa: S101 - called only then
    warn_of_oddities(parts.table)
    for metric in sorted(parts.metrics_in_question - {parts.quality.name}):
        parts.replay.measure(metric, parts.shapes)  # so that a column the goal lacks shows at once
    arch = parts.settings.arch if "arch" in parts.settings.given else None
    facts = mean_over_seeds(parts.replays)
    told: list[Event] = []

    def heard(event: Event) -> None:
        told.append(event)
        notify(event)

    if dry_run:
        answer = plan(parts.shapes, parts.query, parts.modelling, facts)
    else:
        answer = search(parts.shapes, parts.query, parts.modelling, facts, heard)
    path = None
    if parts.settings.report is not None and not dry_run:
        path = write_if_possible(
            lambda: Overview.of_replay(parts, answer, [*told, SearchFinished({}, ())]), Path(parts.settings.report)
        )
    looked_up = (len(answer.trainings) + answer.repeated) * len(parts.seeds)
    return gather(parts, answer, parts.replay, arch, looked_up, report=path)


def _plan(parts: Assembly) -> Result:
    problem = parts.problem
    directory = Path(parts.settings.study)
    store = Store(directory, create=False) if (directory / FILE_NAME).is_file() else Store(None)
    try:
        # A dataset or a sensor that is missing stops the plan, as it would stop the search.
        problem = problem.going_on_from(store.trained())
        identities = {
            Family(None, place): problem.of_what_ships(problem.with_seed(seed).training_identity)
            for place, seed in enumerate(parts.seeds)
        }
        for metric, meter in parts.meters.items():
            if not is_formula(meter):
                patience = 60 * parts.settings.hang_minutes
                elsewhere = ask_elsewhere(parts.executor, problem, meter, metric, patience)
                identities[Family(metric)] = problem.measurement_identity(meter, metric, elsewhere, patience)
        found = {family: store.find_context(family.kind, identity) for family, identity in identities.items()}
        contexts = {family: context for family, context in found.items() if context is not None}
        of_seeds = remember(store, problem.workload, parts, contexts, retry_failed=parts.settings.retry_failed)
        answer = plan(parts.shapes, parts.query, parts.modelling, mean_over_seeds(of_seeds))
        planned = {training.shape for training in answer.trainings}
        made = sum(known.is_made(t) for known in of_seeds for t in known.train(sorted(planned)))
        new_trainings = len(planned) * len(of_seeds) - made
        arch = problem.architecture.choice.name
        return gather(parts, answer, of_seeds[0], arch, new_trainings, of_seeds, recipe=parts.recipe_record)
    finally:
        store.close()
        close(parts.executor.instance)
