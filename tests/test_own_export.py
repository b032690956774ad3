"""Networks of a trainer of one's own are exported, whatever inputs they take, if the trainer is named again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from shape_dnn import ExportError, Quality, Result, UsageError, ask, export, load, tune
from shape_dnn.errors import NetworkError

TOKENS = """
import torch
from torch import nn
from shape_dnn import Quality

QUALITY = Quality("perplexity", better="lower", minimum=1)

class Tagger(nn.Module):
    def __init__(self, depth, width, words):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, tokens, padding=None):
        hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=padding)
        return {"scores": self.head(hidden), "summary": hidden.mean(1)}

def build(shape, words=20):
    return Tagger(shape.depth, int(8 * shape.width), words)

def example(batch_size):
    tokens = torch.randint(1, 20, (batch_size, 7))
    return {"tokens": tokens, "padding": tokens == 0}

def train(shape, run, words=20):
    network = build(shape, words)
    run.report(1, 30.0 / shape.depth)
    run.save(network)
"""
SEARCH: dict[str, Any] = {
    "trainer": "tagger.py", "depth": "1:2:1", "width": "1/2:1:1/2", "goal": "size", "device": "cpu",
    "option": {"trainer.words": 30},
}  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with a study, its trainer, and the network of its one shape."""
    directory = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        Path("tagger.py").write_text(TOKENS)
        tune(**SEARCH, study="study")
        export("study", "network", trainer="tagger.py")
    return directory


@pytest.fixture
def copied(searched: Path) -> Path:
    """The same in the working directory."""
    shutil.copytree(searched, ".", dirs_exist_ok=True)
    return Path("network")


def card_of(directory: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((directory / "card.json").read_text())
    return card


def sentences(number: int) -> dict[str, torch.Tensor]:
    tokens = torch.randint(0, 30, (number, 7), generator=torch.Generator().manual_seed(number))
    return {"tokens": tokens, "padding": tokens == 0}


def test_the_shapes_of_results_can_be_named_as_they_stand_there() -> None:
    """A third has no exact decimal."""
    Path("tagger.py").write_text(TOKENS.replace("8 * shape.width", "6 * shape.width"))
    found = tune(**{**SEARCH, "width": "1/3:2/3:1/3"}, study="study").to_dict()["best"]
    for shape in (f"{found['depth']},{found['width']}", (found["depth"], found["width"])):
        network = export("study", "network", shape=shape, trainer="tagger.py", formats="safetensors")
        assert card_of(network)["shape"]["fraction"] == "1/3"
    with pytest.raises(UsageError, match=r"shape \(1, 333/1000\) was not trained; trained are \(1, 1/3\)"):
        export("study", "network", shape="1,0.333", trainer="tagger.py")


@pytest.mark.parametrize("number", [1, 3, 10])
def test_every_file_takes_token_ids_by_name_for_batches_of_any_size(copied: Path, number: int) -> None:
    given = sentences(number)
    network = load(copied, trainer="tagger.py")
    assert not network.training
    session = onnxruntime.InferenceSession(copied / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = network(**given)
        program = torch.export.load(copied / "model.pt2").module()
        torch.testing.assert_close(program(**given), expected, rtol=1e-4, atol=1e-4)
    computed = session.run(["scores", "summary"], {name: value.numpy() for name, value in given.items()})
    for value, wanted in zip(computed, expected.values(), strict=True):
        np.testing.assert_allclose(value, wanted.numpy(), rtol=1e-4, atol=1e-4)
    assert expected["scores"].shape == (number, 7, 30)


def test_the_onnx_file_is_valid_and_names_what_goes_in_and_out(copied: Path) -> None:
    model = onnx.load(copied / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert axes == {
        "tokens": ["batch", 7], "padding": ["batch", 7], "scores": ["batch", 7, 30], "summary": ["batch", 4],
    }  # fmt: skip


def test_the_card_tells_trainer_quality_and_inputs_and_nothing_of_images(copied: Path) -> None:
    card = card_of(copied)
    assert card["trainer"]["name"] == "tagger"
    assert card["trainer"]["from"].startswith("file ")
    assert card["trainer"]["options"] == {"words": "30"}
    assert card["inputs"] == [
        {"name": "tokens", "shape": ["batch", 7], "dtype": "int64"},
        {"name": "padding", "shape": ["batch", 7], "dtype": "bool"},
    ]
    assert [output["name"] for output in card["outputs"]] == ["scores", "summary"]
    assert card["metrics"]["perplexity"] == 30.0
    assert card["quality"] == {"name": "perplexity", "unit": "", "better": "lower"}
    assert card["training"]["seed"] == 0
    assert card["agreement"]["examples"] == 8
    assert set(card["agreement"]["largest_difference"]) == {"pt2", "onnx"}
    assert not {"normalisation", "class_names", "data", "architecture", "input"} & card.keys()
    assert card["measurements"]["size"]["conditions"]["batch_size"] == 1
    assert not {"input_shape", "classes"} & card["measurements"]["size"]["conditions"].keys()


def test_the_program_runs_with_torch_alone(copied: Path) -> None:
    program = (
        "import sys, torch\n"
        "tokens = torch.ones(4, 7, dtype=torch.int64)\n"
        "made = torch.export.load('network/model.pt2').module()(tokens=tokens, padding=tokens == 0)\n"
        "assert made['scores'].shape == (4, 7, 30)\n"
        "assert 'shape_dnn' not in sys.modules\n"
    )
    Path("tagger.py").unlink()
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_trainer_has_to_be_named_again_and_to_be_the_same(copied: Path, shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("export", "study")
    assert ran.status == 2
    assert "--trainer: the study was made with 'tagger.py'; name the file again if you trust it" in ran.error
    with pytest.raises(
        UsageError, match=r"trainer 'tagger' builds the network.*torch.export.load\('network/model.pt2'"
    ):
        load(copied)
    Path("tagger.py").write_text(TOKENS + "\nopen('ran', 'w')\n")
    for refused in (lambda: export("study", trainer="tagger.py"), lambda: load(copied, trainer="tagger.py")):
        with pytest.raises(
            ExportError, match=r"trainer 'tagger' is 'file .*' here, and it was 'file .*' when .*; that one"
        ):
            refused()
    assert not Path("ran").exists()
    with pytest.raises(UsageError, match=r"trainer: cannot read 'other.py'"):
        export("study", trainer="other.py")
    with pytest.raises(UsageError, match=r"trainer: 'classifier' is not the one that trained the network"):
        export("study", trainer="classifier")


def test_a_trainer_may_have_another_place_by_now(copied: Path) -> None:
    Path("elsewhere").mkdir()
    Path("tagger.py").rename("elsewhere/renamed.py")
    assert card_of(export("study", "out", trainer=Path("elsewhere/renamed.py"), formats="safetensors"))["inputs"]


def test_questions_and_reports_need_no_code(copied: Path, shape_dnn: Callable[..., Any]) -> None:
    Path("tagger.py").unlink()
    assert ask("study", goal="size").best is not None
    ran = shape_dnn("report", "study")
    assert ran.status == 0, ran.err
    page = (Path("study") / "report.html").read_text()
    assert "trainer tagger: 1 shape." in page
    assert '"export":"shape-dnn export study --trainer tagger.py"' in page
    assert "wrn on digits" not in page


def test_weights_of_another_network_are_refused_in_one_line(copied: Path, shape_dnn: Callable[..., Any]) -> None:
    from safetensors.torch import save_file

    (weights,) = Path("study").glob("weights/*/*.safetensors")
    state = load_file(weights)
    save_file({name: value for name, value in state.items() if name != "head.bias"}, weights)
    ran = shape_dnn("export", "study", "--trainer", "tagger.py", "--output", "out")
    assert ran.status == 4
    assert "do not fit what tagger.py builds for shape (1, 1/2): " in ran.error
    assert 'Missing key(s) in state_dict: "head.bias"' in ran.error
    assert len(ran.err.splitlines()) == 1, ran.err
    assert not Path("out").exists()


def test_nothing_of_this_machine_is_told(copied: Path) -> None:
    for path in copied.iterdir():
        assert str(Path.cwd()).encode() not in path.read_bytes()


SMALL = """
import torch
from torch import nn

{network}

def build(shape):
    return Net()

{example}

def train(shape, run):
    network = build(shape)
    {save}
    return 50.0
"""
LINEAR = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(3, 2)\n"


def small(
    network: str = LINEAR, example: str = "EXAMPLE = torch.zeros(4, 3)", save: str = "run.save(network)"
) -> Result:
    Path("own.py").write_text(SMALL.format(network=network, example=example, save=save))
    return tune(trainer="own.py", depth="1:2:1", width="1:2:1", goal="size", device="cpu", study="s")


def test_several_tensors_some_without_a_batch_dimension_go_in_and_several_come_out() -> None:
    network = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(3, 4)
    def forward(self, sequence, state, scale):
        hidden, last = self.cell(sequence * scale, state)
        return hidden, (last, hidden.argmax(-1))
"""
    example = """
def example(batch_size):
    return torch.randn(5, batch_size, 3), torch.zeros(1, batch_size, 4), torch.ones(3)
"""
    small(network, example)
    out = export("s", "out", trainer="own.py")
    card = card_of(out)
    assert [(slot["name"], slot["shape"]) for slot in card["inputs"]] == [
        ("sequence", [5, "batch", 3]), ("state", [1, "batch", 4]), ("scale", [3]),
    ]  # fmt: skip
    assert [(slot["name"], slot["dtype"]) for slot in card["outputs"]] == [
        ("output_0", "float32"), ("output_1_0", "float32"), ("output_1_1", "int64"),
    ]  # fmt: skip
    given = torch.randn(5, 6, 3), torch.zeros(1, 6, 4), torch.ones(3)
    hidden, (_, places) = torch.export.load(out / "model.pt2").module()(*given)
    torch.testing.assert_close(load(out, trainer="own.py")(*given)[0], hidden)
    assert places.shape == (5, 6)


def test_example_inputs_of_zeros_are_compared_with_numbers_that_differ() -> None:
    """Of zeros a norm would make rounding as large as an image is otherwise."""
    network = """
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(*(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.InstanceNorm2d(3)) for _ in range(6)))
"""
    small(network, "EXAMPLE = torch.zeros(2, 3, 32, 32)")
    agreement = card_of(export("s", "out", trainer="own.py"))["agreement"]["largest_difference"]
    assert all(difference < 1e-3 for difference in agreement.values())


def test_what_cannot_be_traced_leaves_its_weights() -> None:
    network = LINEAR + "    def forward(self, x):\n        return super().forward(x if float(x.sum()) > 0 else -x)\n"
    small(network)
    with pytest.raises(ExportError, match=r"the network cannot be written as torch.export: .*--formats leaves"):
        export("s", "out", trainer="own.py")
    assert not Path("out").exists()
    out = export("s", "out", trainer="own.py", formats=["safetensors"])
    assert load(out, trainer="own.py")(torch.ones(5, 3)).shape == (5, 2)


def test_a_trainer_that_saved_nothing_has_nothing_to_export(shape_dnn: Callable[..., Any]) -> None:
    small(save="pass")
    with pytest.raises(ExportError, match=r"no weights of \(1, 1\): its trainer did not run.save\(\) any"):
        export("s", trainer="own.py")
    assert '"export":""' in (Path("s") / "report.html").read_text()


def test_what_is_no_number_of_the_network_is_none_of_its_files_either() -> None:
    """As scores behind a mask are."""
    small(LINEAR + "    def forward(self, x):\n        return torch.sqrt(super().forward(x) * 0 - 1)\n")
    agreement = card_of(export("s", "out", trainer="own.py"))["agreement"]["largest_difference"]
    assert agreement == {"pt2": 0.0, "onnx": 0.0}


def test_inputs_that_the_network_does_not_take_are_told_with_file_and_function() -> None:
    small(example="EXAMPLE = torch.zeros(4, 5)")
    with pytest.raises(
        NetworkError, match=r"own.py failed in the forward pass of shape \(1, 1\) on what example\(\) gives: R"
    ):
        export("s", "out", trainer="own.py")
    small(example="def example(batch_size):\n    return torch.zeros(batch_size + 'x')")
    with pytest.raises(NetworkError, match=r"own.py failed to make inputs for shape \(1, 1\): TypeError"):
        export("s", "out", trainer="own.py")
    small(example="def example(batch_size):\n    return torch.zeros(batch_size, 2 * batch_size, 3)")
    with pytest.raises(ExportError, match=r"example inputs 'input' differ by more than the batch size"):
        export("s", "out", trainer="own.py")
    several = LINEAR + "    def forward(self, *several):\n        return super().forward(several[0])\n"
    small(several, example="def example(batch_size):\n    return (torch.zeros(3),) * batch_size")
    with pytest.raises(ExportError, match=r"the number of tensors depends on the batch size: 2 and 3"):
        export("s", "out", trainer="own.py")
    small(example="")
    with pytest.raises(UsageError, match=r"own.py gives no example inputs"):
        export("s", "out", trainer="own.py")


def test_functions_of_a_notebook_are_exported_by_the_file_that_the_study_keeps() -> None:
    def build(shape: Any) -> torch.nn.Module:
        return torch.nn.Linear(3, shape.depth)

    def train(shape: Any, run: Any) -> float:
        run.save(build(shape))
        return 0.5

    tune(
        trainer=train, build=build, example=torch.zeros(2, 3), quality=Quality("loss", better="lower"), depth="1:2:1",
        width="1:2:1", goal="size", device="cpu", study="s",
    )  # fmt: skip
    (kept,) = Path("s/trainers").iterdir()
    out = export("s", trainer=kept, formats=["onnx"])
    assert load(out, trainer=kept)(torch.ones(5, 3)).shape == (5, 1)
    where = r"trainer: <function .* is not the name of a trainer .*; functions .* lie in the study, in trainers/"
    with pytest.raises(UsageError, match=where):
        export("s", trainer=train)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=where):
        load(out, trainer=train)  # type: ignore[call-overload]


PLUGIN = """
import torch
from shape_dnn import Option, Plugin, Trainer, hookimpl

class Mine(Trainer):
    def __init__(self, hidden):
        self.hidden = hidden

    def build(self, shape):
        return torch.nn.Sequential(torch.nn.Linear(3, self.hidden), torch.nn.Linear(self.hidden, shape.depth))

    def example(self, batch_size):
        return torch.zeros(batch_size, 3)

    def train(self, shape, run):
        run.save(self.build(shape))
        return 50.0

@hookimpl
def shape_dnn_trainers():
    yield Plugin("mine", "a trainer", Mine, {"hidden": Option(4, "values between the layers")})
"""


def test_a_trainer_of_a_plugin_is_found_by_its_name() -> None:
    Path("mine.py").write_text(PLUGIN)
    tune(
        plugin="mine.py", trainer="mine", option={"trainer.hidden": 5}, depth="1:2:1", width="1:2:1", goal="size",
        device="cpu", study="s",
    )  # fmt: skip
    with pytest.raises(UsageError, match="plugin: the study was made with 'mine.py'; name the files again"):
        export("s", "out")
    out = export("s", "out", plugin="mine.py", formats=["pt2"])
    network = load(out, plugin="mine.py", trainer="mine")
    assert network(torch.ones(2, 3)).shape == (2, 1)
    assert network.get_submodule("0").out_features == 5
    assert "--trainer" not in (Path("s") / "report.html").read_text().partition('"export":')[2][:60]
