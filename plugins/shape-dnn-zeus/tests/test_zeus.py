"""The meter on a stand-in for RAPL, and what it says where there is no sensor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch
import zeus.device.gpu

from shape_dnn import MeterError, Shape, Workload, measure
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.measuring.sensors import Recorder, Sensor
from shape_dnn.plugins.registry import Registry
from shape_dnn.testing import MeterContract
from shape_dnn_zeus import recorder
from shape_dnn_zeus.meter import Zeus

SHAPE = Shape(10, Fraction(1, 4))
WORKLOAD = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")


class StandIn(Zeus):
    """Reads files that a process of the tests writes."""

    rapl = ""

    def open_sensor(self, workload: Workload) -> Sensor:
        return Recorder("standin_rapl", [self.rapl, self.sensor, workload.device, str(self.interval)])


@pytest.fixture(autouse=True)
def rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setattr(StandIn, "rapl", str(tmp_path / "powercap"))


@pytest.fixture(autouse=True)
def all_gpus_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin so, and what the recorder changes, in what is otherwise a process of its own, undone."""
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


class TestOnTheStandIn(MeterContract):
    shapes = (SHAPE,)

    @pytest.fixture
    def plugin(self) -> StandIn:
        return StandIn(sensor="cpu", seconds=3.0)


def test_packages_and_memory_are_summed_and_the_platform_is_not() -> None:
    ((_, measurement),) = StandIn(sensor="cpu", seconds=3.0).measure(WORKLOAD, [SHAPE])
    assert measurement.details["power_w"] == pytest.approx(30 + 10 + 20, rel=0.1)
    assert measurement.details["source"] == "counter"
    assert measurement.status in {"ok", "budget", "contended"}


def test_it_is_declared() -> None:
    loaded = Registry().load("meter", "zeus", {"sensor": "gpu"})
    assert isinstance(loaded.instance, Zeus)
    assert loaded.source.distribution == "shape-dnn-zeus"


@pytest.mark.parametrize(("sensor", "reason"), [("soc", "No observable SoC"), ("gpu", "zeus cannot read the energy")])
def test_a_sensor_that_is_not_there_is_no_number(sensor: str, reason: str) -> None:
    with pytest.raises(MeterError, match=reason):
        Zeus(sensor=sensor).identity(WORKLOAD)


def test_a_refusal_is_all_that_is_said_also_where_python_dislikes_the_code_of_a_package(tmp_path: Path) -> None:
    (tmp_path / "amdsmi.py").write_text(
        "1 is 1\nraise ImportError('no driver')\n"
    )  # which Python warns of as it reads it
    places = os.pathsep.join([str(tmp_path), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "shape_dnn_zeus.recorder", "soc", "cpu", "0.1"],
        env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "No observable SoC" in ran.stdout
    assert not ran.stderr


@pytest.mark.skipif(Path("/sys/class/powercap/intel-rapl").exists(), reason="this machine has RAPL")
def test_a_search_that_needs_a_missing_sensor_ends_with_the_reason() -> None:
    with pytest.raises(MeterError, match="zeus cannot read the energy of cpu: RAPL"):
        measure(["energy"], meter="energy=zeus", device="cpu", depth="10:11:6", width="1:2:1")


def test_what_may_not_be_read_is_said_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> Any:
        raise PermissionError(13, "Permission denied", "energy_uj")

    monkeypatch.setattr(recorder, "get_cpus", refuse)
    recorder.main("cpu", "cpu", 0.1)
    said = capsys.readouterr().out
    assert "Permission denied" in said
    assert "reading RAPL takes root or a running zeusd" in said


class Board:
    """NVML of a machine with two GPUs: torch counts the faster one first, which lies in the second slot."""

    def __init__(self) -> None:
        self.architecture = pynvml.NVML_DEVICE_ARCH_VOLTA
        self.milliwatts = {pynvml.NVML_FI_DEV_POWER_INSTANT: 250_000, pynvml.NVML_FI_DEV_POWER_AVERAGE: 240_000}

    uuids = ("GPU-slow", "GPU-fast")

    def absent(self, _handle: int) -> Any:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def fields(self, _handle: int, fields: Sequence[tuple[int, int]]) -> list[Any]:
        value = self.milliwatts.get(fields[0][0])
        status = pynvml.NVML_ERROR_NOT_SUPPORTED if value is None else pynvml.NVML_SUCCESS
        return [SimpleNamespace(nvmlReturn=status, value=SimpleNamespace(uiVal=value))]

    def functions(self) -> dict[str, Callable[..., Any]]:
        return {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlSystemGetDriverVersion": lambda: "999.1",
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetHandleByUUID": self.uuids.index,
            "nvmlDeviceGetIndex": lambda handle: handle,
            "nvmlDeviceGetName": lambda handle: self.uuids[handle],
            "nvmlDeviceGetMigMode": self.absent,
            "nvmlDeviceGetC2cModeInfoV": self.absent,
            "nvmlDeviceGetArchitecture": lambda _: self.architecture,
            "nvmlDeviceGetTotalEnergyConsumption": lambda handle: (1_000, 2_000)[handle],
            "nvmlDeviceGetFieldValues": self.fields,
        }


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    made = Board()
    for name, function in made.functions().items():
        monkeypatch.setattr(pynvml, name, function)
    monkeypatch.setattr(zeus.device.gpu, "_gpus", None)
    monkeypatch.delenv("ZEUSD_SOCK_PATH", raising=False)
    zeus.device.gpu.nvml_is_available.cache_clear()
    yield made
    zeus.device.gpu.nvml_is_available.cache_clear()


@pytest.mark.parametrize("visible", [None, "1", "1,0", "GPU-fast", "GPU-fast,GPU-slow"])
def test_a_gpu_is_found_by_what_torch_calls_it_whatever_its_number(
    visible: str | None, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="fast"))
    given: list[str] = []
    monkeypatch.setattr("shape_dnn_zeus.meter.Recorder", lambda _, arguments: given.extend(arguments))
    Zeus(sensor="gpu").open_sensor(Workload(WideResNet(), (1, 8, 8), 10, 2, "cuda:0"))
    sensor, device, _, uuid = given
    name, read = recorder.open_sensor(sensor, device, uuid)
    reading = read()
    assert (name, reading.joules, reading.watts) == ("gpu", 2.0, 250.0)


def test_a_gpu_without_the_power_of_the_moment_is_read_by_its_average_and_says_so(board: Board) -> None:
    del board.milliwatts[pynvml.NVML_FI_DEV_POWER_INSTANT]
    name, read = recorder.open_sensor("gpu", "cuda:0", "GPU-slow")
    assert (name, read().joules, read().watts) == ("gpu with average power", 1.0, 240.0)
    board.architecture = pynvml.NVML_DEVICE_ARCH_PASCAL
    zeus.device.gpu._gpus = None  # noqa: SLF001
    name, read = recorder.open_sensor("gpu", "cuda:0", "GPU-slow")
    assert (name, read().joules, read().watts) == ("gpu with average power", None, 240.0)


def test_a_gpu_without_power_is_read_by_its_counter_and_one_without_either_is_refused(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    board.milliwatts.clear()
    name, read = recorder.open_sensor("gpu", "cuda:0", "GPU-slow")
    assert (name, read().joules, read().watts) == ("gpu without power", 1.0, None)
    board.architecture = pynvml.NVML_DEVICE_ARCH_PASCAL
    zeus.device.gpu._gpus = None  # noqa: SLF001
    recorder.main("gpu", "cuda:0", 0.1, "GPU-slow")
    assert "zeus cannot read the energy of cuda:0: Not Supported" in capsys.readouterr().out


class Amd:
    """Two GPUs, as zeus hands them out."""

    def __len__(self) -> int:
        return 2

    def supports_get_total_energy_consumption(self, index: int) -> bool:
        return True

    def get_total_energy_consumption(self, index: int) -> int:
        return 5000 + index

    def get_instant_power_usage(self, index: int) -> int:
        return 250_000

    get_average_power_usage = get_instant_power_usage


@pytest.mark.parametrize(
    ("variables", "seen"),
    [
        ({}, None),
        ({"HIP_VISIBLE_DEVICES": "1"}, "1"),
        ({"ROCR_VISIBLE_DEVICES": "2,3"}, "2,3"),
        ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "1"}, "3"),
        ({"ROCR_VISIBLE_DEVICES": "2,3", "CUDA_VISIBLE_DEVICES": "1,0"}, "3,2"),
    ],
)
def test_an_amd_gpu_has_the_number_that_torch_gives_it(
    variables: dict[str, str], seen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(recorder, "get_gpus", Amd)
    name, read = recorder.open_sensor("gpu", "cuda:1")
    assert (name, read().joules) == ("gpu", 5.001)
    assert os.environ.get("HIP_VISIBLE_DEVICES") == seen, "which is what zeus reads"
    with pytest.raises(MeterError, match="zeus sees 2 GPUs, and not one of number 3"):
        recorder.open_sensor("gpu", "cuda:3")


@pytest.mark.parametrize("value", ["GPU-1234", "0,one", "-1", "0,-1", "0,,1", "٣"])
def test_an_amd_gpu_that_zeus_would_not_find_is_said(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "get_gpus", Amd)
    for name in ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(MeterError, match=f"{name} is '{value}'; zeus knows these GPUs by their numbers alone"):
                recorder.open_sensor("gpu", "cuda:0")


@pytest.mark.parametrize("name", ["HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"])
def test_an_amd_gpu_beyond_those_that_are_left_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorder, "get_gpus", Amd)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "2,3")
    monkeypatch.setenv(name, "0,2")
    recorder.main("gpu", "cuda:0", 0.1)
    said = f"{name} is '0,2', which counts GPUs that ROCR_VISIBLE_DEVICES='2,3' leaves; accepted are numbers below 2"
    assert f"zeus cannot read the energy of cuda:0: {said}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "device", "joules"),
    [
        ({"cpu_total_mj": 7000, "dram_mj": 1000, "gpu_mj": 90_000}, "cpu", 8.0),
        ({"total_energy_mj": 4000.0}, "cuda:0", 4.0),
    ],
)
def test_a_chip_is_read_where_it_tells_of_the_device(told: dict[str, float], device: str, joules: float) -> None:
    soc = SimpleNamespace(
        get_available_metrics=lambda: set(told), get_total_energy_consumption=lambda: SimpleNamespace(**told)
    )
    assert recorder.soc_reader(soc, device)().joules == joules
    with pytest.raises(MeterError, match="tells ane_mj, and no energy of cpu"):
        recorder.soc_reader(SimpleNamespace(get_available_metrics=lambda: {"ane_mj"}), "cpu")


def test_a_failed_reading_is_part_of_the_record() -> None:
    def fail() -> Any:
        raise OSError("gone")

    assert recorder.failing_softly(fail)().failure == "zeus: gone"
