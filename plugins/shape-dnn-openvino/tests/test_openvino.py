from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shape_dnn import DeploymentError, Shape, UnavailableError, Workload
from shape_dnn.deploying import artifacts, in_process
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.kinds import Deployment, Shipping, Target
from shape_dnn.plugins.registry import Registry
from shape_dnn.testing import DeploymentContract
from shape_dnn.training.normalised import Normalised
from shape_dnn_openvino import openvino_runtime
from shape_dnn_openvino.deployment import OpenVino

FAMILIES = {
    "wrn": Shape(10, Fraction(1, 4)),
    "densenet": Shape(10, Fraction(1, 2)),
    "nasnet": Shape(1, Fraction(1, 16)),
    "resnet": Shape(14, Fraction(1, 4)),
    "convnext": Shape(4, Fraction(1, 8)),
}


class TestOpenVino(DeploymentContract):
    name = "openvino"


class TestOpenVinoInHalfPrecision(DeploymentContract):
    name, options = "openvino", {"precision": "float16"}


class TestOpenVinoInEightBits(DeploymentContract):
    name, options = "openvino", {"precision": "int8", "calibration": 8}


@functools.cache
def network(family: str) -> nn.Module:
    """Build a network as one comes out of a training, with no branch that is multiplied by next to nothing."""
    torch.manual_seed(0)
    built = Registry().load("architecture", family, {}).instance.build(FAMILIES[family], (3, 32, 32), 10)
    with torch.no_grad():
        for name, value in built.named_parameters():
            if value.ndim == 1 and not name.endswith("bias"):
                value.uniform_(0.5, 1.0)
        built.train()
        for _ in range(3):
            built(images(8))
    return built.eval()


def images(number: int) -> torch.Tensor:
    return torch.rand(number, 3, 32, 32)


def made(deployment: Deployment, trained: nn.Module, directory: Path) -> Artifact:
    torch.manual_seed(1)
    calibration = [images(4) for _ in range(deployment.calibration // 4)]
    return artifacts.make(deployment, trained, images(4), calibration, directory)


def agreement(deployment: Deployment, family: str, directory: Path) -> float:
    """Return the largest difference of an output, as a part of the standard deviation of all outputs."""
    trained, given = network(family), images(4)
    model = in_process.load(deployment, made(deployment, trained, directory / "artifact").files_in)
    with torch.inference_mode():
        expected = trained(given).numpy()
    (found,) = model.run([given.numpy()])
    return float(np.abs(found - expected).max() / expected.std())


@pytest.mark.parametrize("family", FAMILIES)
def test_networks_of_every_family_compute_what_they_do_in_torch(family: str, tmp_path: Path) -> None:
    assert agreement(OpenVino(), family, tmp_path) < 1e-4


@pytest.mark.nightly
@pytest.mark.parametrize("family", FAMILIES)
def test_networks_of_every_family_nearly_do_so_in_half_precision_and_in_eight_bits(family: str, tmp_path: Path) -> None:
    assert agreement(OpenVino("float16"), family, tmp_path / "half") < 0.02
    assert agreement(OpenVino("int8", calibration=64), family, tmp_path / "eight") < 0.9


def test_in_eight_bits_every_convolution_and_product_of_matrices_is_computed_in_eight_bits(tmp_path: Path) -> None:
    import openvino

    artifact = made(OpenVino("int8", calibration=16), network("wrn"), tmp_path / "artifact")
    with openvino_runtime.keeping_signal_stack():
        compiled = openvino.Core().compile_model(
            artifact.files_in / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
    kernels = [
        str(operator.get_rt_info()["primitiveType"].value)
        for operator in compiled.get_runtime_model().get_ops()
        if str(operator.get_rt_info()["layerType"].value).startswith(("Convolution", "FullyConnected"))
    ]
    assert len(kernels) == 10, "as many as the network has"
    assert [kernel for kernel in kernels if not kernel.lower().endswith("i8")] == []


def test_in_eight_bits_nothing_is_cut_off_that_few_examples_have(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3)).eval()
    given = torch.randn(128, 4) * torch.logspace(-1, 1, 128)[:, None]  # a few large ones among many small ones
    artifact = artifacts.make(OpenVino("int8"), trained, given[:1], given.split(1), tmp_path / "artifact")
    model = in_process.load(OpenVino("int8"), artifact.files_in)
    with torch.inference_mode():
        expected = trained(given).numpy()
    found = np.concatenate([model.run([one.numpy()])[0] for one in given.split(1)])
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.05 * expected.std()


def test_eight_bits_that_a_processor_would_compute_in_float32_are_refused(tmp_path: Path) -> None:
    artifact = made(OpenVino(), network("wrn"), tmp_path / "artifact")
    settings = OpenVino("int8").settings
    with pytest.raises(ValueError, match=r"precision=int8.* accepted is float32, float16"):
        openvino_runtime.load(str(artifact.files_in), settings)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_files_of_random_weights_are_as_large_as_those_of_trained_ones(
    family: str, precision: str, tmp_path: Path
) -> None:
    architecture, deployment = Registry().load("architecture", family, {}).instance, OpenVino(precision, calibration=8)
    trained = architecture.build(FAMILIES[family], (3, 32, 32), 10).train()
    optimizer = torch.optim.AdamW(trained.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(images(8)), torch.arange(8)).backward()
        optimizer.step()
    classifier = Normalised(trained, [0.5] * 3, [0.25] * 3).eval()
    shipping = Shipping(deployment, Target(), tmp_path / "untrained")
    random = artifacts.untrained(Workload(architecture, (3, 32, 32), 10, 4, "cpu", shipping), FAMILIES[family])
    assert random.size == pytest.approx(made(deployment, classifier, tmp_path / "trained").size, rel=1e-3)


def test_a_file_is_half_as_large_in_half_precision_and_a_quarter_in_eight_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    wide, sizes = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3)), {}
    for precision in ("float32", "float16", "int8"):
        artifact = made(OpenVino(precision, calibration=8), wide, tmp_path / precision)
        sizes[precision] = (artifact.files_in / "model.bin").stat().st_size
    assert 0.49 < sizes["float16"] / sizes["float32"] < 0.52
    assert 0.24 < sizes["int8"] / sizes["float32"] < 0.32


INTERRUPTED = """
import os, signal
from pathlib import Path
import torch
from torch import nn
from shape_dnn.deploying import in_process
from shape_dnn_openvino.deployment import OpenVino

signal.signal(signal.SIGINT, signal.default_int_handler)
models = []
for name in ("first", "second"):
    Path(name).mkdir()
    OpenVino().convert(nn.Conv2d(3, 4, 3).eval(), torch.rand(1, 3, 8, 8), [], Path(name))
    models.append(in_process.load(OpenVino(), Path(name)))
while models:
    models.pop(0)
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_after_models_have_come_and_gone_is_an_interrupt(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr


CONVERT = """
import torch
from torch import nn
from shape_dnn.deploying import in_process
from shape_dnn_openvino.deployment import OpenVino

torch.manual_seed(0)
layers = [layer for _ in range(3) for layer in (nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU())]
network = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3))
network(torch.rand(64, 3, 16, 16))
deployment, batches = OpenVino("int8", calibration=16), [torch.rand(4, 3, 16, 16) for _ in range(4)]
deployment.convert(network.eval(), batches[0], batches, directory)
in_process.load(deployment, directory).run([batches[0].numpy()])
"""
ALONE = f"""
import os, sys
from pathlib import Path
directory = Path(sys.argv[1])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
{CONVERT}
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen here")
def test_a_conversion_to_eight_bits_depends_on_no_chance_and_no_processors_and_tells_nobody(tmp_path: Path) -> None:
    """Nothing is printed, and there is no identity by which OpenVINO would tell its makers how it is used."""
    here, there, home = (tmp_path / name for name in ("here", "there", "home"))
    for directory in (here, there, home):
        directory.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONHASHSEED": "1"}
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # with these nothing would be told in any case
        environment.pop(name, None)
    command = [sys.executable, "-c", ALONE, str(there)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list(home.glob("intel*")) == []
    exec(compile(CONVERT, "convert", "exec"), {"directory": here})  # noqa: S102
    first, second = ([path.read_bytes() for path in sorted(directory.iterdir())] for directory in (here, there))
    assert len(first) == 2
    assert first == second


class Determinant(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.linalg.det(values)


def test_an_operator_that_openvino_does_not_have_is_named_with_its_layer(tmp_path: Path) -> None:
    body = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), Determinant()))
    with pytest.raises(DeploymentError, match=r"OpenVINO cannot run .*operator Det of the layer '1\.1'"):
        artifacts.make(OpenVino(), body, torch.rand(2, 4, 4), [], tmp_path / "artifact")


def test_a_network_with_nothing_to_quantise_is_refused_in_eight_bits(tmp_path: Path) -> None:
    batches = [torch.rand(2, 4)] * 4
    with pytest.raises(DeploymentError, match="nothing in the network can be quantised"):
        artifacts.make(OpenVino("int8", calibration=8), nn.Softmax(-1), batches[0], batches, tmp_path / "artifact")


def test_inputs_go_in_by_their_places_also_those_that_make_no_difference(tmp_path: Path) -> None:
    class Difference(nn.Module):
        def forward(self, first: torch.Tensor, unused: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return first - 2 * second

    example = tuple(torch.rand(2, 3) for _ in range(3))
    artifact = artifacts.make(OpenVino(), Difference(), example, [], tmp_path / "artifact")
    model = in_process.load(OpenVino(), artifact.files_in)
    first, unused, second = (np.full((2, 3), value, np.float32) for value in (5, 100, 1))
    assert (model.run([first, unused, second])[0] == 3).all()
    with pytest.raises(ValueError, match="2 inputs were given; accepted are 3"):
        model.run([first, second])


def test_what_comes_out_stays_when_the_next_comes_out(tmp_path: Path) -> None:
    model = in_process.load(OpenVino(), made(OpenVino(), network("wrn"), tmp_path / "artifact").files_in)
    (first,) = model.run([images(4).numpy()])
    before = first.copy()
    model.run([images(4).numpy()])
    assert (first == before).all()


def test_a_device_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    deployment = OpenVino(device="NPU")
    artifact = made(deployment, nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path / "artifact")
    with pytest.raises(DeploymentError, match=r"device=NPU is not there; accepted is CPU"):
        in_process.load(deployment, artifact.files_in)


def test_more_threads_than_there_are_processors_are_refused(tmp_path: Path) -> None:
    deployment = OpenVino(threads=4096)
    artifact = made(deployment, nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path / "artifact")
    with pytest.raises(DeploymentError, match=r"threads=4096 cannot be had here; accepted are from 1 to \d+"):
        in_process.load(deployment, artifact.files_in)


Load = Callable[[str, str], openvino_runtime.Model]


@pytest.fixture
def load_elsewhere(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load where there are other devices.

    NPU has no float32, GPU all, and the processor does what those with instructions for bfloat16 do by themselves: it
    takes bfloat16 for half precision.
    """
    capabilities = {"CPU": ["FP32", "FP16", "INT8"], "GPU": ["FP32", "FP16", "INT8"], "NPU": ["FP16", "INT8"]}

    class Compiled:
        inputs = outputs = ()

        def __init__(self, device: str, asked: Mapping[str, str]) -> None:
            self.computes = asked["INFERENCE_PRECISION_HINT"]
            if device == "CPU" and (self.computes == "f16" or BROKEN):
                self.computes = "bf16"

        def get_property(self, name: str) -> Any:
            return 1 if name == "INFERENCE_NUM_THREADS" else self

        def get_type_name(self) -> str:
            return self.computes

        def create_infer_request(self) -> None:
            return None

    class Core:
        available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")

        def get_property(self, device: str, name: str) -> list[str]:
            return capabilities[device]

        def compile_model(self, path: str, device: str, asked: Mapping[str, str]) -> Compiled:
            assert ("INFERENCE_NUM_THREADS" in asked) == (device == "CPU"), "others do not know this"
            return Compiled(device, asked)

    monkeypatch.setitem(sys.modules, "openvino", types.SimpleNamespace(Core=Core))
    return lambda device, precision: openvino_runtime.load("", OpenVino(precision, device=device).settings)


BROKEN = False
"""Whether the processor takes bfloat16 whatever is asked for."""


@pytest.mark.parametrize(
    ("device", "precision", "computes"),
    [
        ("CPU", "float32", "f32"),
        ("CPU", "float16", "f32"),
        ("GPU", "float32", "f32"),
        ("GPU", "float16", "f16"),
        ("GPU", "int8", "f32"),
        ("NPU", "float16", "f16"),
        ("NPU", "int8", "f16"),
    ],
)
def test_half_precision_is_computed_where_the_device_can_and_bfloat16_nowhere(
    device: str, precision: str, computes: str, load_elsewhere: Load
) -> None:
    assert load_elsewhere(device, precision).computes == computes


def test_a_precision_that_a_device_does_not_have_is_refused(
    load_elsewhere: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="precision=float32 is not what NPU computes in; accepted is float16, int8"):
        load_elsewhere("NPU", "float32")
    monkeypatch.setattr(importlib.import_module(__name__), "BROKEN", True)
    with pytest.raises(ValueError, match="precision=float32: CPU would compute in bf16"):
        load_elsewhere("CPU", "float32")


def test_where_the_converter_is_missing_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    known = metadata.version

    def version(name: str) -> str:
        if name == "nncf":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UnavailableError, match=r"nncf.*pip install openvino nncf"):
        OpenVino().identity()
