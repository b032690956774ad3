"""Worker processes that do what worker processes do: return, raise, and die."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_tasks import Die, Obedient, Sleep, Square, Where

from shape_dnn import Task, TrainingError
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import ProcessDiedError


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


def test_a_task_can_be_asked_to_stop(executor: Local) -> None:
    (outcome,) = executor.run([Obedient()], 1, lambda _task, rounds: rounds < 3)  # type: ignore[operator]
    assert outcome.result == 3


def test_workers_are_kept_and_have_one_thread_each(executor: Local) -> None:
    first = {o.result for o in executor.run([Where()], 1, always)}
    second = {o.result for o in executor.run([Where()], 1, always)}
    assert first == second
    assert {threads for _, threads in first} == {"1"}  # type: ignore[misc]


def test_a_task_that_hangs_is_ended_when_the_patience_with_it_is_over(executor: Local) -> None:
    quiet, lively = Sleep(100, patience=1.5), Sleep(4, pulse=0.5, patience=3.0)
    outcomes = {type(o.error): o for o in executor.run([quiet, lively, Square(3)], 2, always)}
    assert outcomes[ProcessDiedError].task == quiet
    assert re.match(
        r"it hung: no sign of life for \d+(\.\d+)? s, so it was ended", str(outcomes[ProcessDiedError].error)
    )
    assert len(outcomes) == 2, "what shows signs of life may take longer"


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


DRIVER = """
import sys
sys.path.insert(0, {tests!r})
from worker_tasks import Obedient
from shape_dnn.builtin.executors.local import Local

if __name__ == "__main__":
    executor = Local()
    def tell(task, rounds):
        if rounds == 0:
            print(*[worker.process.pid for worker in executor._busy], flush=True)
        return True
    list(executor.run([Obedient()], 1, tell))
"""


def test_workers_end_when_their_driver_is_killed() -> None:
    Path("driver.py").write_text(DRIVER.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, "driver.py"], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        driver.kill()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2][:3]:
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its driver by ten seconds")
