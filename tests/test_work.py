"""What is made of an error that goes to another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from shape_dnn.errors import NetworkError, ProcessDiedError, TrainingError
from shape_dnn.work import sendable


class AcceleratorError(RuntimeError):
    """As torch calls what CUDA says, after which CUDA says nothing else any more."""


SAID = "CUDA error: an illegal memory access was encountered"


def itself() -> None:
    raise AcceleratorError(SAID)


def as_the_cause() -> None:
    try:
        itself()
    except AcceleratorError as error:
        raise NetworkError("wrn failed in the forward pass") from error


def as_the_cause_of_a_cause() -> None:
    try:
        as_the_cause()
    except NetworkError as error:
        raise TrainingError("it failed") from error


def while_it_was_handled() -> None:
    try:
        itself()
    except AcceleratorError:
        raise TrainingError("it failed") from None


def while_it_was_handled_for_another_reason() -> None:
    try:
        itself()
    except AcceleratorError:
        raise TrainingError("it failed") from ValueError("as usual")


def raised_by(action: Callable[[], None]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


@pytest.mark.parametrize(
    "action",
    [itself, as_the_cause, as_the_cause_of_a_cause, while_it_was_handled, while_it_was_handled_for_another_reason],
)
def test_where_cuda_failed_the_process_of_a_task_has_died(action: Callable[[], None]) -> None:
    """So the task is tried again, and whatever wrapped the error."""
    sent = pickle.loads(pickle.dumps(sendable(raised_by(action))))
    assert type(sent) is ProcessDiedError
    assert str(sent) == f"its GPU failed: AcceleratorError: {SAID}"
    (where,) = sent.__notes__
    assert f"in {action.__name__}" in where, "--debug shows it"


@pytest.mark.parametrize("error", [ValueError("as usual"), NetworkError("wrn failed"), RuntimeError(SAID)])
def test_any_other_error_stays_what_it_is(error: Exception) -> None:
    sent = pickle.loads(pickle.dumps(sendable(error)))
    assert (type(sent), str(sent)) == (type(error), str(error))


def test_what_a_process_is_known_to_have_died_of_is_said() -> None:
    def record() -> None:
        try:
            as_the_cause()
        except NetworkError as error:
            raise ProcessDiedError("its steps cannot be a CUDA graph") from error

    error = raised_by(record)
    assert sendable(error) is error


def test_errors_that_are_each_other_s_causes_are_sent_as_well() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert sendable(first) is first
