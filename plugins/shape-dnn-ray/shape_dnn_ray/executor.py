"""An executor on the tasks of Ray."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shape_dnn.errors import MachineLostError, ProcessDiedError, UnavailableError, UsageError, describe
from shape_dnn.kinds import Executor
from shape_dnn.system import durable
from shape_dnn.work import Needs, Outcome, Task
from shape_dnn_ray import amd, file_transfer, joining, node
from shape_dnn_ray.file_transfer import Parcel
from shape_dnn_ray.mailbox import Mailbox, Message, Started

if "RAY_AUTH_MODE" not in os.environ and (
    {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys() or (Path.home() / ".ray" / "auth_token").is_file()
):
    # As Ray itself does wherever it finds a token, but for a cluster that is named by its address. It looks only once.
    os.environ["RAY_AUTH_MODE"] = "token"

amd.keep_out()

try:
    import ray
    from ray import exceptions
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except Exception as error:  # noqa: BLE001 - what it imports in turn can fail in any way
    raise UnavailableError(f"Ray cannot be imported: {describe(error)} (install it anew)") from None

POLL = 1.0
"""Seconds between two looks at the clock."""
PENDING = 1000
"""Tasks given to Ray at a time: enough for its autoscaler to see the need, few enough to be taken back."""
ON_PROCESSOR = ray.remote(max_calls=100)(node.run)
"""Runs a task in a process that goes on, and is replaced by a new one after so many."""
ON_GPU = ray.remote(max_calls=1)(node.run)
"""Runs a task in a process that ends with it. It would see no other GPU, and keep memory and failures of this one."""
LEAST_PART = 0.001
"""Of a GPU, also where a training needs less."""
LOSS_SECONDS = 10.0
"""How long Ray may take to notice that a node is gone, after it noticed that a task is."""


@dataclass
class Running:
    """A task that was given to Ray.

    Attributes:
        task: the task.
        number: by which its messages are known.
        node: where it runs; None while it waits for resources.
        silence: seconds that were waited for a sign of life since the last one.
        taken_back: whether it was cancelled before it was known to have begun.
    """

    task: Task
    number: int
    node: str | None = None
    silence: float = 0.0
    taken_back: bool = False


class RayCluster(Executor):
    """Tasks of Ray, each in a process of a node that has the processors, the memory and the part of a GPU it needs.

    Every task is run once: Ray's own retries are off, since it is the search that makes another attempt.

    Args:
        address: HOST:PORT of a cluster; by default one that this machine is part of, and otherwise one of its own.
        threads: of a training on a processor.
        shared: whether all nodes see the directory of the study under the path that it has here. Otherwise images
            travel once to each node, and weights come back with the result.
        measure_on: name of the resource that the node has whose device is measured; by default any node that has one.
    """

    elsewhere = True

    def __init__(self, address: str = "", threads: int = 1, shared: bool = False, measure_on: str = "") -> None:
        self.address = address
        self.threads = threads
        self.shared = shared
        self.measure_on = measure_on
        self._numbers = itertools.count(1)
        self._running: dict[Any, Running] = {}
        self._sent: dict[Path, tuple[Parcel, Any]] = {}
        self._mailbox: Any = None
        self._mail: Any = None
        self._bench: str | None = None
        self._owns_connection = False
        self._stopping = False

    # The cluster

    def device(self, wanted: str) -> str:
        """Return ``cpu``, or ``cuda:0`` for whichever GPU Ray gives to a task."""
        self._connect()
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        if wanted == "auto":
            return "cuda:0" if has_gpu else "cpu"
        if wanted == "cpu" or (wanted == "cuda" and has_gpu):
            return "cuda:0" if wanted == "cuda" else wanted
        there = "cpu, cuda" if has_gpu else "cpu"
        raise UsageError(f"{wanted!r} is not there; the nodes of the cluster have: {there}", setting="device")

    def _connect(self) -> None:
        if self._mailbox is not None:
            return
        if not ray.is_initialized():
            joining.join(self.address)
            self._owns_connection = True
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._mailbox = (
            ray.remote(Mailbox).options(num_cpus=0, max_concurrency=10_000, scheduling_strategy=here).remote()
        )

    # Tasks

    def run(
        self, tasks: Sequence[Task], workers: int | None, report: Callable[[Task, object], bool]
    ) -> Iterator[Outcome]:
        """Give the tasks to Ray in order, and wait for what comes."""
        if not tasks:
            return
        self._connect()
        waiting = deque(tasks)
        # One that is waited for stays from run to run: if it were given up, it might take a message with it.
        self._mail = self._mail or self._mailbox.fetch.remote()
        while self._running or (waiting and not self._stopping):
            most = workers or PENDING
            # Once for all that start now: of hundreds of nodes it takes longer than to start one.
            nodes = _alive() if waiting and len(self._running) < most else []
            while waiting and len(self._running) < most and not self._stopping:
                task = waiting.popleft()
                try:
                    resources = self._resources(task.needs, nodes)
                except UnavailableError as error:
                    yield Outcome(task, error=error)
                else:
                    self._start(task, resources)
            if self._stopping:
                self._take_back()
            references = [self._mail, *self._running]
            before = time.monotonic()
            ray.wait(references, num_returns=1, timeout=POLL)
            # Time in which this process was stopped, or did something else, is not held against them.
            passed = min(time.monotonic() - before, POLL)
            for running in self._running.values():
                running.silence += passed
            ready, _ = ray.wait(references, num_returns=len(references), timeout=0)
            if self._mail in ready:
                messages = ray.get(self._mail)
                self._mail = self._mailbox.fetch.remote()
                self._answer(messages, report)
            for reference in [reference for reference in ready if reference in self._running]:
                outcome = self._finish(reference)
                if outcome is not None:
                    yield outcome
            yield from self._give_up()

    def _start(self, task: Task, resources: Mapping[str, Any]) -> None:
        running = Running(task, next(self._numbers))
        parcels = None if self.shared else {parcel: (reference,) for parcel, reference in map(self._send, task.reads)}
        if self.shared:
            task = task.moved({path: path.resolve() for path in (*task.reads, *task.writes, *task.scratch)})
        function = (ON_GPU if "num_gpus" in resources else ON_PROCESSOR).options(max_retries=0, **resources)
        self._running[function.remote(task, running.number, self.threads, parcels, self._mailbox)] = running

    def _send(self, path: Path) -> tuple[Parcel, Any]:
        """Put a file or directory into the object store, once."""
        if path not in self._sent:
            parcel, content = file_transfer.pack(path)
            self._sent[path] = (parcel, ray.put(content))
        return self._sent[path]

    def _resources(self, needs: Needs, nodes: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
        """Say what a task takes of one of these nodes, by default of any that is there, in Ray's words.

        Raises:
            UnavailableError: no node has so much, so it would wait endlessly.
        """
        if needs.exclusive:
            return self._bench_resources(needs)
        cores, on_gpu = max(self.threads, needs.cores) + needs.loaders, needs.device != "cpu"
        # A process beside others leaves them what they need; of one that is not known, nobody knows what that is.
        part = min(1.0, max(LEAST_PART, round(needs.share, 3))) if needs.share else 1.0
        gpus = (needs.whole_gpus or part) if on_gpu else 0
        there = [node["Resources"] for node in (_alive() if nodes is None else nodes)]
        able = [each for each in there if each.get("CPU", 0) >= cores and each.get("GPU", 0) >= gpus]
        if not able:
            most = ", ".join(f"{each.get('CPU', 0):g} and {each.get('GPU', 0):g}" for each in there)
            wanted = f"{cores} processor{'s' * (cores > 1)}" + f" and {gpus:g} GPU{'s' * (gpus > 1)}" * on_gpu
            raise UnavailableError(
                f"a training takes {wanted} of one node, and the nodes of the cluster have: {most}; have its trainer "
                "declare fewer, or add a node"
            )
        if on_gpu:
            return {"num_cpus": cores, "num_gpus": gpus}
        return {"num_cpus": cores, "memory": int(min(needs.memory, max(each.get("memory", 0.0) for each in able)))}

    def _bench_resources(self, needs: Needs) -> dict[str, Any]:
        """Take the device of one node for itself, the same node every time.

        Raises:
            UnavailableError: no node has such a device.
        """
        kind = "CPU" if needs.device == "cpu" else "GPU"
        there = {each["NodeID"]: each["Resources"] for each in _alive()}
        if self._bench not in there:
            able = [
                name
                for name, resources in there.items()
                if resources.get(kind, 0) >= 1 and (not self.measure_on or resources.get(self.measure_on, 0) > 0)
            ]
            if not able:
                names = {name for resources in there.values() for name in resources if not name.startswith("node:")}
                wanted = f" and the resource {self.measure_on!r}" if self.measure_on else ""
                raise UnavailableError(
                    f"no node of the cluster has a {kind}{wanted} to measure on; the resources there are: "
                    + ", ".join(sorted(names))
                )
            self._bench = min(able)
        assert self._bench is not None  # noqa: S101 - just chosen
        strategy = NodeAffinitySchedulingStrategy(self._bench, soft=False)
        amount = there[self._bench][kind] if kind == "CPU" else 1
        return {"scheduling_strategy": strategy, f"num_{kind.lower()}s": amount}

    # What comes

    def _answer(self, messages: Sequence[Message], report: Callable[[Task, object], bool]) -> None:
        """Take in reports, and say which tasks are to go on; those that were given up are not."""
        known = {running.number: running for running in self._running.values()}
        answers: dict[int, bool] = {}
        for message in messages:
            running = known.get(message.task)
            if running is not None:
                running.node, running.silence = message.node, 0.0
            started = isinstance(message.content, Started)
            answers[message.number] = running is not None and (started or report(running.task, message.content))
        self._mailbox.answer.remote(answers)

    def _finish(self, reference: Any) -> Outcome | None:
        """Return the outcome of a task that ended; None for one that was taken back, be it when it had just begun."""
        running = self._running.pop(reference)
        try:
            finished: node.Finished = ray.get(reference)
        except exceptions.RayError as error:
            return None if running.taken_back else Outcome(running.task, error=_failure(running, error))
        if finished.error is not None:
            return None if running.taken_back else Outcome(running.task, error=finished.error)
        if finished.written:
            with durable.naming_errors(running.task.writes[0]):
                node.write(running.task.writes, finished.written)
        return Outcome(running.task, finished.result)

    def _give_up(self) -> Iterator[Outcome]:
        """End tasks that run and show no sign of life for longer than their patience."""
        for reference, running in list(self._running.items()):
            patience = running.task.patience
            if running.node is not None and patience is not None and running.silence > patience:
                del self._running[reference]
                ray.cancel(reference, force=True)
                message = f"it hung: no sign of life for {running.silence:.3g} s, so it was ended"
                yield Outcome(running.task, error=ProcessDiedError(message))

    def _take_back(self) -> None:
        """Cancel what has not begun."""
        for reference, running in self._running.items():
            if running.node is None and not running.taken_back:
                running.taken_back = True
                ray.cancel(reference)

    def stop(self) -> None:
        """Start no further task."""
        self._stopping = True

    def close(self) -> None:
        """Cancel what runs, and leave the cluster, or end it if it is this executor's own."""
        if self._mailbox is None or not ray.is_initialized():
            return
        for reference in self._running:
            ray.cancel(reference, force=True)
        self._running.clear()
        self._sent.clear()
        ray.kill(self._mailbox)
        self._mailbox = self._mail = None
        if self._owns_connection:
            ray.shutdown()


def _alive() -> list[Mapping[str, Any]]:
    """Return the nodes that are there."""
    return [each for each in ray.nodes() if each["Alive"]]


def _failure(running: Running, error: Exception) -> ProcessDiedError:
    """Tell a lost machine from a process that died on one, and from what surrounds the task there."""
    if isinstance(error, exceptions.RayTaskError):
        return ProcessDiedError(f"it failed on its node: {str(error)[-300:]}")
    if isinstance(error, exceptions.TaskCancelledError):  # also where nobody cancels it, but it raises what Ctrl-C does
        return ProcessDiedError("it was interrupted on its node")
    why = " ".join(str(error).split())[:300]
    end = time.monotonic() + LOSS_SECONDS
    while running.node is not None and not isinstance(error, exceptions.OutOfMemoryError):
        if running.node not in {each["NodeID"] for each in _alive()}:
            return MachineLostError(f"its node is gone: {why}", running.node)
        if isinstance(error, exceptions.WorkerCrashedError) or time.monotonic() > end:
            break
        time.sleep(POLL / 4)
    if running.node is None or isinstance(error, exceptions.NodeDiedError):
        return MachineLostError(f"its node is gone: {why}", running.node or "")
    return ProcessDiedError(f"its process ended: {why}")
