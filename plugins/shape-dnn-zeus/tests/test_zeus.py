"""The meter on a stand-in for RAPL, and what it says where there is no sensor."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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


def test_a_gpu_is_read_by_its_counter_or_else_by_its_power() -> None:
    class Gpus:
        def __init__(self, has_counter: bool) -> None:
            self.has_counter = has_counter

        def __len__(self) -> int:
            return 2

        def supports_get_total_energy_consumption(self, index: int) -> bool:
            return self.has_counter

        def get_total_energy_consumption(self, index: int) -> int:
            return 5000 + index

        def get_instant_power_usage(self, index: int) -> int:
            return 250_000

    both = recorder.gpu_reader(Gpus(has_counter=True), 1)()
    assert (both.joules, both.watts) == (5.001, 250.0)
    assert recorder.gpu_reader(Gpus(has_counter=False), 0)().joules is None
    with pytest.raises(MeterError, match="zeus sees 2 GPUs, and not one of number 3"):
        recorder.gpu_reader(Gpus(has_counter=True), 3)


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
