"""What every executor must keep to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shape_dnn.errors import ProcessDiedError
from shape_dnn.kinds import Executor
from shape_dnn.testing.contract import Contract
from shape_dnn.work import Task


@dataclass(frozen=True)
class Square(Task):
    """Report a number and return its square."""

    number: int
    attempt: str = ""

    def run(self, report: Callable[[object], bool]) -> int:
        """Return the square."""
        report(self.number)
        return self.number**2


@dataclass(frozen=True)
class Fail(Task):
    """Raise an error."""

    attempt: str = ""

    def run(self, report: Callable[[object], bool]) -> None:
        """Raise it."""
        raise ValueError("as usual")


@dataclass(frozen=True)
class Die(Task):
    """End the process."""

    attempt: str = ""

    def run(self, report: Callable[[object], bool]) -> None:
        """Kill it, as the system does when memory runs out."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Hang(Task):
    """Do nothing for ever."""

    attempt: str = ""
    patience: float | None = 1.5

    def run(self, report: Callable[[object], bool]) -> None:
        """Sleep."""
        time.sleep(1000)


@dataclass(frozen=True)
class Count(Task):
    """Count until told to stop."""

    attempt: str = ""

    def run(self, report: Callable[[object], bool]) -> int:
        """Return how far it came."""
        rounds = 0
        while report(rounds):
            rounds += 1
        return rounds


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

    def test_runs_every_task_once(self, executor: Executor) -> None:
        """Each has one outcome that names it, and what it reports arrives with it."""
        reports: list[tuple[Any, object]] = []

        def take(task: Task, report: object) -> bool:
            reports.append((task, report))
            return True

        tasks = [Square(i, str(i)) for i in range(6)]
        outcomes: list[Any] = list(executor.run(tasks, 2, take))
        assert sorted((outcome.task.number, outcome.result) for outcome in outcomes) == [(i, i * i) for i in range(6)]
        assert all(outcome.error is None for outcome in outcomes)
        assert sorted((task.number, report) for task, report in reports) == [(i, i) for i in range(6)]

    def test_runs_nothing_when_given_nothing(self, executor: Executor) -> None:
        """No task is no error."""
        assert list(executor.run([], None, _go_on)) == []

    def test_can_be_used_again(self, executor: Executor) -> None:
        """A search has many batches."""
        for number in (2, 3):
            (outcome,) = executor.run([Square(number)], None, _go_on)
            assert outcome.result == number**2

    def test_a_task_that_raises_leaves_the_others_alone(self, executor: Executor) -> None:
        """Its error is its outcome."""
        outcomes = list(executor.run([Square(1), Fail(), Square(2)], 2, _go_on))
        assert len(outcomes) == 3
        (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
        assert failed.task == Fail()
        assert "as usual" in str(failed.error)

    def test_a_task_whose_process_dies_leaves_the_others_alone(self, executor: Executor) -> None:
        """Its outcome is a ProcessDiedError, so that it can be tried again."""
        outcomes = list(executor.run([Square(1), Die(), Square(2), Square(3)], 2, _go_on))
        assert len(outcomes) == 4
        (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
        assert failed.task == Die()
        assert isinstance(failed.error, ProcessDiedError)

    def test_ends_a_task_that_hangs(self, executor: Executor) -> None:
        """When its patience is over, with a ProcessDiedError; the others go on."""
        outcomes = list(executor.run([Hang(), Square(2)], 2, _go_on))
        assert len(outcomes) == 2
        (failed,) = [outcome for outcome in outcomes if outcome.error is not None]
        assert failed.task == Hang()
        assert isinstance(failed.error, ProcessDiedError)

    def test_asks_a_task_to_stop(self, executor: Executor) -> None:
        """What ``report`` returns reaches the task."""
        (outcome,) = executor.run([Count()], 1, lambda _task, rounds: rounds != 3)
        assert outcome.result == 3

    def test_starts_nothing_more_when_told_to_stop(self, executor: Executor) -> None:
        """Outcomes of running tasks still arrive, and the run ends."""
        outcomes: list[Any] = []
        for outcome in executor.run([Square(i, str(i)) for i in range(200)], 2, _go_on):
            outcomes.append(outcome)
            executor.stop()
        assert 1 <= len(outcomes) < 200
        assert all(outcome.error is None for outcome in outcomes)

    def test_can_be_closed_twice(self, executor: Executor) -> None:
        """Also with nothing ever run."""
        executor.close()
        executor.close()
