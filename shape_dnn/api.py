"""What the package offers in Python; the command calls the same functions."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import compress
from pathlib import Path
from typing import Any, cast

from shape_dnn import rules, tuning
from shape_dnn.assembly import Assembly, is_formula
from shape_dnn.constraints import KNOWN_METRICS
from shape_dnn.errors import MeterError, PluginError, UsageError, blame
from shape_dnn.events import Event, ignore
from shape_dnn.kinds import Executor, Observer, Workload
from shape_dnn.memory import TRAINING, Memory
from shape_dnn.records import Measurement
from shape_dnn.repetitions import Repetitions
from shape_dnn.result import ALWAYS_SHOWN, Result
from shape_dnn.settings import Settings
from shape_dnn.shape import Shape
from shape_dnn.store import FILE_NAME, Store
from shape_dnn.study import Study, ask_elsewhere
from shape_dnn.tuning import Answer, Facts

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

        return _search(parts, tell) if parts.table is None else _replay(parts, tell, dry_run=False)


def _close(plugin: Observer | Executor) -> None:
    """Close a plugin; what goes wrong is said, but costs nobody the result."""
    try:
        with blame(plugin):
            plugin.close()
    except PluginError as error:
        warnings.warn(str(error), stacklevel=2)


def _search(parts: Assembly, notify: Notify) -> Result:
    shapes, query, modelling = parts.shapes, parts.query, parts.modelling
    problem = parts.problem
    _ = problem.training_identity  # reads the dataset, so that a missing file shows before anything is measured
    with ExitStack() as stack:
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        executor, terminator = parts.executor, parts.terminator
        stack.callback(_close, executor.instance)
        with blame(terminator.instance):
            terminator.instance.consider(query.functional, query.goal)
        studies = [
            Study(
                store, problem.workload, parts.meters, {}, parts.settings.fit_depths, problem.with_seed(seed), executor,
                terminator, parts.settings.workers, notify, parts.settings.retry_failed, parts.settings.remeasure,
                parts.settings.checkpoint_minutes, parts.settings.hang_minutes, parts.question, parts.transfer,
            )
            for seed in parts.seeds
        ]  # fmt: skip
        for study in studies:
            study.prepare()
        with _recorded(store, "tune", parts, studies):
            answer = tuning.search(shapes, query, modelling, _together(studies), notify)
        new_trainings = sum(study.new_trainings for study in studies)
        result = _result(parts, answer, studies[0], problem.architecture.choice.name, new_trainings)
        return dataclasses.replace(result, transferred=studies[0].transferred)


def _together(facts: Sequence[Facts]) -> Facts:
    """Take the facts of several seeds together."""
    return facts[0] if len(facts) == 1 else Repetitions(facts)


def _replay(parts: Assembly, notify: Notify, *, dry_run: bool) -> Result:
    for metric in sorted(parts.metrics_in_question - {"accuracy"}):
        parts.replay.measure(metric, parts.shapes)  # so that a column the goal lacks shows at once
    arch = parts.settings.arch if "arch" in parts.settings.model_fields_set else None
    facts = _together(parts.replays)
    if dry_run:
        answer = tuning.plan(parts.shapes, parts.query, parts.modelling, facts)
    else:
        answer = tuning.search(parts.shapes, parts.query, parts.modelling, facts, notify)
    return _result(parts, answer, parts.replay, arch, len(answer.trainings) * len(parts.seeds))


def _plan(parts: Assembly) -> Result:
    problem = parts.problem
    directory = Path(parts.settings.study)
    store = Store(directory, create=False) if (directory / FILE_NAME).is_file() else Store.in_memory()
    try:
        # A dataset or a sensor that is missing stops the plan, as it would stop the search.
        problem = problem.going_on_from(store.trained())
        identities = {_training(i): problem.with_seed(seed).training_identity for i, seed in enumerate(parts.seeds)}
        for metric, meter in parts.meters.items():
            if not is_formula(meter):
                elsewhere = ask_elsewhere(parts.executor, problem, meter)
                identities[metric] = problem.measurement_identity(meter, elsewhere)
        found = {kind: store.find_context(kind.split()[0], identity) for kind, identity in identities.items()}
        contexts = {kind: context for kind, context in found.items() if context is not None}
        memories = _memories(store, problem.workload, parts, contexts)
        answer = tuning.plan(parts.shapes, parts.query, parts.modelling, _together(memories))
        planned = [training.shape for training in answer.trainings]
        new_trainings = sum(len(planned) - len(memory.train(planned)) for memory in memories)
        return _result(parts, answer, memories[0], parts.settings.arch, new_trainings)
    finally:
        store.close()


def ask(study: str | Path, **settings: Any) -> Result:
    """Answer a question from what a study knows: nothing is measured or trained.

    Args:
        study: directory of the study.
        **settings: other limits, another goal or model than those of the search; what is not given is taken from it,
            except its limits and its goal.

    Raises:
        UsageError: there is no study, or a setting cannot be used.
    """
    asked = Settings.create(settings)
    allowed = {*QUESTION, "option", "plugin"}
    wrong = sorted(set(settings) - allowed)
    if wrong:
        raise UsageError(f"cannot be changed by a question; it takes {', '.join(sorted(allowed))}", setting=wrong[0])
    store = Store(Path(study), create=False)
    try:
        former = store.last_run()
        if former is None:
            raise UsageError(f"nothing was searched in the study {str(study)!r} yet", setting="study")
        with store.decoding():
            kept = {name: value for name, value in former.settings.items() if name not in QUESTION or name == "model"}
            plugins, given = list(map(str, kept["plugin"])), list(map(str, kept["option"]))
            channels, height, width, classes = map(int, (*former.problem["input_shape"], former.problem["classes"]))
        if plugins and not asked.plugin:
            # A study may come from a stranger, and a plugin file is a program.
            named = ", ".join(map(repr, plugins))
            raise UsageError(f"the study was made with {named}; name the files again if you trust them", "plugin")
        changed = {"goal."} | ({"model."} if "model" in settings else set())
        options = [text for text in given if not text.startswith(tuple(changed))]
        replaced = {text.partition("=")[0] for text in asked.option}
        options = [text for text in options if text.partition("=")[0] not in replaced]
        parts = Assembly(Settings.create({**kept, **settings, "option": [*options, *asked.option]}))
        architecture = parts.architecture.instance
        workload = Workload(architecture, (channels, height, width), classes, parts.settings.batch_size, "")
        memories = _memories(store, workload, parts, former.contexts)
        _check_known(parts, memories[0])
        answer = tuning.recall(parts.shapes, parts.query, parts.model.instance, _together(memories))
        return _result(parts, answer, memories[0], parts.settings.arch, 0)
    finally:
        store.close()


def _training(place: int) -> str:
    """Name the family of trainings of the first seed, or of a later one, among those of a run."""
    return TRAINING if place == 0 else f"{TRAINING} {place}"


def _memories(store: Store, workload: Workload, parts: Assembly, contexts: Mapping[str, int]) -> list[Memory]:
    """Return what is known for each seed."""
    memories = []
    for place in range(len(parts.seeds)):
        own = {kind: context for kind, context in contexts.items() if not kind.startswith(TRAINING)}
        if _training(place) in contexts:
            own[TRAINING] = contexts[_training(place)]
        memories.append(Memory(store, workload, parts.meters, own, parts.settings.fit_depths))
    return memories


def _check_known(parts: Assembly, memory: Memory) -> None:
    """Refuse a question about a metric of which the study knows nothing; warn if it knows it of some shapes only."""
    if "accuracy" in parts.metrics_in_question and not any(t.accuracy is not None for t in memory.train(parts.shapes)):
        raise MeterError("no shape of the study was trained, so nothing is known of accuracies; run shape-dnn tune")
    for metric in sorted(parts.metrics_in_question - {"accuracy"}):
        unknown = sum(value is None for value in memory.estimate(metric, parts.shapes))
        if unknown == len(parts.shapes):
            raise MeterError(f"the study knows the {metric} of no shape; measure it with shape-dnn measure or tune")
        if unknown:
            count = f"{unknown} of {len(parts.shapes)} shapes"
            warnings.warn(f"the study does not know the {metric} of {count}; these are left out", stacklevel=3)


QUESTION = (
    "max_size", "max_latency", "max_energy", "min_accuracy", "max", "min", "goal", "pareto", "confidence", "model",
)  # fmt: skip
"""The settings that a question about a study may change."""


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
        meters = parts.meters_of(metrics)
        problem, shapes = parts.problem, parts.shapes
        store = Store(Path(parts.settings.study))
        stack.callback(store.close)
        executor, terminator = parts.executor, parts.terminator
        stack.callback(_close, executor.instance)
        study = Study(
            store, problem.workload, meters, {}, parts.settings.fit_depths, problem, executor, terminator,
            parts.settings.workers, notify, remeasure=parts.settings.remeasure,
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
def _recorded(store: Store, command: str, parts: Assembly, studies: Sequence[Study]) -> Iterator[None]:
    """Keep in the study that a command works on it, and how it ended."""
    number = store.begin_run(command, parts.settings.model_dump(mode="json"), _problem_record(parts))
    state = "interrupted"
    try:
        yield
        state = "done"
    finally:
        contexts = dict(studies[0].contexts)
        for place, study in enumerate(studies):
            if TRAINING in study.contexts:
                contexts[_training(place)] = study.contexts[TRAINING]
        store.end_run(number, contexts, state)


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
    sizes = cast("list[float]", rules.compute(parts.meters["size"], workload, shapes))
    for limit in limits:
        complies = list(map(limit.allows, sizes))
        shapes, sizes = list(compress(shapes, complies)), list(compress(sizes, complies))
    return list(zip(shapes, sizes, strict=True))


def _result(parts: Assembly, answer: Answer, facts: Facts, arch: str | None, new_trainings: int) -> Result:
    shown = [*answer.complying, *([] if answer.closest is None else [answer.closest])]
    shapes = [candidate.shape for candidate in shown]
    in_table = parts.table.columns if parts.table is not None else ()
    obtainable = [m for m in {*ALWAYS_SHOWN, *parts.query.costs} if m in parts.meters or m in in_table]
    if parts.table is not None:
        obtainable = [m for m in obtainable if m in in_table or parts.workload_of_table is not None]
    metrics: dict[str, Mapping[Shape, float | None]] = {}
    for metric in sorted(set(obtainable) - {"accuracy"}):
        try:
            metrics[metric] = dict(zip(shapes, facts.estimate(metric, shapes), strict=True))
        except MeterError:
            if metric in parts.metrics_in_question:
                raise
            metrics[metric] = dict.fromkeys(shapes)  # nobody asked for it
    units = {name: metric.unit for name, metric in KNOWN_METRICS.items()}
    units |= {name: meter.instance.unit for name, meter in parts.meters.items()}
    estimated = None
    if isinstance(facts, Memory) and facts.fit_depths:
        estimated = {metric: facts.predicted(metric, shapes) for metric in metrics}
    return Result(
        answer, arch, metrics, units, parts.plugins, new_trainings, estimated, len(parts.seeds), bool(parts.pareto)
    )


def _problem_record(parts: Assembly) -> dict[str, object]:
    problem = parts.problem
    return {
        "architecture": problem.architecture.identity,
        "input_shape": list(problem.input_shape),
        "classes": problem.classes,
        "batch_size": problem.batch_size,
        "device": problem.device,
    }
