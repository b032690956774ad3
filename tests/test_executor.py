"""Worker processes that do what worker processes do: return, raise, and die."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_tasks import (
    Die,
    Environment,
    Exists,
    FailHolding,
    FailOn,
    Imported,
    Obedient,
    Sleep,
    Square,
    Where,
    deaf,
    describe_process,
    end_at_once,
)

from shape_dnn import Task, TrainingError
from shape_dnn.builtin.executors import forking, workers
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import UnavailableError


@pytest.fixture
def executor() -> Iterator[Local]:
    made = Local()
    yield made
    made.close()


def always(_task: Task, _content: object) -> bool:
    return True


def test_every_task_is_run_once_and_its_reports_arrive(executor: Local) -> None:
    reports: list[tuple[Task, object]] = []
    tasks = [Square(i) for i in range(6)]
    outcomes = list(executor.run(tasks, 2, lambda task, content: reports.append((task, content)) or True))
    assert sorted((o.task.number, o.result) for o in outcomes) == [(i, i * i) for i in range(6)]  # type: ignore[attr-defined]
    assert sorted(content for _, content in reports) == list(range(6))  # type: ignore[type-var]
    assert all(task.number == content for task, content in reports)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("kill", TrainingError, "killed by SIGKILL"),
        ("exit", TrainingError, "exit status 3"),
        ("raise", ValueError, "as usual"),
        ("unpicklable error", TrainingError, "Local: no way home"),
    ],
)
def test_a_task_that_fails_leaves_the_others_alone(executor: Local, how: str, kind: type, text: str) -> None:
    outcomes = list(executor.run([Square(1), Die(how), Square(2), Square(3)], 2, always))
    failed = [o for o in outcomes if o.error is not None]
    assert len(outcomes) == 4
    assert sorted(o.result for o in outcomes if o.error is None) == [1, 4, 9]  # type: ignore[type-var]
    assert [o.task for o in failed] == [Die(how)]
    assert isinstance(failed[0].error, kind)
    assert text in str(failed[0].error)


def test_in_a_process_that_may_start_none_it_is_said_where_it_works(executor: Local) -> None:
    """As in those of multiprocessing.Pool."""
    ours, theirs = multiprocessing.Pipe()

    def work() -> None:
        try:
            list(executor.run([Square(2)], 1, always))
        except Exception as error:  # noqa: BLE001 - whatever it says
            theirs.send(f"{type(error).__name__}: {error}")

    pooled = multiprocessing.get_context("fork").Process(target=work, daemon=True)
    pooled.start()
    assert ours.poll(60)
    assert re.search(r"^UnavailableError: .* multiprocessing\.Pool .*ProcessPoolExecutor", ours.recv())
    pooled.join()


def test_a_task_can_be_asked_to_stop(executor: Local) -> None:
    (outcome,) = executor.run([Obedient()], 1, lambda _task, rounds: rounds < 3)  # type: ignore[operator]
    assert outcome.result == 3


def test_workers_are_kept_and_have_one_thread_each(executor: Local) -> None:
    first = {o.result for o in executor.run([Where()], 1, always)}
    second = {o.result for o in executor.run([Where()], 1, always)}
    assert first == second
    assert {threads for _, threads in first} == {"1"}  # type: ignore[misc]


def test_a_task_that_hangs_is_ended_when_the_patience_with_it_is_over(executor: Local) -> None:
    # Signs of life may come seconds late on a busy machine, so patience with the lively one is much longer than a pulse.
    quiet, lively = Sleep(100, patience=1.5), Sleep(12, pulse=0.5, patience=10.0)
    outcomes = list(executor.run([quiet, lively, Square(3)], 2, always))
    errors = {o.task: str(o.error) for o in outcomes if o.error is not None}
    assert list(errors) == [quiet], f"what shows signs of life may take longer, but: {errors}"
    assert re.match(r"it hung: no sign of life for \d+(\.\d+)? s, so it was ended", errors[quiet])
    assert len(outcomes) == 3


def test_an_executor_that_is_told_to_stop_starts_nothing_more(executor: Local) -> None:
    outcomes = []
    for outcome in executor.run([Square(i) for i in range(50)], 2, always):
        outcomes.append(outcome.result)
        executor.stop()
    assert outcomes == [0] or sorted(outcomes) == [0, 1], "those that were running are handed over"


def test_closing_ends_the_workers_even_those_at_work() -> None:
    executor = Local()
    outcomes = executor.run([Where(), Obedient()], 2, always)
    pid, _ = next(o.result for o in outcomes if isinstance(o.task, Where))  # type: ignore[misc]
    executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.fixture
def light_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have new workers copied from another server than that of the other tests, which imports nothing."""
    monkeypatch.setattr(forking, "IMPORTED", [])
    monkeypatch.setattr(forking, "_server", forking._new_server())


def result_of(task: Task) -> object:
    """Run a task in a new worker."""
    executor = Local()
    try:
        (outcome,) = executor.run([task], 1, always)
    finally:
        executor.close()
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


def test_workers_have_torch_when_they_start() -> None:
    assert {"torch", "shape_dnn.training.loop", "shape_dnn.measuring.task"} <= result_of(Imported())  # type: ignore[operator]


@pytest.mark.usefixtures("light_server")
def test_a_worker_has_the_environment_that_the_driver_has_when_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("SOON_GONE", "here")
    for value in ("first", "second"):
        monkeypatch.setenv("CHANGING", value)
        before = dict(os.environ)
        assert result_of(Environment()) == {**before, "OMP_NUM_THREADS": "1"}
        assert dict(os.environ) == before
        monkeypatch.delenv("SOON_GONE", raising=False)


@pytest.mark.usefixtures("light_server")
def test_a_killed_server_is_replaced(executor: Local) -> None:
    (first,) = executor.run([Where()], 1, always)
    for _ in range(2):
        os.kill(forking._server._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
        (again,) = executor.run([Where()], 1, always)
        assert again.result == first.result, "workers go on without it"
        assert result_of(Square(3)) == 9


@pytest.mark.usefixtures("light_server")
def test_closing_ends_a_worker_at_work_whose_server_was_killed(executor: Local) -> None:
    next(executor.run([Sleep(1000), Square(1)], 2, always))
    (worker,) = executor._busy
    process = worker.process.pid
    assert process is not None
    os.kill(forking._server._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    worker.process.join()  # which is over as soon as nobody is left to tell whether the worker is
    executor.close()
    assert end({process})


@pytest.mark.usefixtures("light_server")
@pytest.mark.parametrize(("device", "goes_on"), [("cuda:0", False), ("cpu", True)])
def test_a_process_in_which_a_task_failed_on_a_gpu_is_given_no_other(
    executor: Local, device: str, goes_on: bool
) -> None:
    """What went wrong there may go on being wrong. No GPU is needed to find that out."""
    processes: list[int] = []
    outcomes = list(executor.run([FailOn(device), Where()], 1, lambda _, number: processes.append(number) or True))  # type: ignore[func-returns-value, arg-type]
    assert [type(outcome.error) for outcome in outcomes] == [RuntimeError, type(None)]
    assert ([outcomes[1].result[0]] == processes) is goes_on  # type: ignore[index]
    assert goes_on or end(set(processes))


@pytest.mark.usefixtures("light_server")
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_a_failed_task_had_is_gone_before_the_next_one(executor: Local, wrapped: bool) -> None:
    gone = Path("gone").absolute()
    (before,) = executor.run([Exists(gone)], 1, always)
    (failed, after) = executor.run([FailHolding(gone, wrapped), Exists(gone)], 1, always)
    assert failed.error is not None
    process, is_there = before.result  # type: ignore[misc]
    assert not is_there
    assert after.result == (process, True)


def test_a_server_that_is_killed_while_it_starts_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "IMPORTED", ["worker_of_the_dead"])
    Path("worker_of_the_dead.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.setattr(forking, "_server", forking._new_server())
    monkeypatch.setattr(forking, "IMPORTED", [])
    assert result_of(Square(3)) == 9


@pytest.mark.usefixtures("light_server")
def test_neither_workers_nor_their_server_hear_interrupts(executor: Local) -> None:
    (outcome,) = executor.run([Where()], 1, always)
    assert deaf(outcome.result[0])  # type: ignore[index]
    assert deaf(forking._server._forkserver_pid)  # type: ignore[attr-defined]
    assert not deaf() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("light_server")
def test_a_program_s_own_forkserver_is_left_alone(executor: Local) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["colorsys"])
    list(executor.run([Square(1)], 1, always))
    ours, theirs = context.Pipe()
    process = context.Process(target=describe_process, args=(theirs,))
    process.start()
    modules, hears_nothing, safe_path = ours.recv()
    process.join()
    assert "colorsys" in modules
    assert "torch" not in modules
    assert hears_nothing == deaf()
    assert safe_path == os.environ.get("PYTHONSAFEPATH")


def test_a_worker_that_dies_before_it_is_ready_stops_the_search_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_serve", end_at_once)
    executor = Local()
    with pytest.raises(
        UnavailableError, match=r"^a worker process could not start: its process ended with exit status 7"
    ):
        list(executor.run([Square(1)], 1, always))
    executor.close()


FAKE = """
import sys
sys.path[:0] = [{tests!r}, {root!r}, "elsewhere"]
from worker_tasks import Imported
from shape_dnn.builtin.executors.local import Local

if __name__ == "__main__":
    executor = Local()
    (outcome,) = executor.run([Imported("torch")], 1, lambda *_: True)
    executor.close()
    print(outcome.result)
"""


@pytest.mark.parametrize("flags", [[], ["-E"]])
def test_workers_import_from_where_their_driver_does(flags: list[str]) -> None:
    tests = Path(__file__).parent
    Path("driver.py").write_text(FAKE.format(tests=str(tests), root=str(tests.parent)))
    Path("elsewhere").mkdir()
    Path("elsewhere/torch.py").touch()
    ran = subprocess.run([sys.executable, *flags, "driver.py"], capture_output=True, text=True, check=False)
    assert Path(ran.stdout.strip()).parts[-2:] == ("elsewhere", "torch.py"), ran.stderr


DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from worker_tasks import Obedient
from shape_dnn.builtin.executors import forking
from shape_dnn.builtin.executors.local import Local

if __name__ == "__main__":
    executor = Local()
    def tell(task, rounds):
        if rounds == 0:
            print(forking._server._forkserver_pid, *[worker.process.pid for worker in executor._busy], flush=True)
        return True
    list(executor.run([Obedient()], 1, tell))
"""


def test_workers_and_their_server_end_when_their_driver_is_killed() -> None:
    Path("driver.py").write_text(DRIVER.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, "driver.py"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        left = {int(process) for process in driver.stdout.readline().split()}
        blocked = [deaf(process, ("SigBlk",)) for process in left]
        driver.kill()
    assert blocked == [True, True], "no interrupt arrives, from the first moment"
    assert end(left)


def end(processes: set[int], seconds: float = 60) -> bool:
    """Tell whether all end in time."""
    deadline = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, processes))


def is_alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
