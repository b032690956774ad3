"""A real Slurm of the tests' own on this machine: a controller, three nodes, munge, and ways to break them."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
"""Where daemons lie, which is not on every user's path."""
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")

CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SlurmdSpoolDir={directory}/spool-%n
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd-%n.log
SwitchType=switch/none
MpiDefault=none
# Without cgroups, which need more of a machine than tests may ask for.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=1000
MaxArraySize=5
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=300
MinJobAge=3600
KillWait=2
SchedulerParameters=sched_interval=2,sched_min_interval=100000
GresTypes=gpu
NodeName=DEFAULT CPUs=2 RealMemory=8000 State=UNKNOWN
NodeName=first NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} Features=usual
NodeName=second NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} Features=usual
NodeName=third NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[3]} Features=bench
NodeName=apart NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[4]} Features=apart
NodeName=fast NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[5]} CPUs=12 Gres=gpu:3
PartitionName=main Nodes=first,second,third Default=YES MaxTime=INFINITE State=UP
PartitionName=apart Nodes=apart MaxTime=60 State=UP
PartitionName=gpu Nodes=fast State=UP
"""


class Cluster:
    """A controller and nodes of Slurm that run as children of the test, by the current user.

    The nodes `first` and `second` are usual ones, `third` has the feature `bench`; all of them are of the partition
    `main`. The node `apart` is alone in the partition of its name, and `fast`, of which Slurm was told that it has
    12 processors and 3 GPUs, in the partition `gpu`. They run only where a test starts them.

    Args:
        directory: must be empty, and its path short, since a socket lies there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.config = directory, directory / "slurm.conf"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        directory.chmod(0o755)  # or munge does not put its socket there
        (directory / "state").mkdir()
        for node in ("first", "second", "third", "apart", "fast"):
            (directory / f"spool-{node}").mkdir()
        (directory / "munge.key").write_bytes(os.urandom(1024))
        (directory / "munge.key").chmod(0o600)
        host = socket.gethostname().partition(".")[0]
        config = CONFIG.format(host=host, directory=directory, ports=free_ports(6), user=getpass.getuser())
        self.config.write_text(config)
        # Files that every machine has: whatever they are, Slurm hands them out as GPUs.
        (directory / "gres.conf").write_text("NodeName=fast Name=gpu File=/dev/null,/dev/zero,/dev/full\n")
        if version() >= (23, 2):  # before, nothing was to be said for slurmd to start without them
            (directory / "cgroup.conf").write_text("CgroupPlugin=disabled\n")

    def start(self) -> None:
        """Start the nodes of the partition `main`; returns when they take jobs.

        Raises:
            RuntimeError: they do not within a minute; the message is what they wrote.
        """
        files = {name: str(self.directory / f"munge.{name}") for name in ("key", "socket", "pid", "seed", "log")}
        self._start("munged", "--foreground", *(
            f"--{flag}={files[name]}"
            for flag, name in (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("seed-file", "seed"),
                               ("log-file", "log"))
        ))  # fmt: skip
        self._wait(Path(files["socket"]).exists)
        self._start("slurmctld", "-D", "-c")
        for node in ("first", "second", "third"):
            self.start_node(node)
        self._wait(lambda: self._answers("sinfo", "-h", "-p", "main", "-o", "%T") == "idle")

    def start_node(self, node: str, *before: str) -> None:
        """Start a node, perhaps by another command."""
        self._start("slurmd", "-D", "-N", node, name=node, before=before)

    def wait_for(self, node: str) -> None:
        """Wait until a node takes jobs."""
        self._wait(lambda: self._answers("sinfo", "-h", "-n", node, "-o", "%T").endswith("idle"))

    def fail(self, node: str) -> None:
        """Have a node die with all that runs on it; the controller takes it for down at once."""
        process = self._processes.pop(node)
        process.kill()
        process.wait()
        self._end_jobs(node)
        self.command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def _end_jobs(self, node: str = "") -> None:
        """Kill what runs for jobs, on one node or on all, with what holds them together, which hides where it is of."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = process.environ()
                place = told.get("SLURMD_NODENAME") if told.get("SLURM_CONF") == str(self.config) else None
                if place is not None and node in ("", place):
                    for each in (process, *(up for up in process.parents() if up.name() == "slurmstepd")):
                        each.kill()

    def _start(self, program: str, *arguments: str, name: str = "", before: tuple[str, ...] = ()) -> None:
        path = shutil.which(program, path=PATH)
        assert path is not None
        with (self.directory / f"{name or program}.out").open("wb") as out:
            self._processes[name or program] = subprocess.Popen(  # noqa: S603
                [*before, path, *arguments],
                env={**os.environ, "SLURM_CONF": str(self.config), "PATH": PATH},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                said = {path.name: path.read_text(errors="replace")[-600:] for path in self.directory.glob("*.out")}
                self.stop()
                raise RuntimeError(f"Slurm does not start: {dead}: {said}")
            time.sleep(0.1)

    def _answers(self, *command: str) -> str:
        ran = self._run(command)
        return ran.stdout.strip()

    def _run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "SLURM_CONF": str(self.config)}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603

    def command(self, *command: str) -> str:
        """Run a command of Slurm, which must succeed; return what it prints."""
        ran = self._run(command)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def jobs(self, *more: str) -> list[list[str]]:
        """Return number, state, node and name of all jobs that there are and were."""
        chosen = more or ("--states=all",)
        lines = self.command("squeue", "--array", "-h", "-o", "%i|%T|%N|%j", *chosen).splitlines()
        return [line.strip().split("|") for line in lines]

    def running(self) -> list[str]:
        """Return the numbers of the jobs that run."""
        return sorted(number for number, state, *_ in self.jobs() if state == "RUNNING")

    def stop(self) -> None:
        """End all jobs, and then everything else."""
        if "slurmctld" in self._processes:
            self._run(("scancel", "--quiet", "--name=shape-dnn"))
            time.sleep(1)
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        self._end_jobs()
        self._processes.clear()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def version() -> tuple[int, int]:
    """Year and month of the release of Slurm that is here."""
    path = shutil.which("slurmd", path=PATH)
    assert path is not None
    said = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    year, month = said.split()[-1].split(".")[:2]
    return int(year), int(month)


def missing() -> str:
    """Name a program that is not here; empty if all are."""
    return next((program for program in PROGRAMS if shutil.which(program, path=PATH) is None), "")


def running_cluster() -> Iterator[Cluster]:
    """A cluster that takes jobs, and is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    made = Cluster(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)
