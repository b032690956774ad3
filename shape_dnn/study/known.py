"""What a study knows already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Formula, Instrument, Meter, Terminator, Workload
from shape_dnn.measuring import depth_line
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.sources import Loaded
from shape_dnn.records import Measurement, Stop, Training
from shape_dnn.shape import Shape
from shape_dnn.store.decoding import canonical
from shape_dnn.store.facts import Store
from shape_dnn.store.families import TRAINING, TRAININGS, Family


def stop_by(terminator: Loaded[Terminator], question: str) -> Stop:
    """Say why a training is stopped: by whom, and for which question if that decides it."""
    return Stop(canonical(terminator.identity), question if terminator.instance.by_question else "")


@dataclass
class KnownFacts:
    """What a study knows already; asked for more, it answers with nothing.

    Attributes:
        store: the study file.
        workload: for closed forms.
        meters: by metric.
        contexts: the numbers of the families of facts that are meant; the trainings among them as those of seed 0.
        fit_depths: how many depths of each width suffice, where a line in depth predicts the others; None for all.
        stop: why trainings are stopped that this search would stop; what others stopped is as good as not trained.
        retry_failed: whether trainings that failed are to be made again.
        seeds: how many seeds the search has.
        began: the last training that there was when the search began; None if all that there are count.
    """

    store: Store
    workload: Workload
    meters: Mapping[str, Loaded[Meter]]
    contexts: dict[Family, int]
    fit_depths: int | None
    stop: Stop
    retry_failed: bool
    seeds: int = 1
    began: int | None = field(default=None, init=False)
    _measurements: dict[str, dict[Shape, Measurement]] = field(default_factory=dict, init=False)
    _trainings: dict[Family, dict[Shape, Training]] = field(default_factory=dict, init=False)
    _as_trained: dict[int, dict[Shape, Training]] = field(default_factory=dict, init=False)

    # Metrics

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return the metric of each shape, None where nobody measured it; a formula computes what is not recorded."""
        meter, known = self.meters.get(metric), self.measurements(metric)
        if meter is not None and isinstance(meter.instance, Formula):
            missing = [shape for shape in shapes if shape not in known] if known else shapes
            computed = iter(checked_meters.compute(meter.instance, self.workload, missing) if missing else ())
            return [known[shape].value if shape in known else next(computed) for shape in shapes]
        return [known[shape].value if shape in known else None for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return what is known of each shape, or a prediction where ``fit_depths`` asks for it."""
        if not self.predicts(metric):
            return self.measure(metric, shapes)
        estimates = self.estimates(metric, shapes)
        return [estimates[shape].value if shape in estimates else None for shape in shapes]

    def estimates(self, metric: str, shapes: Sequence[Shape]) -> dict[Shape, Measurement]:
        """Return every measurement with its interval and status, and the predictions of these shapes."""
        known = self.measurements(metric)
        return {**depth_line.predict(shapes, known), **known} if self.predicts(metric) else known

    def predicted(self, metric: str, shapes: Sequence[Shape]) -> frozenset[Shape]:
        """Return those of the shapes whose value is a prediction."""
        if not self.predicts(metric):
            return frozenset()
        return frozenset(self.estimates(metric, shapes).keys() - self.measurements(metric).keys())

    def predicts(self, metric: str) -> bool:
        """Tell whether a line in depth may stand for measurements of a metric."""
        meter = self.meters.get(metric)
        if meter is None or not isinstance(meter.instance, Instrument):
            return False  # a formula is as quick for every depth as for a few
        return bool(self.fit_depths) and meter.instance.linear_in_depth

    def measurements(self, metric: str) -> dict[Shape, Measurement]:
        """Return every measurement of a metric with its interval and status."""
        if metric not in self._measurements:
            context = self.contexts.get(Family(metric))
            self._measurements[metric] = {} if context is None else self.store.measurements(context)
        return self._measurements[metric]

    # Trainings

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of these shapes that a search begins with, those that need not be made again."""
        found: dict[Shape, Training] = {}
        for family in self._families():
            for shape, training in self.store.trainings(self.contexts[family], self.began).items():
                if not self.is_made(found.get(shape)):
                    found[shape] = training
        return [found[shape] for shape in shapes if self.is_made(found.get(shape))]

    def is_made(self, training: Training | None) -> bool:
        """Tell whether a training need not be made, or not again. What another terminator stopped says nothing here."""
        if training is None or training.quality is not None:
            return training is not None
        return training.stop in (None, self.stop) and not self.retry_failed

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of those shapes that were trained."""
        known = self.trainings()
        return [known[shape] for shape in shapes if shape in known]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of those shapes that were trained, be it from the weights of another."""
        return [found[1] for shape in shapes if (found := self.find(shape)) is not None]

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the second trainings of those shapes that were trained again."""
        second = self.second
        return [] if second is None else second.train(shapes)

    @property
    def second(self) -> KnownFacts | None:
        """What is known with the seed of second trainings, the next one that no training of the search has.

        None if there is nothing. Second trainings start from random weights.
        """
        if TRAININGS not in self.contexts:
            return None
        identity = self.store.identity(self.contexts[TRAININGS])
        with self.store.decoding():
            reseeded = {**identity, "seed": int(identity["seed"]) + self.seeds}
        context = self.store.find_context(TRAINING, reseeded)
        return None if context is None else replace(self, contexts={TRAININGS: context})

    def trainings(self, family: Family = TRAININGS) -> dict[Shape, Training]:
        """Return every training of a family, failed ones included."""
        if family not in self._trainings:
            context = self.contexts.get(family)
            self._trainings[family] = {} if context is None else self.store.trainings(context)
        return self._trainings[family]

    def forget_trainings(self, family: Family = TRAININGS) -> None:
        """Have the trainings of a family read again, since they are others now."""
        self._trainings.pop(family, None)

    def _families(self) -> list[Family]:
        """Return the families of trainings, those from random weights first."""
        return sorted((f for f in self.contexts if f.metric is None), key=lambda f: (f.donor is not None, str(f.donor)))

    def find(self, shape: Shape) -> tuple[Family, Training] | None:
        """Return the training of a shape that counts, and the family of facts it belongs to.

        That is the first that need not be made again, from scratch if there is one so; without any, the first.
        """
        trained = [(f, self.trainings(f)[shape]) for f in self._families() if shape in self.trainings(f)]
        return next((each for each in trained if self.is_made(each[1])), next(iter(trained), None))

    def as_trained(self, shape: Shape) -> Training | None:
        """Return the training of a shape as it was before what it came to was converted; None if nothing was."""
        found = self.find(shape)
        if found is None:
            return None
        context = self.context_of_network(found[0])
        if context == self.contexts[found[0]]:
            return None
        if context not in self._as_trained:
            self._as_trained[context] = self.store.trainings(context)
        return self._as_trained[context].get(shape)

    def context_of_network(self, family: Family) -> int:
        """Return the number of the family of facts of the networks whose artifacts those of a family are about.

        It is the same where qualities are those of networks.
        """
        identity = dict(self.store.identity(self.contexts[family]))
        found = self.store.find_context(TRAINING, identity) if identity.pop("deployment", None) else None
        return self.contexts[family] if found is None else found

    def libraries(self, *names: str) -> dict[str, str]:
        """Return the versions of libraries that facts were last obtained with, of those that are known."""
        for family in sorted(self.contexts, key=str):
            known = self.store.last_provenance(self.contexts[family]).get("libraries", {})
            if known:
                return {name: str(known[name]) for name in names if name in known}
        return {}

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Return the accuracy on the test set, if it was read for this shape, or for its training again."""
        if again:
            second = self.second
            return None if second is None else second.test(shape)
        found = self.find(shape)
        return None if found is None else self.store.test(self.contexts[found[0]], shape)
