"""What is exported computes what was trained, works without the study, and says what it is."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from shape_dnn import (
    ExportError,
    LabelledImages,
    NothingCompliesError,
    Result,
    Shape,
    UsageError,
    export,
    load,
    tune,
)
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.data.splits import Part
from shape_dnn.errors import StudyError
from shape_dnn.exporting import files

SEARCH: dict[str, Any] = {
    "depth": "10:17:6", "width": "1/4:3/4:1/4", "epochs": 2, "device": "cpu", "goal": "accuracy",
    "max": {"memory": "1GB"}, "option": {"recipe.precision": "float32"},
}  # fmt: skip
FILES = {"card.json", "model.onnx", "model.pt2", "model.safetensors"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    directory = tmp_path_factory.mktemp("export") / "study"
    return directory, tune(**SEARCH, study=str(directory))


@pytest.fixture(scope="module")
def exported(searched: tuple[Path, Result]) -> Path:
    return export(searched[0])


@pytest.fixture
def study(searched: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of the study, for those who change it."""
    shutil.copytree(searched[0], tmp_path / "study")
    return tmp_path / "study"


def card_of(directory: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((directory / "card.json").read_text())
    return card


def pixels(images: LabelledImages) -> Tensor:
    return torch.from_numpy(images.images).float() / 255


def accuracy(compute: Callable[[Tensor], Tensor], images: LabelledImages) -> float:
    with torch.inference_mode():
        right = compute(pixels(images)).argmax(1).numpy() == images.labels
    return 100 * float(right.mean())


def onnx_of(directory: Path) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(directory / "model.onnx", providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def test_the_best_network_of_the_search_is_written_in_every_format(
    searched: tuple[Path, Result], exported: Path
) -> None:
    study, result = searched
    best = result.best
    assert best is not None
    assert exported == study / "export" / f"{best.depth}-{best.width.numerator}_{best.width.denominator}"
    assert {path.name for path in exported.iterdir()} == FILES
    row = result.to_dict()["best"]
    card = card_of(exported)
    assert card["shape"] == {"depth": best.depth, "width": float(best.width), "fraction": str(best.width)}
    assert card["metrics"] == {name: row[name] for name in card["metrics"]}
    assert card["metrics"].keys() == {"size", "latency", "energy", "memory", "accuracy", "test_accuracy"}


@pytest.mark.parametrize("number", [1, 2, 3, 100])
def test_every_file_takes_batches_of_any_size_and_computes_the_same(exported: Path, number: int) -> None:
    images = torch.rand(number, 1, 8, 8, generator=torch.Generator().manual_seed(number))
    network = load(exported)
    with torch.inference_mode():
        expected = network(images)
        program = torch.export.load(exported / "model.pt2").module()
        torch.testing.assert_close(program(images), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(onnx_of(exported)(images), expected, rtol=1e-4, atol=1e-4)


def test_what_is_read_back_is_as_accurate_as_was_recorded(exported: Path) -> None:
    """On the very images: so the normalisation in it is that of the training."""
    network, card = load(exported), card_of(exported)
    train, test = Digits().load()
    _, validation = Part.of_all(train).split(0.2, seed=0)
    for compute in (network, onnx_of(exported)):
        assert accuracy(compute, validation.copy()) == pytest.approx(card["metrics"]["accuracy"], abs=1e-9)
        assert accuracy(compute, test) == pytest.approx(card["metrics"]["test_accuracy"], abs=1e-9)
    assert not network.training
    assert network.class_names == list("0123456789")


def test_the_weights_are_those_of_the_study(searched: tuple[Path, Result], exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    (kept,) = [path for path in searched[0].glob("weights/*/*.safetensors") if path.stem == exported.name]
    assert kept.read_bytes() == (exported / "model.safetensors").read_bytes()
    state = load(exported).network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())
    stored = sum(value.numel() for value in weights.values() if value.is_floating_point())
    assert card_of(exported)["metrics"]["size"] == pytest.approx(4 * stored / 1e6)


def test_the_onnx_file_is_valid_and_names_what_goes_in_and_out(exported: Path) -> None:
    model = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    axes = [
        [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["images", "logits"]
    assert axes == [["batch", 1, 8, 8], ["batch", 10]]
    assert [card_of(exported)[name]["shape"] for name in ("input", "output")] == axes


def test_the_card_says_how_the_network_was_trained_and_with_what(exported: Path) -> None:
    card = card_of(exported)
    assert card["architecture"] == {"name": "wrn", "from": "shape-dnn", "options": {"stem": "scaled"}}
    assert card["training"]["recipe"]["epochs"] == 2
    assert card["training"]["recipe"]["precision"] == "float32"
    assert (card["training"]["seed"], card["training"]["protocol"]) == (0, "validation")
    assert card["training"]["libraries"]["torch"] == torch.__version__.partition("+")[0]
    assert card["data"]["dataset"] == "digits"
    assert card["exported_with"]["onnxruntime"] == onnxruntime.__version__
    assert card["agreement"]["images"] == 64
    assert set(card["agreement"]["largest_difference"]) == {"pt2", "onnx"}
    assert all(0 <= value < 1e-3 for value in card["agreement"]["largest_difference"].values())
    measured = card["measurements"]["memory"]
    assert measured["unit"] == "MB"
    assert measured["conditions"]["batch_size"] == 1


@pytest.mark.parametrize("text", ["10,1/4", "(10, 0.25)", (10, "1/4"), (10, 0.25), Shape(10, Fraction(1, 4))])
def test_a_shape_can_be_named(searched: tuple[Path, Result], text: Any) -> None:
    directory = export(searched[0], "out", shape=text, formats=["safetensors"])
    assert card_of(directory)["shape"]["fraction"] == "1/4"
    assert {path.name for path in directory.iterdir()} == {"card.json", "model.safetensors"}
    assert load(directory)(torch.rand(1, 1, 8, 8)).shape == (1, 10)


def test_the_command_prints_the_files_and_how_well_they_agree(
    searched: tuple[Path, Result], shape_dnn: Callable[..., Any]
) -> None:
    ran = shape_dnn("export", searched[0], "--output", "out", "--formats", "onnx,pt2")
    assert ran.status == 0, ran.err
    assert ran.out.splitlines() == [
        f"out/{name}" for name in ("card.json", "model.onnx", "model.pt2", "model.safetensors")
    ]
    assert re.search(r"logits of onnx differ by at most \d\.\de-\d\d on", ran.err)
    assert re.search(r"logits of pt2 (do not differ|differ by at most [1-9]\.\de-\d\d) on", ran.err), "never by 0.0e+00"


def test_another_question_has_another_best_and_what_was_not_trained_is_not_exported(
    searched: tuple[Path, Result],
) -> None:
    small = export(searched[0], "small", goal="size", formats=["safetensors"])
    assert card_of(small)["shape"] == {"depth": 10, "width": 0.25, "fraction": "1/4"}
    with pytest.raises(NothingCompliesError, match="size <= "):
        export(searched[0], "none", goal="size", max_size="1B")
    assert not Path("none").exists()


LARGER = """
from shape_dnn import AccuracyModel, Plugin, Prediction, hookimpl
class Larger(AccuracyModel):
    def fit(self, shapes, accuracies): pass
    def predict(self, shapes): return [Prediction(99 + float(shape.depth * shape.width) / 100) for shape in shapes]
@hookimpl
def shape_dnn_accuracy_models(): yield Plugin("larger", "the larger the better", Larger)
"""


def test_a_better_shape_that_was_not_trained_is_named() -> None:
    Path("larger.py").write_text(LARGER)
    search = {**SEARCH, "goal": None, "max": {}, "plugin": "larger.py", "model": "larger"}
    tune(**search, sampler="wider", train=1, study="one")
    with pytest.warns(
        UserWarning, match=r"\(16, 1/2\) is predicted to be better than \(10, 1/4\), and was not trained"
    ):
        export("one", goal="accuracy", plugin="larger.py", formats=["safetensors"])
    with pytest.raises(UsageError, match=r"shape \(16, 1/2\) was not trained; trained are \(10, 1/4\)$"):
        export("one", shape="16,1/2", plugin="larger.py")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "10,7"], "--shape: shape (10, 7) was not trained; trained are (10, 1/4)"),
        (["--shape", "ten"], "--shape: 'ten' is not a shape; write DEPTH,WIDTH, for example 10,3/4"),
        (["--shape", "10,0"], "--shape: '10,0' is not a shape"),
        (["--formats", "gif"], "--formats: 'gif' is not a format; accepted are safetensors, pt2, onnx"),
        (["--max-size", "1MB"], "--goal: nothing says which shape is the best; give a goal, or name one by --shape"),
        (["--output", "taken"], "--output: 'taken' holds something else than an export (a card.json and its files)"),
        (["--output", "file"], "--output: 'file' holds something else"),
        (["--output", "file/below"], "--output: cannot write 'file/below': "),
    ],
)
def test_bad_input_is_one_clear_line_and_loses_nothing(
    searched: tuple[Path, Result], shape_dnn: Callable[..., Any], arguments: list[str], message: str
) -> None:
    Path("taken").mkdir()
    Path("taken/notes").write_text("mine")
    Path("file").write_text("mine")
    ran = shape_dnn("export", searched[0], *arguments)
    assert ran.status == 2
    assert message in ran.error
    assert Path("taken/notes").read_text() == Path("file").read_text() == "mine"
    assert ran.out == ""


def test_nothing_but_a_former_export_is_ever_replaced(
    searched: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in [("foreign", '{"my": "card game"}'), ("more", None), ("nested", None)]:
        out = Path(name)
        if content is None:
            export(searched[0], out, shape="10,1/4", formats=["safetensors"])
            (out / "inner").mkdir() if name == "nested" else (out / "thesis.txt").write_text("mine")
        else:
            out.mkdir()
            (out / "card.json").write_text(content)
        before = sorted(path.name for path in out.iterdir())
        with pytest.raises(UsageError, match="holds something else than an export"):
            export(searched[0], out, shape="10,1/2", formats=["safetensors"])
        assert sorted(path.name for path in out.iterdir()) == before
    monkeypatch.chdir("foreign")
    for here in (".", ".."):
        with pytest.raises(UsageError, match="is, or holds, the working directory"):
            export(searched[0], here, shape="10,1/2", formats=["safetensors"])


def test_a_link_is_written_through_and_one_that_leads_nowhere_is_named(searched: tuple[Path, Result]) -> None:
    out = export(searched[0], "out", shape="10,1/4", formats=["safetensors"])
    Path("link").symlink_to("out")
    export(searched[0], "link", shape="10,1/2", formats=["safetensors"])
    assert Path("link").is_symlink()
    assert card_of(out)["shape"]["fraction"] == "1/2"
    Path("loop").symlink_to("loop")
    for wrong in ("loop", "a\0b", "x" * 300):
        with pytest.raises(UsageError, match="cannot write "):
            export(searched[0], wrong, shape="10,1/2", formats=["safetensors"])


def test_files_for_strangers_have_no_paths_of_this_machine(exported: Path) -> None:
    own = str(Path(torch.__file__).parents[1]).encode(), str(Path(files.__file__).parent).encode(), b"site-packages"
    with zipfile.ZipFile(exported / "model.pt2") as archive:
        program = b"".join(archive.read(name) for name in archive.namelist())
    for content in (program, (exported / "model.onnx").read_bytes(), (exported / "card.json").read_bytes()):
        assert not [path for path in own if path in content]


def test_a_question_keeps_the_goal_of_the_search_until_limits_are_given(searched: tuple[Path, Result]) -> None:
    out = export(searched[0], "out", confidence="0.9", formats="safetensors")
    assert card_of(out)["shape"]["depth"] == getattr(searched[1].best, "depth", None)
    with pytest.raises(UsageError, match="max: contradicts --shape"):
        export(searched[0], "out", shape="10,1/4", max={"latency": 1})
    with pytest.raises(UsageError, match=r"option: 'page.html' is not of the form KIND.OPTION=VALUE"):
        export(searched[0], "out", option=["page.html"])
    with pytest.raises(UsageError, match=r"option: 'dataset.limit=5' cannot be changed by a question"):
        export(searched[0], "out", option={"dataset.limit": 5})


def test_a_classifier_has_no_trainer_to_be_named(searched: tuple[Path, Result], exported: Path) -> None:
    with pytest.raises(UsageError, match="trainer: the networks of the study were trained by the classifier"):
        export(searched[0], "out", trainer="mine.py")
    with pytest.raises(UsageError, match="trainer: the network was trained by the classifier"):
        load(exported, trainer="mine.py")


def test_there_must_be_a_study_and_a_search(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("export", "nowhere")
    assert ran.status == 2
    assert "STUDY: there is no study in 'nowhere'" in ran.error


def test_a_former_export_is_replaced_and_stays_if_the_new_one_fails(
    searched: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = export(searched[0], "out", shape="10,1/4", formats=["safetensors"])
    export(searched[0], "out", shape="10,1/2", formats=["safetensors"])
    assert card_of(out)["shape"]["fraction"] == "1/2"

    def wrong(program: object, path: Path, signature: object) -> Callable[[Tensor], Tensor]:
        path.write_bytes(b"")
        return lambda images: torch.zeros(len(images), 10)

    monkeypatch.setitem(files.WRITERS, "onnx", wrong)
    with pytest.raises(ExportError, match=r"logits of what was written as onnx differ by .*more than rounding"):
        export(searched[0], "out", shape="16,1/4", formats=["onnx"])
    assert card_of(out)["shape"]["fraction"] == "1/2"
    assert [path.name for path in Path().iterdir()] == ["out"]


@pytest.mark.parametrize("format_", ["pt2", "onnx"])
def test_a_disk_without_room_is_said_so_and_leaves_the_former_export(
    searched: tuple[Path, Result], format_: str
) -> None:
    out = export(searched[0], "out", shape="10,1/4", formats=["safetensors"])
    weights = (out / "model.safetensors").stat().st_size
    with files_of_at_most(weights + 2000), pytest.raises(UsageError, match="cannot write 'out': File too large$"):
        export(searched[0], "out", shape="10,1/4", formats=[format_])
    assert card_of(out)["shape"]["fraction"] == "1/4"
    assert [path.name for path in Path().iterdir()] == ["out"]


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have the system refuse to write more into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_weights_that_are_gone_are_named(study: Path, shape_dnn: Callable[..., Any]) -> None:
    shutil.rmtree(study / "weights")
    ran = shape_dnn("export", study, "--shape", "10,1/4")
    assert ran.status == 4
    assert "the weights of (10, 1/4) are gone: there is no" in ran.error


def test_damaged_weights_are_refused(study: Path) -> None:
    for path in study.glob("weights/*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ExportError, match=r"safetensors' cannot be used"):
        export(study, "out", shape="10,1/4")
    assert not Path("out").exists()


def test_images_that_are_gone_are_read_anew_and_others_are_refused(
    study: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(study / "images")
    again = export(study, "again", formats=["safetensors"])
    assert card_of(again)["normalisation"] == card_of(exported)["normalisation"]
    shutil.rmtree(study / "images")
    train, test = Digits().load()
    monkeypatch.setattr(Digits, "load", lambda _: (train.take(np.arange(500)), test))
    with pytest.raises(ExportError, match="the study has no images in .*, and dataset 'digits' has changed since"):
        export(study, "other")


def test_damaged_images_are_not_taken_for_those_of_the_training(study: Path) -> None:
    (path,) = study.glob("images/*/train-images.npy")
    good = np.load(path)
    for content in (b"junk", b""):
        path.write_bytes(content)
        with pytest.raises(ExportError, match="are damaged, or not those .*; delete that folder"):
            export(study, "out", formats=["safetensors"])
    for images in (np.zeros((len(good), 3, 5, 5)), good[:-1], good[:0], 255 - good):
        np.save(path, images)
        with pytest.raises(ExportError, match="are damaged, or not those .*; delete that folder"):
            export(study, "out", formats=["safetensors"])
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [("architecture", 3), ("recipe", 5), ("recipe", {"epochs": 1, "milestones": [], "schedule": "flat"}), ("protocol", "evil"), ("seed", "x"), ("validation_fraction", []),
     ("classes", None), ("dataset", "../../outside"), ("donor", 7)],
)  # fmt: skip
def test_a_study_of_a_stranger_leads_nowhere(study: Path, key: str, value: object) -> None:
    with sqlite3.connect(study / "study.sqlite") as connection:
        ((identity,),) = connection.execute("SELECT identity FROM context WHERE kind = 'training'").fetchall()
        changed = json.dumps({**json.loads(identity), key: value})
        connection.execute("UPDATE context SET identity = ? WHERE kind = 'training'", (changed,))
    connection.close()
    with pytest.raises(StudyError, match="is damaged"):
        export(study, "out", shape="10,1/4", formats=["safetensors"])
    with sqlite3.connect(study / "study.sqlite") as connection:
        connection.execute("UPDATE context SET digest = '../../outside' WHERE kind = 'training'")
    connection.close()
    with pytest.raises(StudyError, match="is damaged: .*a digest is '../../outside'"):
        export(study, "out", shape="10,1/4", formats=["safetensors"])


def test_an_export_downloads_nothing(study: Path, tmp_path: Path) -> None:
    with sqlite3.connect(study / "study.sqlite") as connection:
        ((settings,),) = connection.execute("SELECT settings FROM run").fetchall()
        changed = {**json.loads(settings), "dataset": "mnist", "data_dir": str(tmp_path / "fetched"),
                   "option": ["dataset.download=true"]}  # fmt: skip
        connection.execute("UPDATE run SET settings = ?", (json.dumps(changed),))
    connection.close()
    shutil.rmtree(study / "images")
    with pytest.raises(ExportError, match="the study has no images in .*, and an export downloads nothing"):
        export(study, "out", shape="10,1/4", formats=["safetensors"])
    assert not (tmp_path / "fetched").exists()


def test_a_study_of_a_former_version_has_no_names_of_classes(study: Path) -> None:
    with sqlite3.connect(study / "study.sqlite") as connection:
        connection.execute("UPDATE run SET problem = json_remove(problem, '$.class_names')")
    connection.close()
    network = load(export(study, "out", formats=["safetensors"]))
    assert network.class_names is None


PEOPLE = """
import torch
from shape_dnn import Architecture, Option, Plugin, hookimpl

class Picky(torch.nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.first, self.last = torch.nn.Linear(inputs, hidden), torch.nn.Linear(hidden, classes)
    def forward(self, images):
        hidden = self.first(images.flatten(1)).relu()
        return self.last(hidden) if float(hidden.sum()) > -1 else -self.last(hidden)

class Perceptron(Architecture):
    title, default_depths, default_widths = "Picky perceptron", "2:3:1", "8:9:1"
    def is_depth(self, depth): return depth == 2
    def count_values(self, shape, input_shape, classes):
        inputs, hidden = input_shape[0] * input_shape[1] * input_shape[2], int(shape.width)
        return (inputs + 1) * hidden + (hidden + 1) * classes
    def build(self, shape, input_shape, classes):
        return Picky(input_shape[0] * input_shape[1] * input_shape[2], int(shape.width), classes)

@hookimpl
def shape_dnn_architectures():
    yield Plugin("picky", "one that cannot be traced", Perceptron)
"""


def test_an_architecture_that_cannot_be_traced_keeps_its_weights_and_is_read_back_by_its_plugin(
    shape_dnn: Callable[..., Any],
) -> None:
    Path("picky.py").write_text(PEOPLE)
    tune(plugin="picky.py", arch="picky", epochs=1, device="cpu", goal="size", study="s")
    with pytest.raises(UsageError, match="name the files again if you trust them"):
        export("s", "out")
    ran = shape_dnn("export", "s", "--plugin", "picky.py", "--output", "out")
    assert ran.status == 4
    assert "the network cannot be written as torch.export: " in ran.error
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "--formats leaves formats out" in ran.error
    assert not Path("out").exists()
    out = export("s", "out", plugin="picky.py", formats=["safetensors"])
    assert load(out, plugin="picky.py")(torch.rand(5, 1, 8, 8)).shape == (5, 10)
    with pytest.raises(ExportError, match=r"card.json': no architecture is called 'picky'.*name that file as plugin"):
        load(out)
    Path("picky.py").write_text(PEOPLE.replace(".relu()", ".tanh()"))
    with pytest.raises(ExportError, match=r"architecture 'picky' is 'file .*' here, and it was 'file .*' when"):
        load(out, plugin="picky.py")
    with pytest.raises(ExportError, match="that one is needed"):
        export("s", "other", plugin="picky.py")


def test_photographs_keep_the_names_of_their_classes(tmp_path: Path) -> None:
    names = ["<b>cats</b>", "dögs"]
    rng = np.random.default_rng(0)
    for name in names:
        (tmp_path / "photographs" / name.replace("/", "∕")).mkdir(parents=True)
        for i in range(20):
            image = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
            image.save(tmp_path / "photographs" / name.replace("/", "∕") / f"{i}.png")
    tune(
        dataset="folder", data_dir=str(tmp_path / "photographs"), depth="10:11:6", width="1/4:1/2:1/4", epochs=1,
        device="cpu", goal="size", option={"dataset.size": 8}, study="s",
    )  # fmt: skip
    out = export("s", formats=["onnx"])
    shutil.rmtree(tmp_path / "photographs")
    network = load(out)
    assert network.class_names == ["<b>cats<∕b>", "dögs"]
    assert network(torch.rand(4, 3, 8, 8)).shape == (4, 2)
    card = card_of(out)
    assert len(card["normalisation"]["mean"]) == len(card["normalisation"]["std"]) == 3
    assert card["data"]["options"] == ["dataset.size=8"]


def test_of_several_seeds_the_first_is_exported(shape_dnn: Callable[..., Any]) -> None:
    result = tune(**{**SEARCH, "depth": "10:11:6", "width": "1/4:1/2:1/4", "max": {}}, seeds=2, study="s")
    card = card_of(export("s", formats=["safetensors"]))
    (training,) = result.answer.trainings
    assert card["training"]["seed"] == 0
    assert card["metrics"]["accuracy"] == training.repetitions[0]
    told = f"trained accuracy {training.repetitions[0]:.2f} % with seed 0, of 2 whose mean the search tells; "
    assert told in shape_dnn("export", "s", "--formats", "safetensors").err


# Reading back


@pytest.fixture
def copy(exported: Path) -> Path:
    return Path(shutil.copytree(exported, "copy"))


def test_a_copy_works_without_its_study_in_another_process(copy: Path, exported: Path) -> None:
    images = torch.rand(3, 1, 8, 8)
    torch.save(images, "images.pt")
    program = (
        "import torch, shape_dnn\n"
        "network = shape_dnn.load('copy')\n"
        "torch.save(network(torch.load('images.pt')).detach(), 'logits.pt')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    torch.testing.assert_close(torch.load("logits.pt"), load(exported)(images).detach())


def test_what_is_read_back_can_be_trained_further_and_nothing_random_is_used_up(copy: Path) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    network = load(copy)
    assert torch.equal(torch.get_rng_state(), state)
    network(torch.rand(2, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_study_is_no_network_but_its_exports_are_named(searched: tuple[Path, Result], exported: Path) -> None:
    with pytest.raises(UsageError, match=r"\(no card.json\); name one of .*" + str(exported)):
        load(searched[0])


def test_what_cannot_be_read_back_says_why(copy: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing was exported to '.' \(no card.json\)"):
        load(".")
    card = card_of(copy)
    for content, message in [
        ("{", r"card.json' cannot be used: JSONDecodeError"),
        ("[]", r"card.json' cannot be used: TypeError"),
        (json.dumps({**card, "architecture": {}}), r"card.json' cannot be used: KeyError"),
        (json.dumps({**card, "shape": {"depth": 10, "fraction": "x"}}), "cannot be used: ValueError"),
        (json.dumps({**card, "format": 99}), "card.json' is of format 99; this version reads 1"),
        (json.dumps({**card, "shape": {**card["shape"], "depth": 11}}), "Wide ResNet has no shape"),
        (json.dumps({**card, "shape": {**card["shape"], "depth": 10000}}), "it stores .* values, and a network of"),
        (json.dumps({**card, "shape": {**card["shape"], "fraction": "1000"}}), "it stores .* values, and a network of"),
        (json.dumps({**card, "output": {"shape": ["batch", 10**9]}}), "is not a whole number from 1 to"),
        (json.dumps({**card, "input": {"shape": ["batch", 1, 10**6, 10**6]}}), "is not a whole number from 1 to"),
        (json.dumps({**card, "input": {"shape": ["batch", 1.9, 8, 8]}}), "is not a whole number from 1 to"),
        (json.dumps({**card, "class_names": ["a", "b"]}), "its class_names are not the names of 10 classes"),
        *[
            (
                json.dumps({**card, "normalisation": {"mean": mean, "std": std}}),
                "its normalisation is not that of images",
            )
            for mean, std in [([0], [0]), ([0], [float("nan")]), ([], []), ([0, 0, 0], [1, 1, 1]), ([0], [-1])]
        ],
    ]:
        (copy / "card.json").write_text(content)
        with pytest.raises(ExportError, match=message):
            load(copy)
    (copy / "card.json").write_text(json.dumps({**card, "architecture": {**card["architecture"], "name": "densenet2"}}))
    with pytest.raises(ExportError, match="no architecture is called 'densenet2'"):
        load(copy)
    (copy / "card.json").write_text(json.dumps(card))
    (copy / "model.safetensors").unlink()
    with pytest.raises(ExportError, match=r"model.safetensors' cannot be used: FileNotFoundError"):
        load(copy)
