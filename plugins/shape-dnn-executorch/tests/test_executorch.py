"""Networks converted to programs of ExecuTorch, beside what torch makes of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shape_dnn import Shape, UnavailableError
from shape_dnn.deploying import artifacts, in_process
from shape_dnn.errors import DeploymentError, UsageError
from shape_dnn.kinds import Shipping, Target, Workload
from shape_dnn.plugins.registry import Registry
from shape_dnn.testing import DeploymentContract
from shape_dnn.training.normalised import Normalised
from shape_dnn_executorch.deployment import MODEL, ExecuTorch

conversion = pytest.importorskip("shape_dnn_executorch.conversion")

FAMILIES = {
    "convnext": Shape(4, Fraction(1, 8)),
    "densenet": Shape(10, Fraction(1, 2)),
    "nasnet": Shape(1, Fraction(1, 16)),
    "resnet": Shape(14, Fraction(1, 4)),
    "wrn": Shape(10, Fraction(1, 4)),
}
SLOW = pytest.mark.nightly
EXAMPLES = 16


class TestFloat32(DeploymentContract):
    name = "executorch"


class TestInt8(DeploymentContract):
    name = "executorch"
    options: ClassVar[dict[str, Any]] = {"precision": "int8", "calibration": 16}


def images(number: int, seed: int) -> Tensor:
    """Draw images that have structure, as activations of noise are all alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, 3, 6, 6, generator=generator)
    return F.interpolate(coarse, size=32, mode="bilinear")


def trained(family: str) -> nn.Module:
    """Build a network with statistics and scales like those after a training: branches that are 0 are taken away."""
    torch.manual_seed(0)
    network = Registry().load("architecture", family).instance.build(FAMILIES[family], (3, 32, 32), 10)
    for name, value in network.named_parameters():
        if name.endswith("gamma") or (name.endswith("weight") and value.dim() == 1):
            nn.init.uniform_(value, 0.5, 1.0)
    with torch.no_grad():
        for seed in range(20):
            network.train()(images(32, seed))
    return network.eval()


def outputs(deployment: ExecuTorch, network: nn.Module, directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what an artifact and its network make of images, in batches of 4."""
    given = images(EXAMPLES, 99)
    calibration = images(deployment.calibration, 98).split(4) if deployment.calibration else ()
    artifact = artifacts.make(deployment, network, given[:4], calibration, directory)
    model = in_process.load(deployment, artifact.files_in)
    made = np.concatenate([model.run([batch.numpy()])[0] for batch in given.split(4)])
    with torch.inference_mode():
        return made, network(given).numpy()


def operators(directory: Path) -> Sequence[str]:
    """Return the operators that ExecuTorch computes itself, since XNNPACK lacks them."""
    from executorch.exir._serialize import _deserialize_pte_binary

    program = _deserialize_pte_binary((directory / "files" / MODEL).read_bytes())
    program = getattr(program, "program", program)
    return [operator.name for operator in program.execution_plan[0].operators]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_computes_what_it_does_in_torch(family: str, tmp_path: Path) -> None:
    made, expected = outputs(ExecuTorch(), trained(family), tmp_path / "artifact")
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("family", [name if name == "resnet" else pytest.param(name, marks=SLOW) for name in FAMILIES])
def test_every_family_can_be_quantised(family: str, tmp_path: Path) -> None:
    made, expected = outputs(ExecuTorch("int8", calibration=32), trained(family), tmp_path / "artifact")
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert (made != expected).any(), "it computes in 8 bits"
    assert np.corrcoef(made.ravel(), expected.ravel())[0, 1] > 0.5


class Around(nn.Module):
    """A network whose first convolution is taken by a normalisation and by a shortcut around it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, values: Tensor) -> Tensor:
        stem = self.stem(values)
        made: Tensor = stem + self.norm(stem).relu()
        return made


def test_a_shortcut_around_a_normalisation_is_computed_as_it_is_in_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Around()
    for seed in range(20):
        network(3 * images(32, seed))
    made, expected = outputs(ExecuTorch("int8", calibration=32), network.eval(), tmp_path / "artifact")
    assert np.corrcoef(made.ravel(), expected.ravel())[0, 1] > 0.99


def test_ranges_are_found_by_the_calibration_alone(tmp_path: Path) -> None:
    """And not by the example, which may be noise."""
    torch.manual_seed(0)
    network, calibration = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), images(8, 0).split(4)
    contents = []
    for scale in (1, 100):
        artifact = artifacts.make(
            ExecuTorch("int8", calibration=8), network, scale * images(4, 1), calibration, tmp_path / str(scale)
        )
        contents.append((artifact.files_in / MODEL).read_bytes())
    assert contents[0] == contents[1]


def test_a_quantizer_that_makes_something_else_of_a_network_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_set_shared_apart", lambda _graph: None)
    with pytest.raises(DeploymentError, match="torchao computes another output 0"):
        test_a_shortcut_around_a_normalisation_is_computed_as_it_is_in_torch(tmp_path)


def test_xnnpack_computes_a_whole_wide_resnet_but_its_mean(tmp_path: Path) -> None:
    """Slices of all there is, by which its shortcuts are written, do not divide it into parts."""
    outputs(ExecuTorch(), trained("wrn"), tmp_path / "artifact")
    assert operators(tmp_path / "artifact") == ["aten::mean"]


def test_weights_of_8_bits_take_a_quarter(tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(50176, 10)
    ).eval()
    sizes = {}
    for precision in ("float32", "int8"):
        made, expected = outputs(ExecuTorch(precision, calibration=8), network, tmp_path / precision)
        assert np.abs(made - expected).max() < 0.1
        sizes[precision] = (tmp_path / precision / "files" / MODEL).stat().st_size
    assert sizes["int8"] == pytest.approx(sizes["float32"] / 4, rel=0.02)


@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=SLOW)])
def test_files_of_random_weights_are_as_large_as_those_of_trained_ones(precision: str, tmp_path: Path) -> None:
    """So sizes are those of what ships before anything is trained."""
    architecture, deployment = Registry().load("architecture", "wrn").instance, ExecuTorch(precision, calibration=8)
    shipping = Shipping(deployment, Target(), tmp_path / "untrained")
    random = artifacts.untrained(Workload(architecture, (3, 32, 32), 10, 4, "cpu", shipping), FAMILIES["wrn"])
    classifier = Normalised(trained("wrn"), [0.5] * 3, [0.25] * 3).eval()
    outputs(deployment, classifier, tmp_path / "trained")
    size = (tmp_path / "trained" / "files" / MODEL).stat().st_size
    assert random.size == pytest.approx(size, rel=1e-3)


def test_a_network_is_left_as_it_was(tmp_path: Path) -> None:
    network = trained("resnet")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    outputs(ExecuTorch("int8", calibration=8), network, tmp_path / "artifact")
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Part(nn.Module):
    """A network whose second layer is what is given."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), part)

    def forward(self, values: Tensor) -> Tensor:
        made: Tensor = self.body(values)
        return made


class Odd(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.special.i0e(values)


class Sorting(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.sort(-1)[0]


class Choosing(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values if values.sum() > 0 else -values


class Transforming(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.fft.rfft(values).abs()


class Cropping(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return F.pad(values, (-1, 2, 0, -3), value=7.0)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Odd, "ExecuTorch has no operator for aten.special_i0e of the layer 'body.1'"),
        (Sorting, "ExecuTorch has no operator for aten.sort of the layer 'body.1'"),
        (Choosing, "torch.export cannot express the network"),
        (Transforming, "ExecuTorch cannot have the network: .*aten::abs"),
    ],
)
def test_what_cannot_be_converted_is_named(part: type[nn.Module], message: str, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=message):
        artifacts.make(ExecuTorch(), Part(part()).eval(), images(1, 0), (), tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_a_padding_that_crops_is_computed(tmp_path: Path) -> None:
    made, expected = outputs(ExecuTorch(), Part(Cropping()).eval(), tmp_path / "artifact")
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_a_network_without_operators_of_8_bits_is_not_said_to_be_quantised(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="nothing in the network can be quantised"):
        outputs(ExecuTorch("int8", calibration=8), nn.Sequential(nn.Tanh(), nn.Flatten()).eval(), tmp_path / "a")


def test_too_few_examples_to_calibrate_by_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"deploy.calibration=16 .*there are 8; accepted are up to 8"):
        artifacts.make(ExecuTorch("int8", calibration=16), nn.Tanh(), images(8, 0), [images(8, 1)], tmp_path / "a")


def test_only_int8_needs_examples_to_calibrate_by() -> None:
    assert [ExecuTorch(precision, calibration=64).calibration for precision in ("float32", "int8")] == [0, 64]


def test_a_conversion_says_nothing_itself_and_returns_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outputs(ExecuTorch(), nn.Conv2d(3, 4, 3).eval(), tmp_path / "a")
    os.write(2, b"still here")
    assert capfd.readouterr() == ("", "still here")


@pytest.mark.parametrize("threads", [1, 3])
def test_operators_have_the_threads_that_were_asked_for(threads: int, tmp_path: Path) -> None:
    from executorch.extension.pybindings.portable_lib import _threadpool_get_thread_count as count

    outputs(ExecuTorch(threads=threads), nn.Conv2d(3, 4, 3).eval(), tmp_path / "a")
    assert count() == threads


def test_another_number_of_inputs_is_refused(tmp_path: Path) -> None:
    artifact = artifacts.make(ExecuTorch(), nn.Conv2d(3, 4, 3).eval(), images(1, 0), (), tmp_path / "a")
    with pytest.raises(ValueError, match="2 inputs were given; accepted are 1"):
        in_process.load(ExecuTorch(), artifact.files_in).run(2 * [images(1, 0).numpy()])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"nothing")
    with pytest.raises(DeploymentError, match=f"cannot load '{tmp_path}'"):
        in_process.load(ExecuTorch(), tmp_path)


def test_a_program_that_the_runtime_cannot_have_says_why(tmp_path: Path) -> None:
    """As one of a newer version does: here its operator has a name that no version knows."""
    artifact = artifacts.make(ExecuTorch(), trained("wrn"), images(1, 0), (), tmp_path / "a")
    path = artifact.files_in / MODEL
    path.write_bytes(path.read_bytes().replace(b"aten::mean", b"aten::mEan"))
    with pytest.raises(DeploymentError, match=r"kernel 'aten::mEan\.out' not found"):
        in_process.load(ExecuTorch(), artifact.files_in)


def test_a_missing_converter_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UnavailableError, match=r"torch.*pip install shape-dnn-executorch"):
        ExecuTorch().identity()
