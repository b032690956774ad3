from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from shape_dnn import Architecture, Recipe, Shape, UsageError, tune
from shape_dnn.assembly.assembly import Assembly
from shape_dnn.settings import Settings
from shape_dnn.testing import ArchitectureContract
from shape_dnn_timm.convnext import PUBLISHED, ConvNeXt
from shape_dnn_timm.resnet import BASIC, BOTTLENECK, ResNet
from shape_dnn_timm.stages import distribute


class TestResNet(ArchitectureContract):
    name, widths = "resnet", "1/16:9/4:9/16"
    depths, inputs = "14:27:12", ((3, 64, 64),)


class TestResNetOfManyDepths(ArchitectureContract):
    name, depths, widths = "resnet", "14:210:48", "1/8:1/4:1/8"
    inputs = ((1, 33, 40),)


class TestResNetOfBasicBlocks(ArchitectureContract):
    name, options = "resnet", {"block": "basic"}
    depths, widths, inputs = "10:41:10", "1/10:1:3/10", ((3, 64, 64), (1, 28, 28))


class TestConvNeXt(ArchitectureContract):
    name, depths, widths = "convnext", "4:39:11", "1/12:2/3:1/4"
    inputs = ((3, 64, 64), (1, 32, 40))


@pytest.mark.nightly
class TestResNetOfEveryWidth(TestResNet):
    widths = "1/16:9/4:1/16"


@pytest.mark.nightly
class TestResNetOfEveryDepth(TestResNetOfManyDepths):
    depths = "14:210:3"


@pytest.mark.nightly
class TestResNetOfEveryNumberOfBasicBlocks(TestResNetOfBasicBlocks):
    depths = "10:41:2"


@pytest.mark.nightly
class TestConvNeXtOfEveryDepth(TestConvNeXt):
    depths, widths = "4:39:2", "1/12:1:1/4"


@pytest.mark.parametrize(
    ("family", "depth", "width", "parameters"),
    [
        (ResNet(), 50, 1, 25_557_032),
        (ResNet(), 101, 1, 44_549_160),
        (ResNet(), 152, 1, 60_192_808),
        (ResNet(), 50, 2, 68_883_240),
        (ResNet(), 101, 2, 126_886_696),
        (ResNet("basic"), 18, 1, 11_689_512),
        (ResNet("basic"), 34, 1, 21_797_672),
        (ConvNeXt(), 18, 1, 28_589_128),
        (ConvNeXt(), 36, 1, 50_223_688),
        (ConvNeXt(), 36, Fraction(4, 3), 88_591_464),
    ],
)
def test_published_parameter_counts_to_the_digit(
    family: Architecture, depth: int, width: Fraction, parameters: int
) -> None:
    with torch.device("meta"):
        network = family.build(Shape(depth, Fraction(width)), (3, 224, 224), 1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("published", [BASIC, BOTTLENECK, PUBLISHED])
def test_blocks_are_added_one_by_one_from_each_published_network_to_the_next(
    published: tuple[tuple[int, int, int, int], ...],
) -> None:
    blocks = [distribute(total, published) for total in range(4, 90)]
    assert set(published) <= set(blocks)
    for fewer, more in pairwise(blocks):
        assert sorted(b - a for a, b in zip(fewer, more, strict=True)) == [0, 0, 0, 1]


def test_depths_that_do_not_exist_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"51, a depth that ResNet cannot have; .*3B\+2.* nearest are 50 and 53"):
        tune(arch="resnet", depth="51:60:3", dry_run=True)
    with pytest.raises(UsageError, match=r"19, a depth that ResNet cannot have; .* nearest are 18 and 20"):
        tune(arch="resnet", depth="19:30:2", option={"arch.block": "basic"}, dry_run=True)


def test_convnext_trains_by_adamw_unless_asked_otherwise(photographs: str) -> None:
    def recipe(**settings: object) -> Recipe:
        given = {"arch": "convnext", "dataset": "folder", "data_dir": photographs, "device": "cpu", **settings}
        return Assembly(Settings.create(given)).recipe

    own = recipe()
    assert (own.optimizer, own.schedule, own.weight_decay) == ("adamw", "cosine", 0.05)
    assert own.epochs == recipe(arch="resnet").epochs, "how long and on what is for the dataset to say"
    assert recipe(lr=0.001).lr == 0.001
    assert recipe(option="recipe.optimizer=sgd").optimizer == "sgd"


def test_images_that_are_too_small_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="'digits' has images of 8x8 pixels, and ConvNeXt takes those from 32x32"):
        tune(arch="convnext", dry_run=True)


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Parts of two photographs, as a folder of images of two classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, photograph in zip(("china", "flower"), load_sample_images().images, strict=True):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        for number in range(40):
            top, left = rng.integers(0, 300), rng.integers(0, 500)
            Image.fromarray(photograph[top : top + 120, left : left + 120]).save(
                tmp_path / "photographs" / name / f"{number}.png"
            )
    return "photographs"


@pytest.mark.parametrize(
    ("arch", "more"),
    [
        ("resnet", {"depth": "10:11:2", "width": "1/8:3/8:1/8", "option": {"arch.block": "basic"}}),
        ("convnext", {"depth": "4:5:1", "width": "1/12:3/12:1/12"}),
    ],
)
def test_a_search_on_photographs(photographs: str, arch: str, more: dict[str, object]) -> None:
    options = {"dataset.size": 48, **more.pop("option", {})}  # type: ignore[dict-item]
    result = tune(
        arch=arch, dataset="folder", data_dir=photographs, max_size="2MB", goal="accuracy", epochs=2, device="cpu",
        option=options, **more,
    )  # fmt: skip
    assert result.verified
    assert result.answer.test_quality >= 50
