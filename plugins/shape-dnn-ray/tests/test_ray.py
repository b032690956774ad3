"""A real cluster of two nodes on this machine, one of which is lost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

os.environ["RAY_AUTH_MODE"] = "disabled"  # whether or not this user has a token from another cluster

ray = pytest.importorskip("ray", reason="Ray and zeus do not go together where AMD's driver is missing")

from ray.cluster_utils import Cluster  # noqa: E402

from shape_dnn import tune  # noqa: E402
from shape_dnn.errors import MachineLostError, MeterError, UnavailableError, UsageError  # noqa: E402
from shape_dnn.events import EpochFinished, Event, TrainingFinished  # noqa: E402
from shape_dnn.testing import ExecutorContract  # noqa: E402
from shape_dnn.work import Needs, Task  # noqa: E402
from shape_dnn_ray import luggage  # noqa: E402
from shape_dnn_ray.executor import RayCluster  # noqa: E402

SEARCH: dict[str, Any] = {
    "depth": "10:23:6", "width": "1/4:1:1/4", "sampler": "interval", "epochs": 2, "device": "cpu",
    "option": "recipe.precision=float32",  # what is tried could come out differently in two studies
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[Cluster]:
    """The head has one processor, and the other node one and the resource ``target``."""
    before = {process.pid for process in psutil.process_iter()}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1, resources={"target": 1})
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()
    names = ("raylet", "gcs_server", "ray::", "ray/")
    for process in psutil.process_iter():
        if process.pid not in before:
            try:
                if any(name in " ".join(process.cmdline()) for name in names):
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


def test_a_parcel_is_fetched_once_and_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(luggage, "_room", lambda: room)
    Path("images").mkdir()
    np.arange(9, dtype=np.uint8).tofile("images/some.npy")
    parcel, content = luggage.pack(Path("images"))
    fetched: list[int] = []

    def fetch() -> luggage.Content:
        fetched.append(1)
        return content

    places = {luggage.unpack(parcel, fetch) for _ in range(3)}
    assert len(fetched) == len(places) == 1
    assert (places.pop() / "some.npy").read_bytes() == bytes(range(9))
    Path("images/some.npy").write_bytes(b"other")
    assert luggage.pack(Path("images"))[0].digest != parcel.digest
    Path("images/some.npy").write_bytes(bytes(range(9)))
    Path("images").rename("others")
    other, content = luggage.pack(Path("others"))
    assert (luggage.unpack(other, lambda: content) / "some.npy").read_bytes() == bytes(range(9))


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
    nowhere = RayCluster(measure_on="nowhere")
    with pytest.raises(UnavailableError, match=r"no node of the cluster has a CPU and the resource 'nowhere'.*target"):
        list(nowhere.run([Where(demand=exclusive)], None, go_on))
    with pytest.raises(UnavailableError, match="no node of the cluster has a GPU"):
        list(RayCluster().run([Where(demand=Needs("cuda:0", exclusive=True))], None, go_on))
    nowhere.close()


def test_a_device_is_one_of_the_cluster(executor: RayCluster) -> None:
    assert executor.device("auto") == executor.device("cpu") == "cpu"
    assert executor.at_once("cpu") == 2
    with pytest.raises(UsageError, match="'cuda' is not there; the nodes of the cluster have: cpu"):
        executor.device("cuda")


def test_more_memory_than_any_node_has_is_not_waited_for(executor: RayCluster) -> None:
    (outcome,) = executor.run([Where(demand=Needs("cpu", 10**18, 5.0))], None, go_on)
    assert outcome.error is None


def test_a_gpu_is_shared_by_expected_memory(executor: RayCluster) -> None:
    shares = {0.0: 1.0, 0.126: 0.126, 0.9999: 1.0, 3.0: 1.0}
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


def test_a_search_has_the_same_result_as_on_this_machine() -> None:
    there = tune(**SEARCH, train=3, executor="ray", study="there", goal="latency", min_accuracy=10)
    here = tune(**SEARCH, train=3, study="here")
    first = {training.shape: training.curve for training in there.answer.trainings}
    assert all(first[training.shape] == training.curve for training in here.answer.trainings)
    best = there.answer.best
    assert best is not None
    assert list(Path("there/weights").glob("*/*.safetensors"))
    assert not list(Path("there/weights").glob("*/*.partial"))
    assert there.to_dict()["best"]["test_accuracy"] is not None
    assert tune(**SEARCH, train=3, executor="ray", study="there", goal="latency", min_accuracy=10).new_trainings == 0


def test_another_device_than_the_one_that_was_measured_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shape_dnn.study.ask_elsewhere", lambda *_: {"fingerprint": "of another machine"})
    with pytest.raises(MeterError, match="of another kind than the one that was measured before"):
        tune(**SEARCH, train=2, executor="ray", goal="latency")


def test_a_node_that_is_lost_loses_nothing_that_was_finished(cluster: Cluster) -> None:
    third = cluster.add_node(num_cpus=2, resources={"doomed": 2})
    finished_before: list[str] = []
    state = {"killed": False, "epochs": 0}

    def watch(event: Event) -> None:
        if isinstance(event, TrainingFinished) and not state["killed"]:
            finished_before.append(str(event.training.shape))
        if isinstance(event, EpochFinished):
            state["epochs"] += 1
            if state["epochs"] == 12 and not state["killed"]:
                state["killed"] = True
                cluster.remove_node(third, allow_graceful=False)

    result = tune(**{**SEARCH, "epochs": 6}, strategy="exhaustive", executor="ray", study="lost", notify=watch)
    assert state["killed"]
    trainings = result.answer.trainings
    assert len(trainings) == 9
    assert all(training.accuracy is not None for training in trainings), [training.reason for training in trainings]
    assert all(len(training.curve) == 6 for training in trainings)
    alone = tune(**{**SEARCH, "epochs": 6}, strategy="exhaustive", study="alone")
    assert [t.curve for t in alone.answer.trainings] == [t.curve for t in trainings], "a loss changes no result"


def test_what_ran_on_a_lost_node_is_told_from_what_died(cluster: Cluster, executor: RayCluster) -> None:
    fourth = cluster.add_node(num_cpus=1)
    (node,) = {each["NodeID"] for each in ray.nodes() if each["Alive"]} & {fourth.node_id}
    errors = []
    killed = False

    def watch(_task: Task, content: object) -> bool:
        nonlocal killed
        where = {running.node for running in executor._running.values()}  # noqa: SLF001
        if content is not None and node in where and not killed:
            killed = True
            cluster.remove_node(fourth, allow_graceful=False)
        return True

    errors = [outcome.error for outcome in executor.run([Where(seconds=8) for _ in range(3)], None, watch)]
    assert killed
    assert [type(error) for error in errors if error is not None] == [MachineLostError]
