"""What a study knows already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from shape_dnn import rules
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Formula, Meter, Workload
from shape_dnn.measuring import depth_line
from shape_dnn.plugins import Loaded
from shape_dnn.records import Measurement, Training
from shape_dnn.shape import Shape
from shape_dnn.store import Store

TRAINING = "training"
"""Name of the family of trainings, beside those of the metrics."""
GROWN = f"{TRAINING} from "
"""How the name of a family begins whose trainings started from the weights of another shape."""


@dataclass
class Memory:
    """What a study knows already; asked for more, it answers with nothing.

    Attributes:
        store: the study file.
        workload: for closed forms.
        meters: by metric.
        contexts: which facts of the file are meant, by metric, and for trainings.
        fit_depths: how many depths of each width suffice, where a line in depth predicts the others; None for all.
    """

    store: Store
    workload: Workload
    meters: Mapping[str, Loaded[Meter]]
    contexts: dict[str, int]
    fit_depths: int | None
    _measurements: dict[str, dict[Shape, Measurement]] = field(default_factory=dict, init=False)
    _trainings: dict[Shape, Training] | None = field(default=None, init=False)

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return the metric of each shape, None where nobody measured it."""
        meter = self.meters.get(metric)
        if meter is not None and isinstance(meter.instance, Formula):
            return rules.compute(meter, self.workload, shapes)
        known = self.measurements(metric)
        return [known[shape].value if shape in known else None for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return what is known of each shape, or a prediction where ``fit_depths`` asks for it."""
        if not self._predicts(metric):
            return self.measure(metric, shapes)
        estimates = self.estimates(metric, shapes)
        return [estimates[shape].value if shape in estimates else None for shape in shapes]

    def estimates(self, metric: str, shapes: Sequence[Shape]) -> dict[Shape, Measurement]:
        """Return every measurement with its interval and status, and the predictions of these shapes."""
        known = self.measurements(metric)
        return {**depth_line.predict(shapes, known), **known} if self._predicts(metric) else known

    def predicted(self, metric: str, shapes: Sequence[Shape]) -> frozenset[Shape]:
        """Return those of the shapes whose value is a prediction."""
        if not self._predicts(metric):
            return frozenset()
        return frozenset(self.estimates(metric, shapes).keys() - self.measurements(metric).keys())

    def _predicts(self, metric: str) -> bool:
        """Tell whether a line in depth may stand for measurements of a metric."""
        meter = self.meters.get(metric)
        return bool(self.fit_depths) and meter is not None and meter.instance.linear_in_depth

    def measurements(self, metric: str) -> dict[Shape, Measurement]:
        """Return every measurement of a metric with its interval and status."""
        if metric not in self._measurements:
            context = self.contexts.get(metric)
            self._measurements[metric] = {} if context is None else self.store.measurements(context)
        return self._measurements[metric]

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of those shapes that were trained."""
        known = self.trainings()
        return [known[shape] for shape in shapes if shape in known]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of those shapes that were trained, be it from the weights of another."""
        return [found[1] for shape in shapes if (found := self.find(shape)) is not None]

    def trainings(self) -> dict[Shape, Training]:
        """Return every training, failed ones included."""
        if self._trainings is None:
            context = self.contexts.get(TRAINING)
            self._trainings = {} if context is None else self.store.trainings(context)
        return self._trainings

    @cached_property
    def _grown_trainings(self) -> dict[int, dict[Shape, Training]]:
        grown = (context for name, context in self.contexts.items() if name.startswith(GROWN))
        return {context: self.store.trainings(context) for context in grown}

    def find(self, shape: Shape) -> tuple[int, Training] | None:
        """Return the training of a shape, and the family of facts it belongs to; from scratch if there is one so."""
        if shape in self.trainings():
            return self.contexts[TRAINING], self.trainings()[shape]
        grown = self._grown_trainings.items()
        return next(((context, known[shape]) for context, known in grown if shape in known), None)

    def test(self, shape: Shape) -> float | None:
        """Return the accuracy on the test set, if it was read for this shape."""
        found = self.find(shape)
        return None if found is None else self.store.test(found[0], shape)
