"""What every executor must keep to."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from shape_dnn.errors import ProcessDiedError, UnavailableError
from shape_dnn.kinds import Executor
from shape_dnn.plugins import checked
from shape_dnn.testing.contract import Contract
from shape_dnn.work import Needs, Outcome, Task


@dataclass
class Trial(Task):
    """Base of the tasks that executors are tried with.

    Like the tasks of a search, they cannot be hashed, and each is an attempt of its own.
    """

    attempt: str = field(default_factory=lambda: secrets.token_hex(8), kw_only=True)


@dataclass
class Square(Trial):
    """Report a number and return its square."""

    number: int

    def run(self, report: Callable[[object], bool]) -> int:
        """Return the square."""
        report(self.number)
        return self.number**2


@dataclass
class Fail(Trial):
    """Raise an error."""

    def run(self, report: Callable[[object], bool]) -> None:
        """Raise it."""
        raise ValueError("as usual")


@dataclass
class Die(Trial):
    """End the process."""

    def run(self, report: Callable[[object], bool]) -> None:
        """Kill it, as the system does when memory runs out."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Hang(Trial):
    """Do nothing, and never end."""

    patience: float | None = 1.5

    def run(self, report: Callable[[object], bool]) -> None:
        """Sleep."""
        time.sleep(1000)


@dataclass
class Count(Trial):
    """Count until told to stop."""

    def run(self, report: Callable[[object], bool]) -> int:
        """Return how far the count came."""
        rounds = 0
        while report(rounds):
            rounds += 1
        return rounds


@dataclass
class Parallel(Trial):
    """Have a process of its own do something."""

    def run(self, report: Callable[[object], bool]) -> int | None:
        """Return its exit status."""
        # Not a copy of this one, of which an executor that breaks the rules would have two write what was printed.
        process = multiprocessing.get_context("spawn").Process(target=os.getpid)
        process.start()
        process.join()
        return process.exitcode


@dataclass
class Mark(Trial):
    """Leave a mark in the process."""

    needs: Needs = Needs(fresh=True)  # noqa: RUF009

    def run(self, report: Callable[[object], bool]) -> bool:
        """Tell whether there already was a mark."""
        _marks.append(self.attempt)
        return len(_marks) > 1


_marks: list[str] = []
_process = threading.Lock()


@dataclass
class Alone(Trial):
    """Need the process for itself, as trainings do."""

    def run(self, report: Callable[[object], bool]) -> None:
        """Fail if another task runs."""
        if not _process.acquire(blocking=False):
            raise RuntimeError("another task runs in this process")
        try:
            time.sleep(0.1)
        finally:
            _process.release()


@dataclass
class Stay(Trial):
    """Take a moment."""

    needs: Needs = Needs()  # noqa: RUF009

    def run(self, report: Callable[[object], bool]) -> tuple[float, float]:
        """Tell when it began and ended, by the clock of its machine."""
        began = time.monotonic()
        time.sleep(0.2)
        return began, time.monotonic()


def _go_on(_task: Task, _report: object) -> bool:
    return True


class ExecutorContract(Contract):
    """What every executor must keep to."""

    kind = "executor"

    @pytest.fixture
    def executor(self, plugin: Executor) -> Iterator[Executor]:
        """The executor, closed at the end."""
        yield plugin
        plugin.close()

    def test_says_where_networks_run(self, executor: Executor) -> None:
        """It names the device as torch writes it."""
        assert isinstance(executor.device("cpu"), str)

    def test_runs_every_task_once(self, executor: Executor) -> None:
        """Each has one outcome, which names it. Its reports arrive before, in the thread that waits for outcomes."""
        arrived: list[tuple[str, object]] = []

        def take(task: Task, report: object) -> bool:
            assert threading.current_thread() is waiting, "reports are handed over by the thread that asks for outcomes"
            arrived.append((task.attempt, report))
            return True

        waiting, tasks = threading.current_thread(), [Square(i) for i in range(6)]
        for outcome in checked.run(executor, tasks, 2, take):
            assert outcome.error is None
            arrived.append((outcome.task.attempt, outcome))
        assert len(arrived) == 12
        for task in tasks:
            of_task = [what for attempt, what in arrived if attempt == task.attempt]
            assert of_task == [task.number, Outcome(task, task.number**2)]

    def test_runs_nothing_when_given_nothing(self, executor: Executor) -> None:
        """Having no tasks is not an error."""
        assert list(checked.run(executor, [], None, _go_on)) == []

    def test_can_be_used_again(self, executor: Executor) -> None:
        """A search has many batches of tasks."""
        for number in (2, 3):
            (outcome,) = checked.run(executor, [Square(number)], None, _go_on)
            assert outcome.result == number**2

    def test_runs_one_task_at_a_time_in_each_process(self, executor: Executor) -> None:
        """Trainings share nothing, such as torch's random numbers."""
        outcomes = list(checked.run(executor, [Alone() for _ in range(4)], 2, _go_on))
        assert [outcome.error for outcome in outcomes] == [None] * 4

    def test_lets_a_task_start_processes(self, executor: Executor) -> None:
        """A task may start processes, for example to load data."""
        (outcome,) = checked.run(executor, [Parallel()], 1, _go_on)
        assert (outcome.error, outcome.result) == (None, 0)

    def test_a_task_has_a_fresh_process_if_it_needs_one(self, executor: Executor) -> None:
        """Nothing ran in this process before, and nothing will afterwards."""
        tasks = [Mark(), Mark(), Mark(Needs()), Mark()]
        outcomes = [outcome for task in tasks for outcome in checked.run(executor, [task], 1, _go_on)]
        assert [(outcome.error, outcome.result) for outcome in outcomes] == [(None, False)] * 4

    def test_a_task_that_needs_the_device_for_itself_has_nothing_beside_it(self, executor: Executor) -> None:
        """It waits for others to end, and others wait for it; those of other machines have other devices."""
        if executor.elsewhere:
            return
        tasks = [Stay(Needs(exclusive=alone)) for alone in (False, True, True, False)]
        outcomes = list(checked.run(executor, tasks, 4, _go_on))
        spans = sorted((*cast("tuple[float, float]", each.result), each.task.needs.exclusive) for each in outcomes)
        for (_, ended, first), (began, _, second) in itertools.combinations(spans, 2):
            assert ended <= began or not (first or second), "two tasks ran at once, and one needs the device for itself"

    def test_does_not_wait_for_gpus_that_there_will_never_be(self, executor: Executor) -> None:
        """If a task needs that many GPUs, its outcome is an UnavailableError."""
        failed = self.only_failure(executor, Mark(Needs("cuda:0", gpus=10**6)))
        assert isinstance(failed.error, UnavailableError)
        assert "\n" not in str(failed.error)

    def test_a_task_that_raises_leaves_the_others_alone(self, executor: Executor) -> None:
        """The error that it raises is its outcome."""
        failed = self.only_failure(executor, Fail())
        assert "as usual" in str(failed.error)

    def test_a_task_whose_process_dies_leaves_the_others_alone(self, executor: Executor) -> None:
        """Its outcome is a ProcessDiedError, so that it can be tried again."""
        failed = self.only_failure(executor, Die())
        assert isinstance(failed.error, ProcessDiedError)

    def test_ends_a_task_that_hangs(self, executor: Executor) -> None:
        """The task ends when its patience is over, with a ProcessDiedError. The others go on."""
        failed = self.only_failure(executor, Hang())
        assert isinstance(failed.error, ProcessDiedError)

    @staticmethod
    def only_failure(executor: Executor, task: Task) -> Outcome:
        """Run a task that has no result beside some that have one; return its outcome."""
        outcomes = list(checked.run(executor, [Square(1), task, Square(2), Square(3)], 2, _go_on))
        assert sorted(outcome.result for outcome in outcomes if outcome.error is None) == [1, 4, 9]  # type: ignore[type-var]
        (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
        assert failed.task == task
        return failed

    def test_asks_a_task_to_stop(self, executor: Executor) -> None:
        """What ``report`` returns reaches the task."""
        (outcome,) = checked.run(executor, [Count()], 1, lambda _task, rounds: rounds != 3)
        assert outcome.result == 3

    def test_starts_nothing_more_when_told_to_stop(self, executor: Executor) -> None:
        """The outcomes of running tasks still arrive, and then the run ends."""
        outcomes: list[Outcome] = []
        for outcome in checked.run(executor, [Square(i) for i in range(200)], 2, _go_on):
            outcomes.append(outcome)
            executor.stop()
        assert 1 <= len(outcomes) < 200
        assert all(outcome.error is None for outcome in outcomes)

    def test_can_be_closed_twice(self, executor: Executor) -> None:
        """This also holds if nothing ever ran."""
        executor.close()
        executor.close()
