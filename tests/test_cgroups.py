"""What containers, services and jobs of a cluster are granted of a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from shape_dnn import devices
from shape_dnn.system import cgroups

V1 = "1:name=systemd:{0}\n4:cpu,cpuacct:{0}\n7:memory:{0}\n"
V2 = "0::{0}\n"


class Tree:
    """The groups of a system, and where a process is among them."""

    def __init__(self, directory: Path) -> None:
        self.place, self._process = directory / "sys fs" / "cgroup", directory / "proc"
        self._process.mkdir()

    def tell(self, own: str, *mounts: str) -> None:
        """Say in which groups the process is, and what is mounted where."""
        (self._process / "cgroup").write_text(own)
        there = str(self.place).replace(" ", r"\040")
        lines = [f"{30 + i} 23 0:28 {mount.format(there)}\n" for i, mount in enumerate(mounts)]
        (self._process / "mountinfo").write_text("22 27 0:21 / /odd\x0b\u2028name rw - tmpfs odd rw\n" + "".join(lines))

    def write(self, path: str, content: str) -> None:
        """Write a file of a group."""
        file = self.place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(cgroups, "PROCESS", tmp_path / "proc")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return Tree(tmp_path)


UNIFIED = "/ {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
CPU = "/ {}/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"
IN_DOCKER = "/docker/4f2a {}/cpu,cpuacct ro master:9 - cgroup cgroup rw,cpu,cpuacct"


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max", 8), ("400000", 4), ("150000", 2), ("100001", 2), ("100000", 1), ("20000", 1), ("99900000", 8)],
)
def test_part_of_a_processor_counts_as_one_since_it_would_lie_idle_otherwise(
    quota: str, cores: int, tree: Tree
) -> None:
    tree.tell(V2.format("/"), UNIFIED)
    tree.write("cpu.max", f"{quota} 100000")
    assert devices.cores() == cores
    tree.tell(V1.format("/"), CPU)
    tree.write("cpu,cpuacct/cpu.cfs_quota_us", "-1" if quota == "max" else quota)
    tree.write("cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert devices.cores() == cores


def test_the_tightest_of_all_groups_around_a_process_counts(tree: Tree) -> None:
    tree.tell(V2.format("/system.slice/slurmd/job_7/step_0"), UNIFIED)
    tree.write("system.slice/cpu.max", "600000 100000")
    tree.write("system.slice/slurmd/job_7/cpu.max", "150000 50000")
    tree.write("system.slice/slurmd/job_7/step_0/cpu.max", "max 100000")
    tree.write("user.slice/cpu.max", "100000 100000")
    assert devices.cores() == 3
    tree.write("system.slice/cpu.max", "200000 100000")
    assert devices.cores() == 2


def test_what_a_process_may_run_on_counts_beside_what_it_is_granted(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.tell(V2.format("/"), UNIFIED)
    tree.write("cpu.max", "300000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 7}, raising=False)
    assert devices.cores() == 2


def test_a_container_that_sees_its_own_groups_alone_has_their_quota(tree: Tree) -> None:
    """Docker with version 1 says where its groups are on the host, and shows them at the root of what is mounted."""
    tree.tell(V1.format("/docker/4f2a"), IN_DOCKER)
    tree.write("cpu,cpuacct/cpu.cfs_quota_us", "250000")
    tree.write("cpu,cpuacct/cpu.cfs_period_us", "100000")
    assert devices.cores() == 3
    tree.tell(V2.format("/../../elsewhere"), UNIFIED)
    tree.write("cpu.max", "200000 100000")
    assert devices.cores() == 2


def test_a_system_may_have_groups_of_both_versions(tree: Tree) -> None:
    tree.tell(
        V1.format("/job") + V2.format("/user.slice"), CPU, "/ {}/unified rw - cgroup2 cgroup2 rw",
        "/ {}/cpuset rw - cgroup cgroup rw,cpuset",
    )  # fmt: skip
    tree.write("cpu,cpuacct/job/cpu.cfs_quota_us", "500000")
    tree.write("cpu,cpuacct/job/cpu.cfs_period_us", "100000")
    (tree.place / "unified" / "user.slice").mkdir(parents=True)
    assert devices.cores() == 5


def test_a_system_without_groups_grants_all_that_there_is(tree: Tree) -> None:
    assert devices.cores() == 8
    tree.tell(V2.format("/"), UNIFIED)
    assert devices.cores() == 8


MEMORY = "/ {}/memory rw - cgroup cgroup rw,memory"
TOTAL, AVAILABLE = 10**9, 8 * 10**8


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 1 GB, of which 0.8 GB are free."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=TOTAL, available=AVAILABLE))


def memory() -> tuple[int, int]:
    return devices.total_memory("cpu"), devices.free_memory("cpu")


@pytest.mark.usefixtures("machine")
def test_memory_is_that_of_the_tightest_group_and_what_it_keeps_of_files_counts_as_free(tree: Tree) -> None:
    tree.tell(V2.format("/system.slice/job_7"), UNIFIED)
    assert memory() == (TOTAL, AVAILABLE)
    for group, limit in (("system.slice/job_7", "max"), ("system.slice", "500000000")):
        tree.write(f"{group}/memory.max", limit)
        tree.write(f"{group}/memory.current", "300000000")
        tree.write(f"{group}/memory.stat", "anon 100000000\nfile 200000000\nactive_file 1\ninactive_file 150000000")
    assert memory() == (500_000_000, 350_000_000)
    tree.write("system.slice/job_7/memory.max", "200000000")
    assert memory() == (200_000_000, 50_000_000)
    tree.write("system.slice/job_7/memory.max", "100000000")
    assert memory() == (100_000_000, 0)


@pytest.mark.usefixtures("machine")
def test_memory_of_a_group_of_the_first_version_counts_with_that_of_the_groups_in_it(tree: Tree) -> None:
    tree.tell(V1.format("/slurm/job_7"), CPU, MEMORY)
    tree.write("memory/memory.limit_in_bytes", "9223372036854771712")  # as where there is no limit
    tree.write("memory/memory.usage_in_bytes", "0")
    tree.write("memory/slurm/job_7/memory.limit_in_bytes", "400000000")
    tree.write("memory/slurm/job_7/memory.usage_in_bytes", "300000000")
    tree.write("memory/slurm/job_7/memory.stat", "cache 1\ninactive_file 2\ntotal_cache 3\ntotal_inactive_file 4000")
    assert memory() == (400_000_000, 100_004_000)


@pytest.fixture
def group() -> Iterator[Path]:
    """A group of this system itself, for a process of the test."""
    for made in (Path("/sys/fs/cgroup/cpu/shape-dnn-test"), Path("/sys/fs/cgroup/shape-dnn-test")):
        if not any((made.parent / name).exists() for name in ("cpu.cfs_quota_us", "cpu.max", "cpu.stat")):
            continue
        try:
            made.mkdir()
        except OSError:
            continue
        if any((made / name).exists() for name in ("cpu.cfs_quota_us", "cpu.max")):
            yield made
            made.rmdir()
            return
        made.rmdir()
    pytest.skip("no groups can be made here that limit processors")


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor is one, whatever is granted")
def test_a_process_in_a_group_of_this_system_has_no_more_than_it_grants(group: Path) -> None:
    name, quota = ("cpu.max", "90000 100000") if (group / "cpu.max").exists() else ("cpu.cfs_quota_us", "90000")
    (group / name).write_text(quota)
    join = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid())); "
    count = "from shape_dnn import devices; print(devices.cores())"
    command = [sys.executable, "-c", join + count]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"
