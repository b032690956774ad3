"""What runs on the nodes of a cluster."""

from __future__ import annotations

import functools
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from shape_dnn import devices
from shape_dnn.builtin.executors.local import Local
from shape_dnn.records import Training
from shape_dnn.system import processes
from shape_dnn.work import Task, sendable
from shape_dnn_ray import file_transfer
from shape_dnn_ray.file_transfer import Content, Parcel, Written
from shape_dnn_ray.mailbox import Started


class Finished(NamedTuple):
    """How a task ended on a node.

    Attributes:
        result: what it returned.
        error: what it raised instead.
        written: content of the files and directories that it was to write, in order; None for one that is not there.
    """

    result: object = None
    error: Exception | None = None
    written: Sequence[Written] = ()


def run(task: Task, number: int, threads: int, parcels: Mapping[Parcel, Any] | None, mailbox: Any) -> Finished:
    """Run a task in a worker process of Ray.

    Args:
        task: with the paths of the driver.
        number: by which the driver knows it.
        threads: of the operators of torch.
        parcels: references to the content of the files that it reads, each in a tuple, since Ray brings at once what an
            argument is itself; None if this node sees those of the driver.
        mailbox: where to report.
    """
    import ray

    _limit_threads(threads)
    context = ray.get_runtime_context()
    node = context.get_node_id()
    devices.grant(_cores(node, context.get_assigned_resources()))

    def report(content: object) -> bool:
        return bool(ray.get(mailbox.report.remote(number, node, content)))

    report(Started())
    directory = None
    try:
        if parcels is None:
            return Finished(_result(task, threads, report))
        directory = file_transfer.output()
        places = {
            parcel.path: file_transfer.unpack(parcel, partial(_bring, there)) for parcel, there in parcels.items()
        }
        places |= {path: file_transfer.scratch(path) for path in task.scratch}
        outputs = [directory / str(i) for i in range(len(task.writes))]
        places |= dict(zip(task.writes, outputs, strict=True))
        result = _result(task.moved(places), threads, report)
        if isinstance(result, Training) and result.quality is not None:  # so nothing will go on from there
            for path in task.scratch:
                file_transfer.remove(file_transfer.scratch(path))
        return Finished(result, written=file_transfer.read(outputs))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is an outcome
        return Finished(error=sendable(error))
    finally:
        if directory is not None:
            file_transfer.remove(directory)


def _result(task: Task, threads: int, report: Callable[[object], bool]) -> object:
    """Run a task in this process, or in a fresh one if that is what it needs.

    Of Ray's own processes none is known to be fresh, and a new one takes seconds. Had one forked others when it died,
    these would keep Ray from seeing it for minutes.
    """
    if not task.needs.fresh:
        processes.start_copies()
        return task.run(report)
    (outcome,) = _processes(threads).run([task], 1, lambda _, content: report(content))
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


@functools.cache
def _processes(threads: int) -> Local:
    vars(sys.modules["__main__"]).pop("__file__", None)  # it is Ray's, and each new process would import that
    return Local(threads)


def _bring(reference: tuple[Any]) -> Content:
    """Fetch the content of a parcel from the object store."""
    import ray

    content: Content = ray.get(reference[0])
    return content


def _cores(node: str, assigned: Mapping[str, float]) -> int:
    """Return how many cores of its node a task may keep busy, which sees all of them whatever it has.

    It has those that it asked for. Before anybody knows what a training takes, it is asked with the part of the cores
    that belongs to its GPU.

    Args:
        node: number of the node.
        assigned: resources that the task has there, by name.
    """
    part = 0.0
    if assigned.get("GPU"):
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()
        there: dict[str, float] = next((each["Resources"] for each in nodes if each["NodeID"] == node), {})
        part = there.get("CPU", 0.0) * min(1.0, assigned["GPU"] / there.get("GPU", math.inf))
    return max(1, int(assigned.get("CPU", 0.0)), int(part))


def _limit_threads(threads: int) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch where it is not imported yet
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def write(paths: Sequence[Path], contents: Sequence[Written]) -> None:
    """Put what a task has written where the driver wants it."""
    for path, content in zip(paths, contents, strict=True):
        file_transfer.write(path, content)
