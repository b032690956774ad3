"""What every observer must keep to."""

from __future__ import annotations

from shape_dnn import events
from shape_dnn.kinds import Observer
from shape_dnn.records import Epoch, Measurement, Training
from shape_dnn.testing.contract import Contract
from shape_dnn.testing.spaces import GRID, accuracy

SHAPE = GRID[0]
ROW = {
    "depth": SHAPE.depth, "width": float(SHAPE.width), "size": 1.2, "latency": 1.5, "energy": None,
    "accuracy": accuracy(SHAPE), "predicted_accuracy": 88.5, "predicted_std": 0.5, "estimated": ["latency"],
}  # fmt: skip
RESULT = {
    "space": {"arch": "wrn", "shapes": 45},
    "stages": [{"metric": "size", "limit": 2.0, "before": 45, "after": 6}],
    "trained": [{"depth": SHAPE.depth, "width": float(SHAPE.width), "accuracy": accuracy(SHAPE)}],
    "failed": [{"depth": GRID[1].depth, "width": float(GRID[1].width), "reason": "the loss became nan"}],
    "shapes": [ROW],
    "best": {**ROW, "test_accuracy": 90.0},
    "verified": True,
    "cost": {"trained": 2, "candidates": 6, "percent_of_space": 4.4, "speedup": 3.0, "new_trainings": 2},
    "plugins": [{"kind": "sampler", "name": "active", "distribution": "shape-dnn", "version": "1.0"}],
}
"""The result of a small search that found an answer."""
EVENTS: tuple[events.Event, ...] = (
    events.SearchStarted({"study": "study", "goal": "size", "max_size": None, "observer": ["jsonl"]}, 45),
    events.DatasetRead("folder", 700, 1000),
    events.StageFinished("size", "<= 2", "MB", 45, 6),
    events.Remarked("latency", "pi: the governor of the processor is powersave"),
    events.Measured("latency", "ms", SHAPE, Measurement(1.5, 1.4, 1.6), 1, 2),
    events.Measured("latency", "ms", GRID[1], Measurement(None, status="out of memory"), 2, 2),
    events.MeasuringFinished("latency", {"ok": 1, "out of memory": 1}),
    events.Fitted("latency", 3, 4),
    events.Chosen(SHAPE, events.Reason.SAMPLE),
    events.Chosen(GRID[1], events.Reason.IMPROVES, 91.0, 0.5, 0.9, 0.3),
    events.TrainingsPlanned(GRID[:3], 1, 0),
    events.TrainingsPrepared("bfloat16", "bfloat16: the processor has avx512_bf16", 400_000_000),
    events.EpochFinished(SHAPE, Epoch(1, 2.0, 50.0), 2),
    events.EpochFinished(SHAPE, Epoch(2, None, 60.0, {"learning_rate": 0.1}), None),
    events.TrainingLost(SHAPE, "node 3"),
    events.TrainedAgain(GRID[1], 40.0, 88.0),
    events.TrainingFinished(Training(SHAPE, accuracy(SHAPE), "", (Epoch(1, 2.0, 50.0),), 1.0), 1, 2),
    events.TrainingFinished(Training(GRID[1], None, "the loss became nan"), 2, 2),
    events.Converted(SHAPE, 89.0, 91.0, True, 1, 2),
    events.Judged(2, 0.125, SHAPE, 0.3),
    events.Tested(SHAPE, 90.0),
    events.SearchFinished(RESULT, ()),
)
"""One event of every kind, also some that tell of a failure, and a point of a curve without a loss or a known end."""


class ObserverContract(Contract):
    """What every observer must keep to."""

    kind = "observer"

    def test_bears_every_event(self, plugin: Observer) -> None:
        """Events may come in any order, and be of kinds that it does not know."""

        class Unheard(events.Event):
            """Of a later version."""

        for event in (*EVENTS, *reversed(EVENTS), Unheard()):
            plugin.notify(event)
        plugin.close()

    def test_can_be_closed_without_an_event(self, plugin: Observer) -> None:
        """A search may end before anything happens."""
        plugin.close()
