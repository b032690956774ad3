"""From what a task needs to a job of Slurm, by submitit."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from shape_dnn.errors import UnavailableError, UsageError
from shape_dnn.work import Needs
from shape_dnn_slurm import cluster
from shape_dnn_slurm.cluster import NAME, Partition
from shape_dnn_slurm.job import Work

USUAL_MINUTES = 240
STARTING_MINUTES = 10
"""What a job takes at most before its training begins: to import torch from a shared file system, and the like."""
NOTICE_SECONDS = 90
"""Before its time is over, a job is told so."""
OF_A_PROCESS = 1024
"""MB that a process takes beside what is known of its task."""
HEADROOM = 1.25
MB = 2**20
ARRAY = 1000
"""Elements of an array at most; many clusters accept so many."""


OWN = "the executor decides itself"
DECIDED = {
    "time": "is -o executor.time", "partition": "is -o executor.partition",
    **dict.fromkeys(("array", "error", "job-name", "no-requeue", "open-mode", "output", "requeue", "signal"), OWN),
}  # fmt: skip
"""Flags of sbatch that have another place, and which."""


class BusyError(Exception):
    """Slurm takes no further job at the moment."""


@dataclass(frozen=True)
class Ask:
    """What a job asks for.

    Attributes:
        cores: processors.
        gpus: of one node.
        memory: MB; 0 for what the cluster gives.
        minutes: of time.
        exclusive: whether it has a node for itself, to measure.
        requeues: whether it is to be started again where it is preempted, or its node fails.
        node: by name; empty for any.
    """

    cores: int
    gpus: int
    memory: int
    minutes: int
    exclusive: bool
    requeues: bool
    node: str = ""

    def __str__(self) -> str:
        """Say it in words."""
        parts = [f"{self.cores} processor{'s' * (self.cores > 1)}", f"{self.minutes} minutes"]
        if self.memory:
            parts.append(f"{self.memory} MB")
        if self.gpus:
            parts.append(f"{self.gpus} GPU{'s' * (self.gpus > 1)}")
        return ", ".join(parts) + (", a whole node" if self.exclusive else "")


@dataclass(frozen=True)
class Terms:
    """What the user says of jobs, as options of the executor."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    time: str = ""
    memory: str = ""
    cores: int = 0
    threads: int = 1
    gpu: str = ""
    setup: str = ""
    python: str = ""
    sbatch: str = ""
    measure_partition: str = ""
    measure_constraint: str = ""

    def __post_init__(self) -> None:
        """Read what has a form of its own, so that a mistake shows before anything starts."""
        self.least_memory()
        self.most_minutes()
        self.further()

    def least_memory(self) -> int:
        """Return the MB that a job has at least; 0 for what its task is expected to need.

        Raises:
            UsageError: it cannot be read.
        """
        found = re.fullmatch(r"(\d+)([KMGT]?)B?", self.memory.upper() or "0")
        if found is None:
            raise UsageError(f"executor.memory is {self.memory!r}; accepted are sizes such as 16G and 800M", "option")
        return int(int(found[1]) * 1024.0 ** ("KMGT".index(found[2] or "M") - 1))

    def most_minutes(self) -> int | None:
        """Return the most minutes for one job; None if the user does not say.

        Raises:
            UsageError: it cannot be read.
        """
        with contextlib.suppress(ValueError):
            most = cluster.minutes(self.time) if self.time else None
            if not self.time or most:
                return most
        accepted = "accepted are minutes, HH:MM:SS, DAYS-HH and DAYS-HH:MM:SS"
        raise UsageError(f"executor.time is {self.time!r}; {accepted}", "option")

    def further(self) -> dict[str, object]:
        """Return the flags of sbatch that the user adds, by name.

        Raises:
            UsageError: one is not of the form --NAME or --NAME=VALUE, or is decided by the executor.
        """
        flags: dict[str, object] = {}
        try:
            words = shlex.split(self.sbatch)
        except ValueError as error:
            raise UsageError(f"executor.sbatch is {self.sbatch!r}: {str(error).lower()}", "option") from None
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            if not word.startswith("--") or not name:
                raise UsageError(f"executor.sbatch has {word!r}; accepted are --NAME and --NAME=VALUE", "option")
            if name in DECIDED:
                raise UsageError(f"executor.sbatch has {word!r}, which {DECIDED[name]}", "option")
            flags[name] = value if equals else True
        return flags

    def place(self, needs: Needs) -> Partition:
        """Look at the partition where a task belongs.

        Raises:
            UsageError: it is not there.
        """
        if needs.exclusive and self.measure_partition:
            return cluster.partition(self.measure_partition, "measure_partition")
        return cluster.partition(self.partition)

    def ask(self, needs: Needs, place: Partition, *, requeues: bool, least_memory: int = 0, node: str = "") -> Ask:
        """Say what the job of a task asks for.

        Jobs that ask for the same are submitted as one array, so memory and time are rounded up.

        Args:
            needs: of the task.
            place: where it belongs.
            requeues: whether it goes on where it was when it is started again.
            least_memory: MB that it is known to need.
            node: by name; empty for any.
        """
        on_gpu = needs.device.startswith("cuda")
        memory = 0
        if not needs.exclusive:
            is_known = needs.memory and place.memory and not on_gpu
            known = int(HEADROOM * needs.memory / MB) + OF_A_PROCESS if is_known else 0
            memory = max(-(-known // 512) * 512, self.least_memory(), least_memory)
            # The estimate is what a training needs at most, so it may fit where that is not.
            memory = min(memory, place.memory) if place.memory else memory
        most = self.most_minutes() or min(USUAL_MINUTES, place.minutes or USUAL_MINUTES)
        wanted = -(-(2 * needs.seconds / 60 + STARTING_MINUTES) // 15) * 15 if needs.seconds else most
        cores = max(self.cores, max(self.threads, needs.cores) + needs.loaders)
        if on_gpu and not (needs.memory or self.cores):
            # Nobody knows yet what a training takes, which may be all that belongs to its GPU, to decode images.
            cores = max(cores, place.cores_per_gpu)
        gpus = (needs.whole_gpus or 1) if on_gpu else 0
        return Ask(cores, gpus, memory, int(min(wanted, most)), needs.exclusive, requeues, node)

    def parameters(self, ask: Ask) -> dict[str, Any]:
        """Return them in submitit's words."""
        more = {**self.further(), "requeue" if ask.requeues else "no-requeue": True}
        constraint, partition = self.constraint, self.partition
        if ask.exclusive:
            constraint, partition = self.measure_constraint or constraint, self.measure_partition or partition
            more["mem"] = 0  # all that the node has
        gpus = f"{self.gpu}:{ask.gpus}" if self.gpu else ask.gpus
        chosen = {
            "job_name": NAME, "partition": partition, "account": self.account, "qos": self.qos,
            "constraint": constraint, "time": ask.minutes, "cpus_per_task": None if ask.exclusive else ask.cores,
            "gpus_per_node": gpus if ask.gpus else None, "mem": f"{ask.memory}MB" if ask.memory else None,
            "nodelist": ask.node, "exclusive": ask.exclusive or None, "setup": [self.setup] if self.setup else None,
            # Without it, a step would have one processor of those that the job has.
            "array_parallelism": ARRAY,
            "srun_args": ["--cpu-bind=none"] if ask.exclusive else [f"--cpus-per-task={ask.cores}"],
            "signal_delay_s": min(NOTICE_SECONDS, 15 * ask.minutes), "additional_parameters": more,
        }  # fmt: skip
        return {name: value for name, value in chosen.items() if value not in (None, "")} | {"wckey": None}


def submit(terms: Terms, logs: Path, ask: Ask, works: Sequence[Work]) -> list[str]:
    """Submit jobs that ask for the same, as one array; return their numbers.

    Raises:
        UsageError: Slurm does not accept what the user says of jobs.
        UnavailableError: there is no node that has what they ask for, or Slurm does not answer.
        BusyError: Slurm takes no more jobs of this user now.
    """
    said = io.StringIO()
    try:
        with _own_environment(), contextlib.redirect_stderr(said):  # on which submitit repeats what sbatch says
            executor = submitit.SlurmExecutor(folder=logs, python=terms.python or None)
            executor.update_parameters(**terms.parameters(ask))
            with executor.batch():
                jobs = [executor.submit(work) for work in works]
            return [str(job.job_id) for job in jobs]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise _refusal(terms, ask, cluster.one_line(str(error))) from None


def _refusal(terms: Terms, ask: Ask, said: str) -> Exception:
    """Say what is wrong with what Slurm does not accept."""
    low = said.lower()
    for what, options in OPTIONS_AT_FAULT.items():
        if what in low:
            names = [name for name in options if getattr(terms, name)]
            given = ", ".join(f"executor.{name} is {getattr(terms, name)!r}" for name in names or options)
            return UsageError(f"{given}, which Slurm does not accept: {said}", "option")
    if any(what in low for what in BUSY):
        return BusyError(said)
    if any(what in low for what in TOO_MUCH):
        return UnavailableError(
            f"no node of Slurm has what a job takes ({ask}): {said}; choose others by -o executor.partition or "
            "-o executor.constraint, or have the trainer declare less"
        )
    return UnavailableError(f"Slurm takes no job: {said}")


OPTIONS_AT_FAULT: Mapping[str, tuple[str, ...]] = {
    "invalid partition": ("partition", "measure_partition"),
    "invalid account": ("account", "partition"),
    "invalid qos": ("qos",),
    "invalid feature": ("constraint", "measure_constraint"),
    "unrecognized option": ("sbatch",),
    "invalid reservation": ("sbatch",),
    "requested time limit is invalid": ("time",),
}
"""What Slurm complains of, and what users can say of that."""
BUSY = (
    "submit job limit", "submitjob", "socket timed out", "unable to contact", "temporarily unavailable", "try again",
    "connection refused", "slurm_load",
)  # fmt: skip
TOO_MUCH = (
    "node configuration", "generic resource", "memory specification", "cpu count", "node count", "nodes required",
    "requested nodes are busy", "more processors requested",
)  # fmt: skip


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Hide what Slurm tells the job that this search may run in, which is not meant for the jobs that it submits."""
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_CONF_SERVER")
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SUBMITIT_EXECUTOR", "SUBMITIT_FOLDER")) and name not in kept
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
