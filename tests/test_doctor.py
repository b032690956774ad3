from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch
from sshd_fixture import Sshd

from shape_dnn import devices
from shape_dnn.system import cuda

BROKEN = """
from shape_dnn import Formula, Instrument, MeterError, Plugin, hookimpl

class NoSensor(Instrument):
    metric, unit, cost = "heat", "K", 3.0

    def identity(self, workload):
        raise MeterError("there is no thermometer; buy one")

    def measure(self, workload, shapes):
        yield from ()

class Wrong(Formula):
    metric, unit, cost = "wrong", "", 3.0

    def compute(self, workload, shapes):
        return 1 / 0

class Seconds(Formula):
    metric, unit, cost = "latency", "s", 1.0

    def compute(self, workload, shapes):
        return [1.0 for shape in shapes]

@hookimpl
def shape_dnn_meters():
    yield Plugin("stopwatch", "is in seconds", Seconds)
    yield Plugin("no-sensor", "cannot", NoSensor)
    yield Plugin("wrong", "fails", Wrong)
    yield Plugin("absent", "is not there", "nowhere:Meter")
"""


def test_each_meter_says_whether_it_works_here_and_one_that_does_not_harms_none(
    own_directory: Path, shape_dnn: Callable[..., Any]
) -> None:
    (own_directory / "broken.py").write_text(BROKEN)
    ran = shape_dnn("doctor", "--plugin", "broken.py", "--format", "json")
    assert ran.status == 0, ran.err
    found = {row["meter"]: row for row in ran.json["meters"] if row["device"] == "cpu"}
    assert {name for name, row in found.items() if row["state"] == "available"} == {
        "size",
        "file-size",
        "memory",
        "latency",
    }
    assert found["no-sensor"]["reason"] == "there is no thermometer; buy one"
    assert "ZeroDivisionError" in found["wrong"]["reason"]
    assert "has the unit 's'" in found["stopwatch"]["reason"]
    assert "nowhere" in found["absent"]["reason"]
    assert "shape-dnn-zeus" in found["energy"]["reason"]
    assert "on CUDA devices, not on cpu" in found["graph-latency"]["reason"]
    assert {"python", "torch", "cpu"} <= set(ran.json["system"])
    assert ran.json["system"]["cores"] == str(devices.cores())
    assert set(ran.json["signs"].values()) <= {True, False}


def test_it_is_readable_too(shape_dnn: Callable[..., Any]) -> None:
    for output in ("table", "csv"):
        ran = shape_dnn("doctor", "--format", output)
        assert ran.status == 0
        assert "latency" in ran.out


def test_a_plugin_file_that_is_not_there_is_said(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("doctor", "--plugin", "nowhere.py")
    assert ran.status == 2
    assert "--plugin" in ran.error


SHIPPING = """
from shape_dnn import Deployment, Plugin, hookimpl

class Ours(Deployment):
    runtime = '''
REQUIRES = {"our_runtime": "2.1"}

def versions():
    import our_runtime
    return {"our_runtime": our_runtime.__version__}
'''

    def identity(self):
        return {}

    def convert(self, network, example, calibration, directory):
        raise AssertionError("a doctor looks, and converts nothing")

@hookimpl
def shape_dnn_deployments():
    yield Plugin("ours", "a runtime of one's own", Ours)
"""


def test_a_target_says_whether_what_ships_runs_there(
    own_directory: Path, sshd: Sshd, shape_dnn: Callable[..., Any]
) -> None:
    (own_directory / "ours.py").write_text(SHIPPING)
    there = ("--target", f"board={sshd.target}", "-o", f"target.python={sys.executable}")
    asked = ("doctor", "--plugin", "ours.py", "--deploy", "ours", *there)
    ran = shape_dnn(*asked, "--format", "json")
    assert ran.status == 0, ran.err
    [found] = ran.json["targets"]
    assert (found["target"], found["address"], found["state"]) == ("board", sshd.target, "unavailable")
    assert f"{sys.executable} -m pip install 'our_runtime>=2.1'" in found["reason"]
    module = sshd.directory / "modules" / "our_runtime.py"
    module.parent.mkdir()
    module.write_text("__version__ = '2.10'\n")
    wrapper = sshd.directory / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={module.parent} exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    ran = shape_dnn(*asked[:-1], f"target.python={wrapper}", "--format", "json")
    [found] = ran.json["targets"]
    assert (found["state"], found["reason"]) == ("available", "")
    assert found["fingerprint"]["versions"] == {"our_runtime": "2.10"}
    assert "temperature_c" in found["condition"]
    assert ",,board,available," in shape_dnn(*asked[:-1], f"target.python={wrapper}", "--format", "csv").out
    ran = shape_dnn(*asked[:-1], f"target.python={wrapper}")
    assert "our_runtime" in ran.out


def test_without_a_target_none_is_tried(shape_dnn: Callable[..., Any]) -> None:
    assert shape_dnn("doctor", "--format", "json").json["targets"] == []


def test_what_is_said_of_a_target_wrongly_is_named(shape_dnn: Callable[..., Any]) -> None:
    ran = shape_dnn("doctor", "--target", "sh://board")
    assert (ran.status, "--target: 'sh://board' is not a target" in ran.error) == (2, True)
    ran = shape_dnn("doctor", "--plugin", "absent.py", "--target", "local")
    assert ran.status != 0
    assert "absent.py" in ran.error


class Driver:
    """That of NVIDIA, as a test wants it to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.version, self.gpus = "999.1", 1
        monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
        monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
        monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: self.gpus)
        monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: self.version)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver that knows a GPU of which torch sees nothing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Driver(monkeypatch)


@pytest.mark.parametrize(
    ("version", "built_for", "oldest"),
    [("575.57.08", "13.0", 580), ("470.256.02", "12.8", 525), ("418.87", "11.8", 450)],
)
def test_a_driver_that_is_too_old_for_this_torch_is_said(
    version: str, built_for: str, oldest: int,
    driver: Driver, monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any],
) -> None:  # fmt: skip
    driver.version = version
    monkeypatch.setattr(torch.version, "cuda", built_for)
    complaint = (
        f"the driver {version} is too old for CUDA {built_for} of this torch; upgrade the driver to {oldest} or later, or "
        "install a torch for an older CUDA"
    )
    assert shape_dnn("doctor", "--format", "json").json["warnings"] == [complaint]
    assert f"warning: {complaint}" in " ".join(shape_dnn("doctor").out.split())
    ran = shape_dnn("measure", "--device", "cuda")
    assert ran.status == 2
    assert f"--device: 'cuda' is not there; here are: cpu; {complaint}" in ran.error


@pytest.mark.parametrize(
    ("version", "built_for", "visible", "said"),
    [
        ("580.65.06", "13.2", None, "CUDA cannot use it: RuntimeError: it fell off the bus"),
        ("525.60.13", "12.8", None, "CUDA cannot use it: RuntimeError: it fell off the bus"),
        ("999.1", "13.2", "", "CUDA_VISIBLE_DEVICES='' hides it"),
        ("999.1", None, None, f"torch {torch.__version__} has no CUDA"),
    ],
)
def test_another_reason_why_torch_sees_no_gpu_is_said_too(
    version: str, built_for: str | None, visible: str | None, said: str,
    driver: Driver, monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any],
) -> None:  # fmt: skip
    def fail() -> None:
        raise RuntimeError("it fell off the bus")

    driver.version = version
    monkeypatch.setattr(torch.cuda, "init", fail)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    [warning] = shape_dnn("doctor", "--format", "json").json["warnings"]
    assert said in warning
    assert "too old" not in warning


def test_nothing_is_said_of_gpus_where_there_are_none(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    def absent() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    driver.version, driver.gpus = "418.87", 0
    assert shape_dnn("doctor", "--format", "json").json["warnings"] == []
    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert shape_dnn("doctor", "--format", "json").json["warnings"] == []
    assert shape_dnn("measure", "--device", "cuda").error.endswith("'cuda' is not there; here are: cpu")


@pytest.fixture
def gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[int, int], list[str]], None]:
    """Have torch see one, of a compute capability, and be compiled for others."""

    def appear(capability: tuple[int, int], compiled: list[str]) -> None:
        properties = SimpleNamespace(name="Stand-in", total_memory=2**33, uuid="stand-in")
        for name, value in {
            "is_available": True, "device_count": 1, "get_device_properties": properties, "get_device_name": "Stand-in",
            "get_device_capability": capability, "get_arch_list": compiled,
        }.items():  # fmt: skip
            monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)

    return appear


@pytest.mark.parametrize("device", ["cuda:1", "cuda:128", "cuda:256"])
def test_a_gpu_that_the_environment_may_hide_is_refused_with_what_it_says(
    device: str, gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    gpu((9, 0), ["sm_90"])
    said = f"--device: '{device}' is not there; here are: cpu, cuda:0"
    assert shape_dnn("measure", "--device", device).error.endswith(said)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,9,nonsense")
    ran = shape_dnn("measure", "--device", device)
    assert (ran.status, f"{said}; CUDA_VISIBLE_DEVICES='0,9,nonsense' may hide it" in ran.error) == (2, True)


def test_variables_that_contradict_each_other_are_named(
    monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "0,1,2")
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)  # and torch refuses to count them
    for command in (["doctor"], ["measure", "--device", "cuda"]):
        ran = shape_dnn(*command)
        assert ran.status == 4
        assert (
            "the GPUs cannot be counted: RuntimeError: HIP_VISIBLE_DEVICES contains more devices than ROCR" in ran.error
        )
        assert "correct or unset what the environment says: HIP_VISIBLE_DEVICES='0,1,2' and ROCR_VISIBLE_" in ran.error


OF_CUDA_13 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "compiled", "remedy"),
    [
        ((6, 1), OF_CUDA_13, "install a torch for an older CUDA, if one has them"),
        ((7, 0), OF_CUDA_13, "install a torch for an older CUDA, if one has them"),
        ((11, 0), OF_CUDA_13, "install a newer torch"),
        ((8, 0), ["sm_86"], "install a torch for an older CUDA, if one has them"),
        ((10, 3), ["sm_90", "sm_100a"], "install a newer torch"),
        ((12, 0), ["sm_90", "compute_90a"], "install a newer torch"),
        ((12, 0), ["compute_100f"], "install a newer torch"),
        ((7, 5), OF_CUDA_13, ""),
        ((8, 9), OF_CUDA_13, ""),
        ((12, 1), OF_CUDA_13, ""),
        ((10, 0), ["sm_90", "sm_100a"], ""),
        ((10, 3), ["sm_100f"], ""),
        ((12, 0), ["sm_90", "compute_90"], ""),
        ((9, 0), [], ""),
    ],
)
def test_a_gpu_has_kernels_if_it_is_no_older_than_what_was_compiled_for_its_kind(
    capability: tuple[int, int], compiled: list[str], remedy: str, gpu: Callable[..., None]
) -> None:
    gpu(capability, compiled)
    said = cuda.missing_kernels("cuda:0")
    assert remedy in said
    assert bool(said) == bool(remedy)


@pytest.mark.skipif(torch.backends.cudnn.version() is None, reason="this torch has none")  # type: ignore[no-untyped-call]
def test_a_gpu_that_cudnn_refuses_is_known_by_the_same_however_often_it_is_asked(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch raises the first time, and tells the version from then on."""
    gpu((7, 0), ["sm_70"])
    monkeypatch.setitem(vars(torch.backends.cudnn), "__cudnn_version", None)  # as if it had not been asked
    first, second = (devices.fingerprint("cuda:0") for _ in range(2))
    assert first == second
    assert first["backend"].startswith("CUDA 13.2, cuDNN 9")


def test_a_gpu_for_which_torch_has_no_kernels_is_said_though_cudnn_refuses_it(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    def refuse() -> int:
        raise RuntimeError("cuDNN version 92600 is not compatible with devices with SM < 7.5")

    monkeypatch.setattr(torch.backends.cudnn, "version", refuse)
    gpu((6, 1), OF_CUDA_13)
    ran = shape_dnn("doctor", "--format", "json")
    assert ran.status == 0, ran.err
    assert ran.json["warnings"] == [NO_KERNELS]


def test_how_trainings_share_a_gpu_is_told(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch, shape_dnn: Callable[..., Any]
) -> None:
    def told() -> object:
        return shape_dnn("doctor", "--format", "json").json["system"].get("trainings on a GPU")

    assert told() is None
    gpu((9, 0), ["sm_90"])
    monkeypatch.setenv("PATH", str(Path.cwd()))
    assert told() == "in turns, as there is no nvidia-cuda-mps-control"
    Path("nvidia-cuda-mps-control").touch(0o755)
    assert told() == "in turns, or with -o executor.mps=true side by side"
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert told() is None, "the service is NVIDIA's"


NO_KERNELS = (
    f"cuda:0, Stand-in, has compute capability 6.1, for which torch {torch.__version__} has no kernels, but for sm_75, "
    "sm_80, sm_86, sm_90, sm_100, sm_120; install a torch for an older CUDA, if one has them"
)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_for_which_torch_has_no_kernels_is_refused_before_anything_runs(
    device: str, gpu: Callable[..., None], shape_dnn: Callable[..., Any]
) -> None:
    gpu((6, 1), OF_CUDA_13)
    for command in (["measure"], ["--max-size", "0.1MB", "--goal", "accuracy"], ["record", "table.csv"]):
        ran = shape_dnn(*command, "--device", device)
        assert ran.status == 2
        assert ran.error.endswith(f"--device: {NO_KERNELS}")
    assert not list(Path.cwd().iterdir()), "no study is begun"


def test_nobody_who_leaves_the_device_open_is_sent_to_a_gpu_for_which_torch_has_no_kernels(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu((6, 1), OF_CUDA_13)
    assert devices.resolve("auto") == devices.resolve("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (9, 0) if name == "cuda:1" else (6, 1))
    assert devices.resolve("auto") == devices.resolve("cuda:1") == "cuda:1"
    gpu((9, 0), OF_CUDA_13)
    assert devices.resolve("auto") == devices.resolve("cuda") == "cuda:0"
