"""Latencies of groups of networks, put together at random, warmed up, and visited in rounds, whatever runs them."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shape_dnn.errors import DeploymentError, TargetError
from shape_dnn.measuring.building import Builder, unsupported
from shape_dnn.measuring.rounds import Anchor, Series, Subject, visit_in_rounds
from shape_dnn.records import Measurement
from shape_dnn.shape import Shape
from shape_dnn.work import alive

GROUP = 24
"""Shapes measured side by side. More would keep more networks in memory, and lose more when the machine dies."""


class Timed(Subject, Protocol):
    """A network that is warmed up before it is visited."""

    def warm_up(self) -> None:
        """Run blocks until two in a row take nearly the same time.

        Raises:
            DeploymentError: what runs artifacts cannot have this one; it says nothing about others.
            TargetError: nothing can be timed any more.
        """

    def close(self) -> None:
        """Give back what it takes; it is not visited any more."""

    @property
    def details(self) -> Mapping[str, object]:
        """What is kept of warm-up and visits beside the samples, as JSON values."""


@dataclass(frozen=True)
class Groups:
    """How shapes are measured side by side.

    Attributes:
        builder: remembers which shapes do not fit into memory.
        prepare: makes what is timed of a shape.
        anchor: makes what is timed between visits, for each group anew; it returns the seconds of a call.
        state: of the machine, to be kept with each measurement of a group.
        seconds: most time spent on a shape after warm-up.
    """

    builder: Builder
    prepare: Callable[[Shape], Timed]
    anchor: Callable[[], Callable[[], float]]
    state: Callable[[], Mapping[str, object]]
    seconds: float

    def measure(self, shapes: Sequence[Shape]) -> Iterator[tuple[Shape, Measurement]]:
        """Measure every shape; one that does not fit into memory, or cannot be run, has no value.

        Raises:
            TargetError: nothing can be timed any more; whatever was known by then has been handed over.
        """
        builder, generator = self.builder, random.Random(0)
        waiting = generator.sample(shapes, len(shapes))
        while waiting:
            group: dict[Shape, Timed] = {}
            while waiting and len(group) < GROUP:
                shape = waiting.pop()
                timed = builder.attempt(shape, partial(self.prepare, shape))
                if timed is not None:
                    group[shape] = timed
                    continue
                if group and not builder.is_hopeless(shape):
                    waiting.append(shape)  # alone it may fit
                    builder.forget(shape)
                    break
                yield shape, builder.refusal(shape)
            if group:
                yield from self._measure_group(group, generator)
            group.clear()
            builder.release()

    def _measure_group(
        self, group: dict[Shape, Timed], generator: random.Random
    ) -> Iterator[tuple[Shape, Measurement]]:
        for shape, timed in list(group.items()):
            alive()
            try:
                timed.warm_up()
            except DeploymentError as error:
                group.pop(shape).close()
                yield shape, unsupported(error)
        if not group:
            return
        anchor = Anchor(self.anchor())
        found = visit_in_rounds(list(group.values()), anchor, self.seconds, generator)
        state = {**self.state(), "anchor_ms": anchor.usual * 1e3}
        lost = None
        for shape, series in zip(group, found, strict=True):
            if series.failure is None:
                yield shape, _measurement(series, {**state, **group[shape].details})
            elif isinstance(series.failure, TargetError):
                lost = series.failure
            else:
                yield shape, unsupported(series.failure)
        if lost is not None:
            raise lost
        for timed in group.values():
            timed.close()


def _measurement(series: Series, state: Mapping[str, object]) -> Measurement:
    estimate = series.estimate()
    details = {
        **state,
        "visits": estimate.visits,
        "disturbed_visits": estimate.disturbed,
        "signs": sorted({name for visit, _ in series.visits for name in visit.evidence}),
        "samples_ms": [[round(block * 1e3, 6) for block in visit.blocks] for visit, _ in series.visits],
        "anchor_samples_ms": [round(statistics.mean(beside) * 1e3, 6) for _, beside in series.visits],
    }
    throttled = sum("throttled" in visit.evidence for visit, _ in series.visits)
    status = "throttled" if estimate.is_contended and 2 * throttled > estimate.disturbed else estimate.status
    return Measurement(estimate.value * 1e3, estimate.low * 1e3, estimate.high * 1e3, status, details)
