"""A training that is interrupted goes on from its last checkpoint, and comes to the same result."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_training import TINY, task

from shape_dnn import Training
from shape_dnn.training.checkpoints import Checkpoint

RECIPE = dataclasses.replace(TINY, epochs=5, crop=1, flip=True)
EVERYTHING = dataclasses.replace(
    RECIPE, optimizer="adamw", lr=5e-3, schedule="cosine", weight_decay=0.05, randaugment=9, erasing=0.25, mixup=0.4
)


class Interrupted(Exception):
    pass


def interrupt_after(epochs: int) -> object:
    seen = []

    def report(epoch: object) -> bool:
        seen.append(epoch)
        if len(seen) == epochs:
            raise Interrupted
        return True

    return report


def weights(path: str) -> dict[str, torch.Tensor]:
    return load_file(path)


def run(**changes: object) -> Training:
    return task(recipe=RECIPE, checkpoint_seconds=0.0, **changes).run(lambda _: True)


def saved(directory: str) -> list[str]:
    return [path.name for path in Path(directory).glob("*/saved/*")]


@pytest.fixture
def uninterrupted() -> Training:
    return run(weights=Path("weights/whole"), checkpoints=Path("checkpoints/whole"))


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_an_interrupted_training_comes_to_the_same_result_bit_for_bit(uninterrupted: Training, epochs: int) -> None:
    with pytest.raises(Interrupted):
        task(recipe=RECIPE, checkpoint_seconds=0.0).run(interrupt_after(epochs))  # type: ignore[arg-type]
    torch.rand(7)  # whatever another task drew meanwhile
    reports = []
    continued = task(recipe=RECIPE, checkpoint_seconds=0.0).run(lambda epoch: reports.append(epoch) or True)
    assert continued.curve == uninterrupted.curve == tuple(reports), "every epoch is reported, those before included"
    assert continued.quality == uninterrupted.quality
    whole, parts = weights("weights/whole"), weights("weights/a.safetensors")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_so_does_one_by_adamw_with_all_that_is_random() -> None:
    whole = task(recipe=EVERYTHING, weights=Path("weights/whole"), checkpoints=Path("checkpoints/whole"))
    uninterrupted = whole.run(lambda _: True)
    with pytest.raises(Interrupted):
        task(recipe=EVERYTHING, checkpoint_seconds=0.0).run(interrupt_after(3))  # type: ignore[arg-type]
    torch.rand(7)  # whatever another task drew meanwhile
    numbers = []
    continued = task(recipe=EVERYTHING).run(lambda epoch: numbers.append(epoch) or True)
    assert continued.curve == uninterrupted.curve == tuple(numbers)
    parts = weights("weights/a.safetensors")
    assert all(torch.equal(value, parts[name]) for name, value in weights("weights/whole").items())


def test_no_epoch_that_was_saved_is_trained_twice(uninterrupted: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    from shape_dnn.training.loop import Loop

    with pytest.raises(Interrupted):
        task(recipe=RECIPE, checkpoint_seconds=0.0).run(interrupt_after(4))  # type: ignore[arg-type]
    judged = []
    correct = Loop._correct
    monkeypatch.setattr(Loop, "_correct", lambda self, *what: judged.append(1) or correct(self, *what))
    assert run().quality == uninterrupted.quality
    assert len(judged) == 2, "what had not been saved when the fourth was reported"


def test_checkpoints_are_as_rare_as_asked_and_only_the_last_is_kept() -> None:
    task(recipe=RECIPE, checkpoint_seconds=1e9).run(lambda _: True)
    assert saved("checkpoints/a") == ["000001"], "the weights at the end"
    run(checkpoints=Path("checkpoints/b"))
    assert saved("checkpoints/b") == ["000005"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "pickle", "former"])
def test_a_damaged_checkpoint_costs_time_and_changes_no_result(uninterrupted: Training, damage: str) -> None:
    with pytest.raises(Interrupted):
        task(recipe=RECIPE, checkpoint_seconds=0.0).run(interrupt_after(3))  # type: ignore[arg-type]
    (last,) = Path("checkpoints/a").glob("*/saved/*")
    state = last / "state.pt"
    if damage == "truncated":
        (last / "weights.safetensors").write_bytes((last / "weights.safetensors").read_bytes()[:200])
    elif damage == "empty":
        state.write_bytes(b"")
    elif damage == "missing":
        state.unlink()
    elif damage == "former":  # of a version that kept it elsewhere
        last.rename(last.parent.parent / last.name)
    else:
        torch.save({"curve": Exploit()}, state)
    assert run().curve == uninterrupted.curve
    assert not Path("exploited").exists(), "nothing in a checkpoint is executed"


class Exploit:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploited",)


def test_a_checkpoint_that_was_being_written_is_not_read() -> None:
    with pytest.raises(Interrupted):
        task(recipe=RECIPE, checkpoint_seconds=0.0).run(interrupt_after(3))  # type: ignore[arg-type]
    (last,) = Path("checkpoints/a").glob("*/saved/*")
    shutil.copytree(last, last.with_name(".partial-x"))
    (last / "state.pt").unlink()
    assert Checkpoint.load(last.parent.parent) is None
    assert Checkpoint.load(Path("nowhere")) is None


KILLER = """
import os, signal
from shape_dnn import Observer, Plugin, hookimpl

class Killer(Observer):
    def notify(self, event):
        if getattr(event, "epoch", None) and event.epoch.number == 4:
            os.kill(os.getpid(), signal.SIGKILL)

@hookimpl
def shape_dnn_observers():
    yield Plugin("killer", "ends the search without a warning", Killer)
"""


def test_a_search_that_was_killed_goes_on_in_the_middle_of_a_training(shape_dnn: Callable[..., Any]) -> None:
    Path("killer.py").write_text(KILLER)
    flags = ["--depth", "10:11:6", "--width", "1/2:1:1/2", "--device", "cpu", "--epochs", "6", "--format", "json",
             "-o", "dataset.limit=400", "--checkpoint-minutes", "0"]  # fmt: skip
    killed = [sys.executable, "-m", "shape_dnn", *flags, "--plugin", "killer.py", "--observer", "killer"]
    assert subprocess.run(killed, capture_output=True, check=False).returncode == -signal.SIGKILL
    (kept,) = Path("shape-dnn-study/checkpoints").glob("*/*/*")
    checkpoint = Checkpoint.load(kept)
    assert checkpoint is not None
    assert 3 <= len(checkpoint.curve) < 6
    continued, whole = (shape_dnn(*flags, *more).json for more in ([], ["--study", "other"]))
    assert continued["trained"] == whole["trained"]
    assert not list(Path("shape-dnn-study/checkpoints").glob("*/*")), "what is finished needs no checkpoint"


def test_a_training_that_is_stopped_when_its_checkpoint_was_just_written_needs_no_second_one() -> None:
    stopped = task(recipe=RECIPE, checkpoint_seconds=0.0).run(lambda _: False)
    assert (stopped.quality, len(stopped.curve)) == (None, 1)
    assert saved("checkpoints/a") == ["000001"]
    assert len(run().curve) == 5
