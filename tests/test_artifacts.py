"""Artifacts are made once, whole or not at all, and lie beside inputs for them."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runtimes import example
from torch import Tensor, nn

from shape_dnn import DeploymentError, PluginError, Shape, Workload
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.deploying.artifacts import Artifact, make, untrained
from shape_dnn.errors import NetworkError, StudyError
from shape_dnn.kinds import Conditions, Deployment, Shipping, Target
from shape_dnn.measuring.task import Bench, Freight, MeasuringTask
from shape_dnn.plugins.sending import FromPlugin
from shape_dnn.plugins.sources import Choice
from shape_dnn.training.functions import Functions
from shape_dnn.training.networks import BuiltByTrainer

SHAPE = Shape(10, Fraction(3, 8))


class Notes(Deployment):
    """Writes down what it is given."""

    runtime = ""

    def __init__(self, calibration: int = 0) -> None:
        self.calibration = calibration
        self.given: list[tuple[nn.Module, Any, Sequence[Any]]] = []

    def identity(self) -> Mapping[str, object]:
        return {}

    def convert(self, network: nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        assert directory.is_dir()
        assert not list(directory.iterdir())
        assert not network.training
        self.given.append((network, example, calibration))
        (directory / "more").mkdir()
        (directory / "more" / "weights").write_bytes(b"abc")
        (directory / "program").write_bytes(b"de")


def workload(deployment: Deployment, **more: Any) -> Workload:
    shipping = Shipping(deployment, Target(), Path("artifacts"))
    return dataclasses.replace(Workload(WideResNet(), (3, 8, 8), 10, 4, "cpu", shipping), **more)


def test_the_artifact_of_a_shape_is_made_once_and_kept() -> None:
    notes = Notes()
    artifact = untrained(workload(notes), SHAPE)
    assert artifact.directory == Path("artifacts/10-3_8")
    assert [path.name for path in artifact.files] == ["weights", "program"]
    assert artifact.size == 5
    assert untrained(workload(notes), SHAPE) == artifact
    assert len(notes.given) == 1
    assert [path.name for path in Path("artifacts").iterdir()] == ["10-3_8"]


def test_a_classifier_ships_with_its_normalisation_and_takes_pixels() -> None:
    notes = Notes(calibration=10)
    artifact = untrained(workload(notes), SHAPE)
    ((network, images, calibration),) = notes.given
    assert images.shape == (4, 3, 8, 8)
    assert 0 <= images.min() < 0.1
    assert 0.9 < images.max() < 1
    assert len(calibration) == 3, "10 examples in batches of 4"
    assert not any(torch.equal(images, batch) for batch in calibration)
    bare = network.get_submodule("network")
    with torch.inference_mode():
        assert not torch.allclose(network(images), bare(images))
    (pixels,) = example(artifact)
    assert np.array_equal(pixels, images)


def test_the_same_shape_is_the_same_artifact_and_the_random_numbers_of_the_user_go_on() -> None:
    first, second = Notes(calibration=4), Notes(calibration=4)
    before = torch.random.get_rng_state()
    untrained(workload(first), SHAPE)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)
    shipping = Shipping(second, Target(), Path("elsewhere"))
    untrained(workload(second, shipping=shipping), SHAPE)
    one, other = first.given[0], second.given[0]
    state, again = one[0].state_dict(), other[0].state_dict()
    assert state
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert torch.equal(one[1], other[1])
    assert torch.equal(one[2][0], other[2][0])


class Reader(nn.Module):
    """Takes tokens and, by name, which of them count."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(30, width), nn.Linear(width, 3)

    def forward(self, tokens: Tensor, counts: Tensor) -> Tensor:
        hidden = self.embedding(tokens) * counts.unsqueeze(-1)
        made: Tensor = self.head(hidden.sum(1))
        return made


@dataclasses.dataclass(frozen=True)
class OwnSource:
    files = ()

    def load(self) -> Any:
        def inputs(batch_size: int) -> Mapping[str, Tensor]:
            counts = torch.ones(batch_size, 7, dtype=torch.bool)
            return {"tokens": torch.randint(0, 30, (batch_size, 7)), "counts": counts}

        def build(shape: Shape) -> nn.Module:
            return Reader(4 * shape.depth)

        return Functions("here", lambda shape, run: None, build, example=inputs).trainer({})


def test_a_network_of_ones_own_ships_as_it_is_with_inputs_of_any_type() -> None:
    notes = Notes(calibration=8)
    own = BuiltByTrainer(OwnSource(), "the networks of mine")
    artifact = untrained(workload(notes, architecture=own), Shape(2, Fraction(1)))
    ((network, given, calibration),) = notes.given
    assert type(network) is Reader
    assert [batch.keys() for batch in calibration] == [given.keys()] * 2
    tokens, counts = example(artifact)
    assert (tokens.dtype, tokens.shape) == (np.int64, (4, 7))
    assert (counts.dtype, counts.shape) == (np.bool_, (4, 7))


def test_where_the_study_is_not_seen_the_artifacts_that_are_measured_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Path(tempfile.gettempdir()).mkdir()
    there = tmp_path / "artifacts"
    freight = Freight(FromPlugin(Choice("deployment", "onnxruntime"), ()), Target(), there)
    networks = FromPlugin[Any](Choice("architecture", "wrn"), ())
    bench = Bench(Choice("meter", "file-size"), (), networks, Conditions((3, 8, 8), 10, 1, "cpu"), freight)
    task, sizes = MeasuringTask(bench, (SHAPE,)), []
    task.run(lambda measured: sizes.append(measured) or True)  # type: ignore[func-returns-value]
    assert not there.exists()
    there.mkdir()
    task.run(lambda measured: sizes.append(measured) or True)  # type: ignore[func-returns-value]
    assert [path.name for path in there.iterdir()] == ["10-3_8"]
    assert len(sizes) == 2
    assert sizes[0] == sizes[1]
    assert not list(Path(tempfile.gettempdir()).rglob("*.onnx"))


class Failing(Notes):
    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    def convert(self, network: nn.Module, example: Any, calibration: Sequence[Any], directory: Path) -> None:
        if self.error is not None:
            (directory / "half").write_bytes(b"ab")
            raise self.error


def test_an_artifact_is_there_whole_or_not_at_all() -> None:
    with pytest.raises(PluginError, match=r"Failing failed: KeyError: 'x'"):
        untrained(workload(Failing(KeyError("x"))), SHAPE)
    with pytest.raises(PluginError, match="Failing made an empty artifact"):
        untrained(workload(Failing(None)), SHAPE)
    with pytest.raises(DeploymentError, match=r"^no such operator$"):
        untrained(workload(Failing(DeploymentError("no such operator"))), SHAPE)
    with pytest.raises(KeyboardInterrupt):
        untrained(workload(Failing(KeyboardInterrupt())), SHAPE)  # type: ignore[arg-type]
    assert list(Path("artifacts").iterdir()) == []
    assert untrained(workload(Notes()), SHAPE).size == 5


def test_a_former_artifact_is_replaced_whole_or_stays() -> None:
    images = torch.rand(1, 3, 8, 8)
    kept = make(Notes(), nn.Flatten(), images, (), Path("there"))
    with pytest.raises(PluginError):
        make(Failing(ValueError()), nn.Flatten(), images, (), Path("there"))
    assert kept == Artifact(Path("there"))
    assert kept.size == 5
    make(Notes(), nn.Flatten(), torch.zeros(2, 3), (), Path("there"))
    assert example(kept)[0].shape == (2, 3)


def test_a_network_that_cannot_be_built_or_run_is_the_fault_of_its_architecture() -> None:
    class Broken(WideResNet):
        def build(self, *_: Any) -> nn.Module:
            raise RuntimeError("no wheels")

    class Stuck(WideResNet):
        def build(self, *_: Any) -> nn.Module:
            return nn.Linear(3, 3)

    notes = Notes()
    with pytest.raises(NetworkError, match=r"Broken failed to build shape \(10, 3/8\): RuntimeError: no wheels"):
        untrained(workload(notes, architecture=Broken()), SHAPE)
    with pytest.raises(NetworkError, match=r"Stuck failed in the forward pass of shape \(10, 3/8\)"):
        untrained(workload(notes, architecture=Stuck()), SHAPE)
    assert not notes.given


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_directory_that_cannot_be_written_is_said() -> None:
    Path("artifacts").mkdir(mode=0o500)
    with pytest.raises(StudyError, match=r"'artifacts/10-3_8' cannot be written: Permission denied"):
        untrained(workload(Notes()), SHAPE)


def test_a_file_where_artifacts_should_lie_is_said() -> None:
    Path("artifacts").write_text("")
    with pytest.raises(StudyError, match=r"'artifacts/10-3_8' cannot be written: (Not a directory|File exists)"):
        untrained(workload(Notes()), SHAPE)
