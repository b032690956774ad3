"""What a training declares that it takes, and what it may do with its process: nothing of it reaches another one."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_executor import always, end
from worker_tasks import Demanding, Family, Square

from shape_dnn import Task, devices, tune
from shape_dnn.builtin.executors.local import Local
from shape_dnn.builtin.executors.room import Place, Room
from shape_dnn.errors import ProcessDiedError, UnavailableError
from shape_dnn.events import Event, TrainingFinished
from shape_dnn.work import Needs

SEARCH: dict[str, Any] = {
    "trainer": "own.py", "depth": "1:4:1", "width": "1:2:1", "device": "cpu", "strategy": "exhaustive",
}  # fmt: skip
TRAINER = """
import json, multiprocessing, os, subprocess, sys
import numpy, torch
from shape_dnn import Quality, Resources

QUALITY = Quality("reward", minimum=0)


def build(shape):
    return torch.nn.Linear(shape.depth, 1)

"""


@pytest.fixture
def executor() -> Iterator[Local]:
    made = Local()
    yield made
    made.close()


def own(code: str) -> None:
    """Write a trainer."""
    Path("own.py").write_text(TRAINER + code)


# How many run at once


def placed(room: Room, demands: Sequence[Needs]) -> list[Place]:
    """Place one after the other until one has to wait."""
    places: list[Place] = []
    for needs in demands:
        place = room.place(needs, places)
        if place is None:
            break
        places.append(place)
    return places


@pytest.mark.parametrize(
    ("cores", "threads", "demands", "at_once"),
    [
        (8, 1, [1] * 20, 8),
        (8, 1, [4, 3, 1, 1], 3),
        (8, 1, [4, 4, 4], 2),
        (8, 4, [1, 1, 1], 2),
        (2, 1, [16, 1], 1),
    ],
)
def test_as_many_run_at_once_as_there_are_cores_for_and_one_alone_is_never_refused(
    cores: int, threads: int, demands: list[int], at_once: int
) -> None:
    assert len(placed(Room(cores, threads), [Needs(cores=each) for each in demands])) == at_once


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_what_needs_a_device_for_itself_has_nothing_beside_it_there(device: str) -> None:
    room, alone, shared = Room(cores=99), Needs(device, exclusive=True), Needs(device)
    other = Needs("cuda:1", exclusive=True)
    assert [len(placed(room, both)) for both in ([alone, shared], [shared, alone], [alone, alone])] == [1, 1, 1]
    assert len(placed(room, [alone, other])) == 2


@pytest.mark.parametrize(("workers", "most"), [(None, 2), (1, 1), (3, 2), (8, 4)])
def test_workers_limit_the_number_of_tasks_and_may_be_more_than_there_are_cores(
    executor: Local, workers: int | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 4)
    at_once: list[int] = []

    def watch(_task: Task, _content: object) -> bool:
        at_once.append(len(executor._busy))
        return False

    tasks = [Demanding(Needs(cores=2), str(i)) for i in range(6)]
    assert len(list(executor.run(tasks, workers, watch))) == 6
    assert max(at_once) == most


def test_memory_is_added_up_for_each_device_and_not_where_a_gpu_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: 3)
    room = Room(cores=99)
    here, there = Needs("cpu", share=0.6), Needs("cuda:0", share=0.6)
    assert len(placed(room, [here, there, there])) == 2
    whole = Needs("cuda:0", share=0.9, gpus=1)
    assert len(placed(room, [whole, whole, whole, whole])) == 3


# GPUs. There need not be any: they are counted, and named to the processes that see no others.


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("four_gpus")
def test_what_declares_gpus_has_them_for_itself() -> None:
    room, two, one, part = Room(99), *(Needs("cuda:0", share=0.1, gpus=gpus) for gpus in (2, 1, None))
    assert [place.gpus for place in placed(room, [two, one, one, one])] == [(0, 1), (2,), (3,)]
    assert [place.gpus for place in placed(room, [part, part, two, two])] == [(), (), (1, 2)], "the first is shared"
    assert placed(room, [two, part]) == [Place(two, (0, 1))], "one that is taken is not shared"
    assert Needs("cpu", gpus=2).whole_gpus == 0, "on the processor no GPU is used"


@pytest.mark.usefixtures("four_gpus")
def test_tasks_see_no_gpus_but_their_own_in_processes_of_their_own(executor: Local) -> None:
    seen: dict[str, object] = {}

    def watch(task: Task, place: object) -> bool:
        seen[task.attempt] = place
        return len(seen) < 2

    list(executor.run([Square(1)], 1, always))
    tasks = [Demanding(Needs("cuda:0", gpus=2), str(i)) for i in range(2)]
    outcomes = [outcome.result for outcome in executor.run(tasks, 2, watch)]
    assert sorted(visible for _, visible, _ in outcomes) == ["0,1", "2,3"]  # type: ignore[misc]
    assert len({process for process, _, _ in outcomes}) == 2  # type: ignore[misc]
    assert end({process for process, _, _ in outcomes}), "their processes end with them"  # type: ignore[misc]
    (later,) = executor.run([Demanding(Needs(), "later")], 1, lambda *_: False)
    assert later.result[1] is None  # type: ignore[index]


@pytest.mark.usefixtures("four_gpus")
@pytest.mark.parametrize(
    ("needs", "complaint"),
    [
        (Needs("cuda:0", gpus=5), r"^a training takes 5 GPUs, and this machine has 4 GPUs; have its trainer declare fewer"),
        (Needs("cuda:1", gpus=1), r"^a training takes whole GPUs, and --device cuda:1 names a single one; give --device cuda"),
    ],
)  # fmt: skip
def test_gpus_that_there_are_not_are_not_waited_for(executor: Local, needs: Needs, complaint: str) -> None:
    outcomes = list(executor.run([Square(2), Demanding(needs), Square(3)], 2, always))
    assert sorted(outcome.result for outcome in outcomes if outcome.error is None) == [4, 9]  # type: ignore[type-var]
    (refused,) = [outcome.error for outcome in outcomes if outcome.error is not None]
    with pytest.raises(UnavailableError, match=complaint):
        raise refused


@pytest.mark.parametrize(
    ("hip", "before", "there"),
    [
        (None, {}, {"CUDA_VISIBLE_DEVICES": "0,2"}),
        (None, {"CUDA_VISIBLE_DEVICES": "3,5,7"}, {"CUDA_VISIBLE_DEVICES": "3,7"}),
        (None, {"CUDA_VISIBLE_DEVICES": "GPU-a, GPU-b,GPU-c"}, {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-c"}),
        (None, {"HIP_VISIBLE_DEVICES": "3,5,7"}, {"CUDA_VISIBLE_DEVICES": "0,2"}),
        ("6.4", {}, {"HIP_VISIBLE_DEVICES": "0,2"}),
        ("6.4", {"ROCR_VISIBLE_DEVICES": "3,5,7"}, {"HIP_VISIBLE_DEVICES": "0,2"}),
        ("6.4", {"CUDA_VISIBLE_DEVICES": "3,5,7"}, {"HIP_VISIBLE_DEVICES": "3,7"}),
        ("6.4", {"HIP_VISIBLE_DEVICES": "3,5,7", "CUDA_VISIBLE_DEVICES": "1"}, {"HIP_VISIBLE_DEVICES": "3,7"}),
    ],
)
def test_gpus_are_numbered_among_those_that_the_search_may_use(
    hip: str | None, before: dict[str, str], there: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On those of AMD a variable of CUDA would be read by nobody where there is one of HIP."""
    monkeypatch.setattr(torch.version, "hip", hip)
    surround(monkeypatch, before)
    assert devices.visible((0, 2)) == there


def test_gpus_that_the_environment_names_no_more_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may change it after torch has counted them."""
    monkeypatch.setattr(torch.version, "hip", None)
    surround(monkeypatch, {"CUDA_VISIBLE_DEVICES": "0,1"})
    with pytest.raises(UnavailableError, match=r"^CUDA_VISIBLE_DEVICES='0,1' names fewer GPUs than torch has found"):
        devices.visible((0, 2))


def surround(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Have only these variables say which GPUs are seen."""
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


# What a training finds


THREADS = """
def train(shape, run):
    from threadpoolctl import threadpool_info
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    code = "import os; print(os.environ['OMP_NUM_THREADS'])"
    child = int(subprocess.run([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, check=True).stdout)
    with open(f"{shape.depth}.json", "w") as file:
        json.dump([torch.get_num_threads(), *pools, child], file)
    return 1.0

def resources(shape):
    return Resources(cores=shape.depth, gpus=2)
"""


def test_a_training_has_the_threads_that_it_declares_and_so_have_other_libraries() -> None:
    own(THREADS)
    result = tune(**SEARCH, workers=2)
    assert len(result.answer.trainings) == 3, "on the processor it does not matter how many GPUs it would take"
    for cores in (1, 2, 3):
        found = json.loads(Path(f"{cores}.json").read_text())
        assert len(found) >= 3
        assert set(found) == {cores}


TRACES = """
def train(shape, run):
    mark = "changed" in os.environ or torch.get_default_dtype() != torch.float32
    os.environ["changed"] = "yes"
    torch.set_default_dtype(torch.float64)
    return 100.0 * mark
"""


def test_what_a_training_leaves_behind_spoils_no_other() -> None:
    own(TRACES)
    result = tune(**SEARCH, workers=1)
    assert [training.quality for training in result.answer.trainings] == [0.0] * 3


def test_a_task_that_wants_a_fresh_process_is_the_only_one_there(executor: Local) -> None:
    kept, fresh = Needs(), Needs(fresh=True)
    demands = [kept, kept, fresh, fresh, kept]
    outcomes = []
    for number, needs in enumerate(demands):
        outcomes += executor.run([Demanding(needs, str(number))], 1, lambda *_: False)
    processes, _, found = zip(*(outcome.result for outcome in outcomes), strict=True)  # type: ignore[arg-type]
    assert found == ([], ["0"], [], [], ["0", "1"])
    assert len(set(processes)) == 3
    assert end(set(processes[2:4]))


# What a training prints


NOISY = """
print("imported")

def train(shape, run):
    print("from Python")
    subprocess.run([sys.executable, "-S", "-c", "print('from a subprocess')"], check=True)
    os.write(1, b"from C\\n")
    child = multiprocessing.get_context("spawn").Process(target=print, args=("from a child",))
    child.start()
    child.join()
    assert child.exitcode == 0
    return 50.0 + shape.depth
"""


def test_what_a_training_prints_goes_to_standard_error() -> None:
    own(NOISY)
    command = [
        sys.executable, "-m", "shape_dnn", "--trainer", "own.py", "--depth", "1:2:1", "--width", "1:2:1",
        "--device", "cpu", "--goal", "size", "--format", "json",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["best"]["depth"] == 1
    lines = ran.stderr.splitlines()
    for said in ("from Python", "from a subprocess", "from C", "from a child"):
        assert said in lines


# Processes of a training


PARALLEL = """
def double(number):
    return 2 * number

def train(shape, run):
    from torch.utils.data import DataLoader, TensorDataset
    loader = DataLoader(TensorDataset(torch.arange(4.0)), 2, num_workers=2, multiprocessing_context="fork")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        doubled = pool.map(double, [int(value) for (batch,) in loader for value in batch])
    return float(sum(doubled))
"""


def test_a_training_may_have_processes_of_its_own_as_loaders_of_data_do() -> None:
    own(PARALLEL)
    result = tune(**SEARCH | {"depth": "1:2:1"})
    assert [training.quality for training in result.answer.trainings] == [12.0]


@pytest.mark.parametrize("chosen", [None, "fork", "spawn"])
def test_a_search_leaves_the_start_method_of_processes_to_the_user(
    chosen: str | None,
) -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(chosen, force=True)
    try:
        own("def train(shape, run):\n    return float(multiprocessing.get_start_method() == 'spawn')\n")
        result = tune(**SEARCH | {"depth": "1:2:1"})
        assert multiprocessing.get_start_method(allow_none=True) == chosen
    finally:
        multiprocessing.set_start_method(before, force=True)
    assert [training.quality for training in result.answer.trainings] == [float(chosen == "spawn")]


class Enough(Exception):
    """What ends a search early."""


@pytest.mark.parametrize("how", ["it hangs", "its worker is killed", "the search is over"])
def test_processes_of_a_task_end_with_it(how: str, executor: Local) -> None:
    told: list[int] = []

    def watch(_task: Task, numbers: object) -> bool:
        told.extend(numbers)  # type: ignore[arg-type]
        assert not any(end({number}, 0) for number in told), "they are there"
        if how == "its worker is killed":
            os.kill(told[0], signal.SIGKILL)
        if how == "the search is over":
            raise Enough
        return True

    # A worker that was killed cannot look for those of its processes that have begun a session of their own.
    task = Family(10.0 if how == "it hangs" else None, sessions=how != "its worker is killed")
    if how == "the search is over":
        with pytest.raises(Enough):
            list(executor.run([task], 1, watch))
        executor.close()
    else:
        (outcome,) = executor.run([task], 1, watch)
        assert isinstance(outcome.error, ProcessDiedError)
    assert len(told) >= 4
    assert end(set(told))


DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from worker_tasks import Family
from shape_dnn.builtin.executors.local import Local

if __name__ == "__main__":
    list(Local().run([Family()], 1, lambda _, numbers: print(*numbers, flush=True) or True))
"""


def test_processes_of_a_task_end_when_the_driver_is_killed() -> None:
    Path("driver.py").write_text(DRIVER.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, "driver.py"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        left = {int(number) for number in driver.stdout.readline().split()}
        driver.kill()
    assert len(left) == 5
    assert end(left)


LEAVING = """
def train(shape, run):
    started = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(1000)"])
    return float(started.pid)
"""


def test_what_a_training_has_started_ends_with_it_where_it_comes_to_its_end_too() -> None:
    own(LEAVING)
    gone: list[bool] = []

    def watch(event: Event) -> None:
        if isinstance(event, TrainingFinished):
            gone.append(end({int(event.training.quality or 0)}))

    tune(**SEARCH, notify=watch)
    assert gone == [True] * 3


# Several processes that train one network together


def test_a_training_may_be_made_by_several_processes_together(tmp_path: Path) -> None:
    """As on several GPUs, but on the processor: the example of the documentation."""
    page = (Path(__file__).parents[1] / "docs/training.md").read_text()
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL)
    for name, code in blocks:
        Path(name).write_text(code)
    assert {name for name, _ in blocks} == {"together.py", "parts.py"}
    result = tune(**SEARCH | {"trainer": "together.py", "depth": "1:2:1"}, option={"trainer.epochs": 3})
    (training,) = result.answer.trainings
    assert training.reason == ""
    assert [epoch.number for epoch in training.curve] == [1, 2, 3]
    assert list(Path().glob("**/weights/**/*.safetensors"))
