"""What the package offers in Python; the command calls the same functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, cast

from shape_dnn.answers.question import Recollection, remember
from shape_dnn.answers.result import Result
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.assembly.selection import is_formula
from shape_dnn.errors import PluginError, UsageError, blame, describe
from shape_dnn.events import Event, SearchFinished, SearchStarted, ignore
from shape_dnn.kinds import Executor, Observer, Workload
from shape_dnn.plugins import checked
from shape_dnn.records import Measurement
from shape_dnn.report.overview import Overview, study_path
from shape_dnn.search.modes import search
from shape_dnn.search.planning import plan
from shape_dnn.settings import INCIDENTAL, Settings
from shape_dnn.shape import Shape, by_width_then_depth
from shape_dnn.store.database import FILE_NAME
from shape_dnn.store.facts import Store
from shape_dnn.store.families import Family
from shape_dnn.study.known import stop_by
from shape_dnn.study.seeds import together
from shape_dnn.study.study import Study, ask_elsewhere

Notify = Callable[[Event], None]


def tune(*, notify: Notify = ignore, dry_run: bool = False, **settings: Any) -> Result:
    """Find the shapes that meet the limits and, given a goal, the best of them (Algorithm 1 of the paper).

    Args:
        notify: called with every event (:mod:`shape_dnn.events`).
        dry_run: only tell what would be trained.
        **settings: the flags of the command with underscores, such as ``max_size="2MB"``
            (:class:`shape_dnn.settings.Settings`).

    Returns:
        The result; empty if nothing complies.

    Raises:
        UsageError: a setting cannot be used.
        UnavailableError: a plugin, a sensor or a dataset is not there.
    """
    return run(Assembly(Settings.create(settings)), notify, dry_run=dry_run)


def run(parts: Assembly, notify: Notify = ignore, *, dry_run: bool = False) -> Result:
    """Do what :func:`tune` does with parts that were put together before."""
    parts.check()
    if parts.settings.report is not None:
        _check_report(Path(parts.settings.report))
    if dry_run:
        return _plan(parts) if parts.table is None else _replay(parts, notify, dry_run=True)
    with ExitStack() as stack:
        observers = [observer.instance for observer in parts.observers]
        for observer in observers:
            stack.callback(_close, observer)

        def tell(event: Event) -> None:
            notify(event)
            for observer in observers:
                with blame(observer):
                    observer.notify(event)

        tell(SearchStarted(parts.settings.to_dict(), len(parts.shapes)))
        if parts.table is None:
            result, weights = _search(parts, tell)
        else:
            result, weights = _replay(parts, tell, dry_run=False), None
        files = tuple(path for path in (weights, result.report) if path is not None)
        tell(SearchFinished(result.to_dict(), files))
        return result


def _close(plugin: Observer | Executor) -> None:
    """Close a plugin; what goes wrong is said, but costs nobody the result."""
    try:
        with blame(plugin):
            plugin.close()
    except PluginError as error:
        warnings.warn(str(error), stacklevel=2)


def _search(parts: Assembly, notify: Notify) -> tuple[Result, Path | None]:
    """Search; return the result, and where the weights of the best shape lie if it was trained."""
    with ExitStack() as stack:
        executor, terminator = parts.executor, parts.terminator
        stack.callback(_close, executor.instance)  # it may have connected to a cluster to tell the device
        shapes, query, modelling = parts.shapes, parts.query, parts.modelling
        problem = parts.problem
        problem.read(notify)  # so that a missing file shows before anything is measured
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        with blame(terminator.instance):
            terminator.instance.consider(query.functional, query.goal)
        stop = stop_by(terminator, parts.question)
        studies = [
            Study(
                store, problem.workload, parts.meters, {}, parts.settings.fit_depths, stop, parts.settings.retry_failed,
                problem.with_seed(seed), executor, terminator, parts.settings.workers, notify, parts.settings.remeasure,
                parts.settings.checkpoint_minutes, parts.settings.hang_minutes,
                parts.transfer,
            )
            for seed in parts.seeds
        ]  # fmt: skip
        for study in studies:
            study.prepare()
        with _recorded(store, "tune", parts, studies) as run:
            began = store.runs.begin_search(run, parts.question_record, INCIDENTAL)
            for study in studies:
                study.began = began
            answer = search(shapes, query, modelling, together(studies), notify)
        # The same search another time finds them there, so their order must not tell when they were made.
        in_order = sorted(answer.trainings, key=lambda training: by_width_then_depth(training.shape))
        answer = replace(answer, trainings=tuple(in_order))
        known = _recollect(store, parts, problem.workload)
        path = Path(parts.settings.report or study_path(store.directory))
        result = Result.of(
            parts, answer, known.memory, problem.architecture.choice.name,
            sum(study.new_trainings for study in studies), transferred=studies[0].transferred,
            report=_report(lambda: Overview.of_study(known), path), recipe=parts.recipe_record,
        )  # fmt: skip
        return result, None if result.best is None else studies[0].weights(result.best)


def _recollect(store: Store, parts: Assembly, workload: Workload) -> Recollection:
    """Return what a study knows after a search; nothing is measured or trained any more."""
    run = store.runs.last()
    assert run is not None  # noqa: S101 - it has just ended
    return Recollection(store, run, parts, remember(store, workload, parts, run.contexts), repeats=True)


def _report(overview: Callable[[], Overview], path: Path) -> Path | None:
    """Write a report; what goes wrong is said, but costs nobody the result."""
    from shape_dnn.report import page

    try:
        page.write(overview(), path)
    except Exception as error:  # noqa: BLE001 - the trainings before it took hours
        warnings.warn(f"there is no report: {describe(error)}", stacklevel=3)
        return None
    return path


def _check_report(path: Path) -> None:
    """See that the report can be written where the user wants it, before hours of training."""
    is_new = not path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}", setting="report") from None
    if is_new:
        path.unlink()


def _replay(parts: Assembly, notify: Notify, *, dry_run: bool) -> Result:
    for metric in sorted(parts.metrics_in_question - {"accuracy"}):
        parts.replay.measure(metric, parts.shapes)  # so that a column the goal lacks shows at once
    arch = parts.settings.arch if "arch" in parts.settings.given else None
    facts = together(parts.replays)
    if dry_run:
        answer = plan(parts.shapes, parts.query, parts.modelling, facts)
    else:
        answer = search(parts.shapes, parts.query, parts.modelling, facts, notify)
    path = None
    if parts.settings.report is not None and not dry_run:
        path = _report(lambda: Overview.of_replay(parts, answer.trainings), Path(parts.settings.report))
    return Result.of(parts, answer, parts.replay, arch, len(answer.trainings) * len(parts.seeds), report=path)


def _plan(parts: Assembly) -> Result:
    problem = parts.problem
    directory = Path(parts.settings.study)
    store = Store(directory, create=False) if (directory / FILE_NAME).is_file() else Store(None)
    try:
        # A dataset or a sensor that is missing stops the plan, as it would stop the search.
        problem = problem.going_on_from(store.trained())
        identities = {
            Family(None, place): problem.with_seed(seed).training_identity for place, seed in enumerate(parts.seeds)
        }
        for metric, meter in parts.meters.items():
            if not is_formula(meter):
                patience = 60 * parts.settings.hang_minutes
                elsewhere = ask_elsewhere(parts.executor, problem, meter, patience)
                identities[Family(metric)] = problem.measurement_identity(meter, elsewhere, patience)
        found = {family: store.find_context(family.kind, identity) for family, identity in identities.items()}
        contexts = {family: context for family, context in found.items() if context is not None}
        memories = remember(store, problem.workload, parts, contexts, retry_failed=parts.settings.retry_failed)
        answer = plan(parts.shapes, parts.query, parts.modelling, together(memories))
        planned = {training.shape for training in answer.trainings}
        made = sum(memory.is_made(t) for memory in memories for t in memory.train(sorted(planned)))
        new_trainings = len(planned) * len(memories) - made
        return Result.of(parts, answer, memories[0], parts.settings.arch, new_trainings, recipe=parts.recipe_record)
    finally:
        store.close()
        _close(parts.executor.instance)


def measure(metrics: Sequence[str], *, notify: Notify = ignore, **settings: Any) -> dict[Shape, dict[str, Measurement]]:
    """Measure metrics of every shape of a space, without training.

    Args:
        metrics: names of metrics.
        notify: called with every event.
        **settings: as for :func:`tune`.

    Returns:
        For each shape its measurements by metric.

    Raises:
        UsageError: a setting cannot be used.
        MeterError: a metric cannot be measured here.
    """
    if "accuracy" in metrics or not metrics:
        message = "accuracy is not measured but trained; use tune" if metrics else "name at least one metric"
        raise UsageError(message, setting="metrics")
    twice = next((metric for metric in metrics if list(metrics).count(metric) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is named twice", setting="metrics")
    parts = Assembly(Settings.create(settings))
    if parts.settings.replay is not None:
        raise UsageError("a recorded table is not measured", setting="replay")
    with ExitStack() as stack:
        executor, terminator = parts.executor, parts.terminator
        stack.callback(_close, executor.instance)
        meters = parts.meters_of(metrics)
        problem, shapes = parts.problem, parts.shapes
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        study = Study(
            store, problem.workload, meters, {}, parts.settings.fit_depths, stop_by(terminator, ""), False, problem,
            executor, terminator, parts.settings.workers, notify, remeasure=parts.settings.remeasure,
            hang_minutes=parts.settings.hang_minutes,
        )  # fmt: skip
        found: dict[Shape, dict[str, Measurement]] = {shape: {} for shape in shapes}
        with _recorded(store, "measure", parts, [study]):
            for metric in metrics:
                values = study.estimate(metric, shapes)
                known = {} if is_formula(meters[metric]) else study.estimates(metric, shapes)
                for shape, value in zip(shapes, values, strict=True):
                    found[shape][metric] = known.get(shape, Measurement(value, value, value))
        return found


@contextmanager
def _recorded(store: Store, command: str, parts: Assembly, studies: Sequence[Study]) -> Iterator[int]:
    """Keep in the study that a command works on it, and how it ended; give the number of the run."""
    number = store.runs.begin(command, parts.settings.to_dict(), _problem_record(parts))
    state = "interrupted"
    try:
        yield number
        state = "done"
    finally:
        contexts = dict(studies[0].contexts)
        for place, study in enumerate(studies):
            families = {family: context for family, context in study.contexts.items() if family.metric is None}
            contexts |= {replace(family, seed=place): context for family, context in families.items()}
        store.runs.end(number, contexts, state)


def sized_shapes(parts: Assembly) -> list[tuple[Shape, float]]:
    """Return every shape of the space that meets the limits on size, with its size in MB; no network is built."""
    dataset = parts.dataset.instance
    workload = Workload(parts.architecture.instance, dataset.input_shape, dataset.classes, 1, "cpu")
    limits = parts.constraints
    other = next((limit for limit in limits if limit.metric != "size"), None)
    if other is not None:
        raise UsageError(
            f"{other} is not a limit on size; use tune or measure", setting="max" if other.upper else "min"
        )
    shapes = parts.shapes
    sizes = cast("list[float]", checked.compute(parts.meters["size"].instance, workload, shapes))
    for limit in limits:
        complies = list(map(limit.allows, sizes))
        shapes, sizes = list(compress(shapes, complies)), list(compress(sizes, complies))
    return list(zip(shapes, sizes, strict=True))


def _problem_record(parts: Assembly) -> dict[str, object]:
    problem = parts.problem
    return {
        "architecture": problem.architecture.identity,
        "input_shape": list(problem.input_shape),
        "classes": problem.classes,
        "batch_size": problem.batch_size,
        "device": problem.device,
        "class_names": list(problem.class_names),
        "recipe": parts.recipe_record,
    }
