"""What every terminator must keep to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shape_dnn.assembly.goal_expressions import best
from shape_dnn.builtin.goals import Accuracy
from shape_dnn.constraints import Constraint
from shape_dnn.kinds import Terminator
from shape_dnn.plugins import checked
from shape_dnn.quality import Quality
from shape_dnn.records import Epoch, Stop, Training
from shape_dnn.study.watcher import InOrder, Others
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, accuracy

EPOCHS = 10
ERROR = Quality("error", "%", "lower", 0.0, 100.0)


def _turned(accuracy: float | None) -> float | None:
    """Return the error that belongs to an accuracy."""
    return None if accuracy is None else 100 - accuracy


def _turn(curve: Sequence[Epoch]) -> tuple[Epoch, ...]:
    """Return the errors of a learning curve."""
    return tuple(replace(epoch, quality=100 - epoch.quality) for epoch in curve)


class TerminatorContract(Contract):
    """What every terminator must keep to."""

    kind = "terminator"

    LIMITS = (Constraint("accuracy", False, 90.0, "%"),)

    @pytest.fixture(params=["no question", "a limit on accuracy", "the best accuracy"])
    def asked(self, request: pytest.FixtureRequest, plugin: Terminator) -> Terminator:
        """The terminator, told what is asked, as it is before the first training."""
        return self.told(plugin, request.param)

    def told(self, plugin: Terminator, question: str) -> Terminator:
        """Tell a terminator what is asked."""
        limits = self.LIMITS if question == "a limit on accuracy" else ()
        plugin.consider(limits, Accuracy() if question == "the best accuracy" else None)
        return plugin

    @staticmethod
    def curve(final: float) -> list[Epoch]:
        """Return the epochs of a training that ends at an accuracy."""
        return [Epoch(n, 2.0 / n, final * (1 - 0.5**n)) for n in range(1, EPOCHS + 1)]

    def questions(self) -> list[tuple[Sequence[Epoch], int, Sequence[Training]]]:
        """Return what a terminator is asked: after each epoch, with others that finished, stopped or still run."""
        finished = [Training(s, accuracy(s), "", tuple(self.curve(accuracy(s)))) for s in GRID[:20]]
        stopped = [
            Training(s, None, "stopped", tuple(self.curve(accuracy(s))[:4]), stop=Stop("it")) for s in GRID[20:23]
        ]
        running = [
            Training(s, None, curve=tuple(self.curve(accuracy(s))[:number]))
            for number, s in enumerate(GRID[23:27], start=1)
        ]
        others = [([], []), (finished[:1], []), ([], running), (finished, []), (finished + stopped, running)]
        return [
            (curve[:length], EPOCHS, Others(GRID[-1], InOrder(ended), InOrder(going_on)))
            for curve in (self.curve(10.0), self.curve(99.0))
            for length in range(1, EPOCHS + 1)
            for ended, going_on in others
        ]

    def test_answers_after_every_epoch(self, asked: Terminator) -> None:
        """It answers yes or no, also if no other training has finished yet."""
        for question in self.questions():
            checked.should_stop(asked, *question)

    def test_a_lower_quality_may_be_the_better(self, plugin: Terminator, twin: Terminator) -> None:
        """Told that values are errors, it stops what it would stop by the accuracies, 100 minus each error."""
        twin.quality = ERROR
        for question in ("a limit on accuracy", "the best accuracy"):
            self.told(plugin, question)
            twin.consider(
                [Constraint(ERROR.name, True, 100 - limit.limit, "%") for limit in self.LIMITS]
                if "limit" in question
                else (),
                best(ERROR) if "best" in question else None,
            )
            for curve, epochs, others in self.questions():
                turned = [replace(t, quality=_turned(t.quality), curve=_turn(t.curve)) for t in others]
                expected = checked.should_stop(plugin, curve, epochs, others)
                assert checked.should_stop(twin, _turn(curve), epochs, turned) == expected

    def test_answers_the_same_every_time(self, plugin: Terminator, twin: Terminator) -> None:
        """The answer depends on the curve and the other trainings alone."""
        one, other = (self.told(each, "the best accuracy") for each in (plugin, twin))
        first = [checked.should_stop(one, *question) for question in self.questions()]
        assert [checked.should_stop(other, *question) for question in reversed(self.questions())][::-1] == first
