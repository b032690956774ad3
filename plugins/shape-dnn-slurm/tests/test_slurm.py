"""Searches on a real Slurm of three nodes, started for these tests, of which much is broken."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # where jobs find them, too

import slurm_fixture
from slurm_fixture import Cluster
from slurm_tasks import Daemon, Greedy, Missing, Steps

from shape_dnn import tune
from shape_dnn.api import studies
from shape_dnn.errors import (
    MachineLostError,
    MemoryShortageError,
    ProcessDiedError,
    UnavailableError,
    UsageError,
)
from shape_dnn.store.facts import Store
from shape_dnn.testing import ExecutorContract
from shape_dnn.work import Needs, Outcome, Task
from shape_dnn_slurm import cluster as slurm
from shape_dnn_slurm import executor as executing
from shape_dnn_slurm.executor import Slurm

if absent := slurm_fixture.missing():
    pytest.skip(f"there is no {absent} here: apt-get install slurm-wlm munge", allow_module_level=True)

pytestmark = pytest.mark.nightly  # a whole cluster on a busy machine takes ten minutes


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    yield from slurm_fixture.running_cluster()


@pytest.fixture(autouse=True)
def surroundings(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs find what they are to run, and searches leave their studies in a directory of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_CONF", str(cluster.config))
    here = [str(Path(__file__).parent), *filter(None, sys.path)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(dict.fromkeys([*here, os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setattr(executing, "POLL", 1.0)


@contextlib.contextmanager
def slurm_executor(**options: Any) -> Iterator[Slurm]:
    made = Slurm(**options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def executor() -> Iterator[Slurm]:
    with slurm_executor() as made:
        yield made


def go_on(_task: Task, _content: object) -> bool:
    return True


def wait_until(condition: Callable[[], Any], seconds: float = 600) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)
    return found


def only(outcomes: Iterator[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


class TestSlurm(ExecutorContract):
    @pytest.fixture
    def plugin(self) -> Slurm:
        return Slurm()


# What a job is


def test_tasks_that_ask_for_the_same_are_elements_of_one_array(executor: Slurm, cluster: Cluster) -> None:
    tasks = [Steps(demand=Needs(cores=cores)) for cores in (1, 1, 2, 1)]
    before = {number for number, *_ in cluster.jobs()}
    outcomes = {outcome.task.attempt: outcome for outcome in executor.run(tasks, None, go_on)}
    assert all(outcome.error is None for outcome in outcomes.values())
    made = [number for number, *_ in cluster.jobs() if number not in before]
    assert sorted(number.partition("_")[2] for number in made) == ["", "0", "1", "2"]
    assert len({number.partition("_")[0] for number in made}) == 2


def test_more_than_an_array_may_have_are_several_arrays(executor: Slurm, cluster: Cluster) -> None:
    before = {number for number, *_ in cluster.jobs()}
    outcomes = list(executor.run([Steps(steps=1) for _ in range(7)], None, go_on))
    assert [outcome.error for outcome in outcomes] == [None] * 7
    made = [number for number, *_ in cluster.jobs() if number not in before]
    arrays = Counter(number.partition("_")[0] for number in made)
    assert sorted(arrays.values()) == [2, 5], "as MaxArraySize says"


@pytest.mark.parametrize("name", ["two words", 'it\'s "quoted" $HOME #1', "étude-研究", "a,b;c&d(e)"])
def test_a_study_may_have_any_name_that_sbatch_does_not_read(tmp_path: Path, executor: Slurm, name: str) -> None:
    executor.directory = tmp_path / name / "executor" / "slurm"
    outcomes = list(executor.run([Steps(steps=1, output=tmp_path / name / f"out-{i}") for i in range(2)], None, go_on))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert (tmp_path / name / "out-1").read_text() == "written there"
    assert not [path.name for path in tmp_path.iterdir() if path.name != name]


def test_a_job_that_names_several_partitions_waits_for_the_one_that_has_a_place_for_it() -> None:
    with slurm_executor(partition="apart,main", constraint="bench") as executor:
        assert executor.device("auto") == "cpu"
        outcomes = list(executor.run([Steps(steps=30, demand=Needs(cores=2)) for _ in range(2)], None, go_on))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert {outcome.result[1] for outcome in outcomes} == {"third"}  # type: ignore[index]


def test_what_a_task_writes_is_where_the_search_expects_it(executor: Slurm) -> None:
    outcome = only(executor.run([Steps(output=Path("results/here"))], None, go_on))
    assert outcome.error is None
    assert Path("results/here").read_text() == "written there"
    left = [path for path in Path("shape-dnn-study/executor").rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"driver"} | {path.name for path in left if "submission" in path.name}


def test_no_more_run_at_once_than_are_wanted(executor: Slurm, cluster: Cluster) -> None:
    most = 0

    def watch(_task: Task, _content: object) -> bool:
        nonlocal most
        most = max(most, len(cluster.running()))
        return True

    assert len(list(executor.run([Steps() for _ in range(4)], 1, watch))) == 4
    assert most == 1


def test_measuring_has_a_node_of_the_named_kind_for_itself(cluster: Cluster) -> None:
    exclusive = Needs(exclusive=True)
    with slurm_executor(measure_constraint="bench", constraint="usual") as executor:
        tasks = [Steps(demand=exclusive), Steps(demand=Needs()), Steps(demand=exclusive)]
        outcomes = list(executor.run(tasks, 3, go_on))
    places = sorted((o.task.needs.exclusive, o.result[1], o.result[2][1]) for o in outcomes)  # type: ignore[index]
    assert [(is_exclusive, cores) for is_exclusive, _, cores in places] == [(False, "1"), (True, "2"), (True, "2")]
    assert places[0][1] in ("first", "second")
    assert {node for is_exclusive, node, _ in places if is_exclusive} == {"third"}
    with slurm_executor() as executor:
        nodes = {only(executor.run([Steps(demand=exclusive)], 1, go_on)).result[1] for _ in range(3)}  # type: ignore[index]
    assert len(nodes) == 1, "one node for the whole search, where no kind is named"


def test_slurm_is_asked_for_all_jobs_at_once_and_seldom(executor: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    run = slurm.run

    def count(*command: str) -> str:
        commands.append(command[0])
        return run(*command)

    monkeypatch.setattr(slurm, "run", count)
    began = time.monotonic()
    assert len(list(executor.run([Steps(steps=20) for _ in range(5)], None, go_on))) == 5
    assert commands.count("squeue") <= (time.monotonic() - began) / executing.POLL + 1
    assert commands.count("sinfo") == 1


# What goes wrong


def failure(task: Task, **options: Any) -> Exception:
    with slurm_executor(**options) as executor:
        outcome = only(executor.run([task], None, go_on))
    assert outcome.error is not None
    assert "\n" not in str(outcome.error)
    return outcome.error


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"partition": "nope"}, r"executor.partition: Slurm has no partition 'nope'; there are: apart, gpu, main"),
        ({"measure_partition": "nope"}, r"executor.measure_partition: Slurm has no partition 'nope'"),
        ({"constraint": "red"}, r"executor.constraint is 'red', which Slurm does not accept: .*feature"),
        ({"measure_constraint": "red"}, r"executor.measure_constraint is 'red', which Slurm does not accept"),
        ({"sbatch": "--colour=red"}, r"executor.sbatch is '--colour=red', which Slurm does not accept"),
        ({"sbatch": "fast"}, r"executor.sbatch has 'fast'; accepted are --NAME and --NAME=VALUE"),
        ({"memory": "lots"}, r"executor.memory is 'lots'; accepted are sizes such as 16G and 800M"),
        ({"time": "soon"}, r"executor.time is 'soon'; accepted are minutes, HH:MM:SS"),
    ],
)
def test_what_slurm_does_not_accept_is_laid_at_the_door_of_the_option(options: dict[str, str], said: str) -> None:
    needs = Needs(exclusive="measure_partition" in options or "measure_constraint" in options)
    with pytest.raises(UsageError, match=said) as raised, slurm_executor(**options) as executor:
        list(executor.run([Steps(demand=needs)], None, go_on))
    assert "\n" not in str(raised.value)


def test_a_machine_without_slurm_is_told_from_a_login_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for ask in (lambda: Slurm().device("cpu"), lambda: list(Slurm().run([Steps()], None, go_on))):
        with pytest.raises(UnavailableError, match=r"^sbatch is not here, so this machine does not belong to a Slurm"):
            ask()


def test_a_device_is_one_of_the_partition(executor: Slurm) -> None:
    assert executor.device("auto") == executor.device("cpu") == "cpu"
    with pytest.raises(UsageError, match="'cuda' is not there; the nodes of partition 'main' have: cpu"):
        executor.device("cuda")


@pytest.mark.parametrize("needs", [Needs(cores=99), Needs("cuda:0", gpus=3)])
def test_what_no_node_has_is_not_waited_for(needs: Needs) -> None:
    error = failure(Steps(demand=needs))
    assert isinstance(error, UnavailableError)
    assert re.search(r"would wait for ever: |no node of Slurm has what a job takes", str(error))


@pytest.mark.parametrize(("known", "memory"), [(10**8, 1536), (0, 300)], ids=["asked", "given"])
def test_a_job_that_is_killed_for_memory_ran_out_of_memory_and_the_next_attempt_has_more(
    known: int, memory: int
) -> None:
    task = Greedy(600 * 2**20, Path("home"), known)
    with slurm_executor(sbatch="--mem=300M") as executor:
        first = only(executor.run([task], None, go_on))
        assert isinstance(first.error, MemoryShortageError), first.error
        assert re.match(rf"out of memory: job \d+ on \w+ was killed, with {memory} MB", str(first.error))
        assert executor._ask(task).memory == 2 * memory  # noqa: SLF001


def test_a_job_that_is_out_of_time_says_so() -> None:
    error = failure(Steps(steps=1000), time="1")
    assert isinstance(error, ProcessDiedError)
    assert re.match(r"job \d+ on \w+ reached its time limit of 1 minutes \(TIMEOUT\); give more by", str(error))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"python": "/nowhere/python"}, r"could not begin \(FAILED\): .*(/nowhere/python|No such file)"),
        ({"python": f"{sys.executable} -I -S"}, r"could not begin \(FAILED\): .*No module named 'submitit'"),
    ],
)
def test_a_node_without_the_environment_is_named(options: dict[str, str], said: str) -> None:
    error = failure(Steps(), **options)
    assert isinstance(error, UnavailableError)
    assert re.search(said, str(error)), error
    assert "executor.python or executor.setup" in str(error)


def test_a_node_without_a_package_of_the_task_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failure(Missing())
    assert isinstance(error, UnavailableError)
    assert re.search(r"cannot load what it is to run: ModuleNotFoundError: No module named 'only_on_the", str(error))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting needs root, and unshare")
def test_a_directory_that_a_node_does_not_see_is_said_to_be_so(cluster: Cluster, tmp_path: Path) -> None:
    """The node has a file system of its own where the study lies."""
    mount = f'mount --make-rprivate / && mount -t tmpfs none "{tmp_path}" && exec "$@"'
    cluster.start_node("apart", "unshare", "--mount", "sh", "-c", mount, "sh")
    cluster.wait_for("apart")
    error = failure(Steps(), partition="apart", sbatch="--chdir=/")
    assert isinstance(error, UnavailableError)
    assert re.search(r"its node does not see that directory; choose a --study in a file system that all", str(error)), (
        error
    )


def test_a_training_of_a_gpu_of_which_nothing_is_known_has_the_processors_that_belong_to_the_gpu(
    cluster: Cluster,
) -> None:
    cluster.start_node("fast")
    cluster.wait_for("fast")
    known = Needs("cuda:0", memory=2**30, loaders=2)
    for options, needs, expected in (({}, Needs("cuda:0"), 4), ({}, known, 3), ({"cores": 2}, Needs("cuda:0"), 2)):
        with slurm_executor(partition="gpu", **options) as executor:
            assert executor.device("auto") == "cuda:0"
            outcome = only(executor.run([Steps(demand=needs)], None, go_on))
        assert outcome.result is not None, outcome.error
        assert outcome.result[2][1] == str(expected)  # type: ignore[index]


def test_a_cancelled_job_says_nothing_about_its_task(executor: Slurm, cluster: Cluster) -> None:
    def cancel(_task: Task, _content: object) -> bool:
        for number in cluster.running():
            cluster.command("scancel", number)
        return True

    outcome = only(executor.run([Steps(steps=100)], None, cancel))
    assert isinstance(outcome.error, MachineLostError)
    assert re.match(rf"job \d+ on {outcome.error.machine} was lost \(CANCELLED\)", str(outcome.error))
    assert outcome.error.machine in {"first", "second", "third"}


def test_no_job_is_cancelled_that_only_has_the_number_of_one_of_ours(cluster: Cluster) -> None:
    """As where a study was copied to another cluster, and a search goes on there."""
    submit = ("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 300")
    theirs, ours = cluster.command(*submit, "--job-name=mine"), cluster.command(*submit, "--job-name=shape-dnn")
    wait_until(lambda: {theirs, ours} <= set(cluster.running()))
    slurm.cancel([theirs, ours, "99999"])
    wait_until(lambda: ours not in cluster.running())
    assert set(slurm.states([theirs, ours])) == {ours}
    slurm.end([theirs])
    assert theirs in cluster.running()
    cluster.command("scancel", theirs)


@pytest.mark.parametrize("how", ["ends", "is cancelled"])
def test_what_a_task_starts_ends_with_its_job(executor: Slurm, cluster: Cluster, how: str) -> None:
    started = 0

    def watch(_task: Task, content: object) -> bool:
        nonlocal started
        if isinstance(content, int):
            started = content
            assert psutil.pid_exists(started)
            if how == "is cancelled":
                cluster.command("scancel", *cluster.running())
        return True

    outcome = only(executor.run([Daemon(0.5 if how == "ends" else 100)], None, watch))
    assert (outcome.error is None) == (how == "ends")
    wait_until(lambda: not psutil.pid_exists(started))


# Jobs that are started again


def ledger(home: Path) -> list[int]:
    path = home / "ledger"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("how", ["notice", "node"])
def test_a_job_that_loses_its_node_goes_on_from_where_it_was(executor: Slurm, cluster: Cluster, how: str) -> None:
    told: list[object] = []
    node = ""

    def take(_task: Task, content: object) -> bool:
        nonlocal node
        told.append(content)
        if told == [1, 2, 3]:
            ((number, _, node, _),) = [job for job in cluster.jobs() if job[1] == "RUNNING"]
            if how == "notice":
                cluster.command("scancel", "--signal=USR2", number)
            else:
                cluster.fail(node)
        return True

    outcome = only(executor.run([Steps(steps=8, seconds=0.5, home=Path("home"), loaders=3)], None, take))
    if how == "node":
        cluster.start_node(node)
    assert outcome.error is None
    assert told == list(range(1, 9)), "each step is told once"
    steps = Counter(ledger(Path("home")))
    assert sorted(steps) == list(range(1, 9))
    assert sum(steps.values()) <= 9, "one step is made again at most, that which was cut short"


# Interrupts


def test_an_interrupt_cancels_what_waits_and_lets_what_runs_come_to_a_good_point(
    executor: Slurm, cluster: Cluster
) -> None:
    tasks = [Steps(steps=1000, seconds=0.2, home=Path(f"home-{i}")) for i in range(12)]
    stopping = False

    def interrupt(_task: Task, _content: object) -> bool:
        nonlocal stopping
        if len(cluster.running()) >= 2:
            stopping = True
            executor.stop()
        return not stopping

    outcomes = list(executor.run(tasks, None, interrupt))
    assert all(outcome.error is None for outcome in outcomes)
    assert 1 <= len(outcomes) <= 6, "no more than there are processors"
    wait_until(lambda: not cluster.jobs("--states=PENDING,RUNNING"))


def test_detached_jobs_go_on_and_the_next_search_collects_them(cluster: Cluster) -> None:
    tasks = [Steps(steps=8, seconds=0.3, home=Path(f"home-{i}"), output=Path(f"out-{i}")) for i in range(2)]
    with slurm_executor(detach=True) as executor:

        def interrupt(_task: Task, _content: object) -> bool:
            executor.stop()
            return True

        assert list(executor.run(tasks, None, interrupt)) == []
    wait_until(lambda: [ledger(Path(f"home-{i}"))[-1:] for i in range(2)] == [[8], [8]])
    again = [Steps(steps=8, home=Path(f"home-{i}"), output=Path(f"new-{i}")) for i in range(2)]
    told: dict[str, list[object]] = {task.attempt: [] for task in again}
    before = len(cluster.jobs())
    with slurm_executor() as executor:
        outcomes = list(executor.run(again, None, lambda task, content: told[task.attempt].append(content) or True))
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert len(cluster.jobs()) == before, "nothing was submitted"
    assert [ledger(Path(f"home-{i}")) for i in range(2)] == [list(range(1, 9))] * 2
    assert list(told.values()) == [list(range(1, 9))] * 2
    assert [Path(f"new-{i}").read_text() for i in range(2)] == ["written there"] * 2


def test_jobs_that_no_search_takes_over_end_with_the_next_one(cluster: Cluster) -> None:
    """Those that wait are cancelled, and those that run come to a good point to stop."""
    tasks = [Steps(steps=1000, seconds=0.3, home=Path(f"home-{i}")) for i in range(8)]
    with slurm_executor(detach=True) as executor:

        def interrupt(_task: Task, _content: object) -> bool:
            executor.stop()
            return True

        assert list(executor.run(tasks, None, interrupt)) == []
    wait_until(lambda: len(cluster.running()) == 6)
    with slurm_executor() as executor:
        other = Steps(steps=1000, home=Path("home-0"))
        assert only(executor.run([other], None, lambda *_: False)).error is None
    wait_until(lambda: not cluster.jobs("--states=PENDING,RUNNING"))
    assert all(Path(f"home-{i}/saved").exists() for i in range(6))
    assert not any(Path(f"home-{i}").exists() for i in (6, 7)), "they did not begin"


def test_a_deleted_study_leaves_no_jobs_and_those_of_another_go_on(cluster: Cluster) -> None:
    for name, number in (("other", 1), ("mine", 7)):
        Store(Path(name)).close()
        with slurm_executor(detach=True) as executor:
            executor.directory = Path(name, "executor", "slurm")
            tasks = [Steps(steps=1000, seconds=0.3, home=Path(name, "checkpoints", str(i))) for i in range(number)]
            assert list(executor.run(tasks, None, lambda *_, executor=executor: executor.stop() or True)) == []  # type: ignore[misc]
    wait_until(lambda: len(cluster.running()) == 6)
    (other,) = Path("other/executor/slurm").glob("*/job.json")
    kept = json.loads(other.read_text())["number"]
    studies.delete(Path("mine"))
    assert [number for number, *_ in cluster.jobs("--states=PENDING,RUNNING,COMPLETING")] == [kept]
    assert not Path("mine").exists(), "nor does one that ends leave anything"
    studies.delete(Path("other"))
    assert not cluster.jobs("--states=PENDING,RUNNING,COMPLETING")
    time.sleep(2)
    assert not Path("mine").exists()
    assert not Path("other").exists()


# Whole searches

OWN = """
import time
from pathlib import Path
import torch
from shape_dnn import Quality

QUALITY = Quality("loss", better="lower", minimum=0)
LEDGER = Path({ledger!r})


def build(shape):
    return torch.nn.Linear(shape.depth, int(4 * shape.width))


def train(shape, run, epochs=6):
    network, saved = build(shape), run.load()
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    if saved is not None:
        network.load_state_dict(saved)
    for epoch in range(saved.more["epoch"] + 1 if saved is not None else 1, epochs + 1):
        time.sleep({seconds})
        loss = (network(torch.ones(1, shape.depth)) - shape.depth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with LEDGER.open("a") as file:
            file.write(f"{{shape.depth}},{{shape.width}} {{run.seed}} {{epoch}}\\n")
        run.save(network, epoch=epoch)
        run.report(epoch, loss.item())
"""
SEARCH = ["--trainer", "own.py", "--depth", "1:5:1", "--width", "1/4:3/4:1/4", "--device", "cpu", "--goal", "loss"]
METHODS = {"paper": ["--sampler", "interval", "--train", "5"], "default": ["--together", "4"]}


@pytest.fixture
def search() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begins searches, of which nothing is left after the test."""
    with contextlib.ExitStack() as stack:

        def begin(*more: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "shape_dnn", *SEARCH, "--format", "json", *more]
            begun = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603
            stack.enter_context(begun)
            stack.callback(begun.kill)
            return begun

        yield begin


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    found: dict[str, Any] = json.loads(out)
    return found


def made() -> Counter[str]:
    return Counter(Path("ledger").read_text().splitlines() if Path("ledger").exists() else ())


@pytest.mark.parametrize("method", METHODS)
def test_whatever_happens_nothing_is_lost_or_repeated(
    method: str, cluster: Cluster, search: Callable[..., subprocess.Popen[str]]
) -> None:
    """A job is cancelled, a node drained, the search killed, and jobs run on without it."""
    Path("own.py").write_text(OWN.format(ledger=str(Path("ledger").absolute()), seconds=0.7))
    on_slurm = [*METHODS[method], "--executor", "slurm", "--study", "there"]
    driver = search(*on_slurm)
    wait_until(lambda: max((int(line.split()[2]) for line in made()), default=0) >= 2)
    victim = cluster.running()[0]
    cluster.command("scancel", victim)
    cluster.command("scontrol", "update", "nodename=second", "state=drain", "reason=test")
    wait_until(lambda: victim not in cluster.running())
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    at_death = made()
    went_on = cluster.running()
    if went_on:
        wait_until(lambda: sum(made().values()) > sum(at_death.values()))
    cluster.command("scontrol", "update", "nodename=second", "state=resume")
    there = finished(search(*on_slurm))
    steps = made()
    trained = {f"{training['depth']},{Fraction(training['width'])}" for training in there["trained"]}
    begun = {name.rpartition(" ")[0] for name in steps}  # some are trained with a second seed, too
    assert {name.partition(" ")[0] for name in begun} == trained
    assert set(steps) == {f"{name} {epoch}" for name in begun for epoch in range(1, 7)}
    assert sum(steps.values()) - len(steps) <= 1, "no epoch is made again but that which scancel cut short"
    Path("own.py").write_text(OWN.format(ledger=os.devnull, seconds=0))
    here = finished(search(*METHODS[method], "--executor", "local", "--study", "here"))
    assert there["trained"] == here["trained"]
    assert there["best"] == here["best"]


def test_a_search_has_the_same_result_as_on_this_machine(cluster: Cluster) -> None:
    settings: dict[str, Any] = {
        "depth": "10:17:6", "width": "1/4:3/4:1/4", "sampler": "interval", "epochs": 2, "device": "cpu", "train": 2,
        "min_accuracy": 10, "goal": "latency",
    }  # fmt: skip
    options = {"dataset.limit": 300, "meter.seconds": 0.02}
    before = {number for number, *_ in cluster.jobs()}
    there = tune(
        **settings, executor="slurm", study="there", option={**options, "executor.measure_constraint": "bench"}
    )
    here = tune(**settings, study="here", option=options)
    first = {training.shape: training.curve for training in there.answer.trainings}
    assert first
    assert all(first[t.shape] == t.curve for t in here.answer.trainings if t.shape in first)
    assert list(Path("there/weights").glob("*/*.safetensors"))
    assert not list(Path("there/weights").glob("*/*.partial"))
    ours = [job for job in cluster.jobs() if job[0] not in before]
    assert {name for *_, name in ours} == {"shape-dnn"}
    assert "third" in {node for _, _, node, _ in ours}
    assert there.to_dict()["best"]["test_accuracy"] is not None
    again = tune(
        **settings, executor="slurm", study="there", option={**options, "executor.measure_constraint": "bench"}
    )
    assert again.new_trainings == 0
