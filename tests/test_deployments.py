"""Networks ship as artifacts that a runtime alone can run, and compute what the networks do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from runtimes import example, imported, module, run
from test_inputs import Pair, Transformer, padded
from torch import Tensor, nn

from shape_dnn import Deployment, DeploymentError, Shape, UsageError, Workload
from shape_dnn.deploying import artifacts
from shape_dnn.deploying.artifacts import Artifact
from shape_dnn.kinds import Shipping, Target
from shape_dnn.measuring import inputs
from shape_dnn.plugins.registry import Registry

FAMILIES = {
    "wrn": Shape(10, Fraction(1, 4)),
    "densenet": Shape(10, Fraction(1, 3)),
    "nasnet": Shape(1, Fraction(1, 8)),
    "resnet": Shape(14, Fraction(1, 2)),
    "convnext": Shape(4, Fraction(1, 6)),
}


def deployment(name: str, **options: Any) -> Deployment:
    made: Deployment = Registry().load("deployment", name, options).instance
    return made


def made(how: Deployment, network: nn.Module, given: Any, calibration: Any = (), where: str = "artifact") -> Artifact:
    return artifacts.make(how, network, given, calibration, Path(where))


def expected(network: nn.Module, given: Any) -> list[np.ndarray[Any, Any]]:
    with torch.inference_mode():
        return [tensor.numpy() for tensor in inputs.tensors(inputs.call(network.eval(), given))]


def difference(computed: np.ndarray[Any, Any], value: np.ndarray[Any, Any]) -> float:
    """Return the largest difference, as a part of the largest value."""
    assert computed.shape == value.shape
    assert computed.dtype == value.dtype
    return float(np.abs(computed - value).max() / np.abs(value).max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_every_family_ships_and_computes_what_it_did(name: str, family: str) -> None:
    architecture = Registry().load("architecture", family, {}).instance
    reduced = {"int8": 0.15, "float16": 0.01} if name == "onnxruntime" else {"bfloat16": 0.05, "float16": 0.01}
    torch.manual_seed(0)
    network = architecture.build(FAMILIES[family], (3, 32, 32), 10)
    images, batches = torch.rand(2, 3, 32, 32), [torch.rand(2, 3, 32, 32) for _ in range(4)]
    (logits,) = expected(network, images)
    whole = made(deployment(name), network, images, where="float32")
    (computed,) = run(deployment(name), whole)
    assert difference(computed, logits) < 1e-4
    for precision, tolerance in reduced.items():
        more = {"calibration": 8} if precision == "int8" else {}
        how = deployment(name, precision=precision, **more)
        artifact = made(how, network, images, batches, precision)
        (computed,) = run(how, artifact)
        assert 0 < difference(computed, logits) < tolerance
        if family == "resnet":  # in which weights outweigh the program
            share = {"int8": 0.25, "float16": 0.5, "bfloat16": 0.5}[precision]
            assert artifact.size / whole.size == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_networks_take_several_inputs_by_name_and_return_several(name: str, precision: str) -> None:
    torch.manual_seed(0)
    network, given = Transformer(2), padded(3)
    how = deployment(name, precision=precision)
    artifact = made(how, network, given)
    assert [array.dtype for array in example(artifact)] == [np.int64, np.bool_]
    outputs, wanted = run(how, artifact), expected(network, given)
    assert len(outputs) == len(wanted) == 2
    for computed, value in zip(outputs, wanted, strict=True):
        assert difference(computed, value) < (1e-4 if precision == "float32" else 0.01)
    tokens, padding = example(artifact)
    others = run(how, artifact, [(tokens + 1) % 30, ~padding])
    changed = expected(network, {"tokens": torch.from_numpy((tokens + 1) % 30), "padding": torch.from_numpy(~padding)})
    assert difference(others[0], changed[0]) < (1e-4 if precision == "float32" else 0.01)


class Attention(nn.Module):
    """Leaves out what is masked, by a number far below all others."""

    def __init__(self, masked: float) -> None:
        super().__init__()
        self.embedding, self.queries, self.head = nn.Embedding(30, 16), nn.Linear(16, 16), nn.Linear(16, 5)
        self.masked = masked

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        hidden = self.embedding(tokens)
        scores = self.queries(hidden) @ hidden.transpose(1, 2)
        weights = scores.masked_fill(padding.unsqueeze(1), self.masked).softmax(-1)
        largest = (weights @ hidden).masked_fill(padding.unsqueeze(2), self.masked).amax(1)
        made: Tensor = self.head(largest)
        return made


@pytest.mark.parametrize("masked", [float("-inf"), torch.finfo(torch.float32).min])
def test_masks_do_not_spoil_what_is_quantised(masked: float) -> None:
    torch.manual_seed(0)
    how = deployment("onnxruntime", precision="int8", calibration=96)
    network, given = Attention(masked), padded(3)
    artifact = made(how, network, given, [padded(3) for _ in range(32)])
    assert difference(run(how, artifact)[0], expected(network, given)[0]) < 0.1


def test_a_transformer_is_quantised() -> None:
    torch.manual_seed(0)
    how = deployment("onnxruntime", precision="int8", calibration=96)
    network, given = Transformer(2), padded(3)
    artifact = made(how, network, given, [padded(3) for _ in range(32)])
    assert difference(run(how, artifact)[0], expected(network, given)[0]) < 0.15


class Selective(nn.Module):
    """Makes nothing of one of its inputs."""

    def forward(self, first: Tensor, ignored: Tensor, second: Tensor) -> dict[str, Tensor]:
        return {"difference": first - 2 * second, "count": (first > second).sum()}


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_inputs_that_make_no_difference_are_taken_in_their_place(name: str) -> None:
    given = (torch.rand(2, 3), torch.rand(5), torch.rand(2, 3))
    artifact = made(deployment(name), Selective(), given)
    outputs = run(deployment(name), artifact)
    assert difference(outputs[0], expected(Selective(), given)[0]) < 1e-6
    assert outputs[1].dtype == np.int64
    model = module(deployment(name))["load"](str(artifact.directory / "files"), deployment(name).settings)
    with pytest.raises(ValueError, match="2 inputs were given; accepted are 3"):
        model.run(example(artifact)[:2])


def test_a_program_of_onnx_is_named_as_the_network_and_old_enough() -> None:
    made(deployment("onnxruntime"), Selective(), (torch.rand(2, 3), torch.rand(5), torch.rand(2, 3)))
    model = onnx.load("artifact/files/model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["first", "ignored", "second"]
    assert [value.name for value in model.graph.output] == ["difference", "count"]
    assert model.ir_version <= 9
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


class Turned(nn.Module):
    """Has an operator that cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.layer(x)
        return hidden.mT @ hidden


def test_what_cannot_be_traced_is_exported(capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    network, given = Turned(), torch.rand(2, 3, 4)
    artifact = made(deployment("onnxruntime"), network, given)
    assert difference(run(deployment("onnxruntime"), artifact)[0], expected(network, given)[0]) < 1e-4
    model = onnx.load("artifact/files/model.onnx")
    assert model.ir_version <= 9
    assert "/network.layer/" in str([node.name for node in model.graph.node])
    assert b".py" not in Path("artifact/files/model.onnx").read_bytes(), "no paths of the machine that made it"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_a_way_through_the_code_that_depends_on_values_is_refused(name: str) -> None:
    class Undecided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(DeploymentError, match=r"torch.export cannot express the network at `return x if x\.sum"):
        made(deployment(name), Undecided(), torch.rand(2, 3))


class Inverse(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.inv(x @ x.transpose(1, 2) + torch.eye(4))


class Strange(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x + 1

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:
        return graph.op("acme::Strange", x).setType(x.type())


class Stranger(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = Strange.apply(x)
        return made


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Inverse(), r"ONNX has no operator for aten\.linalg_inv_ex of the layer 'deep\.1\.last'"),
        (Stranger(), r"ONNX Runtime cannot run the network, operator acme\.Strange of the layer 'deep\.1\.last': "),
    ],
)
def test_an_operator_that_cannot_be_had_is_named_with_its_layer(part: nn.Module, message: str) -> None:
    last = nn.Sequential()
    last.add_module("last", part)
    network = nn.Sequential()
    network.add_module("first", nn.Linear(4, 4))
    network.add_module("deep", nn.Sequential(nn.ReLU(), last))
    with pytest.raises(DeploymentError, match=message) as caught:
        made(deployment("onnxruntime"), network, torch.rand(2, 4, 4))
    assert "\n" not in str(caught.value)
    assert not Path("artifact").exists()


def test_too_few_examples_to_calibrate_by_are_refused() -> None:
    network, given = nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(4, 3, 8, 8)
    for how, batches in ((deployment("onnxruntime", precision="int8"), [given] * 31), (FIVE, [given]), (FIVE, [])):
        there = 4 * len(batches)
        message = rf"deploy\.calibration={how.calibration} training examples are needed, and there are {there}"
        with pytest.raises(UsageError, match=message):
            made(how, network, given, batches)
    assert made(FIVE, network, given, [given] * 2).size > 0


FIVE = deployment("onnxruntime", precision="int8", calibration=5)


def test_only_int8_needs_examples_to_calibrate_by() -> None:
    assert deployment("onnxruntime", precision="int8").calibration == 128
    assert {deployment("onnxruntime", precision=name).calibration for name in ("float32", "float16")} == {0}


def test_the_bytes_of_an_artifact_depend_on_network_and_examples_alone() -> None:
    script = """
import torch, pathlib, sys
from fractions import Fraction
from shape_dnn import Shape
from shape_dnn.deploying.artifacts import make
from shape_dnn.plugins.registry import Registry
torch.manual_seed(0)
network = Registry().load("architecture", "densenet", {}).instance.build(Shape(10, Fraction(1, 3)), (3, 8, 8), 10)
batches = [torch.rand(2, 3, 8, 8) for _ in range(3)]
for precision in ("float32", "float16", "int8"):
    options = {"precision": precision, "calibration": 6}
    how = Registry().load("deployment", "onnxruntime", options).instance
    make(how, network, batches[0], batches, pathlib.Path(sys.argv[1], precision))
make(Registry().load("deployment", "torch", {}).instance, network, batches[0], (), pathlib.Path(sys.argv[1], "torch"))
"""
    digests = []
    for place, seed in (("one", "1"), ("two", "2")):
        subprocess.run([sys.executable, "-c", script, place], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        files = sorted(path for path in Path(place).rglob("*") if path.is_file())
        assert len(files) == 8
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]


def test_the_size_of_an_artifact_does_not_depend_on_the_values_of_the_weights() -> None:
    """The exporter has layers share what is equal, such as the ones that normalisations begin with."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *[part for _ in range(4) for part in (nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3, 1, 1))]
    )
    given = torch.rand(2, 64, 4, 4)
    batches = [given] * 4
    for precision in ("float32", "int8"):
        how = deployment("onnxruntime", precision=precision, calibration=8)
        before = made(how, network, given, batches).size
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.1, 1.0)
        assert made(how, network, given, batches).size == pytest.approx(before, abs=32), precision
        network.load_state_dict({**network.state_dict(), "0.weight": torch.ones(64)})


def test_normalisations_are_in_eight_bits_too() -> None:
    torch.manual_seed(0)
    network = Registry().load("architecture", "wrn", {}).instance.build(FAMILIES["wrn"], (3, 8, 8), 10)
    given = torch.rand(4, 3, 8, 8)
    made(FIVE, network, given, [given] * 2)
    kinds = {node.op_type for node in onnx.load("artifact/files/model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    assert "BatchNormalization" not in kinds


def test_normalisations_of_features_are_quantised_around() -> None:
    network, given = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.ReLU()).eval(), torch.rand(4, 5)
    artifact = made(FIVE, network, given, [given] * 2)
    assert difference(run(FIVE, artifact)[0], expected(network, given)[0]) < 0.05


def test_a_program_that_computes_something_else_is_refused() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, x: Tensor) -> Tensor:
            return x + 1

        @staticmethod
        def symbolic(graph: Any, x: Any) -> Any:
            return graph.op("Relu", x).setType(x.type())

    class Liar(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = Wrong.apply(x)
            return made

    with pytest.raises(DeploymentError, match="computes another output than the network, by 1, which is more"):
        made(deployment("onnxruntime"), Liar(), torch.rand(2, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provider": "cuda", "precision": "int8"}, "accepted: float32, float16"),
        ({"provider": "coreml", "precision": "int8"}, "accepted: float32, float16"),
        ({"provider": "xnnpack", "precision": "float16"}, "accepted: float32, int8"),
    ],
)
def test_a_precision_that_a_provider_does_not_have_is_refused(options: Mapping[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=f"option: .*provider {options['provider']}.*{message}"):
        deployment("onnxruntime", **options)


def test_a_provider_that_is_not_there_is_never_replaced_by_another() -> None:
    import onnxruntime

    artifact = made(deployment("onnxruntime"), nn.Linear(3, 3), torch.rand(1, 3))
    for provider in ("cuda", "tensorrt", "coreml"):
        how = deployment("onnxruntime", provider=provider)
        if module(how)["PROVIDERS"][provider] in onnxruntime.get_available_providers():
            continue
        with pytest.raises(ValueError, match=rf"provider={provider} is not there; accepted is .*cpu"):
            run(how, artifact)


def test_a_provider_that_does_not_start_is_never_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime only warns, and would take the processor."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    artifact = made(deployment("onnxruntime"), nn.Linear(3, 3), torch.rand(1, 3))
    with (
        pytest.raises(ValueError, match="provider=cuda does not start here.*; accepted is cpu"),
        pytest.warns(UserWarning, match="not in available"),
    ):
        run(deployment("onnxruntime", provider="cuda"), artifact)


def test_a_session_is_as_it_was_asked_for() -> None:
    how = deployment("onnxruntime", threads=2, optimization="basic", arena=False)
    made(how, nn.Linear(3, 3), torch.rand(1, 3))
    names = module(how)
    options = names["_options"](how.settings)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.enable_cpu_mem_arena is False
    assert options.graph_optimization_level.name == "ORT_ENABLE_BASIC"
    assert options.execution_mode.name == "ORT_SEQUENTIAL"
    with pytest.raises(RuntimeError, match="disable_cpu_ep_fallback"):
        options.get_session_config_entry("session.disable_cpu_ep_fallback")
    elsewhere = names["_options"]({**how.settings, "provider": "cuda"})
    assert elsewhere.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


@pytest.mark.parametrize(
    ("machine", "flags", "exact"),
    [
        ("x86_64", "fpu avx2", True),
        ("x86_64", "avx512f avx512_vnni", False),
        ("AMD64", "avx2 avx_vnni", False),
        ("aarch64", "asimd", False),
    ],
)
def test_sums_of_eight_bits_never_overflow(
    machine: str, flags: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = deployment("onnxruntime")
    names = module(how)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: f"flags: {flags}")
    options = names["_options"](how.settings)
    assert options.get_session_config_entry("session.x64quantprecision") == str(int(exact))


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_a_runtime_stands_alone_and_says_its_versions(name: str) -> None:
    how = deployment(name)
    assert imported(how.runtime) == {name, "numpy"}
    names = module(how)
    assert {name} <= names["REQUIRES"].keys() <= {name, "numpy"}
    assert names["versions"]() == {name: __import__(name).__version__, "numpy": np.__version__}
    assert set(how.identity()) >= {name, "torch"}


def test_networks_of_torch_are_run_by_as_many_threads_as_asked_for() -> None:
    how = deployment("torch", threads=2)
    artifact = made(how, Pair(), (torch.rand(2, 3, 8, 8), torch.rand(2, 5)))
    before = torch.get_num_threads()
    try:
        run(how, artifact)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_artifact_of_torch_leaves_its_network_as_it_is_and_holds_no_inputs() -> None:
    network, given = nn.Linear(3, 2), torch.rand(1000, 3)
    artifact = made(deployment("torch", precision="float16", channels_last=True), network, given)
    assert network.weight.dtype == torch.float32
    assert artifact.size < given.nbytes
    with pytest.raises(UsageError, match="deploy.mode=graph"):
        made(deployment("torch", mode="graph"), network, given)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_have_nothing_that_a_converter_could_leave_out(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped: list[nn.Module] = []
    how = deployment("torch")
    convert = type(how).convert
    monkeypatch.setattr(type(how), "convert", lambda *given: (shipped.append(given[1]), convert(*given)))
    architecture = Registry().load("architecture", family, {}).instance
    workload = Workload(architecture, (3, 32, 32), 10, 2, "cpu", Shipping(how, Target(), Path("artifacts")))
    artifacts.untrained(workload, FAMILIES[family])
    (network,) = shipped
    learnt = [value for name, value in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    for value in (*network.parameters(), *learnt):
        assert value.numel() == 1 or value.min() < value.max()
        assert value.abs().max() > 1e-3


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_a_shape_with_random_weights_ships_with_the_inputs_it_is_measured_with(name: str) -> None:
    how = deployment(name)
    architecture = Registry().load("architecture", "wrn", {}).instance
    workload = Workload(architecture, (1, 8, 8), 10, 3, "cpu", Shipping(how, Target(), Path("artifacts")))
    artifact = artifacts.untrained(workload, FAMILIES["wrn"])
    (logits,) = run(how, artifact)
    assert logits.shape == (3, 10)
    assert np.isfinite(logits).all()
