"""What a search asks of the world: a study, a recorded table, or what is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shape_dnn.constraints import Constraint
from shape_dnn.records import Training
from shape_dnn.shape import Shape, by_width_then_depth


class Facts(Protocol):
    """What the search asks. Asking twice costs nothing: whoever answers remembers."""

    def known(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the trainings of these shapes that were there when the search began, failed ones included."""

    def measure(self, metric: str, shapes: Sequence[Shape]) -> list[float | None]:
        """Return a metric of each shape; None for one that has no value."""

    def estimate(self, metric: str, shapes: Sequence[Shape], limit: Constraint | None = None) -> list[float | None]:
        """Return a metric of each shape, or what is known well enough to tell on which side of a limit it lies."""

    def train(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the training of each shape, in order; those that cannot be had are left out."""

    def verify(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return the training of each shape that may be the answer; these may start from what was learnt before."""

    def again(self, shapes: Sequence[Shape]) -> list[Training]:
        """Return a training of each shape with another seed, in order; those that cannot be had are left out."""

    def test(self, shape: Shape, *, again: bool = False) -> float | None:
        """Return the quality of a trained shape on the test set, or of its training again; None if there is none."""


def in_order(trainings: Sequence[Training]) -> list[Training]:
    """Sort trainings by shape, so that nothing depends on which one finished first."""
    return sorted(trainings, key=lambda training: by_width_then_depth(training.shape))


def with_known(trainings: Sequence[Training], known: Sequence[Training]) -> list[Training]:
    """Return trainings that were asked for, and after them those others that were known before."""
    asked = {training.shape for training in trainings}
    return [*trainings, *(training for training in known if training.shape not in asked)]
