from __future__ import annotations

import copy
import dataclasses
import re
import secrets
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shape_dnn import LabelledImages, Recipe, Shape, TrainingError, devices
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.data import images
from shape_dnn.data.splits import Part
from shape_dnn.errors import MemoryShortageError, PluginError
from shape_dnn.plugins.sources import Choice
from shape_dnn.recipes import IMAGENET32_PAPER, WRN_PAPER
from shape_dnn.settings import Settings
from shape_dnn.training.augmentation import augment
from shape_dnn.training.batches import Batches
from shape_dnn.training.classifier import ClassifierTrainer, Donor, split
from shape_dnn.training.descent import descent
from shape_dnn.training.loop import learning_rate
from shape_dnn.training.step import Step
from shape_dnn.training.task import EvaluationTask, TrainingTask
from shape_dnn.training.thin_norm import ThinBatchNorm2d, widen_norms
from shape_dnn.work import Needs

TINY = Recipe(epochs=2, batch_size=32, lr=0.2, schedule="one-cycle", crop=1, flip=False, precision="float32")


def digits_on_disk() -> Path:
    images.save(*Digits(limit=400).load(), Path("images"))
    return Path("images")


SHAPE = Shape(10, Fraction(1, 2))


def trainer(**changes: object) -> ClassifierTrainer:
    base = ClassifierTrainer(
        Choice("architecture", "wrn"), (), digits_on_disk(), 10, 0.2, TINY, "cpu", "validation"
    )  # fmt: skip
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def task(**changes: object) -> TrainingTask:
    determining = {field.name for field in dataclasses.fields(ClassifierTrainer)} & changes.keys()
    own = trainer(**{name: changes.pop(name) for name in determining})
    base = TrainingTask(
        own, SHAPE, 0, Path("weights/a.safetensors"), Path("checkpoints/a"), 1e9, needs=Needs(cores=own.threads)
    )
    return dataclasses.replace(base, **{"attempt": secrets.token_hex(4), **changes})  # type: ignore[arg-type]


def go_on(_: object) -> bool:
    return True


def test_a_training_learns_and_keeps_the_weights_of_its_best_epoch() -> None:
    seen: list[object] = []
    training = task(recipe=dataclasses.replace(TINY, epochs=8)).run(lambda epoch: seen.append(epoch) or True)
    assert training.quality == max(epoch.quality for epoch in training.curve) > 60
    assert tuple(seen) == training.curve
    assert [epoch.number for epoch in training.curve] == list(range(1, 9))
    assert training.curve[-1].loss < training.curve[0].loss
    assert training.reason == ""
    assert "classifier.weight" in load_file("weights/a.safetensors")


def test_a_training_sees_to_its_own_number_of_threads() -> None:
    seen: set[int] = set()
    before = torch.get_num_threads()
    task(threads=2).run(lambda _: seen.add(torch.get_num_threads()) or True)
    assert seen == {2}
    assert torch.get_num_threads() == before


def test_a_process_trains_or_tests_one_network_at_a_time() -> None:
    """Two would draw from the same random numbers."""
    others = task(), EvaluationTask(trainer(), SHAPE, 0, Path("weights/a.safetensors"))
    refused = []

    def start_another(_: object) -> bool:
        for other in others:
            with pytest.raises(PluginError, match="an executor must run one task at a time in each process"):
                other.run(go_on)
            refused.append(other)
        return True

    alone, among_others = task().run(go_on), task().run(start_another)
    assert all(other in refused for other in others)
    assert among_others.curve == alone.curve
    assert [task().run(go_on).quality, others[1].run(go_on) > 0] == [alone.quality, True]


def test_threads_determine_an_accuracy() -> None:
    def identity(*options: str) -> dict[str, object]:
        return Assembly(Settings.create({"device": "cpu", "option": list(options)})).problem.training_identity

    one, two = identity(), identity("executor.threads=2")
    assert identity("executor.threads=1") == one
    assert "threads" not in one, "so that the facts of former studies keep their names"
    assert two == {**one, "threads": 2}


@pytest.mark.parametrize("threads", [0, "many", None])
def test_an_executor_without_a_number_of_threads_is_refused(threads: object) -> None:
    parts = Assembly(Settings.create({"device": "cpu"}))
    parts.executor.instance.threads = threads  # type: ignore[assignment]
    with pytest.raises(PluginError, match=f"executor 'local' of .* has threads {threads!r}, not a whole number from 1"):
        _ = parts.problem


def test_the_same_seed_gives_the_same_curve_bit_for_bit_and_another_one_does_not() -> None:
    first, again, other = task().run(go_on), task().run(go_on), task(seed=1).run(go_on)
    assert first.curve == again.curve
    assert first.curve != other.curve


def test_the_test_set_is_read_with_the_weights_that_were_kept() -> None:
    paper = task(protocol="paper")
    training = paper.run(go_on)
    assert EvaluationTask(paper.trainer, SHAPE, 0, paper.weights).run(go_on) == training.quality, (
        "the paper's accuracy is that on the test set"
    )


def test_the_validation_split_is_held_out_of_training() -> None:
    train, judge = split(digits_on_disk(), "validation", 0.2, 0)
    assert (len(train), len(judge)) == (320, 80)
    whole, test = split(digits_on_disk(), "paper", 0.2, 0)
    assert (len(whole), len(test)) == (400, 359)


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(TrainingError, match="loss became (nan|inf).*lower --lr"):
        task(recipe=dataclasses.replace(TINY, lr=1e6, schedule="steps")).run(go_on)
    assert not Path("weights").exists()


def test_a_training_that_is_asked_to_stop_has_a_curve_but_no_accuracy() -> None:
    training = task(recipe=dataclasses.replace(TINY, epochs=5)).run(lambda epoch: epoch.number < 2)  # type: ignore[attr-defined]
    assert training.quality is None
    assert training.reason == "stopped"
    assert len(training.curve) == 2


def test_the_paper_s_recipe_for_wide_resnets() -> None:
    rates = {epoch: learning_rate(WRN_PAPER, epoch / 200) for epoch in (0, 59, 60, 119, 120, 159, 160, 199)}
    assert rates == pytest.approx(
        {0: 0.1, 59: 0.1, 60: 0.02, 119: 0.02, 120: 0.004, 159: 0.004, 160: 0.0008, 199: 0.0008}
    )
    assert (WRN_PAPER.momentum, WRN_PAPER.weight_decay, WRN_PAPER.batch_size) == (0.9, 5e-4, 128)
    assert (WRN_PAPER.crop, WRN_PAPER.flip) == (4, True)
    imagenet = {epoch: learning_rate(IMAGENET32_PAPER, epoch / 60) for epoch in (0, 19, 20, 39, 40, 59)}
    assert imagenet == pytest.approx({0: 0.01, 19: 0.01, 20: 0.002, 39: 0.002, 40: 0.0004, 59: 0.0004})


def test_one_cycle_rises_and_falls_to_zero() -> None:
    recipe = Recipe(epochs=10, lr=0.4, schedule="one-cycle", warmup=0.2)
    rates = [learning_rate(recipe, step / 1000) for step in range(1000)]
    assert rates[0] == 0
    assert max(rates) == rates[200] == pytest.approx(0.4)
    assert rates[-1] < 0.001


def test_a_crop_shifts_each_image_by_itself_into_a_black_border() -> None:
    torch.manual_seed(0)
    images = torch.full((400, 2, 6, 6), 7, dtype=torch.uint8)
    images[:, :, 0, 0] = 9
    shifted = augment(images, Recipe(epochs=1, crop=2, flip=False))
    assert shifted.shape == images.shape
    corners = [(shifted[i, 0] == 9).nonzero().tolist() for i in range(400)]
    places = {tuple(corner[0]) if corner else None for corner in corners}
    assert places == {None} | {(row, column) for row in range(3) for column in range(3)}
    assert set(shifted.unique().tolist()) == {0, 7, 9}
    assert torch.equal(shifted[:, 0], shifted[:, 1]), "all channels of an image move together"


def test_flips_mirror_half_of_the_images_and_none_if_not_wanted() -> None:
    torch.manual_seed(0)
    images = torch.arange(6, dtype=torch.uint8).view(1, 1, 1, 6).repeat(1000, 3, 4, 1)
    flipped = augment(images, Recipe(epochs=1, crop=0, flip=True))
    mirrored = (flipped[:, 0, 0, 0] == 5).float().mean()
    assert 0.4 < mirrored < 0.6
    assert torch.equal(augment(images, Recipe(epochs=1, crop=0, flip=False)), images)


def test_parts_of_a_dataset_share_its_memory_and_are_drawn_as_if_they_were_copies() -> None:
    train, judge = split(digits_on_disk(), "validation", 0.2, 0)
    assert train.images is judge.images
    assert not set(train.indices) & set(judge.indices)
    device = torch.device("cpu")
    learnt_from = Batches(train, device)
    judged_on = Batches(judge, device, like=learnt_from)
    assert judged_on.pixels.levels.data_ptr() == learnt_from.pixels.levels.data_ptr()
    copied = Batches(Part.of_all(train.copy()), device)
    recipe = dataclasses.replace(TINY, flip=True)
    for each in (learnt_from, copied):
        torch.manual_seed(3)
        each.drawn = list(each.shuffled(32, recipe))  # type: ignore[attr-defined]
    for (batch, labels), (others, other_labels) in zip(learnt_from.drawn, copied.drawn, strict=True):  # type: ignore[attr-defined]
        assert torch.equal(batch, others)
        assert torch.equal(labels, other_labels)
    assert len(learnt_from.drawn) == 10  # type: ignore[attr-defined]


def test_bfloat16_learns_as_well_and_leaves_float32_weights() -> None:
    longer = dataclasses.replace(TINY, epochs=8)
    plain = task(recipe=longer).run(go_on)
    half = task(recipe=dataclasses.replace(longer, precision="bfloat16")).run(go_on)
    assert plain.curve != half.curve, "it must make a difference to be of use"
    assert plain.quality is not None
    assert half.quality == pytest.approx(plain.quality, abs=15)
    assert {value.dtype for name, value in load_file("weights/a.safetensors").items() if "num" not in name} == {
        torch.float32
    }


@pytest.fixture
def cudnn_in_training(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[str, bool, bool]]]:
    """How cuDNN computes convolutions of a network that is trained: in what, whether always alike, whether it tries."""
    seen: set[tuple[str, bool, bool]] = set()
    forward, cudnn = torch.nn.Conv2d.forward, torch.backends.cudnn

    def now() -> tuple[str, bool, bool]:
        return (cudnn.conv.fp32_precision, cudnn.deterministic, cudnn.benchmark)  # type: ignore[attr-defined]

    def watched(layer: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        if layer.training:
            seen.add(now())
        return forward(layer, images)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", watched)
    before = now()
    yield seen
    assert now() == before, "as it was"


@pytest.mark.parametrize(("allowed", "computed"), [(True, "tf32"), (False, "ieee")])
def test_convolutions_are_always_alike_and_in_full_precision_where_tf32_is_not_allowed(
    cudnn_in_training: set[tuple[str, bool, bool]], allowed: bool, computed: str
) -> None:
    task(recipe=dataclasses.replace(TINY, epochs=1, tf32=allowed)).run(go_on)
    assert cudnn_in_training == {(computed, True, False)}


def test_normalising_gives_zero_mean_and_unit_variance() -> None:
    rng = np.random.default_rng(0)
    images = LabelledImages(rng.integers(0, 200, (50, 3, 8, 8), dtype=np.uint8), np.zeros(50, np.int64))
    batches = Batches(Part.of_all(images), torch.device("cpu"))
    ((normal, _),) = batches.in_order(50)
    assert normal.mean((0, 2, 3)).abs().max() < 1e-5
    assert (normal.std((0, 2, 3)) - 1).abs().max() < 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_training_on_a_gpu_learns() -> None:
    training = task(device="cuda:0", recipe=dataclasses.replace(TINY, epochs=8)).run(go_on)
    assert training.quality is not None
    assert training.quality > 60


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_as_a_cuda_graph_is_the_same_step(precision: str, optimizer: str) -> None:
    recipe = dataclasses.replace(TINY, precision=precision, optimizer=optimizer, mixup=0.2)  # type: ignore[arg-type]
    rate = {"sgd": 0.1, "adamw": 0.005}[optimizer]
    losses: dict[bool, list[float]] = {}
    for as_graph in (False, True):
        torch.manual_seed(0)
        network = trainer().build(SHAPE).to("cuda:0").to(memory_format=torch.channels_last).train()
        step = Step(network, recipe, as_graph=as_graph)
        batches = Batches(split(digits_on_disk(), "validation", 0.2, 0)[0], torch.device("cuda:0"), classes=10)
        torch.manual_seed(1)
        losses[as_graph] = [float(step(*batch, rate)) for batch in batches.shuffled(32, recipe)]
        assert step.is_graph == as_graph
    assert losses[True] == pytest.approx(losses[False], rel=0.02)


def test_a_step_is_that_of_torch_s_own_optimiser() -> None:
    torch.manual_seed(0)
    recipe = Recipe(epochs=1, momentum=0.9, weight_decay=5e-4)
    ours, theirs = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    descend = descent(ours, recipe)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for step in range(5):
        inputs = torch.randn(4, 5)
        ours(inputs).square().sum().backward()
        descend(0.1 / (step + 1))
        optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
        optimiser.zero_grad()
        theirs(inputs).square().sum().backward()
        optimiser.step()
    assert torch.allclose(ours.weight, theirs.weight)


def test_thin_strided_projections_compute_the_same_with_right_gradients() -> None:
    """oneDNN writes past its memory for those of few channels, so they are computed in two operations."""
    torch.manual_seed(0)
    reference = WideResNet().build(Shape(10, Fraction(1, 4)), (1, 8, 8), 10)
    network = WideResNet().build(Shape(10, Fraction(1, 4)), (1, 8, 8), 10).to(memory_format=torch.channels_last)
    network.load_state_dict(reference.state_dict())
    Step(network, TINY)
    pixels, labels = torch.randn(16, 1, 8, 8), torch.randint(0, 10, (16,))
    for each, images_ in ((reference, pixels), (network, pixels.to(memory_format=torch.channels_last))):
        torch.nn.functional.cross_entropy(each(images_), labels).backward()
    for one, other in zip(reference.parameters(), network.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-5)
    strided = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (1, 1)]
    assert [m.stride for m in strided] == [(1, 1), (1, 1)]


@pytest.mark.parametrize("shape", [(8, 2, 28, 28), (3, 15, 5, 7), (4, 1, 6, 6), (1, 3, 4, 4), (4, 8, 1, 1)])
def test_batch_norms_of_few_channels_are_those_of_torch_up_to_rounding(shape: tuple[int, int, int, int]) -> None:
    torch.manual_seed(0)
    pixels = (3 + 2 * torch.randn(shape)).to(memory_format=torch.channels_last)
    gradient = torch.randn(shape)  # of another format
    norm = torch.nn.BatchNorm2d(shape[1])
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    torch.nn.init.normal_(norm.bias)
    network = torch.nn.Sequential(norm, torch.nn.ReLU(inplace=True))
    theirs, exact = copy.deepcopy(network), copy.deepcopy(network).double()
    widen_norms(network)
    assert type(norm) is ThinBatchNorm2d
    found = []
    for each, dtype in ((network, torch.float32), (theirs, torch.float32), (exact, torch.float64)):
        given = pixels.clone().to(dtype).requires_grad_()
        output = each(given)
        output.backward(gradient.to(dtype))
        each.eval()
        with torch.inference_mode():
            evaluated = each(pixels.to(dtype))
        learnt = {name: value.grad for name, value in each.named_parameters()} | dict(each.named_buffers())
        found.append({"output": output, "gradient": given.grad, "evaluated": evaluated, **learnt})
    for name, value in found[0].items():
        for other in found[1:]:
            torch.testing.assert_close(value, other[name].to(value.dtype), rtol=1e-4, atol=1e-4, msg=name)


def test_only_plain_batch_norms_of_few_channels_are_replaced_and_keep_their_names() -> None:
    class Own(torch.nn.BatchNorm2d):
        pass

    usual, wide = torch.nn.BatchNorm2d(8), torch.nn.BatchNorm2d(16)
    others = [wide, torch.nn.BatchNorm2d(8, affine=False), torch.nn.BatchNorm2d(8, momentum=None), Own(8)]
    before, network = [type(other) for other in others], torch.nn.Sequential(usual, *others)
    names = list(network.state_dict())
    widen_norms(network)
    assert isinstance(usual, ThinBatchNorm2d)
    assert [type(other) for other in others] == before
    assert list(network.state_dict()) == names


def test_images_on_disk_are_those_that_were_saved() -> None:
    train, test = Digits(limit=100).load()
    images.save(train, test, Path("here"))
    images.save(train, test, Path("here"))
    again, test_again = images.load(Path("here"))
    assert images.fingerprint(train, test) == images.fingerprint(again, test_again)
    assert [path.name for path in Path().iterdir()] == ["here"]


class Heavy(WideResNet):
    def build(self, *arguments: object) -> torch.nn.Module:
        torch.empty(2**55)
        return super().build(*arguments)  # type: ignore[arg-type]


def test_a_training_that_does_not_fit_into_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClassifierTrainer, "load_architecture", lambda _: Heavy())
    with pytest.raises(MemoryShortageError, match="out of memory on cpu: RuntimeError.*allocate memory"):
        task().run(go_on)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "GET was unable to find an engine to execute this computation",
        "Unable to find a valid cuDNN algorithm to run convolution",
    ],
)
def test_in_whatever_words_a_gpu_says_that_memory_lacks_it_is_understood(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> torch.nn.Module:
        raise RuntimeError(said)

    monkeypatch.setattr(WideResNet, "build", build)
    with pytest.raises(MemoryShortageError, match=f"out of memory on cpu: RuntimeError: {re.escape(said)}"):
        task().run(go_on)


@pytest.mark.parametrize(
    "said",
    [
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "CUDA error: an illegal memory access was encountered",
        "operation not permitted when stream is capturing",
    ],
)
def test_what_else_goes_wrong_on_a_gpu_is_no_lack_of_memory(said: str) -> None:
    assert not devices.is_out_of_memory(RuntimeError(said))


def test_a_task_can_be_moved_to_a_machine_with_other_paths() -> None:
    here = task(donor=Donor(Shape(10, Fraction(1, 4)), Path("donor")), plugin_files=(Path("a.py"), Path("b.py")))
    assert set(here.reads) == {Path("a.py"), Path("b.py"), Path("images"), Path("donor")}
    places = {path: Path("/there") / path for path in (*here.reads, *here.writes, *here.scratch)}
    there = here.moved(places)
    assert there.reads == tuple(places[path] for path in here.reads)
    assert there.writes == (Path("/there/weights/a.safetensors"),)
    assert there.scratch == (Path("/there/checkpoints/a"),)
    assert there.moved({there_path: path for path, there_path in places.items()}) == here
    assert here.moved({}) is here
