"""An interrupt lets what runs come to a good point to stop; a second one ends everything at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_main_job import HERE, INTERRUPTING, SMALL

from shape_dnn import tune
from shape_dnn.system import interrupts
from shape_dnn.training.checkpoints import Checkpoint

SEARCH = ["--depth", "10:11:6", "--width", "1/2:1:1/2", "--device", "cpu", "--goal", "size", "--format", "json",
          "-o", "dataset.limit=400"]  # fmt: skip


@pytest.fixture(autouse=True)
def interrupts_arrive() -> Iterator[None]:
    """Started in the background, the tests inherit that interrupts are ignored; commands started by them must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "shape_dnn", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def wait_for(what: Callable[[], object], running: subprocess.Popen[str]) -> None:
    while not what():
        assert running.poll() is None
        time.sleep(0.02)


def test_the_first_interrupt_waits_for_the_end_of_the_block(capfd: pytest.CaptureFixture[str]) -> None:
    done = []

    def block() -> None:
        with interrupts.postponed(lambda: done.append("noted")):
            os.kill(os.getpid(), signal.SIGINT)
            done.append("finished")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["noted", "finished"]
    assert "interrupt again to stop at once" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_interrupt_ends_the_block() -> None:
    done = []

    def block() -> None:
        with interrupts.postponed(lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
            done.append("once")
            os.kill(os.getpid(), signal.SIGINT)
            done.append("twice")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["once"]


def test_a_program_that_handles_interrupts_itself_goes_on_doing_so() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append("theirs"))
    with interrupts.postponed(lambda: seen.append("ours")):
        os.kill(os.getpid(), signal.SIGINT)
    assert seen == ["theirs"]
    thread = threading.Thread(target=lambda: interrupts.postponed(lambda: None).__enter__())
    thread.start()
    thread.join()


def test_an_interrupted_training_keeps_a_checkpoint_and_goes_on_to_the_same_result(
    shape_dnn: Callable[..., Any],
) -> None:
    third = "getattr(event, 'epoch', None) and event.epoch.number == 3"
    Path("interrupting.py").write_text(INTERRUPTING.replace('type(event).__name__ == "TrainingFinished"', third))
    flags = [*SEARCH, "--epochs", "6", "--checkpoint-minutes", "1000"]
    ran = shape_dnn(*flags, "--plugin", "interrupting.py", "--observer", "interrupting")
    assert ran.status == 130
    assert "interrupt again to stop at once" in ran.err
    assert "interrupted; everything finished is kept, and the same command goes on from there" in ran.err
    assert "Traceback" not in ran.err
    (kept,) = Path("shape-dnn-study/checkpoints").glob("*/*/*")
    checkpoint = Checkpoint.load(kept)
    assert checkpoint is not None, "the checkpoints are far apart, so this one was written because of the interrupt"
    assert 3 <= len(checkpoint.curve) < 6
    continued, whole = (shape_dnn(*flags, *more).json for more in ([], ["--study", "other"]))
    assert continued["trained"] == whole["trained"]
    assert continued["best"] == whole["best"]


HANGING = """
import time
from pathlib import Path
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Hanging(WideResNet):
    def build(self, shape, input_shape, classes):
        if shape.width == 1:
            with Path("hanging").open("a") as file:
                file.write("x")
            time.sleep(1000)
        return super().build(shape, input_shape, classes)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("hanging", "never comes to an end", Hanging)
"""


def test_the_second_interrupt_ends_even_what_hangs() -> None:
    Path("hanging.py").write_text(HANGING)
    flags = ["--width", "1:2:1", "--depth", "10:11:6", "--device", "cpu", "-o", "dataset.limit=400", "--epochs", "1"]
    with started(*flags, "--plugin", "hanging.py", "--arch", "hanging") as running:
        wait_for(Path("hanging").exists, running)
        running.send_signal(signal.SIGINT)
        assert running.stderr is not None
        assert any("interrupt again" in line for line in running.stderr)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=300)
        assert running.returncode == 130
    assert "Traceback" not in err


def test_a_training_that_hangs_is_tried_twice_and_recorded_and_the_others_go_on(shape_dnn: Callable[..., Any]) -> None:
    Path("hanging.py").write_text(HANGING)
    flags = ["--width", "1/2:3/2:1/2", "--depth", "10:11:6", "--device", "cpu", "-o", "dataset.limit=400"]
    ran = shape_dnn(*flags, "--epochs", "1", "--plugin", "hanging.py", "--arch", "hanging", "--hang-minutes", "0.1",
                    "--format", "json")  # fmt: skip
    assert ran.status == 0, ran.err
    assert [t["width"] for t in ran.json["trained"]] == [0.5]
    (failed,) = ran.json["failed"]
    assert failed["width"] == 1
    assert "it hung: no sign of life for " in failed["reason"]
    assert Path("hanging").read_text() == "xxx", "once before anything is trained, and then in two attempts"


ZOMBIE = (
    HERE
    + """
import dataclasses
from shape_dnn import Training

class Haunted(Here):
    def run(self, tasks, workers, report):
        for outcome in super().run(tasks, workers, report):
            if not isinstance(outcome.result, Training):
                yield outcome
                continue
            late = dataclasses.replace(outcome.task, attempt="given up long ago")
            yield Outcome(late, dataclasses.replace(outcome.result, quality=0.0))
            yield outcome

@hookimpl(specname="shape_dnn_executors")
def haunted():
    yield Plugin("haunted", "results of attempts that were given up arrive after all", Haunted)
"""
)


def test_the_late_result_of_an_attempt_that_was_given_up_is_refused() -> None:
    Path("zombie.py").write_text(ZOMBIE)
    haunted = tune(**SMALL, plugin="zombie.py", executor="haunted", study="haunted").to_dict()
    here = tune(**SMALL, plugin="zombie.py", executor="here", study="here").to_dict()
    assert haunted["trained"] == here["trained"]
    assert haunted["cost"] == here["cost"]


def test_what_attempts_left_behind_is_removed() -> None:
    Path("here.py").write_text(HERE)
    settings = {**SMALL, "plugin": "here.py", "executor": "here"}
    tune(**settings, train=1)
    (weights,) = Path("shape-dnn-study/weights").rglob("*.safetensors")
    partial = weights.with_suffix(".0123.partial")
    partial.write_bytes(b"of a process that was killed")
    leftover = Path("shape-dnn-study/checkpoints", weights.parent.name, weights.stem, "0123", "000001")
    leftover.mkdir(parents=True)
    tune(**settings, train=2, sampler="wider")
    assert not partial.exists()
    assert not leftover.parent.parent.exists()
