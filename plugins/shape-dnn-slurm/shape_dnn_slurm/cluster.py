"""What Slurm says of partitions and jobs, one call for all of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from shape_dnn.errors import UnavailableError, UsageError

NAME = "shape-dnn"
"""Of all jobs, by which they are told from others that have their numbers on another cluster."""
SECONDS = 60.0
"""How long Slurm may take to answer."""
ENDING_SECONDS, NAP = 180.0, 1.0
"""How long jobs that were cancelled may take to end, and between two questions whether they have."""
LIVE = frozenset(
    {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_FED",
     "REQUEUE_HOLD", "RESIZING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "RESV_DEL_HOLD"}
)  # fmt: skip
"""States of jobs that have not come to their end."""
NOWHERE = frozenset({"None", "None assigned", "(null)"})
"""What stands where there would be the node, of jobs that had none, and the reason, of those that have none."""
UNTOLD = 1
"""MB that a node has where its configuration does not say."""
HOPELESS = re.compile(
    r"PerJob(Limit)?$|PerNodeLimit$|^(Partition(Config|TimeLimit|NodeLimit)|BadConstraints|AccountNotAllowed|QOSNotAllowed)$"
)
"""Reasons for which a job would wait for ever in a partition; in another one that it names, it may start."""
HOPELESS_ANYWHERE = frozenset({"InvalidAccount", "InvalidQOS", "launch failed requeued held"})
"""And those for which it would in any."""


@dataclass(frozen=True)
class State:
    """Where a job stands.

    Attributes:
        word: as Slurm has it, such as ``RUNNING``.
        reason: why it waits.
        node: where it runs or ran.
        partition: where it waits; several, with commas between, if any of them will do.
    """

    word: str
    reason: str = ""
    node: str = ""
    partition: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it has not come to its end."""
        return self.word in LIVE

    @property
    def stands_still(self) -> bool:
        """Whether it does nothing now, and may go on: it waits, is suspended, or is about to be started again."""
        return self.is_live and self.word not in ("RUNNING", "COMPLETING")

    @property
    def waits_for_ever(self) -> bool:
        """Whether it asks for what there will never be."""
        is_hopeless = "," not in self.partition and HOPELESS.search(self.reason) is not None
        return self.word == "PENDING" and (is_hopeless or self.reason in HOPELESS_ANYWHERE)


@dataclass(frozen=True)
class Partition:
    """What the nodes of a partition have, or of several together.

    Attributes:
        name: of the partition; of several, with commas between.
        minutes: most time for a job; None for any.
        memory: MB of the node that has most; 0 where Slurm was not told, and takes no job that asks for any.
        cores_per_gpu: processors that belong to each GPU, on the node that has fewest; 0 where there are no GPUs.
    """

    name: str
    minutes: int | None
    memory: int
    cores_per_gpu: int = 0

    @property
    def has_gpus(self) -> bool:
        """Whether there are any."""
        return self.cores_per_gpu > 0


def run(*command: str) -> str:
    """Run a command of Slurm; return what it prints.

    Raises:
        UnavailableError: it is not here, or fails.
    """
    if shutil.which(command[0]) is None:
        raise _absent(command[0])
    try:
        # A session of its own, so that a Ctrl-C in the terminal does not end it.
        ran = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=SECONDS, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"Slurm does not answer: {command[0]} took more than {SECONDS:g} s") from None
    if ran.returncode:
        raise UnavailableError(f"Slurm does not answer: {one_line(ran.stderr)}")
    return ran.stdout


def require() -> None:
    """See that this is a machine where jobs are submitted.

    Raises:
        UnavailableError: it is not.
    """
    for command in ("sbatch", "srun", "squeue", "scancel"):
        if shutil.which(command) is None:
            raise _absent(command)


def _absent(command: str) -> UnavailableError:
    return UnavailableError(
        f"{command} is not here, so this machine does not belong to a Slurm cluster; search on one where jobs are "
        "submitted, such as a login node, or leave out --executor slurm"
    )


def one_line(text: str) -> str:
    """Put what a command of Slurm complains of into one line, without the names of commands."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in text.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines))[-400:]


def partition(name: str, option: str = "partition") -> Partition:
    """Look at a partition, or at several, of which each job gets the one where it starts first.

    Several together have the shortest time that one of them allows, so that jobs may start in each, and the most memory
    that one of them has, so that jobs which need it start there.

    Args:
        name: of the partition; of several, with commas between; empty for that which jobs go to by default.
        option: that gives it.

    Raises:
        UsageError: there is none of this name; lists those there are.
        UnavailableError: Slurm does not answer.
    """
    shown = run("sinfo", "--exact", "--noheader", "--format=%P|%l|%m|%c|%G").splitlines()
    lines = [line.split("|") for line in shown]
    there = {line[0].rstrip("*"): line[0].endswith("*") for line in lines}
    known = ", ".join(sorted(there)) or "none"
    named = [each for each in name.split(",") if each]
    names = named or [each for each, is_default in there.items() if is_default]
    if not names:
        raise UsageError(f"Slurm has no partition by default; name one with -o executor.{option}: {known}", "option")
    for each in names:
        if each not in there:
            raise UsageError(f"executor.{option}: Slurm has no partition {each!r}; there are: {known}", "option")
    own = [line for line in lines if line[0].rstrip("*") in names]
    limits = [minutes(line[1]) for line in own]
    memory = max(_number(line[2]) for line in own)
    return Partition(
        ",".join(names),
        min((limit for limit in limits if limit is not None), default=None),
        0 if memory == UNTOLD else memory,
        min((_cores_per_gpu(_number(line[3]), gpus) for line in own if (gpus := _gpus(line[4]))), default=0),
    )


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text) or 0)


def _gpus(resources: str) -> int:
    """Count the GPUs among the generic resources of a node, as Slurm writes them: ``gpu:a100:4(S:0-1),nic:2``."""
    parts = [part.split(":") for part in re.sub(r"\([^)]*\)", "", resources).split(",")]
    return sum(int(part[-1]) if part[-1].isdigit() else 1 for part in parts if part[0] == "gpu")


def _cores_per_gpu(cores: int, gpus: int) -> int:
    """Return the processors that belong to each GPU: never more than half, since a node may keep some for itself."""
    return max(1, cores // max(gpus, 2))


def most_elements() -> int:
    """Return how many jobs an array may have.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", run("scontrol", "show", "config"), re.MULTILINE)
    return max(int(found[1]), 1) if found else 1  # where arrays are not allowed, it is 0


def minutes(text: str) -> int | None:
    """Read a time as Slurm writes it, in whole minutes, rounded up; None for one without an end.

    Raises:
        ValueError: it is none.
    """
    if text.lower() in ("infinite", "unlimited", "n/a"):
        return None
    days, dash, rest = text.rpartition("-")
    if dash and not days:
        raise ValueError(text)
    parts = [int(part) for part in rest.split(":")]
    if dash:
        parts = [*parts, 0, 0][:3]
    elif len(parts) == 1:
        parts = [0, parts[0], 0]
    elif len(parts) == 2:
        parts = [0, *parts]
    if len(parts) != 3 or min(parts) < 0:
        raise ValueError(text)
    seconds = 86400 * int(days or 0) + 3600 * parts[0] + 60 * parts[1] + parts[2]
    return -(-seconds // 60)


def states(numbers: Collection[str]) -> dict[str, State]:
    """Ask where jobs stand; those of which Slurm knows nothing any more are left out.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    flags = ("--states=all", "--array", "--noheader", "--format=%i|%T|%r|%N|%P")
    found = _read(run("squeue", f"--user={os.getuid()}", f"--name={NAME}", *flags).splitlines(), numbers)
    missing = [number for number in numbers if number not in found]
    if missing:
        found |= _account(missing)
    return found


def _account(numbers: Collection[str]) -> dict[str, State]:
    """Ask the accounting, which knows also what ended long ago, but is not everywhere."""
    flags = ("--allocations", "--noheader", "--parsable2", "--format=JobID,State,Reason,NodeList")
    chosen = (f"--name={NAME}", f"--jobs={','.join(sorted(numbers))}")
    try:
        return _read(run("sacct", *flags, *chosen).splitlines(), numbers)
    except UnavailableError:
        return {}


def _read(lines: Iterable[str], numbers: Collection[str]) -> dict[str, State]:
    found = {}
    for line in lines:
        number, word, *more = [*line.strip().split("|"), "", "", "", ""][:5]
        if number in numbers and word:
            found[number] = State(word.split()[0], *("" if each in NOWHERE else each for each in more))
    return found


def end(numbers: Collection[str]) -> None:
    """Cancel jobs, and wait until they have ended, for which Slurm gives them half a minute.

    Raises:
        UnavailableError: Slurm does not answer, or they do not end.
    """
    cancel(_live(numbers))
    patience = time.monotonic() + ENDING_SECONDS
    while live := _live(numbers):
        if time.monotonic() > patience:
            raise UnavailableError(f"Slurm was told to cancel {', '.join(live[:5])}, and they still run")
        time.sleep(NAP)


def _live(numbers: Collection[str]) -> list[str]:
    return sorted(number for number, state in states(numbers).items() if state.is_live)


def cancel(numbers: Iterable[str]) -> None:
    """Cancel jobs of ours; those that have ended need it no more.

    A study that was copied from another cluster may know numbers that are those of other jobs here.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    chosen = sorted(numbers)
    if not chosen:
        return
    try:
        run("scancel", f"--name={NAME}", *chosen)
    except UnavailableError as error:
        if "invalid job id" not in str(error).lower():  # one of them has ended, and the others were cancelled
            raise
