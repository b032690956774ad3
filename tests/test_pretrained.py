"""Trainings that start from weights that their architecture has."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from shape_dnn import Shape, UsageError, ask, export, tune, write_report
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.datasets.digits import Digits
from shape_dnn.data import images
from shape_dnn.kinds import Pretrained
from shape_dnn.plugins.registry import Registry
from shape_dnn.plugins.sources import Choice
from shape_dnn.recipes import Recipe
from shape_dnn.training.classifier import ClassifierTrainer
from shape_dnn.training.task import TrainingTask

STARTED = """
import hashlib
from fractions import Fraction
from pathlib import Path
from shape_dnn import Option, Plugin, Pretrained, Shape, UsageError, hookimpl
from shape_dnn.builtin.architectures.wrn import WideResNet

class Started(WideResNet):
    def __init__(self, weights="start"):
        super().__init__()
        self.weights = Path(weights)

    def pretrained(self):
        found = {}
        for file in self.weights.glob("*.safetensors"):
            depth, width = file.stem.split("-")
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found[Shape(int(depth), Fraction(int(width), 4))] = Pretrained(digest, file.resolve())
        if not found:
            raise UsageError(f"there are no weights in {str(self.weights)!r}", "option")
        return found

    def load_pretrained(self, network, shape, pretrained):
        import torch
        from safetensors.torch import load_file
        torch.rand(3)
        network.load_state_dict(load_file(pretrained.file))

@hookimpl
def shape_dnn_architectures():
    yield Plugin("started", "starts from weights", Started, {"weights": Option(is_path=True)})
"""
SEARCH: dict[str, Any] = {
    "arch": "started",
    "plugin": "started.py",
    "epochs": 1,
    "device": "cpu",
    "goal": "accuracy",
    "option": {"dataset.limit": 300},
}
TINY = Recipe(epochs=1, batch_size=32, lr=0.2, schedule="one-cycle", crop=1, flip=False, precision="float32")


def write_weights(depth: int, quarters: int, seed: int = 0) -> Path:
    """Write the weights of a network as the plugin reads them."""
    Path("start").mkdir(exist_ok=True)
    torch.manual_seed(seed)
    network = WideResNet().build(Shape(depth, Fraction(quarters, 4)), (1, 8, 8), 10)
    save_file(network.state_dict(), Path("start") / f"{depth}-{quarters}.safetensors")
    return Path("start") / f"{depth}-{quarters}.safetensors"


@pytest.fixture(autouse=True)
def started() -> None:
    """The plugin, with weights of two shapes."""
    Path("started.py").write_text(STARTED)
    write_weights(10, 1)
    write_weights(16, 2)


def test_the_space_is_the_shapes_that_have_weights_and_ranges_select_among_them() -> None:
    found = tune(**SEARCH, dry_run=True)
    assert set(found.shapes) == {Shape(10, Fraction(1, 4)), Shape(16, Fraction(1, 2))}
    assert tune(**SEARCH, depth="10:13:1", dry_run=True).shapes == [Shape(10, Fraction(1, 4))]
    assert tune(**SEARCH, width="1/2:2:1/4", dry_run=True).shapes == [Shape(16, Fraction(1, 2))]


def test_a_shape_without_weights_is_refused_with_those_that_have_some(shape_dnn: Callable[..., Any]) -> None:
    flags = ["--plugin", "started.py", "--arch", "started", "--device", "cpu"]
    ran = shape_dnn(*flags, "--depth", "16:17:1", "--width", "1/4:1/2:1/4")
    assert ran.status == 2
    message = "--depth: no shape of depth 16:17:1 and width 1/4:1/2:1/4 has weights; those that have are"
    assert f"{message} (10, 1/4), (16, 1/2)" in ran.error
    assert "--width: no shape of width 2:3:1 has weights" in shape_dnn(*flags, "--width", "2:3:1").error


def test_what_a_training_starts_from_is_what_lies_in_the_file_wherever_it_lies() -> None:
    first = tune(**SEARCH)
    assert first.new_trainings == 2
    assert tune(**SEARCH).new_trainings == 0
    Path("start").rename("elsewhere")
    moved = {**SEARCH, "option": {**SEARCH["option"], "arch.weights": "elsewhere"}}
    assert tune(**moved).new_trainings == 0, "the same weights, in another place"
    Path("elsewhere").rename("start")
    write_weights(10, 1, seed=1)
    assert tune(**SEARCH).new_trainings == 2, "other weights"
    scratch = tune(**{**SEARCH, "arch": "wrn"}, depth="10:17:6", width="1/4:3/4:1/4")
    assert scratch.new_trainings > 0
    assert "weights" not in scratch.to_dict()


def test_results_reports_and_exports_say_so_and_need_the_weights_no_more(shape_dnn: Callable[..., Any]) -> None:
    names = {shape: weights.name for shape, weights in plugin().pretrained().items()}
    flags = ["--plugin", "started.py", "--arch", "started", "--device", "cpu", "--epochs", 1, "--goal", "accuracy"]
    ran = shape_dnn(*flags, "-o", "dataset.limit=300")
    assert f"trainings start from weights: (10, 1/4) {names[Shape(10, Fraction(1, 4))]}, (16, 1/2)" in ran.out
    printed = shape_dnn(*flags, "-o", "dataset.limit=300", "--format", "json").json
    rows = [{"depth": s.depth, "width": float(s.width), "name": name} for s, name in sorted(names.items())]
    assert printed["weights"] == rows
    for path in Path("start").iterdir():
        path.unlink()
    asked = ask("shape-dnn-study", plugin="started.py", goal="accuracy")
    assert asked.to_dict()["weights"] == rows
    assert asked.best is not None
    (report,) = write_report("shape-dnn-study", plugin="started.py")
    page = Path(report).read_text()
    assert all(name in page for name in names.values())
    out = export("shape-dnn-study", plugin="started.py", formats="safetensors")
    assert json.loads((out / "card.json").read_text())["training"]["weights"] == names[asked.best]
    assert "there are no weights in 'start'" in shape_dnn(*flags, "-o", "dataset.limit=300").error


def test_the_weights_are_where_a_training_starts_and_decide_nothing_else_of_it() -> None:
    weights = Pretrained("given", write_weights(10, 1, seed=3).resolve())
    started = trainer(pretrained=weights)
    torch.manual_seed(0)
    network, drawn = started.begin(SHAPE, 0), torch.rand(1)
    torch.manual_seed(0)
    random = trainer(architecture=Choice("architecture", "wrn")).begin(SHAPE, 0)
    assert drawn == torch.rand(1), "what is drawn in training is the same"
    torch.manual_seed(3)
    given = WideResNet().build(Shape(10, Fraction(1, 4)), (1, 8, 8), 10).state_dict()
    assert all(torch.equal(value, given[name]) for name, value in network.state_dict().items())
    assert not all(torch.equal(value, given[name]) for name, value in random.state_dict().items())


def test_the_file_goes_where_the_training_goes() -> None:
    here = TrainingTask(trainer(pretrained=Pretrained("given", Path("a"))), SHAPE, 0, Path("w"), Path("c"), 1.0)
    assert Path("a") in here.reads
    there = here.moved({Path("a"): Path("/there/a")})
    assert there.trainer.pretrained == Pretrained("given", Path("/there/a"))
    assert set(trainer(pretrained=Pretrained("published")).files) == {Path("started.py"), Path("images")}


def test_measurements_are_those_of_the_network_whatever_it_starts_from() -> None:
    registry = Registry([Path("started.py")])
    loaded = [registry.load("architecture", "started", {"weights": where}) for where in ("start", "elsewhere")]
    assert loaded[0].identity == loaded[1].identity
    assert loaded[0].choice.options["weights"] == "start"


def test_weights_of_a_smaller_shape_are_refused_where_shapes_have_their_own() -> None:
    with pytest.raises(UsageError, match="transfer: trainings start from other weights already; leave it out"):
        tune(**SEARCH, transfer="1/2")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("return []", "its pretrained() returned [] instead of weights by shape"),
        ("return {(10, 1): 'file'}", "not a Pretrained of a Shape"),
        ("return {Shape(11, Fraction(1)): Pretrained('x')}", "it has weights of shape (11, 1), which does not exist"),
        ("return {}['x']", "architecture 'started' of started.py failed: KeyError: 'x'"),
    ],
)
def test_an_architecture_that_breaks_the_rules_is_named(
    shape_dnn: Callable[..., Any], body: str, complaint: str
) -> None:
    Path("started.py").write_text(STARTED.replace("        found = {}\n", f"        {body}\n"))
    ran = shape_dnn("--plugin", "started.py", "--arch", "started", "--device", "cpu", "--dry-run")
    assert ran.status == 4
    assert complaint in ran.error


def plugin() -> Any:
    return Registry([Path("started.py")]).load("architecture", "started").instance


SHAPE = Shape(10, Fraction(1, 4))


def trainer(**changes: object) -> ClassifierTrainer:
    images.save(*Digits(limit=100).load(), Path("images"))
    base = ClassifierTrainer(
        Choice("architecture", "started"), (Path("started.py"),), Path("images"), 10, 0.2, TINY, "cpu", "validation"
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]
