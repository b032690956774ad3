"""How right is the time left that a running search shows, on real trainings and measurements?"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, field

from shape_dnn import tune
from shape_dnn.display.time_left import TimeLeft
from shape_dnn.events import EpochFinished, Event, Measured, MeasuringFinished, TrainingFinished, TrainingsPlanned

PARTS = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.95))
"""Of a measuring or a batch of trainings: from where to where."""
SHORTEST = 5.0
"""Seconds; nobody looks at the time left of what takes less."""


@dataclass
class Watch:
    """Notes what is shown, and compares it with what came."""

    left: TimeLeft = field(default_factory=TimeLeft)
    began: float = 0.0
    shown: list[tuple[float, float | None]] = field(default_factory=list)
    ratios: dict[tuple[float, float], list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})
    silent: int = 0

    def __call__(self, event: Event) -> None:
        """Take note of an event of the search."""
        self.left(event)
        now = time.monotonic()
        match event:
            case TrainingsPlanned() | MeasuringFinished():
                self.begin(now)
            case Measured(done=done, total=total) if done == total:
                self.end(now)
            case TrainingFinished(done=done, total=total) if done == total:
                self.end(now)
            case EpochFinished() | Measured() | TrainingFinished():
                self.shown.append((now, self.left.seconds))

    def begin(self, now: float) -> None:
        """A measuring or a batch begins."""
        self.began, self.shown = now, []

    def end(self, now: float) -> None:
        """It ends: now it is known how long it took."""
        if now - self.began > SHORTEST:
            for when, estimate in self.shown:
                place = (when - self.began) / (now - self.began)
                for part in PARTS:
                    if part[0] <= place < part[1] and estimate is not None:
                        self.ratios[part].append(estimate / (now - when))
                self.silent += estimate is None and place >= PARTS[0][1]
        self.begin(now)


def main() -> None:
    """Print how often it was right within a factor of two, by how far the work had come."""
    watch = Watch()
    watch.begin(time.monotonic())
    with tempfile.TemporaryDirectory() as study:
        tune(
            notify=watch, study=study, device="cpu", depth="10:29:6", width="1/4:2:1/4", max_latency="1s",
            sampler="interval", train=14, goal="accuracy",
        )  # fmt: skip
    for part, ratios in watch.ratios.items():
        if ratios:
            right = 100 * sum(0.5 <= ratio <= 2 for ratio in ratios) / len(ratios)
            done = f"{100 * part[0]:3.0f} to {100 * part[1]:3.0f} % done"
            middle = statistics.median(ratios)
            print(f"{done}: {right:5.1f} % of {len(ratios)} within a factor of two, median shown / true {middle:.2f}")
    print(f"nothing shown after the first quarter: {watch.silent} times")


if __name__ == "__main__":
    main()
