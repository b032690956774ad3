"""What a way of searching sees of one question, and what it pays for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shape_dnn.benchmarking.problems import CLOSED_FORMS, RecordedTable
from shape_dnn.benchmarking.questions import Question
from shape_dnn.constraints import Constraint
from shape_dnn.records import Epoch, Training
from shape_dnn.search.kernel import Floats
from shape_dnn.shape import Shape


class Seen:
    """The facts of one question: metrics, and one training of each shape; what is measured and trained is counted.

    It answers a search of this project as a study would (:class:`shape_dnn.search.facts.Facts`).

    Args:
        table: what was recorded.
        question: what is asked, and which of the repeated trainings is seen.

    Attributes:
        shapes: those that meet the limits that need no training, sorted by width and depth.
        quality: by which trainings are judged.
        limits: on quality.
        goal: what makes the best shape; None if all that comply are asked for.
        noise: standard deviation of the qualities of one shape's trainings.
        epochs: of a whole training; None if only its end was recorded.
        parts: what was trained, in the order in which it was begun, and which part of a whole training; 2 for what was
            trained again.
        measured: shapes of which a metric was asked that is no closed form.
    """

    def __init__(self, table: RecordedTable, question: Question) -> None:
        self.shapes = [table.shapes[i] for i in question.candidates]
        self.quality, self.limits, self.goal = question.quality, question.limits, question.goal
        self.noise = table.noise
        self.epochs = None if table.curves is None else table.curves.shape[2]
        self.parts: dict[Shape, float] = {}
        self.measured: set[Shape] = set()
        self.__table, self.__question = table, question
        self.__position = {shape: i for i, shape in enumerate(table.shapes)}

    # What costs nothing

    @property
    def metrics(self) -> list[str]:
        """The metrics that there are."""
        return list(self.__table.metrics)

    @property
    def goal_is_quality(self) -> bool:
        """Whether the best quality is asked for; any other goal is known of every shape without training."""
        return self.__question.goal_is_quality

    def complies(self, value: float | None) -> bool:
        """Tell whether a quality meets the limit."""
        return all(limit.allows(value) for limit in self.limits)

    def upwards(self, value: float) -> float:
        """Return a quality such that the larger is the better, for methods that only know that."""
        return self.quality.sign * value

    # What is counted

    def metric(self, name: str) -> Floats:
        """Return a metric of all shapes."""
        return np.array([self._measured(name, shape) for shape in self.shapes])

    def scores(self) -> Floats:
        """Return the score of all shapes, where the goal is not quality; the lowest is the best."""
        return np.array([self.score(shape) for shape in self.shapes])

    def score(self, shape: Shape) -> float:
        """Return that of one shape."""
        assert self.goal is not None  # noqa: S101 - asked for only where there is one
        return sum(weight * self._measured(name, shape) for name, weight in self.goal.weights.items())

    def trained(self, shape: Shape) -> float:
        """Train a shape to the end, or look up what came of it if that was done; return its quality."""
        self.parts[shape] = max(self.parts.get(shape, 0.0), 1.0)
        return float(self.__table.qualities[self.__position[shape], self.__question.repetition])

    def curve(self, shape: Shape, epochs: int) -> list[float]:
        """Train a shape for so many epochs, going on where an earlier call ended; return the quality after each."""
        curves, place = self.__table.curves, self.__position[shape]
        assert curves is not None  # noqa: S101 - whoever needs curves says so before
        self.parts[shape] = max(self.parts.get(shape, 0.0), epochs / curves.shape[2])
        return [float(value) for value in curves[place, self.__question.repetition, :epochs]]

    # What came of it

    @property
    def finished(self) -> list[Shape]:
        """What was trained to the end."""
        return [shape for shape, part in self.parts.items() if part >= 1.0]

    @property
    def complying(self) -> list[Shape]:
        """What was trained to the end and met the limit."""
        return [shape for shape in self.finished if self.complies(self.trained(shape))]

    @property
    def best(self) -> Shape | None:
        """The best by the goal of what was trained to the end and met the limit."""
        if self.goal_is_quality:
            return max(self.complying, key=lambda shape: self.upwards(self.trained(shape)), default=None)
        return min(self.complying, key=self.score, default=None)

    # As a study answers

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Begin with nothing."""
        return []

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Look a metric up."""
        return [self._measured(metric, shape) for shape in shapes]

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Look a metric up."""
        return self.measure(metric, shapes)

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes to the end."""
        seconds = self.__table.seconds
        return [Training(s, self.trained(s), seconds=float(seconds[self.__position[s]])) for s in shapes]

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes to the end."""
        return self.train(shapes)

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Train shapes once more, where the table holds another training of each."""
        table, repetition = self.__table, self.__question.repetition
        repetitions = table.qualities.shape[1]
        if repetitions == 1:
            return []
        self.parts |= dict.fromkeys(shapes, 2.0)
        places = [self.__position[shape] for shape in shapes]
        return [
            Training(shape, float(table.qualities[i, (repetition + 1) % repetitions]), seconds=float(table.seconds[i]))
            for shape, i in zip(shapes, places, strict=True)
        ]

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """There is no second quality."""
        return None

    def _measured(self, metric: str, shape: Shape) -> float:
        if metric not in CLOSED_FORMS:
            self.measured.add(shape)
        return float(self.__table.metrics[metric][self.__position[shape]])


def whole_curve(qualities: Sequence[float]) -> tuple[Epoch, ...]:
    """Write qualities as epochs, whose losses nobody knows."""
    return tuple(Epoch(number, 0.0, value) for number, value in enumerate(qualities, 1))
