"""Datasets that are larger than the memory of a GPU: images that stay on the host, and come a batch ahead."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import late_gpu
import numpy as np
import pytest
import torch
from test_augmentation import EVERYTHING
from test_training import SHAPE, TINY, digits_on_disk, go_on, task, trainer

from shape_dnn import LabelledImages, Recipe, devices
from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.training import placement
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import ClassifierTrainer
from shape_dnn.training.pixels import OnDevice, OnHost, Pixels

CPU = torch.device("cpu")


def photographs(number: int = 333) -> LabelledImages:
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 256, (number, 3, 8, 8), dtype=np.uint8)
    return LabelledImages(levels, generator.integers(0, 10, number))


def drawn(place: type[Pixels], recipe: Recipe, device: torch.device) -> list[torch.Tensor]:
    """Statistics, two epochs of batches, and the images that an epoch is judged on: all that a training sees."""
    learning, judging = Part.of_all(photographs()).split(0.3, 0)
    learnt_from = Batches(learning, device, classes=10, place=place)
    judged_on = Batches(judging, device, like=learnt_from)
    tested_on = Batches(Part.of_all(photographs(50)), device, like=learnt_from)
    assert {type(each.pixels) for each in (learnt_from, judged_on, tested_on)} == {place}
    torch.manual_seed(5)
    seen = list(learnt_from.statistics)
    for _ in range(2):
        for given in (learnt_from.shuffled(32, recipe), judged_on.in_order(32), tested_on.in_order(32)):
            for batch in given:
                seen += [each.clone() for each in batch]
    return [*seen, torch.rand(3, device=device)]


def same(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


def test_images_on_the_host_make_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over two epochs with every augmentation, statistics and what is left of the random numbers included."""
    expected = drawn(OnDevice, EVERYTHING, CPU)
    assert len(expected) == 2 + 2 * 2 * (233 // 32 + 4 + 2) + 1
    late_gpu.install(monkeypatch, prompt=True)
    assert same(drawn(OnHost, EVERYTHING, CPU), expected)
    assert not same(drawn(OnHost, dataclasses.replace(EVERYTHING, erasing=0.0), CPU), expected)


def test_statistics_are_the_same_however_many_images_are_counted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part.of_all(photographs())
    at_once = Batches(part, CPU).statistics
    monkeypatch.setattr("shape_dnn.training.pixels.COUNTED_AT_ONCE", 1)
    assert same(list(Batches(part, CPU).statistics), list(at_once))


def used_late(monkeypatch: pytest.MonkeyPatch, number: int) -> tuple[bool, list[int]]:
    """Draw batches where all that a GPU is given to do is done as late as may be.

    Returns:
        Whether what it has seen is what was drawn, and how many it had seen whenever it was given another one.
    """
    own = photographs()
    indices = torch.randperm(len(own))[: 10 * number]
    expected = list(OnDevice(own, CPU).batches(indices, 10))
    gpu = late_gpu.install(monkeypatch, prompt=False)
    used: list[torch.Tensor] = []
    before: list[int] = []
    for levels, labels in OnHost(own, CPU).batches(indices, 10):
        gpu.current.give(lambda levels=levels, labels=labels: used.extend((levels.clone(), labels)))
        before.append(len(used) // 2)
    gpu.current.until(gpu.current.given)
    return same(used, [each for batch in expected for each in batch]), before


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 8])
def test_no_batch_is_overwritten_before_it_is_used(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    is_right, before = used_late(monkeypatch, number)
    assert is_right
    assert before == [max(0, min(i, number - 2) - 2) for i in range(number)], "the GPU always has two to work on"


@pytest.mark.parametrize("forgotten", ["Event.synchronize", "Stream.wait_stream", "Stream.wait_event"])
def test_each_of_the_three_waits_is_needed(monkeypatch: pytest.MonkeyPatch, forgotten: str) -> None:
    name, method = forgotten.split(".")
    monkeypatch.setattr(getattr(late_gpu, name), method, lambda *_: None)
    is_right, _ = used_late(monkeypatch, 7)
    assert not is_right


def test_a_batch_is_on_its_way_while_the_one_before_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = late_gpu.install(monkeypatch, prompt=True)
    begun = [gpu.side.given for _ in OnHost(photographs(), CPU).batches(torch.arange(40), 10)]
    a_batch = begun[0] // 2
    assert begun == [2 * a_batch, 3 * a_batch, 4 * a_batch, 4 * a_batch]


def test_a_training_on_images_on_the_host_is_the_same_training(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = task().run(go_on)
    late_gpu.install(monkeypatch, prompt=True)
    built: list[type[Pixels]] = []
    monkeypatch.setattr(OnHost, "__init__", noting(OnHost.__init__, built))
    monkeypatch.setattr(placement, "place", lambda parts, device: OnHost)
    assert task().run(go_on).curve == usual.curve
    assert built == [OnHost], "one for both parts of the training images"


def noting(original: Callable[..., None], built: list[type[Pixels]]) -> Callable[..., None]:
    def init(self: Pixels, *arguments: object) -> None:
        built.append(type(self))
        original(self, *arguments)

    return init


def test_images_lie_on_a_gpu_if_they_take_a_quarter_of_it_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = photographs(100), photographs(50)
    taken = 150 * 3 * 8 * 8
    asked: list[str] = []

    def total(device: str) -> int:
        asked.append(device)
        return memory

    monkeypatch.setattr(devices, "total_memory", total)
    memory = 4 * taken
    assert placement.place(parts, "cuda:1") is OnDevice
    memory -= 1
    assert placement.place(parts, "cuda:1") is OnHost
    assert asked == ["cuda:1", "cuda:1"]
    assert placement.place(parts, "cpu") is OnDevice


def test_the_memory_of_a_training_counts_what_is_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """All images, or two batches of them; labels in either case."""
    own = trainer(device="cuda:0", recipe=dataclasses.replace(TINY, batch_size=16))
    both = images.load(digits_on_disk())
    labels, levels = sum(part.labels.nbytes for part in both), sum(part.images.nbytes for part in both)
    assert levels == sum(map(len, both)) * 64
    found = {}
    for name, total in (("none", 0), ("card", 10**12), ("small card", levels)):
        with monkeypatch.context() as patch:
            patch.setattr(devices, "total_memory", lambda _, total=total: total)
            if name == "none":
                patch.setattr(ClassifierTrainer, "_data_on_device", 0)
            found[name] = own.resources(SHAPE).memory
    assert found["none"] > 0
    assert found["card"] - found["none"] == labels + levels
    assert found["small card"] - found["none"] == labels + 2 * 16 * 64


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_images_on_the_host_make_the_same_batches() -> None:
    device = torch.device("cuda:0")
    assert same(drawn(OnHost, EVERYTHING, device), drawn(OnDevice, EVERYTHING, device))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_training_on_images_on_the_host_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = dataclasses.replace(TINY, epochs=8)
    usual = task(device="cuda:0", recipe=longer).run(go_on)
    monkeypatch.setattr(placement, "SHARE", 1e-9)
    training = task(device="cuda:0", recipe=longer).run(go_on)
    assert len(training.curve) == 8
    assert training.curve == usual.curve
    assert training.quality is not None
    assert training.quality > 60
