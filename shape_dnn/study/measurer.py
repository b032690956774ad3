"""Measures what is missing, and records each value the moment it is there."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from shape_dnn.constraints import Constraint
from shape_dnn.errors import (
    MachineLostError,
    MeterError,
    NetworkError,
    PluginError,
    ProcessDiedError,
    ShapeDnnError,
    blame,
    describe,
)
from shape_dnn.events import Fitted, Measured, MeasuringFinished, Remarked
from shape_dnn.kinds import Executor, Instrument
from shape_dnn.measuring import depth_line
from shape_dnn.measuring.depth_line import PREDICTED
from shape_dnn.measuring.task import IdentityTask, MeasuringTask
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.store.families import Family
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.problem import Problem, provenance
from shape_dnn.study.runner import LOSSES, Conduct, Runner, reason
from shape_dnn.system import durable
from shape_dnn.work import Task


class Measurer:
    """Has metrics measured that are not known.

    Args:
        facts: what is known; what is measured is added to it.
        problem: what networks are of.
        runner: gives tasks to the executor.
        conduct: how the work is done.
        remeasure: whether shapes are measured again whose measurement was not ``ok``.
    """

    def __init__(
        self, facts: KnownFacts, problem: Problem, runner: Runner, conduct: Conduct, *, remeasure: bool
    ) -> None:
        self._facts, self._problem, self._runner, self._conduct = facts, problem, runner, conduct
        self._remeasure = remeasure
        self._measured_now: set[tuple[str, Shape]] = set()
        self._elsewhere: dict[str, Mapping[str, object] | None] = {}

    def prepare(self, metric: str) -> None:
        """Find out what determines the values of a metric, so that whatever is missing shows before a search starts.

        Raises:
            MeterError: the metric cannot be measured here.
        """
        meter = self._facts.meters[metric]
        if Family(metric) in self._facts.contexts:
            return
        if isinstance(meter.instance, Instrument):
            executor, patience = self._runner.executor, self._conduct.patience
            self._elsewhere[metric] = ask_elsewhere(executor, self._problem, meter, metric, patience)
            identity = self._problem.measurement_identity(meter, metric, self._elsewhere[metric], patience)
            family = Family(metric)
            self._facts.contexts[family] = self._facts.store.context(family.kind, identity)
            if self._elsewhere[metric] is None:
                for text in checked_meters.remarks(meter.instance, self._problem.workload_of(metric)):
                    self._conduct.notify(Remarked(metric, text))
        elif self._problem.remembers_formulas:
            family = Family(metric)
            identity = self._problem.formula_identity(meter)
            self._facts.contexts[family] = self._facts.store.context(family.kind, identity)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> None:
        """Measure those shapes that were not measured before.

        Raises:
            MeterError: the metric cannot be measured here.
        """
        self.prepare(metric)
        if isinstance(self._facts.meters[metric].instance, Instrument):
            known = self._facts.measurements(metric)
            missing = tuple(shape for shape in shapes if not self._is_measured(metric, known.get(shape), shape))
            if missing:
                with self._runner.stopping_well():
                    self._run_meter(metric, missing)
        elif self._problem.remembers_formulas:
            self._compute(metric, shapes)

    def _compute(self, metric: str, shapes: Sequence[Shape]) -> None:
        """Compute what is not known, and record it."""
        facts, meter = self._facts, self._facts.meters[metric]
        known, origin = facts.measurements(metric), provenance(self._problem, meter)
        missing = [shape for shape in shapes if shape not in known]
        for shape, value in zip(missing, facts.measure(metric, missing), strict=True):
            measurement = Measurement(value, value, value)
            facts.store.add_measurement(facts.contexts[Family(metric)], shape, measurement, origin)
            known[shape] = measurement

    def _is_measured(self, metric: str, known: Measurement | None, shape: Shape) -> bool:
        """Tell whether a shape need not be measured again."""
        if known is None or (metric, shape) in self._measured_now:
            return known is not None
        return known.status == "ok" or not self._remeasure

    def measure_enough(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None) -> None:
        """Measure what must be: of each width some depths, and those whose predicted interval holds the limit.

        Raises:
            MeterError: the metric cannot be measured here.
        """
        if not self._facts.predicts(metric):
            self.measure(metric, shapes)
            return
        self.prepare(metric)
        known = self._facts.measurements(metric)
        before = len(known)
        self.measure(metric, [shape for shape in shapes if shape in known])  # again, if that is wanted
        while missing := self._insufficient(metric, shapes, limit):
            self.measure(metric, missing)
        if len(known) > before:
            predicted = sum(shape not in known for shape in shapes)
            self._conduct.notify(Fitted(metric, len(shapes) - predicted, predicted))

    def _insufficient(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None) -> list[Shape]:
        """Return what to measure so that all can be predicted, and then what is predicted too close to the limit."""
        unfitted = depth_line.next_to_measure(shapes, self._facts.measurements(metric), self._facts.fit_depths or 0)
        if unfitted:
            return unfitted
        estimates = self._facts.estimates(metric, shapes)
        return [shape for shape in shapes if _straddles(limit, estimates[shape])]

    def _run_meter(self, metric: str, shapes: tuple[Shape, ...]) -> None:
        meter, problem = self._facts.meters[metric], self._problem
        known = self._facts.measurements(metric)
        origin = provenance(problem, meter)
        artifacts = Path()
        if problem.deployment is not None:
            artifacts = self._facts.store.files.artifacts(problem.artifact_identity).absolute()
            with durable.naming_errors(artifacts):
                artifacts.mkdir(parents=True, exist_ok=True)  # by which other machines tell whether they see the study
        bench = problem.bench(meter, metric, artifacts)
        done, pending = 0, set(shapes)
        name = f"meter {meter.choice.name!r} of {meter.source}"

        def record(_task: Task, report: object) -> bool:
            nonlocal done
            shape, found = cast("tuple[Shape, object]", report)
            measurement = checked_meters.measurement(meter.instance, shape, found, shapes, pending)
            self._facts.store.add_measurement(self._facts.contexts[Family(metric)], shape, measurement, origin)
            known[shape] = measurement
            pending.discard(shape)
            self._measured_now.add((metric, shape))
            done += 1
            self._conduct.notify(Measured(metric, meter.instance.unit, shape, measurement, done, len(shapes)))
            return True

        def task(*shapes: Shape) -> MeasuringTask:
            expected, attempt = self._elsewhere.get(metric), secrets.token_hex(8)
            return MeasuringTask(bench, shapes, expected, attempt, self._conduct.patience)

        def died(some: Sequence[Shape]) -> str:
            return self._died(lambda: task(*[shape for shape in some if shape in pending]), metric, record)

        one_died = died(shapes)
        for shape in [s for s in shapes if one_died and s in pending and not self._runner.interrupted]:
            # One of them ended the process, perhaps for lack of memory. Alone each has only itself to blame.
            reason = died([shape])
            if reason and shape in pending:
                record(task(shape), (shape, Measurement(None, status=reason)))
        if self._runner.interrupted:
            return
        if pending:
            raise PluginError(f"{name} did not measure shape {min(pending)}")
        self._conduct.notify(MeasuringFinished(metric, dict(Counter(known[shape].status for shape in shapes))))

    def _died(self, task: Callable[[], MeasuringTask], metric: str, record: Callable[[Task, object], bool]) -> str:
        """Run a measurement, and again if its machine is lost; say what ended its process, if something did.

        Args:
            task: returns one for what is still to be measured.
            metric: that is measured.
            record: told of each measurement.

        Raises:
            MeterError: the metric cannot be measured, or the machine was lost again and again.
            PluginError: the architecture failed.
        """
        meter, error, losses = self._facts.meters[metric], None, 0
        while (missing := task()).shapes and losses <= LOSSES:
            error = next((outcome.error for outcome in self._runner.run([missing], 1, record)), None)
            if not isinstance(error, MachineLostError) or self._runner.interrupted:
                break
            losses = 0 if len(task().shapes) < len(missing.shapes) else losses + 1
        is_lost = isinstance(error, MachineLostError) and not self._runner.interrupted and bool(task().shapes)
        if isinstance(error, ProcessDiedError) and not is_lost:
            return str(error)
        if isinstance(error, NetworkError):
            raise PluginError(f"measuring {metric}: {error} (--debug shows where)") from error
        if isinstance(error, ShapeDnnError):
            raise MeterError(f"measuring {metric} by {meter.choice.name} failed: {error}") from error
        if error is not None:
            who = f"{meter.choice.name} of {meter.source}"
            raise MeterError(f"measuring {metric} by {who} failed: {describe(error)}") from error
        return ""


def ask_elsewhere(
    executor: Loaded[Executor], problem: Problem, meter: Loaded[Any], metric: str, patience: float
) -> Mapping[str, object] | None:
    """Have an instrument say what determines its values where they will be measured; None if that is this machine.

    Raises:
        MeterError: it cannot tell.
    """
    if not executor.instance.elsewhere:
        return None
    task = IdentityTask(problem.bench(meter, metric, Path()), secrets.token_hex(8), patience)
    with blame(executor.instance):
        (outcome,) = executor.instance.run([task], 1, lambda *_: True)
    if outcome.error is not None:
        raise MeterError(f"{meter.choice.name} on the cluster: {reason(outcome.error)}")
    return cast("Mapping[str, object]", outcome.result)


def _straddles(limit: Constraint | None, measurement: Measurement) -> bool:
    """Tell whether a prediction leaves open on which side of a limit a shape lies."""
    if limit is None or measurement.status != PREDICTED:
        return False
    return limit.allows(measurement.low) != limit.allows(measurement.high)
