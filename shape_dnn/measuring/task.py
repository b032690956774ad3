"""Measure shapes by an instrument in a worker process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from shape_dnn.errors import MeterError
from shape_dnn.kinds import Conditions, Instrument, Shipping, Workload
from shape_dnn.plugins import checked_meters
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sending import Sendable
from shape_dnn.plugins.sources import Choice
from shape_dnn.work import Needs, Task, showing_life

if TYPE_CHECKING:
    from shape_dnn.kinds import Architecture, Deployment, Target
    from shape_dnn.shape import Shape


@dataclass(frozen=True)
class Freight:
    """What ships, as it is sent to a worker.

    Attributes:
        deployment: makes artifacts.
        target: runs them.
        artifacts: directory for those with random weights; where it is not there, they are made in one that is removed.
    """

    deployment: Sendable[Deployment]
    target: Target
    artifacts: Path

    @contextmanager
    def loaded(self) -> Iterator[Shipping]:
        """Create the deployment."""
        there = self.artifacts.is_dir()  # not on a machine that does not see the study
        with nullcontext(self.artifacts) if there else tempfile.TemporaryDirectory() as artifacts:
            yield Shipping(self.deployment.load(), self.target, Path(artifacts))


@dataclass(frozen=True)
class Bench:
    """A meter, and what it measures shapes under.

    Attributes:
        meter: which instrument.
        plugin_files: files that may declare it.
        networks: what is measured.
        conditions: under which shapes are measured.
        freight: the artifacts to measure instead of networks; None for networks as torch runs them.
    """

    meter: Choice
    plugin_files: tuple[Path, ...]
    networks: Sendable[Architecture]
    conditions: Conditions
    freight: Freight | None = None

    @contextmanager
    def set_up(self) -> Iterator[tuple[Instrument, Workload]]:
        """Create both."""
        meter = cast("Instrument", Registry(self.plugin_files).load_again(self.meter))
        with nullcontext() if self.freight is None else self.freight.loaded() as shipping:
            yield meter, self.conditions.of(self.networks.load(), shipping)


class BenchTask(Task):
    """What is done on the device that is measured.

    Attributes:
        bench: the meter.
    """

    bench: Bench

    @property
    def needs(self) -> Needs:
        """The device for itself."""
        return Needs(self.bench.conditions.device, exclusive=True)

    @property
    def reads(self) -> tuple[Path, ...]:
        """Plugins."""
        return tuple(dict.fromkeys((*self.bench.plugin_files, *self.bench.networks.files)))


@dataclass(frozen=True)
class IdentityTask(BenchTask):
    """Find out what determines the values of a meter, apart from what the search knows itself.

    Attributes:
        bench: the meter.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
    """

    bench: Bench
    attempt: str = ""
    patience: float | None = None

    def run(self, report: Callable[[object], bool]) -> dict[str, object]:
        """Return the identity that the instrument states.

        Raises:
            MeterError: there is nothing to measure with.
        """
        with showing_life(report), self.bench.set_up() as (meter, workload):
            return checked_meters.identity(meter, workload)


@dataclass(frozen=True)
class MeasuringTask(BenchTask):
    """Measure one metric of several shapes.

    Attributes:
        bench: the meter.
        shapes: what to measure.
        expected: the identity of the instrument, if the device may be another one by now.
        attempt: tells this task from others.
        patience: seconds without a sign of life after which it is given up.
    """

    bench: Bench
    shapes: tuple[Shape, ...]
    expected: Mapping[str, object] | None = None
    attempt: str = ""
    patience: float | None = None

    def run(self, report: Callable[[object], bool]) -> int:
        """Report a pair of shape and measurement for each shape; return how many there were.

        Raises:
            MeterError: the sensor failed, or the device is not the one that was expected.
        """
        with showing_life(report), self.bench.set_up() as (meter, workload):
            if self.expected is not None and checked_meters.identity(meter, workload) != self.expected:
                raise MeterError("the device is of another kind than the one that was measured before; start again")
            measured = 0
            for shape, measurement in meter.measure(workload, self.shapes):
                measured += 1
                if not report((shape, measurement)):
                    break
            return measured
