"""Trainings that start from weights in files, or from those that timm publishes."""

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from shape_dnn import Pretrained, Recipe, Shape, UnavailableError, UsageError, tune
from shape_dnn.events import EpochFinished, Event
from shape_dnn.testing import ArchitectureContract
from shape_dnn_timm.convnext import CHANNELS, ConvNeXt
from shape_dnn_timm.family import Family
from shape_dnn_timm.resnet import ResNet
from shape_dnn_timm.stages import scale, width_of

SMALL = Shape(10, Fraction(1, 8))
DIGITS: dict[str, Any] = {"arch": "resnet", "dataset": "digits", "device": "cpu", "goal": "size"}


def save(network: torch.nn.Module, path: str) -> Path:
    Path(path).parent.mkdir(exist_ok=True)
    save_file(network.state_dict(), path)
    return Path(path)


def random_weights(path: str, shape: Shape = SMALL, block: str = "basic", channels: int = 1, classes: int = 10) -> Path:
    return save(ResNet(block).build(shape, (channels, 32, 32), classes), path)


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Searched:
    """A search for the smallest basic ResNet, and what its epochs came to."""

    def __init__(self, study: str, weights: Path | str | None = None, **more: Any) -> None:
        self.epochs: list[float] = []
        option = {"arch.block": "basic", **({} if weights is None else {"arch.weights": str(weights)})}
        self.result = tune(**DIGITS, study=study, option=option, notify=self.take_note, **more)

    def take_note(self, event: Event) -> None:
        if isinstance(event, EpochFinished):
            self.epochs.append(event.epoch.quality)


def test_a_search_goes_on_from_the_weights_of_another() -> None:
    before = Searched("before", depth="10:11:2", width="1/8:1/4:1/8", epochs=6)
    (file,) = Path("before/weights").glob("*/*.safetensors")
    after = Searched("after", file)
    assert after.epochs[0] > before.epochs[0] + 25, "after one epoch"
    assert after.result.shapes == [SMALL], "the space is the shape that the file is of"
    printed = after.result.to_dict()
    (weights,) = printed["weights"]
    assert (weights["depth"], weights["width"]) == (10, 0.125)
    assert weights["name"].startswith("sha256:")
    assert printed["recipe"]["lr"]["from"] == printed["recipe"]["epochs"]["from"] == "architecture 'resnet'"
    assert weights["name"] in Path("after/report.html").read_text()

    again = Searched("after", shutil.copy(file, "copy.safetensors"))
    assert again.result.new_trainings == 0, "the same weights under another name"
    other = Searched("after", random_weights("copy.safetensors"), epochs=1)
    assert other.result.new_trainings == 1, "other weights under the same name"
    assert other.epochs[0] < after.epochs[0] - 25


def test_a_folder_has_a_file_for_each_of_its_shapes() -> None:
    wider = Shape(12, Fraction(1, 3))
    random_weights("weights/b.safetensors")
    random_weights("weights/a.safetensors", wider)
    Path("weights/notes.txt").write_text("not weights")
    found = ResNet("basic", "weights").pretrained()
    assert found is not None
    assert {shape: weights.file for shape, weights in found.items()} == {
        SMALL: Path("weights/b.safetensors").resolve(),
        wider: Path("weights/a.safetensors").resolve(),
    }
    with pytest.raises(
        UsageError, match=r"depth: no shape of depth 14:15:2 has weights; those that have are \(10, 1/8"
    ):
        Searched("study", "weights", depth="14:15:2", dry_run=True)
    shutil.copy("weights/a.safetensors", "weights/c.safetensors")
    with pytest.raises(UsageError, match=r"a.safetensors' and 'weights/c.safetensors' are both of \(12, 1/3\)"):
        Searched("study", "weights", dry_run=True)


def test_what_cannot_be_started_from_is_refused_in_one_line() -> None:
    Path("empty").mkdir()
    Path("text.safetensors").write_text("not weights")
    whole = random_weights("whole.safetensors").read_bytes()
    Path("cut.safetensors").write_bytes(whole[:-100])
    random_weights("bottleneck.safetensors", Shape(14, Fraction(1, 8)), "bottleneck")
    save(timm.create_model("test_convnext"), "convnext.safetensors")
    save(timm.create_model("resnet10t"), "other.safetensors")
    for name, complaint in {
        "gone.safetensors": "there is no such file or folder; accepted are none, pretrained, a safetensors file",
        "empty": "the folder has no *.safetensors",
        "text.safetensors": "'text.safetensors' is no whole safetensors file",
        "cut.safetensors": "'cut.safetensors' is no whole safetensors file",
        "bottleneck.safetensors": "'bottleneck.safetensors' holds no network of ResNet",
        "convnext.safetensors": "'convnext.safetensors' holds no network of ResNet",
        "other.safetensors": "'other.safetensors' holds no network of ResNet",
    }.items():
        with pytest.raises(UsageError) as refused:
            Searched("study", name, dry_run=True)
        assert complaint in refused.value.message
        assert refused.value.setting == "option"
        assert len(refused.value.message.splitlines()) == 1


def test_another_number_of_classes_leaves_the_last_layer_random_and_another_number_of_channels_adapts_the_first() -> (
    None
):
    file = random_weights("file.safetensors", channels=3, classes=1000)
    given, basic = load_file(file), ResNet("basic", str(file))
    torch.manual_seed(1)
    network = basic.build(SMALL, (1, 32, 32), 10)
    last = network.state_dict()["fc.weight"].clone()
    basic.load_pretrained(network, SMALL, (basic.pretrained() or {})[SMALL])
    loaded = network.state_dict()
    assert torch.equal(loaded["fc.weight"], last)
    torch.testing.assert_close(loaded["conv1.weight"], given["conv1.weight"].sum(1, keepdim=True))
    same = loaded.keys() - {"fc.weight", "fc.bias", "conv1.weight"}
    assert all(torch.equal(loaded[name], given[name]) for name in same)

    grey = random_weights("grey.safetensors", channels=1)
    colour = basic.build(SMALL, (3, 32, 32), 10)
    with pytest.raises(
        UsageError, match=r"grey.safetensors' cannot be used for ResNet \(10, 1/8\): it takes images of 1"
    ):
        basic.load_pretrained(colour, SMALL, Pretrained("grey", grey))
    with pytest.raises(UsageError, match=r"gone' cannot be used for ResNet \(10, 1/8\): No such file"):
        basic.load_pretrained(colour, SMALL, Pretrained("gone", Path("gone")))


FAMILIES = [ResNet(weights="pretrained"), ResNet("basic", "pretrained"), ConvNeXt("pretrained")]
PUBLISHED = [(family, shape, name) for family in FAMILIES for shape, name in family.published.items()]


@pytest.mark.parametrize(("family", "shape", "name"), PUBLISHED, ids=[name for _, _, name in PUBLISHED])
def test_published_weights_fit_the_network_of_their_shape(family: Family, shape: Shape, name: str) -> None:
    assert timm.models.is_model_pretrained(name)
    found = family.pretrained()
    assert found is not None
    assert found[shape] == Pretrained(name)
    with torch.device("meta"):
        theirs, own = timm.create_model(name).state_dict(), family.build(shape, (3, 224, 224), 1000)
    assert family.shape_of({name: tuple(value.shape) for name, value in theirs.items()}) == shape
    own.load_state_dict(family.fitted(theirs, own.state_dict()), assign=True)


@pytest.mark.parametrize(
    ("family", "name"), [(FAMILIES[1], "resnet18.a1_in1k"), (FAMILIES[2], "convnext_atto.d2_in1k")]
)
def test_with_published_weights_a_network_computes_what_that_of_timm_does(
    family: Family, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = timm.create_model(name).eval()  # with random weights, since they have to be fetched
    for part, parameter in published.named_parameters():
        if part.endswith(("bn2.weight", "gamma")):  # which would leave hardly anything of what blocks compute
            torch.nn.init.uniform_(parameter)
    monkeypatch.setattr(timm, "create_model", lambda asked, pretrained: {name: published}[asked])
    (shape,) = [shape for shape, weights in family.published.items() if weights == name]
    network = family.build(shape, (3, 64, 64), 1000)
    family.load_pretrained(network, shape, Pretrained(name))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(images), published(images), rtol=1e-3, atol=1e-4)


def test_the_space_of_published_weights_is_the_published_shapes() -> None:
    for block, number in (("bottleneck", 6), ("basic", 2)):
        option = {"arch.block": block, "arch.weights": "pretrained"}
        planned = tune(**DIGITS, option=option, dry_run=True)
        assert len(planned.shapes) == number
        assert set(planned.shapes) == set(ResNet(block).published)
    with pytest.raises(UsageError, match=r"no shape of depth 38:39:1 has weights; .* \(26, 1\), \(50, 1\), \(101, 1\)"):
        tune(**DIGITS, option={"arch.weights": "pretrained"}, depth="38:39:1", dry_run=True)
    planned = tune(**DIGITS, option={"arch.weights": "pretrained"}, depth="26:102:1", width="1:2:1", dry_run=True)
    assert set(planned.shapes) == {Shape(depth, Fraction(1)) for depth in (26, 50, 101)}


def test_published_weights_that_cannot_be_had_end_the_search_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", os.fspath(Path("nothing").resolve()))
    remedy = (
        r"download model.safetensors of https://huggingface.co/timm/resnet18\.\w+ and give it as -o arch.weights=FILE"
    )
    with pytest.raises(
        UnavailableError, match=rf"timm could not get the weights resnet18\.\w+ \(.*\); {remedy}"
    ) as ended:
        Searched("study", "pretrained", depth="18:19:1")
    assert len(str(ended.value).splitlines()) == 1


def test_fine_tuning_takes_fewer_epochs_at_a_lower_rate_that_rises_at_first() -> None:
    recipe = Recipe(epochs=12, lr=0.2)
    tuned = ResNet(weights="pretrained").recipe(recipe)
    assert (tuned.epochs, tuned.lr, tuned.schedule, tuned.warmup) == (3, 0.02, "one-cycle", 0.1)
    assert ResNet().recipe(recipe) == recipe
    whole, tuned = ConvNeXt().recipe(recipe), ConvNeXt("pretrained").recipe(recipe)
    assert (whole.optimizer, whole.epochs, whole.schedule) == ("adamw", 12, "cosine")
    assert (tuned.optimizer, tuned.epochs, tuned.schedule) == ("adamw", 3, "cosine")
    assert tuned.lr == whole.lr / 10
    assert ConvNeXt("pretrained").recipe(Recipe(epochs=1)).epochs == 1


@pytest.mark.parametrize("shift", [Fraction(0), Fraction(1, 2)])
def test_the_width_that_made_some_channels_is_found(shift: Fraction) -> None:
    for denominator in range(1, 20):
        for numerator in range(denominator, 3 * denominator):
            width = Fraction(numerator, denominator)
            assert width_of(scale(CHANNELS, width, shift), CHANNELS, shift) == width
    assert width_of((96, 192, 384, 700), CHANNELS, shift) is None


class Started(ArchitectureContract):
    """Contract of a family that starts from weights of the first shape that is tried."""

    family: Family

    @pytest.fixture
    def plugin(self) -> Family:
        shape, images = self.corners(self.family)[0], self.inputs[0]
        save(self.family.build(shape, images, 5), "start.safetensors")
        made = type(self.family)(weights="start.safetensors")
        assert list(made.pretrained() or ()) == [shape]
        return made


class TestResNetFromAFile(Started):
    family, depths, widths, inputs = ResNet(), "14:27:12", "1/16:9/4:9/16", ((3, 64, 64),)


class TestConvNeXtFromAFile(Started):
    family, depths, widths, inputs = ConvNeXt(), "4:39:11", "1/12:2/3:1/4", ((1, 32, 40),)
