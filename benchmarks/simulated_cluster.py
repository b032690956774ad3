"""A cluster without machines: trainings end in simulated time, and nodes join and leave with what runs on them.

A plugin: ``shape-dnn --plugin benchmarks/simulated_cluster.py --executor simulated``.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shape_dnn import Executor, Option, Outcome, Plugin, Shape, Task, hookimpl
from shape_dnn.errors import MachineLostError
from shape_dnn.records import Epoch, Training
from shape_dnn.study.preparer import work
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.task import TrainingTask
from shape_dnn.work import Needs

SLOTS = 10
"""Trainings at once on a node."""
AWAY = 0.5
"""Mean time for which a node is gone, in mean trainings."""


def accuracy(shape: Shape) -> float:
    """Return what a training of a shape comes to."""
    noise = random.Random(f"{shape}").gauss(0, 0.3)
    return min(99.9, 98 - 40 / shape.depth - 4 / float(shape.width) + noise)


@dataclass(eq=False)
class Job:
    """A training under way.

    Attributes:
        task: as the search has it.
        node: on which it runs.
        step: simulated time of an epoch.
        curve: epochs so far.
    """

    task: TrainingTask
    node: int
    step: float
    curve: list[Epoch] = field(default_factory=list)


class SimulatedCluster(Executor):
    """Runs nothing, and reports what trainings would.

    Args:
        nodes: that there are, with :data:`SLOTS` trainings at once each.
        epochs: of a training.
        stay: mean time after which a node leaves, in mean trainings; 0 for nodes that stay.
        seed: of the durations, and of when nodes leave.
    """

    elsewhere = True

    def __init__(self, nodes: int = 100, epochs: int = 12, stay: float = 20.0, seed: int = 0) -> None:
        self.epochs, self.stay = epochs, stay
        self._random = random.Random(seed)
        self._numbers = itertools.count()
        self._now = 0.0
        self._events: list[tuple[float, int, Job | int]] = []
        self._jobs: dict[int, list[Job]] = {node: [] for node in range(nodes)}
        self._free = [node for node in range(nodes) for _ in range(SLOTS)]
        self._away: set[int] = set()
        self._stopping = False
        for node in range(nodes if stay else 0):
            self._plan(stay * self._random.expovariate(1.0), node)

    def _plan(self, after: float, what: Job | int) -> None:
        heapq.heappush(self._events, (self._now + after, next(self._numbers), what))

    def device(self, wanted: str) -> str:
        """Return the processor."""
        return "cpu"

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Let time pass until every task has its outcome."""
        waiting, mean, running = deque[TrainingTask](), 1.0, 0
        for task in tasks:
            if isinstance(task, TrainingTask):
                waiting.append(task)
            elif isinstance(task, PreparingTask):
                yield Outcome(task, Preparation(None, {shape: Needs() for shape in task.shapes}))
            else:
                yield Outcome(task, 50.0)
        if waiting:
            mean = sum(work(task.shape) for task in waiting) / len(waiting)
        while running or (waiting and not self._stopping):
            while waiting and self._free and not self._stopping and running < (workers or running + 1):
                self._start(waiting.popleft(), mean)
                running += 1
            self._now, _, what = heapq.heappop(self._events)
            if isinstance(what, int):
                lost = self._toggle(what)
                running -= len(lost)
                error = MachineLostError(f"its node is gone: node {what}")
                error.machine = f"node {what}"
                for job in lost:
                    yield Outcome(job.task, error=error)
            elif what in self._jobs[what.node]:
                outcome = self._advance(what, report)
                if outcome is not None:
                    running -= 1
                    yield outcome

    def _start(self, task: TrainingTask, mean: float) -> None:
        node = self._free.pop()
        duration = work(task.shape) / mean * self._random.lognormvariate(0, 0.1)
        job = Job(task, node, duration / self.epochs)
        self._jobs[node].append(job)
        (task.checkpoints / task.attempt).mkdir(parents=True)  # as every worker does
        self._plan(job.step, job)

    def _advance(self, job: Job, report: Callable[[Task, object], bool]) -> Outcome | None:
        """End an epoch of a training; return its outcome if it was the last one."""
        number, best = len(job.curve) + 1, accuracy(job.task.shape)
        job.curve.append(Epoch(number, 1.0 / number, best * number / self.epochs))
        goes_on = report(job.task, job.curve[-1])
        if goes_on and number < self.epochs:
            self._plan(job.step, job)
            return None
        self._jobs[job.node].remove(job)
        self._free.append(job.node)
        if not goes_on:
            return Outcome(job.task, Training(job.task.shape, None, "stopped", tuple(job.curve)))
        job.task.weights.parent.mkdir(parents=True, exist_ok=True)
        job.task.weights.write_bytes(b"weights")
        return Outcome(job.task, Training(job.task.shape, best, "", tuple(job.curve), 60 * job.step * number))

    def _toggle(self, node: int) -> list[Job]:
        """Have a node leave, or join again; return what was lost."""
        lost, self._jobs[node] = self._jobs[node], []
        if node in self._away:
            self._away.remove(node)
            self._free += [node] * SLOTS
            self._plan(self.stay * self._random.expovariate(1.0), node)
        else:
            self._away.add(node)
            self._free = [other for other in self._free if other != node]
            self._plan(AWAY * self._random.expovariate(1.0), node)
        return lost

    def stop(self) -> None:
        """Start no further task."""
        self._stopping = True


@hookimpl
def shape_dnn_executors() -> Iterator[Plugin]:
    """Offer it."""
    yield Plugin(
        "simulated",
        "a cluster without machines",
        SimulatedCluster,
        {
            "nodes": Option(help="that there are", minimum=1),
            "stay": Option(help="mean time after which a node leaves, in mean trainings; 0 for nodes that stay"),
            "seed": Option(help="of the durations, and of when nodes leave"),
        },
    )
