"""What an architecture or its network raises is laid at its door, whoever runs it, and can be found in its code."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn import TrainingError
from shape_dnn.work import sendable

OOPS = """
import torch
from shape_dnn import Executor, Outcome, Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.work import sendable

class Here(Executor):
    def run(self, tasks, workers, report):
        torch.set_num_threads(1)
        for task in tasks:
            try:
                yield Outcome(task, task.run(lambda progress: report(task, progress)))
            except Exception as error:
                yield Outcome(task, error=sendable(error))

@hookimpl
def shape_dnn_executors():
    yield Plugin("here", "in this process", Here)

class Oops(WideResNet):
    def build(self, shape, input_shape, classes):
        network = super().build(shape, input_shape, classes)
        if shape.depth == 16:
            fail(network, "BUILD")
            forward = network.forward
            def fragile(images):
                fail(network, "FORWARD")
                return forward(images)
            network.forward = fragile
        return network

def fail(network, where):
    if where == "WHERE" and (network.training or not TRAINING_ONLY):
        raise WHAT

@hookimpl
def shape_dnn_architectures():
    yield Plugin("oops", "fails at one depth", Oops)
"""
FLAGS = ["--width", "1/4:1/2:1/4", "--device", "cpu", "--plugin", "oops.py", "--arch", "oops"]
TRAIN = ["--depth", "10:17:6", *FLAGS, "--epochs", "1", "-o", "dataset.limit=200", "-o", "recipe.precision=float32"]
BUILD, FORWARD = "failed to build shape (16, 1/4)", "failed in the forward pass of shape (16, 1/4)"


def write(where: str, *, what: str = 'KeyError("oops")', training_only: bool = False) -> None:
    text = OOPS.replace('"WHERE"', repr(where)).replace("TRAINING_ONLY", str(training_only)).replace("WHAT", what)
    Path("oops.py").write_text(text)


@pytest.mark.parametrize(
    ("where", "training_only", "executor", "what"),
    [
        ("BUILD", False, "here", BUILD),
        ("FORWARD", False, "here", FORWARD),
        ("FORWARD", True, "here", FORWARD),
        ("FORWARD", True, "local", FORWARD),
    ],
)
def test_a_training_whose_network_fails_says_whose_it_is_and_with_debug_where(
    shape_dnn: Callable[..., Any], where: str, training_only: bool, executor: str, what: str
) -> None:
    write(where, training_only=training_only)
    debug = ["--debug"] if executor == "local" or training_only else []
    ran = shape_dnn(*TRAIN, "--executor", executor, "--format", "json", *debug)
    assert ran.status == 0, ran.err
    assert [trained["depth"] for trained in ran.json["trained"]] == [10]
    (failed,) = ran.json["failed"]
    assert failed["reason"] == f"architecture 'oops' of oops.py {what}: KeyError: 'oops'"
    assert f"failed: {failed['reason']}" in ran.err
    assert ('oops.py", line' in ran.err) == ("raise KeyError" in ran.err) == bool(debug)


@pytest.mark.parametrize(("where", "what"), [("BUILD", BUILD), ("FORWARD", FORWARD)])
@pytest.mark.parametrize("metric", ["latency", "memory"])
def test_a_measurement_whose_network_fails_blames_the_architecture_and_not_the_meter(
    shape_dnn: Callable[..., Any], where: str, what: str, metric: str
) -> None:
    write(where)
    command = ["measure", "--depth", "16:17:6", *FLAGS, "--executor", "here", "--metrics", metric]
    ran = shape_dnn(*command)
    assert ran.status == 4
    blamed = f"measuring {metric}: architecture 'oops' of oops.py {what}: KeyError: 'oops' (--debug shows where)"
    assert ran.error == f"shape-dnn: error: {blamed}"
    debugged = shape_dnn(*command, "--debug")
    assert 'oops.py", line' in debugged.err
    assert blamed in debugged.err


@pytest.mark.parametrize("what", ["MemoryError('of 1 TB')", "RuntimeError('can\\'t allocate memory: of 1 TB')"])
@pytest.mark.parametrize("where", ["BUILD", "FORWARD"])
def test_a_network_that_finds_too_little_memory_is_not_at_fault(
    shape_dnn: Callable[..., Any], where: str, what: str
) -> None:
    write(where, what=what)
    ran = shape_dnn(*TRAIN, "--executor", "here", "--format", "json")
    (failed,) = ran.json["failed"]
    assert failed["reason"].startswith("out of memory on cpu: ")
    flags = ["--depth", "16:17:6", *FLAGS, "--executor", "here", "--metrics", "latency"]
    (row,) = shape_dnn("measure", *flags, "--format", "json").json
    assert row["latency_status"] == "out of memory"


def test_an_error_that_cannot_travel_still_says_where_it_was_raised() -> None:
    class Local(Exception):
        pass

    def fail() -> None:
        raise Local("no way home")

    with pytest.raises(Local) as raised:
        fail()
    arrived = pickle.loads(pickle.dumps(sendable(raised.value)))
    assert isinstance(arrived, TrainingError)
    assert 'raise Local("no way home")' in "".join(arrived.__notes__)
