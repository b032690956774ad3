"""The precision that trainings compute in is decided by rule, on the device and the kind of network."""

from __future__ import annotations

import dataclasses
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from test_training import TINY, go_on, trainer

from shape_dnn import Shape, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.events import Event, TrainingFinished, TrainingsPrepared
from shape_dnn.settings import Settings
from shape_dnn.store.facts import Store
from shape_dnn.training import precision
from shape_dnn.training.preparing import PreparingTask

AUTO = dataclasses.replace(TINY, precision="auto")
WIDE, THIN = Shape(16, Fraction(2)), Shape(16, Fraction(1, 2))
X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx512f{}\nbugs\t\t: amx_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{}\nCPU part\t: 0xd40\n"
NATIVE = X86.format(" avx512_bf16")


def on(processor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Linux describe the processor so."""
    monkeypatch.setattr(sys, "platform", "linux")
    Path("cpuinfo").write_text(processor)
    monkeypatch.setattr(precision, "PROCESSOR", Path("cpuinfo"))


@pytest.mark.parametrize(
    ("processor", "able", "text"),
    [
        (X86.format(""), False, "the processor has no instructions for bfloat16"),
        (NATIVE, True, "the processor has avx512_bf16"),
        (X86.format(" avx512_bf16 amx_bf16"), True, "the processor has amx_bf16 and avx512_bf16"),
        (ARM.format(""), False, "the processor has no instructions for bfloat16"),
        (ARM.format(" bf16 i8mm"), True, "the processor has bf16"),
    ],
)
def test_a_processor_says_whether_it_computes_in_bfloat16(
    processor: str, able: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(processor, monkeypatch)
    assert precision.bfloat16_of("cpu") == (able, text)
    assert (precision.decide(trainer(), WIDE).precision == "bfloat16") is able


@pytest.mark.parametrize(("answer", "able"), [("1\n", True), ("0\n", False), ("", False)])
def test_a_mac_is_asked_by_sysctl(answer: str, able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: object) -> Any:
        assert command[-1] == "hw.optional.arm.FEAT_BF16"
        return type("Ran", (), {"stdout": answer})

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("subprocess.run", run)
    assert precision.bfloat16_of("cpu")[0] is able


@pytest.mark.parametrize(("capability", "able"), [((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_a_gpu_computes_in_bfloat16_from_capability_8_0(
    capability: tuple[int, int], able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    text = f"the GPU has compute capability {capability[0]}.{capability[1]}"
    assert precision.bfloat16_of("cuda:0") == (able, text)


def test_wide_networks_compute_in_bfloat16_and_thin_ones_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    on(NATIVE, monkeypatch)
    assert str(precision.decide(trainer(), WIDE)) == (
        "bfloat16: the processor has avx512_bf16, and 100 % of the work of (16, 2) is in dense layers of 16 channels "
        "or more"
    )
    assert str(precision.decide(trainer(), THIN)) == (
        "float32: only 58 % of the work of (16, 1/2) is in dense layers of 16 channels or more"
    )


def test_work_is_counted_by_the_fewer_channels_of_each_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (
        torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
        torch.nn.Conv2d(8, 32, 1, stride=2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 10),
    )  # fmt: skip
    monkeypatch.setattr(WideResNet, "build", lambda *_: torch.nn.Sequential(*layers).to("meta"))
    work = precision.work_by_channels(WideResNet(), WIDE, (1, 8, 8), 10)
    assert work == {1: 64 * 8 * 9, 0: 64 * 8 * 9, 8: 16 * 32 * 8, 10: 320}


def test_a_network_that_cannot_be_followed_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> torch.nn.Module:
        raise RuntimeError("only for real")

    on(NATIVE, monkeypatch)
    monkeypatch.setattr(WideResNet, "build", build)
    assert str(precision.decide(trainer(), WIDE)) == (
        "float32: the work of (16, 2) could not be counted (RuntimeError: only for real)"
    )


def test_the_same_is_decided_whatever_is_trained_first(monkeypatch: pytest.MonkeyPatch) -> None:
    on(NATIVE, monkeypatch)
    own = trainer(recipe=AUTO)
    orders = (THIN,), (WIDE,), (THIN, WIDE)
    decisions = [PreparingTask(own, first, "cpu", standing=WIDE).run(go_on).decision for first in orders]
    assert [decision.precision for decision in decisions if decision is not None] == ["bfloat16"] * 3
    assert len(set(decisions)) == 1
    for sampler in ("active", "random", "paper"):
        settings = {"depth": "10:17:6", "width": "1/2:3:1/2", "device": "cpu", "sampler": sampler}
        assert Assembly(Settings.create(settings)).problem.largest == Shape(16, Fraction(5, 2))


def test_nothing_is_decided_where_the_recipe_names_a_precision() -> None:
    assert PreparingTask(trainer(), (THIN,), "cpu").run(go_on).decision is None


FRAIL = """
from shape_dnn import Outcome, Plugin, hookimpl
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import ProcessDiedError
from shape_dnn.training.precision import Decision
from shape_dnn.training.preparing import Preparation, PreparingTask
from shape_dnn.training.task import TrainingTask
from shape_dnn.records import Training


class Decided(Local):
    decision = Decision("bfloat16", "it is said so")

    def run(self, tasks, workers, report):
        for task in tasks:
            if isinstance(task, TrainingTask):
                assert task.trainer.recipe.precision == self.decision.precision
                task.weights.parent.mkdir(parents=True, exist_ok=True)
                task.weights.touch()
                yield Outcome(task, Training(task.shape, 90.0))
            else:
                yield self.prepare(task)

    def prepare(self, task):
        return Outcome(task, Preparation(task.standing and self.decision))


class Frail(Decided):
    decision = Decision("float32", "the work of (16, 1/2) could not be counted (killed)")

    def prepare(self, task):
        return super().prepare(task) if task.standing is None else Outcome(task, error=ProcessDiedError("killed"))


class Narrow(Decided):
    def run(self, tasks, workers, report):
        for task in tasks:
            if isinstance(task, PreparingTask) and task.shapes:
                for shape in (task.standing, *task.shapes):
                    report(task, shape)
                yield Outcome(task, error=ProcessDiedError("killed"))
            else:
                yield from super().run([task], workers, report)


@hookimpl
def shape_dnn_executors():
    yield Plugin("narrow", "dies of every shape, but not of deciding", Narrow)
    yield Plugin("decided", "decides without looking", Decided)
    yield Plugin("frail", "dies of deciding", Frail)
"""


@pytest.mark.parametrize(
    ("executor", "reason"),
    [
        ("decided", "bfloat16: it is said so"),
        ("narrow", "bfloat16: it is said so"),
        ("frail", "float32: the work of (16, 1/2) could not be counted (killed)"),
    ],
)
def test_the_reason_is_told_and_kept_with_the_trainings(executor: str, reason: str) -> None:
    events: list[Event] = []
    Path("frail.py").write_text(FRAIL)
    tune(depth="10:17:6", width="1/2:1:1/2", train=2, sampler="interval", device="cpu", seeds=2, plugin="frail.py",
         executor=executor, notify=events.append)  # fmt: skip
    (prepared,) = [event for event in events if isinstance(event, TrainingsPrepared)]
    assert prepared.reason == reason, "it is decided once for all seeds"
    assert prepared.precision == reason.partition(":")[0]
    assert {event.seed for event in events if isinstance(event, TrainingFinished)} == {0, 1}
    store = Store(Path("shape-dnn-study"), create=False)
    try:
        assert all(reason in content for content in store.provenances())
    finally:
        store.close()
