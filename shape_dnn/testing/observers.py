"""What every observer must keep to."""

from __future__ import annotations

from shape_dnn import events
from shape_dnn.kinds import Observer
from shape_dnn.records import Epoch, Measurement, Training
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, accuracy

SHAPE = GRID[0]
EVENTS: tuple[events.Event, ...] = (
    events.StageFinished("size", "<= 2", "MB", 45, 6),
    events.Measured("latency", "ms", SHAPE, Measurement(1.5, 1.4, 1.6), 1, 2),
    events.Measured("latency", "ms", GRID[1], Measurement(None, status="out of memory"), 2, 2),
    events.MeasuringFinished("latency", {"ok": 1, "out of memory": 1}),
    events.Fitted("latency", 3, 4),
    events.TrainingsPlanned(GRID[:3], 1, 0),
    events.TrainingsPrepared("bfloat16", 1.8, 400_000_000),
    events.EpochFinished(SHAPE, Epoch(1, 2.0, 50.0), 2),
    events.TrainingFinished(Training(SHAPE, accuracy(SHAPE), "", (Epoch(1, 2.0, 50.0),), 1.0), 1, 2),
    events.TrainingFinished(Training(GRID[1], None, "the loss became nan"), 2, 2),
    events.Tested(SHAPE, 90.0),
)
"""One of every kind, and those that tell of a failure."""


class ObserverContract(Contract):
    """What every observer must keep to."""

    kind = "observer"

    def test_bears_every_event(self, plugin: Observer) -> None:
        """In any order, and of kinds that it does not know."""

        class Unheard(events.Event):
            """Of a later version."""

        for event in (*EVENTS, *reversed(EVENTS), Unheard()):
            plugin.notify(event)
        plugin.close()

    def test_can_be_closed_without_an_event(self, plugin: Observer) -> None:
        """A search may end before anything happens."""
        plugin.close()
