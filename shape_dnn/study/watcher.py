"""Follows the trainings that run together, and has those stopped that are given up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import cast, overload

from shape_dnn.events import EpochFinished, Event
from shape_dnn.kinds import Terminator
from shape_dnn.plugins import checked
from shape_dnn.records import Epoch, Training
from shape_dnn.shape import Shape
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Task


class Watcher:
    """Follows the trainings that run together, and stops those that the terminator gives up.

    Args:
        finished: trainings that have come to their end.
        terminator: asked after every epoch.
        epochs: of a whole training; None if that is not known, and then none is stopped.
        notify: told of every epoch.

    Attributes:
        curves: of each training that has reported an epoch.
        stopped: shapes whose training is to end early.
    """

    def __init__(
        self,
        finished: dict[Shape, Training],
        terminator: Terminator,
        epochs: int | None,
        notify: Callable[[Event], None],
    ) -> None:
        self.curves: dict[Shape, list[Epoch]] = {}
        self.stopped: set[Shape] = set()
        self._terminator, self._epochs, self._notify = terminator, epochs, notify
        self._ended = InOrder(training for training in finished.values() if training.curve)
        self._running = InOrder()

    def watch(self, task: Task, report: object) -> bool:
        """Take note of an epoch; tell whether the training is to go on."""
        training, epoch = cast("TrainingTask", task), cast("Epoch", report)
        shape = training.shape
        curve = self.curves.setdefault(shape, [])
        curve.append(epoch)
        self._notify(EpochFinished(shape, epoch, self._epochs, training.seed))
        self._ended.drop(shape)  # it is made anew
        others = Others(shape, self._ended, self._running)
        self._running.put(Training(shape, None, curve=tuple(curve)))
        if self._epochs is not None and checked.should_stop(self._terminator, curve, self._epochs, others):
            self.stopped.add(shape)
        return shape not in self.stopped

    def end(self, training: Training) -> None:
        """Take note that a training has come to its end."""
        self._running.drop(training.shape)
        if training.curve:
            self._ended.put(training)

    def forget(self, shapes: Sequence[Shape]) -> None:
        """Forget the epochs of trainings that are started again, and that any of them was to stop."""
        self.stopped.difference_update(shapes)
        for shape in shapes:
            self.curves.setdefault(shape, []).clear()
            self._running.drop(shape)


class InOrder:
    """Trainings by their shapes, kept in order, since of thousands that is more than what comes of each epoch.

    Args:
        trainings: of different shapes.
    """

    def __init__(self, trainings: Iterable[Training] = ()) -> None:
        self._trainings = sorted(trainings, key=_shape_of)

    def _find(self, shape: Shape) -> tuple[int, int]:
        """Return where the training of a shape begins and ends in the list: at the same place if there is none."""
        place = bisect_left(self._trainings, shape, key=_shape_of)
        is_there = place < len(self._trainings) and self._trainings[place].shape == shape
        return place, place + is_there

    def put(self, training: Training) -> None:
        """Add one, in the place of a former one of the same shape."""
        begin, end = self._find(training.shape)
        self._trainings[begin:end] = [training]

    def drop(self, shape: Shape) -> None:
        """Remove the one of a shape, if there is one."""
        begin, end = self._find(shape)
        del self._trainings[begin:end]

    def without(self, shape: Shape) -> list[Training]:
        """Return all but that of a shape."""
        begin, end = self._find(shape)
        return self._trainings[:begin] + self._trainings[end:]


def _shape_of(training: Training) -> Shape:
    return training.shape


class Others(Sequence[Training]):
    """The other trainings of a search, put together only if a terminator looks at them.

    With many workers that would otherwise be most of what the driver does.

    Args:
        shape: whose training is left out.
        ended: trainings that have come to their end.
        running: those that have not, with what they have reported.
    """

    def __init__(self, shape: Shape, ended: InOrder, running: InOrder) -> None:
        self._shape, self._ended, self._running = shape, ended, running

    @cached_property
    def _all(self) -> list[Training]:
        return self._ended.without(self._shape) + self._running.without(self._shape)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Training]:
        """Give them by the list's own iterator, which takes a fifth of the time of one by position."""
        return iter(self._all)

    @overload
    def __getitem__(self, index: int) -> Training: ...
    @overload
    def __getitem__(self, index: slice) -> list[Training]: ...
    def __getitem__(self, index: int | slice) -> Training | list[Training]:
        """Return one of them, or some."""
        return self._all[index]
