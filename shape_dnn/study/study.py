"""The memo of a search: it answers from the study file what it knows, and has the rest measured and trained."""

from __future__ import annotations

import dataclasses
import platform
import secrets
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, cast, overload

from shape_dnn.constraints import Constraint
from shape_dnn.data import images
from shape_dnn.errors import (
    MachineLostError,
    MemoryShortageError,
    MeterError,
    NetworkError,
    PluginError,
    ProcessDiedError,
    ShapeDnnError,
    blame,
    describe,
)
from shape_dnn.events import (
    EpochFinished,
    Event,
    Fitted,
    Measured,
    MeasuringFinished,
    Tested,
    TrainingFinished,
    TrainingsPlanned,
    TrainingsPrepared,
)
from shape_dnn.kinds import Executor, Instrument, Terminator
from shape_dnn.measuring import depth_line
from shape_dnn.measuring.depth_line import PREDICTED
from shape_dnn.measuring.task import IdentityTask, MeasuringTask
from shape_dnn.plugins import checked
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Epoch, Measurement, Training, Transferred
from shape_dnn.shape import Shape
from shape_dnn.store.families import TRAINING, TRAININGS, Family
from shape_dnn.study.known import Memory
from shape_dnn.study.problem import Problem
from shape_dnn.system import durable, interrupts
from shape_dnn.training import checkpoints
from shape_dnn.training.precision import Decision
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.setup import Donor, Setup
from shape_dnn.training.task import EvaluationTask, TrainingTask
from shape_dnn.work import Needs, Outcome, Task

LOSSES = 3
"""How often trainings are started again together whose machines were lost."""


@dataclass
class Study(Memory):
    """A memory that has what is missing measured and trained, and records each fact the moment it arrives.

    Attributes:
        problem: what the facts are about.
        executor: where the work is done.
        terminator: which trainings are stopped early.
        workers: how many trainings at once; None for the executor's choice.
        notify: told what happens.
        remeasure: whether shapes are measured again whose measurement was not ``ok``.
        checkpoint_minutes: least time between two checkpoints of a training.
        hang_minutes: time without a sign of life after which a training or a measurement is given up.
        transfer: part of the epochs that verification takes, starting from the weights of a smaller shape; None to
            train from scratch.
        new_trainings: trainings made so far by this object.
    """

    problem: Problem
    executor: Loaded[Executor]
    terminator: Loaded[Terminator]
    workers: int | None
    notify: Callable[[Event], None]
    remeasure: bool = False
    checkpoint_minutes: float = 1.0
    hang_minutes: float = 10.0
    transfer: Fraction | None = None
    new_trainings: int = field(default=0, init=False)
    _growers: dict[Shape, Study] = field(default_factory=dict, init=False)
    _measured_now: set[tuple[str, Shape]] = field(default_factory=set, init=False)
    _elsewhere: dict[str, Mapping[str, object] | None] = field(default_factory=dict, init=False)
    _needs: dict[Shape, Needs] = field(default_factory=dict, init=False)
    _reason: str = field(default="", init=False)
    _asked: set[Shape] = field(default_factory=set, init=False)
    _interrupted: bool = field(default=False, init=False)

    donor: Donor | None = field(default=None, init=False)

    def prepare(self) -> None:
        """Find out what determines the facts, so that whatever is missing for a search shows before it starts.

        Raises:
            MeterError: a metric cannot be measured here.
            DatasetError: the dataset cannot be read.
        """
        self._settle(self.problem.going_on_from(self.store.trained()))
        for metric in self.meters:
            self._context(metric)
        if self.transfer is not None:
            for shape in list(self.trainings()):
                self._grower(shape, create=False)

    def _settle(self, problem: Problem) -> None:
        """Take over, once, how the problem is trained, if that is definite; only then do its trainings have a name."""
        if problem.recipe.precision != "auto" and TRAININGS not in self.contexts:
            self.problem = problem
            self.contexts[TRAININGS] = self.store.context(TRAINING, problem.training_identity)
            self._trainings.pop(TRAININGS, None)

    def _context(self, metric: str) -> None:
        meter = self.meters[metric]
        if Family(metric) not in self.contexts and isinstance(meter.instance, Instrument):
            self._elsewhere[metric] = ask_elsewhere(self.executor, self.problem, meter, self._patience)
            identity = self.problem.measurement_identity(meter, self._elsewhere[metric], self._patience)
            self.contexts[Family(metric)] = self.store.context(metric, identity)

    def measurements(self, metric: str) -> dict[Shape, Measurement]:
        """Return every measurement of a metric with its interval and status."""
        self._context(metric)
        return super().measurements(metric)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return the metric of each shape, None for one that could not be measured.

        Raises:
            MeterError: the metric cannot be measured here.
        """
        if isinstance(self.meters[metric].instance, Instrument):
            known = self.measurements(metric)
            missing = tuple(shape for shape in shapes if not self._is_measured(metric, known.get(shape), shape))
            if missing:
                with self._stopping_well():
                    self._run_meter(metric, missing)
        return super().measure(metric, shapes)

    def _is_measured(self, metric: str, known: Measurement | None, shape: Shape) -> bool:
        """Tell whether a shape need not be measured again."""
        if known is None or (metric, shape) in self._measured_now:
            return known is not None
        return known.status == "ok" or not self.remeasure

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Measure some depths of each width, predict the others, and measure those whose interval holds the limit."""
        if self.fit_depths and self._predicts(metric):
            known = self.measurements(metric)
            before = len(known)
            self.measure(metric, [shape for shape in shapes if shape in known])  # again, if that is wanted
            while missing := self._insufficient(metric, shapes, limit, self.fit_depths):
                self.measure(metric, missing)
            if len(known) > before:
                predicted = sum(shape not in known for shape in shapes)
                self.notify(Fitted(metric, len(shapes) - predicted, predicted))
        return super().estimate(metric, shapes)

    def _insufficient(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None, number: int) -> list[Shape]:
        """Return what to measure so that all can be predicted, and then what is predicted too close to the limit."""
        unfitted = depth_line.next_to_measure(shapes, self.measurements(metric), number)
        if unfitted:
            return unfitted
        estimates = self.estimates(metric, shapes)
        return [shape for shape in shapes if _straddles(limit, estimates[shape])]

    def _run_meter(self, metric: str, shapes: tuple[Shape, ...]) -> None:
        meter, problem = self.meters[metric], self.problem
        known = self.measurements(metric)
        provenance = self._provenance(meter)
        done, pending = 0, set(shapes)
        name = f"meter {meter.choice.name!r} of {meter.source}"

        def record(_task: Task, report: object) -> bool:
            nonlocal done
            shape, found = cast("tuple[Shape, object]", report)
            measurement = checked.measurement(meter.instance, shape, found, shapes, pending)
            self.store.add_measurement(self.contexts[Family(metric)], shape, measurement, provenance)
            known[shape] = measurement
            pending.discard(shape)
            self._measured_now.add((metric, shape))
            done += 1
            self.notify(Measured(metric, meter.instance.unit, shape, measurement, done, len(shapes)))
            return True

        def task(*shapes: Shape) -> MeasuringTask:
            expected, attempt = self._elsewhere.get(metric), secrets.token_hex(8)
            return MeasuringTask(problem.bench(meter), shapes, expected, attempt, self._patience)

        died = self._died(task(*shapes), metric, record)
        for shape in [s for s in shapes if died and s in pending and not self._interrupted]:
            # One of them ended the process, perhaps for lack of memory. Alone each has only itself to blame.
            reason = self._died(task(shape), metric, record)
            if reason and shape in pending:
                record(task(shape), (shape, Measurement(None, status=reason)))
        if self._interrupted:
            return
        if pending:
            raise PluginError(f"{name} did not measure shape {min(pending)}")
        self.notify(MeasuringFinished(metric, dict(Counter(known[shape].status for shape in shapes))))

    def _died(self, task: MeasuringTask, metric: str, record: Callable[[Task, object], bool]) -> str:
        """Run a measurement; say what ended its process, if something did.

        Raises:
            MeterError: the metric cannot be measured.
            PluginError: the architecture failed.
        """
        error = next((outcome.error for outcome in self._run([task], 1, record)), None)
        if isinstance(error, ProcessDiedError):
            return str(error)
        if isinstance(error, NetworkError):
            raise PluginError(f"measuring {metric}: {error} (--debug shows where)") from error
        if isinstance(error, ShapeDnnError):
            raise MeterError(f"measuring {metric} by {self.meters[metric].choice.name} failed: {error}") from error
        if error is not None:
            meter = self.meters[metric]
            who = f"{meter.choice.name} of {meter.source}"
            raise MeterError(f"measuring {metric} by {who} failed: {describe(error)}") from error
        return ""

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train those shapes that were not trained before; return the trainings of all, in order."""
        known = self.trainings()
        self._asked.update(shapes)
        missing = [shape for shape in shapes if not self.is_made(known.get(shape))]
        failed = [s for s in shapes if s not in missing and known[s].accuracy is None]
        self.notify(TrainingsPlanned(tuple(shapes), len(shapes) - len(missing), len(failed)))
        if missing:
            with self._stopping_well():
                self._run_trainings(missing)
        return super().train(shapes)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes that may be the answer, from the weights of a smaller one where that is wanted and possible.

        The first time, the largest shape that was trained from scratch is also trained so, to see what that changes.
        """
        if self.transfer is None:
            return self.train(shapes)
        if not self._compared:
            self._compare()
        found: dict[Shape, Training] = {}
        donors = {shape: self._donor(shape) for shape in shapes if not self.is_made(self.trainings().get(shape))}
        for donor in sorted({donor for donor in donors.values() if donor is not None}):
            own = [shape for shape in donors if donors[shape] == donor]
            found |= {training.shape: training for training in self._grow(own, donor)}
        found |= {training.shape: training for training in self.train([s for s in shapes if s not in found])}
        return [found[shape] for shape in shapes if shape in found]

    @property
    def transferred(self) -> Transferred | None:
        """What came of trainings that started from other weights; None where there was none."""
        grown = {shape for grower in self._growers.values() for shape in grower.trainings()} - self.trainings().keys()
        compared = self._compared
        return Transferred(tuple(sorted(grown)), compared[0] if compared else None) if grown else None

    @property
    def _compared(self) -> list[float]:
        """By how many points the shapes came out better from other weights that were trained in both ways."""
        scratch, found = self.trainings(), []
        for grower in self._growers.values():
            for shape, training in grower.trainings().items():
                before = scratch[shape].accuracy if shape in scratch else None
                if training.accuracy is not None and before is not None:
                    found.append((-self._work(shape), shape, training.accuracy - before))
        return [bias for _, _, bias in sorted(found)]

    def _donor(self, shape: Shape) -> Shape | None:
        """Return the largest shape trained from scratch that can grow into another one."""
        context, architecture = self.contexts[TRAININGS], self.problem.architecture.instance
        with blame(architecture):
            donors = [
                training.shape
                for training in self.trainings().values()
                if training.accuracy is not None
                and training.shape != shape
                and architecture.can_grow(training.shape, shape)
                and self.store.files.weights(context, training.shape).is_file()
            ]
        return max(donors, key=lambda donor: (self._work(donor), donor), default=None)

    def _grow(self, shapes: Sequence[Shape], donor: Shape) -> list[Training]:
        """Train shapes from the weights of another, in a family of facts of their own."""
        grower = self._grower(donor)
        assert grower is not None  # noqa: S101 - made if it was not there
        before = grower.new_trainings
        trainings = grower.train(shapes)
        self.new_trainings += grower.new_trainings - before
        self._trainings.pop(Family(donor=donor), None)
        return trainings

    def _grower(self, donor: Shape, *, create: bool = True) -> Study | None:
        """Return who trains from the weights of a shape; None if nobody has, and none is to be made."""
        assert self.transfer is not None  # noqa: S101 - asked for only then
        if donor not in self._growers:
            problem = self.problem.grown_from(donor, self.transfer)
            identity = problem.training_identity
            context = self.store.find_context(TRAINING, identity)
            if context is None and not create:
                return None
            grower = dataclasses.replace(self, problem=problem, contexts={})
            grower.contexts[TRAININGS] = self.store.context(TRAINING, identity)
            grower.donor = Donor(donor, self.store.files.weights(self.contexts[TRAININGS], donor))
            self._growers[donor] = grower
            self.contexts[Family(donor=donor)] = grower.contexts[TRAININGS]
        return self._growers[donor]

    def _compare(self) -> None:
        """Train one shape that was trained from scratch also from the weights of another."""
        scratch = [s for s, t in self.trainings().items() if t.accuracy is not None and s in self._asked]
        for shape in sorted(scratch, key=lambda shape: (-self._work(shape), shape)):
            donor = self._donor(shape)
            if donor is not None:
                self._grow([shape], donor)
                return

    @contextmanager
    def _stopping_well(self) -> Iterator[None]:
        """Let an interrupt wait until what runs has come to a good point to stop, and is recorded."""

        def note() -> None:
            self._interrupted = True
            self.executor.instance.stop()

        with interrupts.postponed(note):
            yield

    def _run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Have the executor run tasks, and see that it does.

        After an interrupt some tasks have no outcome.

        Raises:
            PluginError: the executor failed, or did not return an outcome for each task.
        """

        def heed(task: Task, what: object) -> bool:
            return (what is None or report(task, what)) and not self._interrupted

        name, ended = f"executor {self.executor.choice.name!r} of {self.executor.source}", 0
        for outcome in checked.run(self.executor.instance, tasks, workers, heed):
            if outcome.error is None and _is_wrong(outcome):
                made = type(outcome.result).__name__
                raise PluginError(f"{name} returned a {made} instead of an Outcome with what the task returned")
            ended += 1
            yield outcome
        if ended < len(tasks) and not self._interrupted:
            raise PluginError(f"{name} returned {ended} outcomes for {len(tasks)} tasks")

    def _prepare_trainings(self, shapes: Sequence[Shape]) -> bool:
        """Find out what trainings take, and unless that is definite, in which precision; False after an interrupt."""
        if TRAININGS not in self.contexts:  # another seed may have been trained meanwhile
            self._settle(self.problem.going_on_from(self.store.trained()))
        missing = [shape for shape in shapes if shape not in self._needs]
        if not missing:
            return True
        found = self._find_out({shape: self._setup(shape) for shape in missing})
        if found is None:
            return False
        self._needs |= found.needs
        if found.decision is not None:
            self._settle(self.problem.in_precision(found.decision.precision))
            self._reason = str(found.decision)
        memory = max((needs.memory for needs in found.needs.values()), default=0)
        reason = "" if found.decision is None else self._reason
        self.notify(TrainingsPrepared(self.problem.recipe.precision, reason, memory))
        return True

    def _find_out(self, setups: dict[Shape, Setup]) -> Preparation | None:
        """Run preparations until none ends its process; whatever shape did is left to its own training."""
        decided = None
        standing = self._setup(self.problem.largest) if self.problem.recipe.precision == "auto" else None
        looked_at: list[Shape] = []

        def watch(_task: Task, shape: object) -> bool:
            looked_at.append(cast("Shape", shape))
            return True

        while setups:
            looked_at.clear()
            task = PreparingTask(tuple(setups.values()), standing, secrets.token_hex(8), self._patience)
            outcomes = list(self._run([task], 1, watch))
            if not outcomes:
                return None
            if outcomes[0].error is None:
                found = cast("Preparation", outcomes[0].result)
                return Preparation(found.decision or decided, found.needs)
            if not isinstance(outcomes[0].error, ProcessDiedError):
                raise outcomes[0].error
            if standing is not None and len(looked_at) <= 1:
                setups.pop(standing.shape, None)
                why = f"the work of {standing.shape} could not be counted ({outcomes[0].error})"
                decided, standing = Decision("float32", why), None
            else:
                del setups[looked_at[-1] if looked_at else min(setups)]
        return Preparation(decided)

    def _run_trainings(self, shapes: Sequence[Shape]) -> None:
        if not self._prepare_trainings(shapes):
            return
        known = self.trainings()
        provenance = self._provenance(self.executor, self.terminator)
        if self._reason:
            provenance["precision"] = self._reason
        self._tidy()
        # The longest first, so that none is left running alone at the end.
        tasks = sorted(map(self._task, shapes), key=lambda task: (-self._work(task.shape), task.shape))
        curves: dict[Shape, list[Epoch]] = {shape: [] for shape in shapes}
        finished = {shape: known[shape] for shape in known.keys() & self._asked}
        running: dict[Shape, list[Epoch]] = {}
        stopped: set[Shape] = set()
        epochs = self.problem.recipe.epochs

        def watch(task: Task, report: object) -> bool:
            shape, epoch = cast("TrainingTask", task).shape, cast("Epoch", report)
            curves[shape].append(epoch)
            self.notify(EpochFinished(shape, epoch, epochs))
            others = Others(shape, finished, running)
            running.setdefault(shape, curves[shape])
            if checked.should_stop(self.terminator.instance, curves[shape], epochs, others):
                stopped.add(shape)
            return shape not in stopped

        for done, outcome in enumerate(self._run_with_retries(tasks, watch, curves), start=1):
            task = cast("TrainingTask", outcome.task)
            shape = task.shape
            if isinstance(outcome.error, ShapeDnnError) and outcome.error.exit_status != 1:
                raise outcome.error  # the dataset or a plugin is gone: no other training can succeed
            where = ""
            if outcome.error is not None:
                training = Training(shape, None, _reason(outcome.error), tuple(curves[shape]))
                where = "".join(traceback.format_exception(outcome.error))
            else:
                training = cast("Training", outcome.result)
                if training.accuracy is not None:
                    self._publish(task)
                elif shape in stopped:
                    reason = f"stopped by {self._stopper} after epoch {len(training.curve)}"
                    training = dataclasses.replace(training, reason=reason, stop=self.stop)
                else:
                    continue  # interrupted: it goes on from its checkpoint another time
            self.store.add_training(self.contexts[TRAININGS], training, provenance)
            checkpoints.discard(self.store.files.checkpoints(self.contexts[TRAININGS], shape))
            known[shape] = finished[shape] = training
            running.pop(shape, None)
            self.new_trainings += 1
            self.notify(TrainingFinished(training, done, len(tasks), where))

    @property
    def _stopper(self) -> str:
        """Name the terminator, with the question if it decides by that."""
        name = self.terminator.choice.name
        return f"{name} for {self.stop.question!r}" if self.stop.question else name

    def _run_with_retries(
        self, tasks: Sequence[Task], watch: Callable[[Task, object], bool], curves: Mapping[Shape, list[Epoch]]
    ) -> Iterator[Outcome]:
        """Run trainings, and some of them again.

        Those whose machine was lost are tried with the others that were; one that ran out of memory, or whose process
        died for any reason, is tried alone.
        """
        died: list[Shape] = []
        for again in range(1 + LOSSES):
            lost: list[Shape] = []
            for outcome in self._run(tasks, self.workers, watch):
                shape = cast("TrainingTask", outcome.task).shape
                if isinstance(outcome.error, MachineLostError) and again < LOSSES:
                    lost.append(shape)
                elif isinstance(outcome.error, ProcessDiedError | MemoryShortageError):
                    died.append(shape)
                else:
                    yield outcome
            if not lost or self._interrupted:
                break
            tasks = self._again(lost, curves)
        for task in [] if self._interrupted else self._again(sorted(died), curves):
            yield from self._run([task], 1, watch)

    def _again(self, shapes: Sequence[Shape], curves: Mapping[Shape, list[Epoch]]) -> list[TrainingTask]:
        for shape in shapes:
            curves[shape].clear()  # it reports them again from its last checkpoint
        return [self._task(shape) for shape in shapes]

    def _publish(self, task: TrainingTask) -> None:
        """Give the weights of a finished training their final name, before the fact that there are any is recorded."""
        path = self.store.files.weights(self.contexts[TRAININGS], task.shape)
        with durable.naming_errors(path):
            durable.rename(task.weights, path)

    def _tidy(self) -> None:
        """Remove what attempts that were killed, or given up, have left behind."""
        context = self.contexts[TRAININGS]
        for shape, training in self.trainings().items():
            if self.is_made(training):
                checkpoints.discard(self.store.files.checkpoints(context, shape))
        for partial in self.store.files.weights_of(context).glob("*.partial"):
            partial.unlink(missing_ok=True)

    def test(self, shape: Shape) -> float | None:
        """Return the accuracy on the test set, reading it now if it was not read for this shape before."""
        grower = self._grown(shape)
        if grower is not None:
            return grower.test(shape)
        known = super().test(shape)
        if known is not None:
            return known
        weights = self.store.files.weights(self.contexts[TRAININGS], shape)
        attempt, needs = secrets.token_hex(8), self._needs_of(shape)
        task = EvaluationTask(self._setup(shape), weights, attempt, self._patience, needs)
        with self._stopping_well():
            for outcome in self._run([task], 1, lambda *_: True):
                if outcome.error is not None:
                    why = f"{describe(outcome.error)}; its weights are {str(weights)!r}"
                    warnings.warn(f"the test set could not be read for {shape}: {why}", stacklevel=2)
                    return None
                accuracy = cast("float", outcome.result)
                self.store.add_test(self.contexts[TRAININGS], shape, accuracy)
                self.notify(Tested(shape, accuracy))
        return super().test(shape)

    def weights(self, shape: Shape) -> Path | None:
        """Return where the weights of a shape lie; None if it was not trained."""
        grower = self._grown(shape)
        if grower is not None:
            return grower.weights(shape)
        if TRAININGS not in self.contexts:
            return None
        path = self.store.files.weights(self.contexts[TRAININGS], shape)
        return path if path.is_file() else None

    def _grown(self, shape: Shape) -> Study | None:
        """Return who trained a shape from other weights, if it was not trained from scratch."""
        found = self.find(shape)
        return None if found is None or found[0].donor is None else self._growers[found[0].donor]

    @property
    def _patience(self) -> float:
        """Seconds without a sign of life after which a task is given up."""
        return 60 * self.hang_minutes

    def _task(self, shape: Shape) -> TrainingTask:
        context, attempt = self.contexts[TRAININGS], secrets.token_hex(8)
        checkpoints.keep_last(self.store.files.checkpoints(context, shape))
        return TrainingTask(
            self._setup(shape),
            self.store.files.weights(context, shape).with_suffix(f".{attempt}.partial"),
            self.store.files.checkpoints(context, shape),
            60 * self.checkpoint_minutes,
            attempt,
            self._patience,
            self._needs_of(shape),
        )

    def _setup(self, shape: Shape) -> Setup:
        problem = self.problem
        return Setup(
            problem.architecture.choice,
            problem.plugin_files,
            self._images,
            problem.classes,
            problem.dataset.instance.validation_fraction,
            shape,
            problem.recipe,
            problem.device,
            problem.seed,
            problem.protocol,
            self.donor,
            problem.threads,
        )

    def _needs_of(self, shape: Shape) -> Needs:
        return self._needs.get(shape, Needs(self.problem.device))

    @cached_property
    def _images(self) -> Path:
        """Where workers find the images; written the first time something is trained."""
        directory = self.store.files.images(self.problem.fingerprint)
        images.save(*self.problem.images, directory)
        return directory

    def _work(self, shape: Shape) -> float:
        """Estimate the duration of a training, in no particular unit."""
        return shape.depth * (1 + float(shape.width) ** 2)

    def _provenance(self, *plugins: Loaded[Any]) -> dict[str, object]:
        used: tuple[Loaded[Any], ...] = (self.problem.architecture, self.problem.dataset, *plugins)
        return {
            "plugins": [plugin.provenance for plugin in used],
            "device": self.problem.device,
            "python": platform.python_version(),
            "libraries": {name: metadata.version(name) for name in ("torch", "torchvision", "numpy")},
        }


class Others(Sequence[Training]):
    """The other trainings of a search, put together only if a terminator looks at them.

    With many workers that would otherwise be most of what the driver does.

    Args:
        shape: whose training is left out.
        finished: trainings that have come to their end.
        running: curves of those that have not.
    """

    def __init__(
        self, shape: Shape, finished: Mapping[Shape, Training], running: Mapping[Shape, Sequence[Epoch]]
    ) -> None:
        self._shape, self._finished, self._running = shape, finished, running

    @cached_property
    def _all(self) -> list[Training]:
        done = [training for shape, training in sorted(self._finished.items()) if shape not in self._running]
        ended = [training for training in done if training.curve]
        ended += [Training(shape, None, curve=tuple(curve)) for shape, curve in sorted(self._running.items()) if curve]
        return [training for training in ended if training.shape != self._shape]

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Training: ...
    @overload
    def __getitem__(self, index: slice) -> list[Training]: ...
    def __getitem__(self, index: int | slice) -> Training | list[Training]:
        """Return one of them, or some."""
        return self._all[index]


def ask_elsewhere(
    executor: Loaded[Executor], problem: Problem, meter: Loaded[Any], patience: float
) -> Mapping[str, object] | None:
    """Have an instrument say what determines its values where they will be measured; None if that is this machine.

    Raises:
        MeterError: it cannot tell.
    """
    if not executor.instance.elsewhere:
        return None
    task = IdentityTask(problem.bench(meter), secrets.token_hex(8), patience)
    with blame(executor.instance):
        (outcome,) = executor.instance.run([task], 1, lambda *_: True)
    if outcome.error is not None:
        raise MeterError(f"{meter.choice.name} on the cluster: {_reason(outcome.error)}")
    return cast("Mapping[str, object]", outcome.result)


def _is_wrong(outcome: Outcome) -> bool:
    """Tell whether a task has come to anything but what it returns."""
    wanted: dict[type[Task], type] = {TrainingTask: Training, PreparingTask: Preparation}
    return not isinstance(outcome.result, wanted.get(type(outcome.task), object))


def _straddles(limit: Constraint | None, measurement: Measurement) -> bool:
    """Tell whether a prediction leaves open on which side of a limit a shape lies."""
    if limit is None or measurement.status != PREDICTED:
        return False
    return limit.allows(measurement.low) != limit.allows(measurement.high)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, ShapeDnnError) else describe(error)
