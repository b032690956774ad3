"""A machine that drifts, with known latencies, on which the interleaved rounds can be tried without a clock."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import numpy as np

from shape_dnn.measuring.rounds import Anchor, Estimate, Visit, visit_in_rounds

KINDS = ("none", "ramp", "wave", "step", "bursts")
"""How a machine can drift: not, steadily, up and down, once for good, or by other work now and then."""


def slowness(kind: str, generator: random.Random) -> Callable[[float], float]:
    """Draw how much slower than usual a machine is at each moment, as a part of the time a call takes."""
    sign, moment, period, phase = (
        generator.choice((-1, 1)),
        generator.uniform(1, 8),
        math.exp(generator.uniform(0, math.log(60))),
        generator.random(),
    )
    kinds: dict[str, Callable[[float], float]] = {
        "none": lambda _: 0.0,
        "ramp": lambda t: sign * 0.004 * min(t, 10.0),
        "wave": lambda t: 0.03 * math.sin(2 * math.pi * (t / period + phase)),
        "step": lambda t: sign * 0.03 * (t > moment),
        "bursts": lambda t: 0.3 * (math.sin(2 * math.pi * (t / 3 + phase)) > 0.8),
    }
    return kinds[kind]


class Machine:
    """A simulated clock, and what calls take at each moment.

    Args:
        generator: of the noise of single calls.
        slowness: see :func:`slowness`.
    """

    def __init__(self, generator: random.Random, slowness: Callable[[float], float]) -> None:
        self.generator = generator
        self.slowness = slowness
        self.now = 0.0

    def run(self, seconds: float) -> float:
        """Let time pass for something that usually takes so long; return how long it took."""
        taken = seconds * (1 + self.slowness(self.now)) * math.exp(self.generator.gauss(0, 0.01))
        self.now += taken
        return taken

    def anchor(self) -> float:
        """Time the anchor."""
        return statistics.median(self.run(0.5e-3) for _ in range(4))

    @property
    def usual(self) -> float:
        """The median of its slowness so far, as a factor."""
        return 1 + float(np.median([self.slowness(t) for t in np.linspace(0, self.now, 500)]))


class Network:
    """Something whose true latency is known."""

    def __init__(self, machine: Machine, seconds: float) -> None:
        self.machine, self.seconds = machine, seconds

    def visit(self) -> Visit:
        """Time three blocks of 20 ms."""
        calls = max(1, round(0.02 / self.seconds))
        blocks = tuple(self.machine.run(self.seconds * calls) / calls for _ in range(3))
        return Visit(blocks, sum(blocks) * calls)


def estimates(kind: str, seed: int, networks: int = 6) -> list[tuple[float, Estimate]]:
    """Measure networks on a drifting machine; return for each its true latency there and the estimate."""
    generator = random.Random(seed)
    machine = Machine(generator, slowness(kind, generator))
    true = [generator.uniform(0.3e-3, 30e-3) for _ in range(networks)]
    found = visit_in_rounds([Network(machine, t) for t in true], Anchor(machine.anchor), 1.0, generator)
    return [(seconds * machine.usual, series.estimate()) for seconds, series in zip(true, found, strict=True)]
