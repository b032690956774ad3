"""Networks converted by litert-torch, beside what torch makes of them."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shape_dnn import Shape
from shape_dnn.deploying import artifacts, in_process
from shape_dnn.errors import DeploymentError, UsageError
from shape_dnn.plugins.registry import Registry
from shape_dnn.testing import DeploymentContract
from shape_dnn_litert.deployment import MODEL, LiteRT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("litert_torch") is None,
    reason="litert-torch is not installed, since it needs an older torch; `tox -e litert` runs these tests",
)

FAMILIES = {
    "convnext": Shape(4, Fraction(1, 8)),
    "densenet": Shape(10, Fraction(1, 2)),
    "nasnet": Shape(1, Fraction(1, 16)),
    "resnet": Shape(14, Fraction(1, 4)),
    "wrn": Shape(10, Fraction(1, 4)),
}
EXAMPLES = 64


class TestFloat32(DeploymentContract):
    name = "litert"


class TestFloat16(DeploymentContract):
    name = "litert"
    options: ClassVar[dict[str, Any]] = {"precision": "float16"}


class TestInt8(DeploymentContract):
    name = "litert"
    options: ClassVar[dict[str, Any]] = {"precision": "int8", "calibration": 16}


def images(number: int, seed: int) -> Tensor:
    """Draw images that have structure, as activations of noise are all alike."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, 3, 6, 6, generator=generator)
    return nn.functional.interpolate(coarse, size=32, mode="bilinear")


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


def outputs(deployment: LiteRT, network: nn.Module, directory: Path, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what an artifact and its network make of images."""
    given = images(EXAMPLES, 99)
    batches = given.split(batch_size)
    calibration = images(deployment.calibration, 98).split(batch_size) if deployment.calibration else ()
    artifact = artifacts.make(deployment, network, batches[0], calibration, directory)
    model = in_process.load(deployment, artifact.files_in)
    made = np.concatenate([model.run([batch.numpy()])[0] for batch in batches])
    with torch.inference_mode():
        return made, network(given).numpy()


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_computes_what_it_does_in_torch(family: str, batch_size: int, tmp_path: Path) -> None:
    if family != "convnext" and batch_size == 1:
        pytest.skip("only the layers of ConvNeXt depend on whether there is one image")
    made, expected = outputs(LiteRT(), trained(family), tmp_path / "artifact", batch_size)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_quantised(family: str, batch_size: int, tmp_path: Path) -> None:
    if family != "convnext" and batch_size == 1:
        pytest.skip("only the layers of ConvNeXt depend on whether there is one image")
    made, expected = outputs(LiteRT("int8", calibration=EXAMPLES), trained(family), tmp_path / "artifact", batch_size)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert (made != expected).any(), "it computes in 8 bits"
    assert np.corrcoef(made.ravel(), expected.ravel())[0, 1] > 0.5


def test_half_precision_halves_the_weights(tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(), nn.Linear(50176, 10)
    ).eval()
    sizes = {}
    for precision in ("float32", "float16", "int8"):
        made, expected = outputs(LiteRT(precision, calibration=8), network, tmp_path / precision, 8)
        assert np.abs(made - expected).max() < 0.1
        sizes[precision] = (tmp_path / precision / "files" / MODEL).stat().st_size
    assert sizes["float16"] == pytest.approx(sizes["float32"] / 2, rel=0.02)
    assert sizes["int8"] == pytest.approx(sizes["float32"] / 4, rel=0.02)


def test_a_network_is_left_as_it_was(tmp_path: Path) -> None:
    network = trained("convnext")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    types = [type(module) for module in network.modules()]
    artifacts.make(LiteRT(), network, images(1, 0), (), tmp_path / "artifact")
    assert [type(module) for module in network.modules()] == types
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Odd(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.special.i0e(values)


class OnePixel(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.mean((2, 3), keepdim=True).permute(0, 2, 3, 1) @ torch.ones(4, 4)


class Choosing(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values if values.sum() > 0 else -values


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Odd, "no operator for aten.special_i0e of the layer 'body.1'"),
        (OnePixel, "'tfl.batch_matmul' .* of the layer 'body.1'"),
        (Choosing, "torch.export cannot express the network"),
    ],
)
def test_what_cannot_be_converted_is_named(part: type[nn.Module], message: str, tmp_path: Path) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), part())

        def forward(self, values: Tensor) -> Tensor:
            made: Tensor = self.body(values)
            return made

    with pytest.raises(DeploymentError, match=message):
        artifacts.make(LiteRT(), Network().eval(), images(1, 0), (), tmp_path / "artifact")
    assert not (tmp_path / "artifact").exists()


def test_a_network_without_weights_is_not_said_to_be_in_half_precision(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="nothing of the network can be made smaller"):
        outputs(LiteRT("float16"), Weightless().eval(), tmp_path / "artifact", 8)


class Weightless(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.erf(values)


def test_too_few_examples_to_calibrate_by_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"deploy.calibration=16 .*there are 8; accepted are up to 8"):
        artifacts.make(LiteRT("int8", calibration=16), nn.Conv2d(3, 4, 3), images(8, 0), [images(8, 1)], tmp_path / "a")


def test_a_conversion_says_nothing_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    artifacts.make(
        LiteRT("int8", calibration=8), nn.Conv2d(3, 4, 3).eval(), images(8, 0), [images(8, 1)], tmp_path / "a"
    )
    assert capfd.readouterr() == ("", "")
