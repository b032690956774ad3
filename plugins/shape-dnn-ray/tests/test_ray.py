"""A real cluster of two nodes on this machine, one of which is lost."""

from __future__ import annotations

import importlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # whether or not this user has a token from another cluster
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - or other work on the machine goes before

from shape_dnn_ray.executor import RayCluster  # noqa: I001 - which is what keeps Ray from importing amdsmi

import ray
from ray.cluster_utils import Cluster

from shape_dnn import Shape, devices, tune
from shape_dnn.errors import MachineLostError, MeterError, ProcessDiedError, UnavailableError, UsageError
from shape_dnn.events import Converted, Event
from shape_dnn.plugins.registry import Registry
from shape_dnn.records import Epoch
from shape_dnn.system import environment
from shape_dnn.testing import ExecutorContract
from shape_dnn.work import Needs, Task
from shape_dnn_ray import amd, file_transfer, node
from shape_dnn_ray.mailbox import Message

SEARCH: dict[str, Any] = {
    "depth": "10:17:6", "width": "1/4:3/4:1/4", "sampler": "interval", "epochs": 3, "device": "cpu",
    "option": {"dataset.limit": 300, "meter.seconds": 0.02},
}  # fmt: skip

HERE = """
from shape_dnn import Executor, Outcome, Plugin, hookimpl

class Here(Executor):
    def run(self, tasks, workers, report):
        for task in tasks:
            yield Outcome(task, task.run(lambda progress: report(task, progress)))

@hookimpl
def shape_dnn_executors():
    yield Plugin("here", "in this process, which has imported everything already", Here)
"""


def alone_here() -> dict[str, str]:
    """Settings of a search on this machine alone."""
    Path("here.py").write_text(HERE)
    return {"plugin": "here.py", "executor": "here"}


MARK = {"SHAPE_DNN_TEST_CLUSTER": uuid.uuid4().hex}
"""In the environment of all that a cluster of this process starts, by which it is known from that of other tests."""


class OwnCluster(Cluster):
    """A cluster of which nothing need be left."""

    def add_node(self, *args: Any, **options: Any) -> Any:
        with environment.changed(**MARK):
            return super().add_node(*args, **options)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Cluster]:
    """The head has one processor, and the other node one and the resource ``target``."""
    made = OwnCluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1, resources={"target": 1})
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()
    for process in psutil.process_iter():
        try:
            if MARK.items() <= process.environ().items():
                process.kill()
        except psutil.Error:
            continue


@pytest.fixture
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def in_own_directory(own_directory: Path) -> None:
    """Searches leave their studies there."""


class TestRay(ExecutorContract):
    @pytest.fixture
    def plugin(self) -> RayCluster:
        return RayCluster()


@pytest.fixture
def executor() -> Iterator[RayCluster]:
    made = RayCluster()
    yield made
    made.close()


def go_on(_task: Task, _content: object) -> bool:
    return True


@dataclass(frozen=True)
class Where(Task):
    """Tell the node, and what is in the files that were to be there."""

    files: tuple[Path, ...] = ()
    output: Path | None = None
    demand: Needs = Needs()  # noqa: RUF009
    seconds: float = 0.0

    @property
    def needs(self) -> Needs:
        return self.demand

    @property
    def reads(self) -> tuple[Path, ...]:
        return self.files

    @property
    def writes(self) -> tuple[Path, ...]:
        return () if self.output is None else (self.output,)

    def run(self, report: Callable[[object], bool]) -> tuple[str, list[str], list[str]]:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            report(os.getpid())
            time.sleep(0.1)
        if self.output is not None:
            self.output.write_text("written there")
        paths = [path if path.is_file() else path / "inner" / "a" for path in self.files]
        node = str(ray.get_runtime_context().get_node_id())
        return node, [str(path) for path in paths], [path.read_text() for path in paths]


@dataclass(frozen=True)
class Interrupted(Task):
    """Raise what an interrupt does."""

    def run(self, report: Callable[[object], bool]) -> None:
        raise KeyboardInterrupt


def test_a_task_that_is_interrupted_has_an_outcome_like_any_other(executor: RayCluster) -> None:
    outcomes = list(executor.run([Interrupted(), Where()], 1, go_on))
    assert [type(outcome.error) for outcome in outcomes] == [ProcessDiedError, type(None)]


@dataclass(frozen=True)
class Lively(Task):
    """Show signs of life, and then none for a moment."""

    patience: float | None = 100.0

    def run(self, report: Callable[[object], bool]) -> None:
        report(None)
        time.sleep(0.5)


@pytest.mark.parametrize("busy", ["reporting", "waiting"])
def test_time_in_which_the_driver_was_busy_or_stopped_is_not_held_against_tasks(
    executor: RayCluster, busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, wait = 0.0, ray.wait

    def spend() -> None:
        nonlocal passed
        passed += 1000

    def report(_task: Task, _content: object) -> bool:
        if busy == "reporting":
            spend()
        return True

    def wait_stopped(*args: Any, **options: Any) -> Any:
        if busy == "waiting":
            spend()
        return wait(*args, **options)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed, sleep=time.sleep)
    monkeypatch.setattr("shape_dnn_ray.executor.time", clock)
    monkeypatch.setattr("shape_dnn_ray.executor.POLL", 0.05)
    monkeypatch.setattr(ray, "wait", wait_stopped)
    assert [outcome.error for outcome in executor.run([Lively()], 1, report)] == [None]


def test_files_travel_to_the_node_and_back_once_each(executor: RayCluster) -> None:
    Path("directory/inner").mkdir(parents=True)
    Path("directory/inner/a").write_text("in a directory")
    Path("single").write_text("alone")
    files = (Path("directory"), Path("single"))
    task = Where(files, Path("results/here"))
    outcomes = list(executor.run([task, Where(files)], 2, go_on))
    assert all(outcome.error is None for outcome in outcomes)
    for outcome in outcomes:
        _, paths, contents = outcome.result  # type: ignore[misc]
        assert contents == ["in a directory", "alone"]
        assert not any(Path(path).is_relative_to(Path.cwd()) for path in paths)
    assert len({tuple(outcome.result[1]) for outcome in outcomes}) == 1, "both see the same copies"  # type: ignore[index]
    assert Path("results/here").read_text() == "written there"


def test_a_directory_that_a_task_writes_comes_back_whole(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "deep" / "here"
    (there / "files").mkdir(parents=True)
    (there / "files" / "model").write_bytes(b"ships")
    (there / "empty").write_bytes(b"")
    alone = tmp_path / "alone"
    alone.write_bytes(b"a file")
    for place, content in zip(
        (here, tmp_path / "copy", tmp_path / "none"), file_transfer.read([there, alone, tmp_path / "gone"]), strict=True
    ):
        file_transfer.write(place, content)
    assert {str(path.relative_to(here)): path.read_bytes() for path in here.rglob("*") if path.is_file()} == {
        "files/model": b"ships",
        "empty": b"",
    }
    assert (tmp_path / "copy").read_bytes() == b"a file"
    assert not (tmp_path / "none").exists()


def test_files_lie_where_their_owner_is_known_by_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container, where environment variables may name somebody else."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "somebody-else")
    directory = file_transfer.output()
    assert directory.parent.parent == tmp_path
    assert directory.parent.stat().st_mode & 0o777 == 0o700
    directory.rmdir()
    room = directory.parent.rename(tmp_path / "elsewhere")
    directory.parent.symlink_to(room)
    with pytest.raises(PermissionError, match="is a link"):
        file_transfer.output()


@pytest.fixture
def own_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have files of tasks in a place of this test's own."""
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(file_transfer, "_room", lambda: room)


@pytest.mark.usefixtures("own_room")
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_what_was_removed_of_a_parcel_is_put_back_beside_what_is_in_use(damage: Callable[[Path], object]) -> None:
    Path("images").mkdir()
    Path("images/gone").write_bytes(b"put back")
    Path("images/used").write_bytes(b"in use")
    parcel, content = file_transfer.pack(Path("images"))
    place = file_transfer.unpack(parcel, lambda: content)
    with (place / "used").open("rb") as in_use, ThreadPoolExecutor(2) as tasks:
        damage(place / "gone")
        assert set(tasks.map(lambda _: file_transfer.unpack(parcel, lambda: content), range(2))) == {place}
        assert in_use.read() == b"in use"
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {"gone": b"put back", "used": b"in use"}


@pytest.mark.usefixtures("own_room")
def test_a_parcel_is_fetched_once_and_is_whole() -> None:
    Path("images").mkdir()
    np.arange(9, dtype=np.uint8).tofile("images/some.npy")
    parcel, content = file_transfer.pack(Path("images"))
    fetched: list[int] = []

    def fetch() -> file_transfer.Content:
        fetched.append(1)
        return content

    places = {file_transfer.unpack(parcel, fetch) for _ in range(3)}
    assert len(fetched) == len(places) == 1
    assert (places.pop() / "some.npy").read_bytes() == bytes(range(9))
    Path("images/some.npy").write_bytes(b"other")
    assert file_transfer.pack(Path("images"))[0].digest != parcel.digest
    Path("images/some.npy").write_bytes(bytes(range(9)))
    Path("images").rename("others")
    other, content = file_transfer.pack(Path("others"))
    assert (file_transfer.unpack(other, lambda: content) / "some.npy").read_bytes() == bytes(range(9))


def test_with_a_shared_directory_nothing_travels() -> None:
    executor = RayCluster(shared=True)
    Path("single").write_text("alone")
    (outcome,) = executor.run([Where((Path("single"),), Path("out"))], 1, go_on)
    assert outcome.error is None
    assert outcome.result[1] == [str(Path("single").resolve())]  # type: ignore[index]
    assert Path("out").read_text() == "written there"
    executor.close()


def test_measuring_takes_the_device_of_one_node_for_itself() -> None:
    executor = RayCluster(measure_on="target")
    target = next(node["NodeID"] for node in ray.nodes() if "target" in node["Resources"])
    exclusive = Needs("cpu", exclusive=True)
    outcomes = list(executor.run([Where(demand=exclusive) for _ in range(4)], None, go_on))
    assert {outcome.result[0] for outcome in outcomes} == {target}  # type: ignore[index]
    executor.close()
    for where, needs, complaint in (
        ("nowhere", exclusive, r"no node of the cluster has a CPU and the resource 'nowhere'.*target"),
        ("", Needs("cuda:0", exclusive=True), "no node of the cluster has a GPU"),
    ):
        executor = RayCluster(measure_on=where)
        (outcome,) = executor.run([Where(demand=needs)], None, go_on)
        with pytest.raises(UnavailableError, match=complaint):
            raise outcome.error  # type: ignore[misc]
        executor.close()


def test_a_device_is_one_of_the_cluster(executor: RayCluster) -> None:
    assert executor.device("auto") == executor.device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'cuda' is not there; the nodes of the cluster have: cpu"):
        executor.device("cuda")


def test_more_memory_than_any_node_has_is_not_waited_for(executor: RayCluster) -> None:
    (outcome,) = executor.run([Where(demand=Needs("cpu", 10**18, 5.0))], None, go_on)
    assert outcome.error is None


@dataclass(frozen=True)
class Process(Task):
    """Tell which process this is."""

    device: str
    failing: bool = False

    @property
    def needs(self) -> Needs:
        return Needs(self.device, share=0.5)

    def run(self, report: Callable[[object], bool]) -> None:
        report((self.device, os.getpid()))
        if self.failing:
            raise RuntimeError("CUDA error")


@dataclass(frozen=True)
class Cores(Task):
    """Tell how many cores it may keep busy."""

    demand: Needs

    @property
    def needs(self) -> Needs:
        return self.demand

    def run(self, report: Callable[[object], bool]) -> int:
        return devices.cores()


@pytest.fixture
def node_with_gpus(cluster: Cluster) -> Iterator[None]:
    """A node of which Ray is told that it has two."""
    node = cluster.add_node(num_cpus=1, num_gpus=2)
    yield
    cluster.remove_node(node)


@pytest.mark.usefixtures("node_with_gpus")
def test_a_process_that_had_a_gpu_has_no_other_task(executor: RayCluster) -> None:
    tasks = [Process("cuda:0", failing=i == 1) if i % 2 else Process("cpu") for i in range(16)]
    seen: dict[str, list[int]] = {"cpu": [], "cuda:0": []}

    def note(_task: Task, content: object) -> bool:
        device, process = content  # type: ignore[misc]
        seen[device].append(process)
        return True

    outcomes = list(executor.run(tasks, 1, note))
    assert [str(outcome.error) for outcome in outcomes if outcome.error is not None] == ["CUDA error"]
    assert len(set(seen["cuda:0"])) == len(seen["cuda:0"]) == 8
    assert not set(seen["cuda:0"]) & set(seen["cpu"])
    assert len(set(seen["cpu"])) < len(seen["cpu"]) == 8, "others save the time that a process takes to start"


@pytest.mark.usefixtures("node_with_gpus")
@pytest.mark.skipif(os.cpu_count() == 1, reason="there are no cores that a task could take from others")
def test_a_task_keeps_no_more_cores_busy_than_it_has(executor: RayCluster) -> None:
    """Though it sees all of them."""
    tasks = [Cores(Needs(device, cores=1)) for device in ("cpu", "cuda:0")]
    assert [outcome.result for outcome in executor.run(tasks, 1, go_on)] == [1, 1]


@pytest.mark.parametrize(
    ("assigned", "cores"),
    [
        ({"CPU": 1.0, "GPU": 1.0}, 8),
        ({"CPU": 1.0, "GPU": 2.0}, 16),
        ({"CPU": 1.0, "GPU": 0.3}, 2),
        ({"CPU": 8.0, "GPU": 0.3}, 8),
        ({"CPU": 3.0}, 3),
        ({}, 1),
    ],
)
def test_with_a_gpu_a_task_has_its_part_of_the_cores_of_its_node(
    assigned: dict[str, float], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"NodeID": "a", "Resources": {"CPU": 2.0}}, {"NodeID": "b", "Resources": {"CPU": 32.0, "GPU": 4.0}}]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert node._cores("b", assigned) == cores  # noqa: SLF001


@pytest.fixture
def with_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes with other resources than there are here."""
    nodes = [{"Resources": {"CPU": 8.0, "GPU": 4.0}}, {"Resources": {"CPU": 16.0, "memory": 1e9}}]
    monkeypatch.setattr("shape_dnn_ray.executor._alive", lambda: nodes)


@pytest.mark.usefixtures("with_gpus")
def test_a_task_takes_the_cores_and_whole_gpus_that_it_declares() -> None:
    executor = RayCluster(threads=2)
    expected = {
        Needs("cuda:0", share=0.1, gpus=3): {"num_cpus": 2, "num_gpus": 3},
        Needs("cuda:0", share=0.1, cores=4): {"num_cpus": 4, "num_gpus": 0.1},
        Needs("cuda:0", share=0.1, loaders=3): {"num_cpus": 5, "num_gpus": 0.1},
        Needs("cpu", 10**12, cores=16, gpus=3): {"num_cpus": 16, "memory": 10**9},
        Needs("cpu", 10**12): {"num_cpus": 2, "memory": 10**9},
    }
    for needs, taken in expected.items():
        assert executor._resources(needs) == taken  # noqa: SLF001


@pytest.mark.usefixtures("with_gpus")
@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (Needs("cuda:0", gpus=5), "1 processor and 5 GPUs"),
        (Needs(cores=17), "17 processors"),
        (Needs("cuda:0", cores=9), "9 processors and 1 GPU"),
    ],
)
def test_what_no_node_has_is_not_waited_for(executor: RayCluster, needs: Needs, said: str) -> None:
    (outcome,) = executor.run([Where(demand=needs)], None, go_on)
    complaint = rf"^a training takes {said} of one node, and the nodes of the cluster have: 8 and 4, 16 and 0; have "
    with pytest.raises(UnavailableError, match=complaint):
        raise outcome.error  # type: ignore[misc]


@pytest.mark.usefixtures("with_gpus")
def test_a_gpu_is_shared_by_expected_memory(executor: RayCluster) -> None:
    shares = {0.0: 1.0, 0.0004: 0.001, 0.126: 0.126, 0.9999: 1.0, 3.0: 1.0}
    for share, part in shares.items():
        assert executor._resources(Needs("cuda:0", 1, share)) == {"num_cpus": 1, "num_gpus": part}  # noqa: SLF001


def test_a_cluster_that_is_not_there_is_said_to_be_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UnavailableError, match=rf"no Ray cluster at '{address}': Connection.*ray start --head"):
        RayCluster(address).device("cpu")
    with pytest.raises(UnavailableError, match=r"no Ray cluster at 'localhost:99999'"):
        RayCluster("localhost:99999").device("cpu")

    def init(**_: object) -> None:
        raise ConnectionError("no token")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UnavailableError, match=r"no Ray cluster here: ConnectionError: no token"):
        RayCluster().device("cpu")


COUNT = """
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from shape_dnn_ray.executor import RayCluster
executor = RayCluster()
executor.device("cpu")
import ray
print(ray.cluster_resources()["CPU"])
executor.close()
"""


@pytest.mark.skipif(devices.cores() == 1, reason="nobody counts more than one processor here")
def test_a_cluster_of_one_s_own_has_no_more_processors_than_the_search_may_use(cluster: Cluster) -> None:
    """One that is there has those that it has."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as directory:  # sockets have short names
        for address, processors in (({}, "1.0"), ({"RAY_ADDRESS": cluster.address}, "2.0")):
            surroundings = {**os.environ, "RAY_TMPDIR": directory, **address}
            command = [sys.executable, "-c", COUNT]
            ran = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)  # noqa: S603
            assert ran.stdout == f"{processors}\n", ran.stderr[-600:]


def test_the_plugins_for_ray_and_zeus_share_an_environment() -> None:
    registry = Registry()
    registry.load("meter", "zeus")
    registry.load("executor", "ray")
    result = tune(**{**SEARCH, "depth": "10:11:6", "width": "1/4:1/2:1/4"}, executor="ray")
    assert result.new_trainings == len(result.shapes) == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('no driver'); raise KeyError('libamd_smi.so')", "absent"),
        ("raise ImportError('no driver')", "absent"),
        ("DRIVER = True", "works"),
    ],
)
def test_amdsmi_is_said_to_be_absent_where_it_fails_and_left_alone_where_it_works(
    code: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "amdsmi.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.syspath_prepend(str(packages))
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.delitem(sys.modules, "amdsmi")
    amd.keep_out()
    try:
        importlib.import_module("amdsmi")
    except ImportError:
        here = "absent"
    else:
        here = "works"
    other = "try:\n    import amdsmi\nexcept ImportError:\n    print('absent')\nelse:\n    print('works')"
    ran = subprocess.run([sys.executable, "-S", "-c", other], capture_output=True, text=True, check=True)  # noqa: S603
    assert (here, ran.stdout.strip()) == (expected, expected)


def test_a_search_has_the_same_result_as_on_this_machine() -> None:
    there = tune(**SEARCH, train=3, executor="ray", study="there", goal="latency", min_accuracy=10)
    here = tune(**SEARCH, train=3, study="here", **alone_here())
    first = {training.shape: training.curve for training in there.answer.trainings}
    assert all(first[training.shape] == training.curve for training in here.answer.trainings)
    best = there.answer.best
    assert best is not None
    assert list(Path("there/weights").glob("*/*.safetensors"))
    assert not list(Path("there/weights").glob("*/*.partial"))
    assert there.to_dict()["best"]["test_accuracy"] is not None
    assert tune(**SEARCH, train=3, executor="ray", study="there", goal="latency", min_accuracy=10).new_trainings == 0


def test_artifacts_that_were_judged_and_measured_stay_in_the_study_byte_for_byte() -> None:
    judged: dict[Path, int] = {}

    def lying() -> dict[Path, int]:
        return {path: path.stat().st_ino for path in Path("ships/artifacts").rglob("*.onnx")}

    def note(event: Event) -> None:
        if isinstance(event, Converted):
            judged.update(lying())

    one = {**SEARCH, "depth": "10:11:6", "width": "1/4:1/2:1/4", "epochs": 1, "goal": "size", "max": "file-size=9MB"}
    ships = {**SEARCH["option"], "deploy.precision": "int8", "deploy.calibration": "64"}
    result = tune(**{**one, "option": ships}, deploy="onnxruntime", executor="ray", study="ships", notify=note)
    assert result.answer.test_quality is not None
    assert len(judged) == 2, "and one with random weights was measured"
    assert judged == lying()


OWN = """
import os, signal
from pathlib import Path
import torch
from shape_dnn import Quality

QUALITY = Quality("loss", better="lower", minimum=0)
HOME = Path({home!r})


def build(shape):
    return torch.nn.Linear(shape.depth, 1)


def train(shape, run, epochs=4, killed=False, saving=True):
    assert not Path(__file__).is_relative_to(HOME), "this is a copy of the file, on the node"
    network, saved = build(shape), run.load()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    if saved is not None:
        network.load_state_dict(saved)
    for epoch in range(saved.more["epoch"] + 1 if saved is not None else 1, epochs + 1):
        loss = (network(torch.ones(1, shape.depth)) - shape.depth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.report(epoch, loss.item(), attempt=1 if saved is None else 2)
        if saving:
            run.save(network, epoch=epoch)
        if killed and epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
"""
OWN_SEARCH: dict[str, Any] = {
    "trainer": "own.py", "depth": "1:4:1", "width": "1:2:1", "device": "cpu", "strategy": "exhaustive",
}  # fmt: skip


def test_functions_of_a_file_travel_and_come_to_the_same_as_on_this_machine() -> None:
    Path("own.py").write_text(OWN.format(home=str(Path.cwd())))
    there = tune(**OWN_SEARCH, executor="ray", study="there")
    Path("own.py").write_text(OWN.format(home="/nowhere"))
    here = tune(**OWN_SEARCH, executor="local", study="here")
    assert [t.reason for t in there.answer.trainings] == [""] * 3
    assert [t.curve for t in there.answer.trainings] == [t.curve for t in here.answer.trainings]
    assert len(list(Path("there/weights").glob("*/*.safetensors"))) == 3


def test_a_killed_training_of_one_s_own_goes_on_from_what_it_saved() -> None:
    Path("own.py").write_text(OWN.format(home=str(Path.cwd())))
    settings = {**OWN_SEARCH, "depth": "1:2:1", "executor": "ray"}
    (whole,) = tune(**settings, study="whole").answer.trainings
    (killed,) = tune(**settings, study="killed", option={"trainer.killed": "true"}).answer.trainings
    assert [(epoch.number, epoch.quality) for epoch in killed.curve] == [(e.number, e.quality) for e in whole.curve]
    assert [epoch.more["attempt"] for epoch in killed.curve] == [1, 1, 2, 2]


def test_a_finished_training_leaves_nothing_on_its_node_whether_it_has_weights_or_not() -> None:
    Path("own.py").write_text(OWN.format(home=str(Path.cwd())))
    scratch = file_transfer.scratch(Path("any")).parent
    before = set(scratch.glob("*"))
    for saving in ("true", "false"):
        result = tune(**OWN_SEARCH, executor="ray", study=saving, option={"trainer.saving": saving})
        assert [training.reason for training in result.answer.trainings] == [""] * 3
    assert set(scratch.glob("*")) <= before


def test_another_device_than_the_one_that_was_measured_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shape_dnn.study.measurer.ask_elsewhere", lambda *_: {"fingerprint": "of another machine"})
    with pytest.raises(MeterError, match="of another kind than the one that was measured before"):
        tune(**SEARCH, train=2, executor="ray", goal="latency")


def test_a_node_that_is_lost_loses_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    doomed = cluster.add_node(num_cpus=2, resources={"doomed": 2})
    tasks = itertools.count()
    lost: list[Shape] = []
    answer, resources = RayCluster._answer, RayCluster._resources  # noqa: SLF001

    def bind(self: RayCluster, needs: Needs, *nodes: Any) -> dict[str, Any]:
        """Send what is found out before trainings, and two of these, to the node that will be lost."""
        return resources(self, needs, *nodes) | ({"resources": {"doomed": 1}} if next(tasks) < 3 else {})

    def watch(self: RayCluster, messages: Sequence[Message], report: Callable[[Task, object], bool]) -> None:
        answer(self, messages, report)
        if not lost and any(m.node == doomed.node_id and isinstance(m.content, Epoch) for m in messages):
            lost.extend(each.task.shape for each in self._running.values() if each.node == doomed.node_id)  # type: ignore[attr-defined]
            cluster.remove_node(doomed, allow_graceful=False)

    monkeypatch.setattr(RayCluster, "_resources", bind)
    monkeypatch.setattr(RayCluster, "_answer", watch)
    result = tune(**SEARCH, strategy="exhaustive", executor="ray", study="lost")
    assert lost
    trainings = result.answer.trainings
    assert len(trainings) == 4
    assert all(training.quality is not None for training in trainings), [training.reason for training in trainings]
    alone = tune(**SEARCH, strategy="exhaustive", study="alone", **alone_here())
    assert [t.curve for t in alone.answer.trainings] == [t.curve for t in trainings], "a loss changes no result"


def test_what_ran_on_a_lost_node_is_told_from_what_died(cluster: Cluster) -> None:
    there = Where(demand=Needs("cpu", exclusive=True), seconds=120)
    # Where processors are busy, Ray may hold a node for lost before it has been killed, or leave a task running there.
    for _ in range(3):
        killed = False
        executor = RayCluster(measure_on="doomed")
        doomed = cluster.add_node(num_cpus=1, resources={"doomed": 1})

        def watch(task: Task, content: object, doomed: Any = doomed) -> bool:
            nonlocal killed
            if content is not None and task == there and not killed:
                killed = True
                cluster.remove_node(doomed, allow_graceful=False)
            return True

        outcomes = list(executor.run([there, Where(), Where()], None, watch))
        executor.close()
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if killed and failed:
            break
    assert killed
    assert [(o.task, type(o.error)) for o in failed] == [(there, MachineLostError)]
    assert len(outcomes) == 3
