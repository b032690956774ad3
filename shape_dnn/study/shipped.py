"""The memo of a search for what ships: what was trained is converted, and judged in the runtime that ships it."""

from __future__ import annotations

import dataclasses
import secrets
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

from shape_dnn.constraints import Constraint
from shape_dnn.deploying.judging import Data, JudgingTask
from shape_dnn.errors import DeploymentError, MachineLostError, StudyError, TrainingError
from shape_dnn.events import Converted, Tested
from shape_dnn.kinds import Deployment, Executor
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Training, Transferred
from shape_dnn.shape import Shape
from shape_dnn.store.decoding import canonical
from shape_dnn.store.families import TRAINING, Family
from shape_dnn.study import batch
from shape_dnn.study.known import KnownFacts
from shape_dnn.study.measurer import Measurer
from shape_dnn.study.problem import Problem, provenance
from shape_dnn.study.runner import Conduct, Runner, reason
from shape_dnn.study.study import Memo, Study, TrainsAgain
from shape_dnn.study.trainings import Trainings
from shape_dnn.training.preparing import leaves_traces
from shape_dnn.work import Needs, Outcome, Task


class ShippedStudy(TrainsAgain):
    """What a search for what ships asks: metrics are those of artifacts, and so are qualities.

    Trainings are had from a study of networks as they are trained. Each family of its facts has one here, of the same
    trainings with the qualities of their artifacts.

    Args:
        facts: what is known of artifacts.
        trained: what is known of the networks, and trains more of them.
        problem: what the facts are about.
        executor: where the work is done.
        conduct: how the work is done.
        remeasure: whether shapes are measured again whose measurement was not ``ok``.
        reseeded: makes the same study with the seed of second trainings; None if there are to be none.

    Attributes:
        facts: what is known of artifacts.
        second: the study of second trainings, once there are any.
    """

    def __init__(
        self,
        facts: KnownFacts,
        trained: Study,
        problem: Problem,
        executor: Loaded[Executor],
        conduct: Conduct,
        *,
        remeasure: bool = False,
        reseeded: Callable[[], Memo] | None = None,
    ) -> None:
        super().__init__(reseeded)
        self.facts = facts
        self._trained, self._problem, self._conduct = trained, problem, conduct
        self._runner = Runner(executor)
        self._measurer = Measurer(facts, problem, self._runner, conduct, remeasure=remeasure)
        self._refused: set[tuple[Family, Shape]] = set()

    def prepare(self) -> None:
        """Find out what determines the facts, and judge what was trained before for something else.

        Raises:
            UsageError: there are too few examples to calibrate by.
            UnavailableError: a metric cannot be measured, a target not be reached, or the dataset not be read.
        """
        self._problem.check_calibration()
        self._trained.prepare()
        for metric in self.facts.meters:
            self._measurer.prepare(metric)
        for family in list(self._trained.facts.contexts):
            trained = self._trained.facts.trainings(family).values()
            left = [t for t in trained if t.quality is not None and self._weights_file(family, t.shape).is_file()]
            self._judge(family, left)

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of these shapes that were there when the search began."""
        return self.facts.known(shapes)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return the metric of each shape, None for one that could not be measured.

        Raises:
            MeterError: the metric cannot be measured.
        """
        self._measurer.measure(metric, shapes)
        return self.facts.measure(metric, shapes)

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Measure some depths of each width, predict the others, and measure those whose interval holds the limit."""
        self._measurer.measure_enough(metric, shapes, limit)
        return self.facts.estimate(metric, shapes)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train and judge those shapes that were not before; return the trainings of all, in order."""
        batch.train([self.trainer], shapes)
        return self.collect(shapes)

    def collect(self, shapes: Sequence[Shape]) -> list[Training]:
        """Judge those shapes that were trained; return the trainings that there are by now, in order."""
        self._record(self._trained.collect(shapes))
        return self.facts.train(shapes)

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train and judge shapes that may be the answer, from other weights where that is wanted and possible."""
        self._record(self._trained.verify(shapes))
        return self.facts.verify(shapes)

    @property
    def trainer(self) -> Trainings:
        """The trainings from random weights of the networks that ship."""
        return self._trained.trainer

    @property
    def transfers(self) -> bool:
        """Whether shapes that may be the answer are trained from other weights."""
        return self._trained.transfers

    def _record(self, trainings: Sequence[Training]) -> None:
        """Have trainings counted here, with the qualities of their artifacts."""
        by_family: dict[Family, list[Training]] = {}
        for training in trainings:
            found = self._trained.facts.find(training.shape)
            assert found is not None  # noqa: S101 - it was trained just now, or before
            by_family.setdefault(found[0], []).append(training)
        for family, own in sorted(by_family.items(), key=lambda item: str(item[0])):
            self._judge(family, own)

    def _judge(self, family: Family, trainings: Sequence[Training]) -> None:
        """Judge the artifacts of trainings of one family that were not judged before.

        Raises:
            StudyError: the weights of one are gone.
        """
        context = self._context(family)
        judged = self.facts.trainings(family)
        left = [training for training in trainings if (family, training.shape) not in self._refused]
        missing = [training for training in left if not self._is_judged(judged.get(training.shape), training)]
        origin = provenance(self._problem, self._runner.executor)
        for training in missing:
            if training.quality is None:
                self.facts.store.add_training(context, training, origin)
        of_shape = {training.shape: training for training in missing if training.quality is not None}
        for shape in of_shape:
            if not (weights := self._weights_file(family, shape)).is_file():
                message = f"the weights of {shape} are gone: there is no {str(weights)!r}, and nothing can ship"
                raise StudyError(f"{message}; a copy of a study needs its folder 'weights', too")
        tasks = [self._task(family, shape) for shape in sorted(of_shape)]
        failed: list[Outcome] = []
        done = 0
        with self._runner.stopping_well():
            for outcome in self._outcomes(tasks):
                if _is_of_shape(outcome.error):
                    failed.append(outcome)
                    continue
                task = cast("JudgingTask", _successful(outcome).task)
                before, quality = of_shape[task.shape], cast("float | None", outcome.result)
                after = before if quality is None else dataclasses.replace(before, quality=quality)
                self.facts.store.add_training(context, after, origin)
                done += 1
                assert before.quality is not None and after.quality is not None  # noqa: S101, PT018 - chosen so
                lost = self._problem.quality.sign * (before.quality - after.quality)
                too_much = lost > self._deployment.max_drop * self._problem.quality.percent
                total, seed = len(tasks) - len(failed), task.seed
                self._conduct.notify(Converted(task.shape, after.quality, before.quality, too_much, done, total, seed))
        if failed and not self._has_judged:
            _successful(failed[0])  # nothing ships, so it is hardly the fault of a shape
        for outcome in failed:
            task, error = cast("JudgingTask", outcome.task), cast("Exception", outcome.error)
            self._refused.add((family, task.shape))  # and is not judged again by this search
            nothing = dataclasses.replace(of_shape[task.shape], quality=None, reason=reason(error))
            self.facts.store.add_training(context, nothing, origin)
        self.facts.forget_trainings(family)

    @property
    def _has_judged(self) -> bool:
        """Whether any artifact of this deployment was judged, be it of other weights or with another seed."""
        store, ours = self.facts.store, canonical(self._problem.of_what_ships({}))
        judged = (
            number
            for number in store.contexts(TRAINING)
            if canonical({"deployment": store.identity(number).get("deployment")}) == ours
        )
        return any(training.quality is not None for each in judged for training in store.trainings(each).values())

    def _is_judged(self, judged: Training | None, trained: Training) -> bool:
        """Tell whether a training was judged, as what came of it by now: one that had failed may have been repeated."""
        if judged is None or not self.facts.is_made(judged):
            return False
        return trained.quality is None or judged.quality is not None or judged.seconds == trained.seconds

    def _outcomes(self, tasks: Sequence[JudgingTask]) -> Iterator[Outcome]:
        """Run tasks, and again those whose machine was lost or whose process died."""

        def again(task: Task, _deaths: int) -> JudgingTask:
            return dataclasses.replace(cast("JudgingTask", task), attempt=secrets.token_hex(8))

        if tasks:
            yield from self._runner.run_with_retries(tasks, self._conduct.workers, lambda *_: True, again)

    def _context(self, family: Family) -> int:
        """Return the number of the family of facts here of what was trained."""
        if family not in self.facts.contexts:
            identity = self.facts.store.identity(self._trained.facts.contexts[family])
            shipped = self._problem.of_what_ships(identity)
            self.facts.contexts[family] = self.facts.store.context(TRAINING, shipped)
            self.facts.forget_trainings(family)
        return self.facts.contexts[family]

    def _task(self, family: Family, shape: Shape, data: Data = "judged") -> JudgingTask:
        trained, files = self._trained.facts.contexts[family], self.facts.store.files
        freight = self._problem.freight(self._problem.judge)
        artifact = files.artifact(self._context(family), shape)
        assert freight is not None  # noqa: S101 - something else than networks ships
        return JudgingTask(
            self._trained.source,
            shape,
            int(self.facts.store.identity(trained)["seed"]),
            self._weights_file(family, shape),
            freight,
            self._problem.conditions.batch_size,
            artifact,
            artifact.is_dir(),
            data,
            secrets.token_hex(8),
            self._conduct.patience,
            Needs("cpu", cores=self._deployment.threads, fresh=leaves_traces(self._trained.source)),
        )

    @property
    def _deployment(self) -> Deployment:
        assert self._problem.deployment is not None  # noqa: S101 - something else than networks ships
        return self._problem.deployment.instance

    def _weights_file(self, family: Family, shape: Shape) -> Path:
        return self.facts.store.files.weights(self._trained.facts.contexts[family], shape)

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Return the quality of an artifact on the test set, judging it now if it was not before."""
        if again:
            return None if self.second is None else self.second.test(shape)
        found = self._trained.facts.find(shape)
        known = self.facts.test(shape)
        if known is not None or found is None:
            return known
        with self._runner.stopping_well():
            task = self._task(found[0], shape, "test")
            for outcome in self._outcomes([task]):
                if _is_of_shape(outcome.error):
                    why = reason(cast("Exception", outcome.error))
                    warnings.warn(f"the test set could not be read for {shape}: {why}", stacklevel=2)
                elif _successful(outcome).result is not None:
                    quality = cast("float", outcome.result)
                    self.facts.store.add_test(self._context(found[0]), shape, quality)
                    self._conduct.notify(Tested(shape, quality, task.seed))
        return self.facts.test(shape)

    def weights(self, shape: Shape, *, again: bool = False) -> Path | None:
        """Return where the weights of a shape lie, or those of its training again; None if it was not trained."""
        if again:
            return None if self.second is None else self.second.weights(shape)
        return self._trained.weights(shape)

    @property
    def new_trainings(self) -> int:
        """Trainings made so far for this study."""
        return self._trained.new_trainings + (0 if self.second is None else self.second.new_trainings)

    @property
    def transferred(self) -> Transferred | None:
        """What came of trainings that started from other weights; None where there was none."""
        return self._trained.transferred


def _is_of_shape(error: Exception | None) -> bool:
    """Tell whether what failed says something of a shape, and nothing of the others."""
    return isinstance(error, TrainingError | DeploymentError) and not isinstance(error, MachineLostError)


def _successful(outcome: Outcome) -> Outcome:
    """Return what came of a task that judges.

    Raises:
        ShapeDnnError: it failed.
    """
    if outcome.error is not None:
        raise outcome.error
    return outcome
