"""What every terminator must keep to."""

from __future__ import annotations

from collections.abc import Sequence

from shape_dnn.kinds import Terminator
from shape_dnn.records import Epoch, Training
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, accuracy

EPOCHS = 10


class TerminatorContract(Contract):
    """What every terminator must keep to."""

    kind = "terminator"

    @staticmethod
    def curve(final: float) -> tuple[Epoch, ...]:
        """Return the epochs of a training that ends at an accuracy."""
        return tuple(Epoch(n, 2.0 / n, final * (1 - 0.5**n)) for n in range(1, EPOCHS + 1))

    def questions(self) -> list[tuple[Sequence[Epoch], int, Sequence[Training]]]:
        """Return what a terminator is asked: after each epoch, with none, one or many finished trainings."""
        finished = [Training(s, accuracy(s), "", self.curve(accuracy(s))) for s in GRID[:20]]
        curves = (self.curve(10.0), self.curve(99.0))
        return [
            (curve[:length], EPOCHS, others)
            for curve in curves
            for length in range(1, EPOCHS + 1)
            for others in ((), finished[:1], finished)
        ]

    def test_answers_after_every_epoch(self, plugin: Terminator) -> None:
        """With yes or no, also when nothing else has finished yet."""
        for question in self.questions():
            assert plugin.should_stop(*question) in (True, False)

    def test_answers_the_same_every_time(self, plugin: Terminator, twin: Terminator) -> None:
        """The answer depends on the curve and the finished trainings alone."""
        first = [plugin.should_stop(*question) for question in self.questions()]
        assert [twin.should_stop(*question) for question in reversed(self.questions())][::-1] == first

    def test_bears_trainings_without_a_curve(self, plugin: Terminator) -> None:
        """Recorded tables have accuracies only."""
        others = [Training(shape, accuracy(shape)) for shape in GRID[:5]]
        plugin.should_stop(self.curve(50.0)[:3], EPOCHS, others)
