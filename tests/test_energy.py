"""The energy meter against a stand-in for the driver's library, which has a known power curve and fails on demand."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from test_inputs import CASES, workload_of

from shape_dnn import MeterError, Shape, Workload
from shape_dnn.builtin.architectures.wrn import WideResNet
from shape_dnn.builtin.meters.energy import NvmlEnergy
from shape_dnn.measuring import energy
from shape_dnn.measuring.energy import Recording, Window
from shape_dnn.measuring.sensors import Recorder
from shape_dnn.testing import MeterContract

SOURCE = Path(__file__).parent / "standin" / "nvml.c"
WORKLOAD = Workload(WideResNet(), (1, 8, 8), 10, 2, "cpu")
SHAPE = Shape(10, Fraction(1, 4))
UUID = "GPU-stand-in"

PLUGIN = """
from shape_dnn import Plugin, hookimpl
from shape_dnn.builtin.meters.energy import NvmlEnergy
from shape_dnn.measuring import energy

energy.WINDOW_LEAST = 0.6

class StandIn(NvmlEnergy):
    def __init__(self):
        super().__init__(seconds=0.6)

    def uuid(self, workload):
        return "GPU-stand-in"

@hookimpl
def shape_dnn_meters():
    yield Plugin("standin", "the stand-in", StandIn)
"""


class StandIn(NvmlEnergy):
    """Runs the network on the processor and reads the stand-in."""

    def uuid(self, workload: Workload) -> str:
        return UUID


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compile the stand-in, without the functions that a test does not want."""
    built: dict[tuple[str, ...], Path] = {}

    def build(*without: str) -> Path:
        if without not in built:
            directory = tmp_path_factory.mktemp("driver")
            flags = [f"-DNO_{name}" for name in without]
            library = directory / "libnvidia-ml.so.1"
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", *flags, "-o", library, SOURCE, "-lm"], check=True)
            built[without] = directory
        return built[without]

    return build


class Board:
    """The settings of the stand-in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.origin = time.monotonic()
        self.settings: dict[str, float] = {"origin": self.origin, "watts": 250, "ramp": 1}
        self.set()

    def set(self, **settings: float) -> None:
        self.settings |= settings
        new = self.path.with_suffix(".new")
        new.write_text("".join(f"{name} {value}\n" for name, value in self.settings.items()))
        new.replace(self.path)

    def watts(self, start: float, end: float) -> float:
        """The true mean power between two moments."""
        start, end = start - self.origin, end - self.origin
        turn = 2 * math.pi / self.settings.get("period", 1)
        swung = self.settings.get("swing", 0) * (math.cos(turn * start) - math.cos(turn * end)) / turn
        return self.settings["watts"] + self.settings["ramp"] * (start + end) / 2 + swung / (end - start)


@pytest.fixture
def board(libraries: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries()))
    monkeypatch.setenv("STANDIN_NVML", str(tmp_path / "board"))
    return Board(tmp_path / "board")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the windows where only what happens matters, and not how exact it is."""
    monkeypatch.setattr(energy, "WINDOW_LEAST", 0.6)
    monkeypatch.setattr(energy, "WINDOW_STEP", 0.2)
    monkeypatch.setattr(energy, "SETTLE_LEAST", 0.2)
    monkeypatch.setattr(energy, "SETTLE_MOST", 0.2)


def call() -> None:
    time.sleep(0.005)


class Watched(Recording):
    """Tells a test how far it is."""

    windows = 0

    def begin(self) -> None:
        super().begin()
        self.windows += 1

    @property
    def progress(self) -> tuple[int, int]:
        """Windows begun, and readings in the last one."""
        return self.windows, len(self._readings)

    @property
    def span(self) -> tuple[float, float]:
        return self._readings[0].time, self._readings[-1].time


def record_by(uuid: str, interval: float) -> Recorder:
    return Recorder("shape_dnn.measuring.nvml_recorder", [uuid, str(interval)])


def record(seconds: float = 4.0, during: Callable[[Watched], object] = lambda _: None) -> tuple[Window, Watched]:
    """Measure a call of 5 ms by the stand-in."""
    with closing(record_by(UUID, 0.025)) as sensor:
        recording = Watched(sensor)

        def forward() -> None:
            call()
            during(recording)

        return StandIn(seconds=seconds)._window(forward, recording), recording  # type: ignore[arg-type]


class TestEnergy(MeterContract):
    shapes = (SHAPE,)

    @pytest.fixture
    def plugin(self, board: Board) -> StandIn:
        return StandIn(seconds=3.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
class TestEnergyOnCuda(MeterContract):
    name, device = "energy", "cuda:0"


@pytest.mark.parametrize(
    "settings",
    [
        {"step": 0.3},
        *(pytest.param(more, marks=pytest.mark.nightly) for more in ({}, {"step": 0.02}, {"ramp": 10}, {"watts": 40})),
    ],
    ids=str,
)
def test_the_mean_power_is_right_within_half_a_percent(board: Board, settings: dict[str, float]) -> None:
    board.set(**settings)
    window, recording = record()
    assert window.source == "counter"
    assert window.watts == pytest.approx(board.watts(*recording.span), rel=0.005)
    assert window.joules == pytest.approx(window.watts * window.seconds)
    assert window.agreement == pytest.approx(1, abs=0.05), "with the power that is read beside the counter"
    assert 0.005 < window.seconds < 0.5
    assert recording.condition() == {"clock_mhz": 1410, "temperature_c": 50}


@pytest.mark.parametrize("period", [0.37, 9])
def test_a_power_that_swings_is_right_within_one_percent(
    board: Board, period: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.set(swing=80, period=period)
    monkeypatch.setattr(energy, "WINDOW_LEAST", 8.0)  # of which the time between two readings is 0.3 %
    window, _ = record(seconds=8.0)
    assert window.watts == pytest.approx(board.watts(window.start, window.end), rel=0.01)


@pytest.mark.parametrize("without", [["COUNTER"], ["COUNTER", "FIELDS"]])
def test_a_board_or_driver_without_a_counter_is_measured_by_its_power(
    board: Board, libraries: Callable[..., Path], without: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries(*without)))
    window, recording = record()
    assert (window.source, window.agreement) == ("power", None)
    assert window.watts == pytest.approx(board.watts(*recording.span), rel=0.005)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"power_factor": 1.2}, "sensors disagree"),
        ({"reasons": 0x40}, "throttled"),
        ({"reasons": 0x4}, "ok"),  # the power limit of the board is its own
        ({"others": 40}, "contended"),
        ({"others": 40, "hidden_pids": 1}, "contended"),
        ({"others": 2}, "ok"),
    ],
    ids=str,
)
def test_what_makes_a_value_doubtful_is_said(board: Board, settings: dict[str, float], status: str) -> None:
    board.set(**settings)
    with closing(record_by(UUID, 0.025)) as sensor:
        recording = Recording(sensor)
        recording.run(call, 2.2, lambda: True, 2.2)
        window = recording.evaluate()
    found = recording.status(window)
    # Where the machine is busy, readings come late, and an undisturbed board can look otherwise, but not like these.
    assert found == status or (status == "ok" and found in {"budget", "sensors disagree"})


@pytest.mark.usefixtures("quick")
def test_what_only_goes_with_a_measurement_may_be_forbidden(board: Board) -> None:
    board.set(clock_code=4, temperature_code=4, reasons_code=4, users_code=4)
    with closing(record_by(UUID, 0.025)) as sensor:
        recording = Watched(sensor)
        recording.run(call, 2.2, lambda: True, 2.2)  # for so long that the driver is asked who uses the GPU
        window = recording.evaluate()
    assert window.source == "counter"
    assert window.watts == pytest.approx(board.watts(*recording.span), rel=0.05)
    assert recording.condition() == {"clock_mhz": None, "temperature_c": None}
    assert {(reading.throttled, reading.others) for reading in recording._readings} == {(None, None)}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"stuck_after": 0}, "the counter of energy does not move; 3 windows in a row told nothing"),
        ({"energy_code": 3, "swing": 0, "ramp": 0, "noise": 0}, "W all the time"),
        ({"fail_every": 3}, "a reading failed: NVML: Unknown Error"),
    ],
    ids=str,
)
def test_a_sensor_that_fails_for_good_gives_no_number(board: Board, settings: dict[str, float], reason: str) -> None:
    board.set(**settings)
    with pytest.raises(MeterError, match=reason):
        record()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("fault", "repair"), [({"before": 0}, {}), ({"energy_code": 999}, {"energy_code": 0})], ids=["reset", "failed read"]
)
def test_a_single_fault_discards_the_window_and_nothing_else(
    board: Board, fault: dict[str, float], repair: dict[str, float]
) -> None:
    changes = [((1, 5), fault), ((1, 10), repair)]

    def break_and_mend(recording: Watched) -> None:
        while changes and recording.progress >= changes[0][0]:
            board.set(**changes.pop(0)[1])

    window, recording = record(during=break_and_mend)
    assert recording.discarded == 1
    assert recording.windows == 2
    assert window.watts == pytest.approx(board.watts(*recording.span), rel=0.05)


@pytest.mark.usefixtures("quick")
def test_a_gpu_that_is_lost_in_the_middle_gives_no_number(board: Board) -> None:
    def lose(recording: Watched) -> None:
        if recording.progress >= (1, 5):
            board.set(lost_after=0)

    with pytest.raises(MeterError, match="the GPU has fallen off the bus"):
        record(during=lose)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"mig": 1}, r"Stand-in is divided into instances \(MIG\), and its sensors see the sum of all"),
        ({"instance": 1}, r"Stand-in is divided into instances \(MIG\), and its sensors see the sum of all"),
        ({"energy_code": 4}, "this user may not read the sensors; ask the administrator"),
        ({"field_code": 3, "power_code": 4}, "this user may not read the sensors; ask the administrator"),
        ({"init_code": 9}, "the NVIDIA driver is not loaded"),
        ({"energy_code": 3, "power_code": 3, "field_code": 3}, "tells neither energy nor power"),
    ],
    ids=str,
)
def test_a_sensor_that_cannot_be_read_is_refused_with_the_remedy(
    board: Board, settings: dict[str, float], reason: str
) -> None:
    board.set(**settings)
    with pytest.raises(MeterError, match=reason):
        record_by(UUID, 0.1)


def test_a_gpu_is_found_by_its_uuid_alone(board: Board) -> None:
    with pytest.raises(MeterError, match="GPU GPU-other: NVML: Not Found .*hidden from this container"):
        record_by("GPU-other", 0.1)


def test_no_driver_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a driver here")
    with pytest.raises(MeterError, match=r"libnvidia-ml\.so\.1 was not found; install the NVIDIA driver"):
        record_by(UUID, 0.1)


@pytest.mark.usefixtures("quick")
def test_the_death_of_the_recording_process_is_noticed(board: Board) -> None:
    with closing(record_by(UUID, 0.025)) as sensor:
        sensor._process.kill()
        sensor._listener.join()
        with pytest.raises(MeterError, match=r"the process that reads the sensor .* ended with status -9"):
            sensor.readings()


READERS = {
    "reading the sensor failed: ValueError: too hot": """
def read():
    raise ValueError("too hot")
sensors.record({"sensor": "odd"}, read, 0.05)
""",
    "wrote 'this is no reading": "print('this is no reading', flush=True); import time; time.sleep(9)",
    r"\(odd_recorder\) ended with status 3": "raise SystemExit(3)",
}


@pytest.mark.parametrize("reason", READERS)
def test_a_reading_process_that_misbehaves_is_named(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("odd_recorder.py").write_text("from shape_dnn.measuring import sensors\n" + READERS[reason])
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))

    def listen() -> None:
        with closing(Recorder("odd_recorder", [])) as sensor:
            sensor._listener.join()
            sensor.readings()

    with pytest.raises(MeterError, match=reason):
        listen()


def test_what_lies_in_the_working_directory_is_no_sensor() -> None:
    Path("odd_recorder.py").write_text("print('{}')")
    with pytest.raises(MeterError, match=r"\(odd_recorder\) ended with status 1"):
        Recorder("odd_recorder", [])


def test_the_recording_process_ends_with_the_measuring_one(board: Board) -> None:
    script = (
        "import os, signal, shape_dnn.measuring.sensors as s\n"
        f"recorder = s.Recorder('shape_dnn.measuring.nvml_recorder', [{UUID!r}, '0.05'])\n"
        "print(recorder._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    recorder = int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).stdout)
    deadline = time.monotonic() + 300
    while Path(f"/proc/{recorder}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{recorder}").exists()


def test_energy_is_measured_from_the_command_line(board: Board, shape_dnn: Callable[..., Any]) -> None:
    Path("standin.py").write_text(PLUGIN)
    ran = shape_dnn(
        "measure", "--metrics", "energy", "--depth", "10:11:6", "--width", "1/4:1/2:1/4", "--device", "cpu",
        "--plugin", "standin.py", "--meter", "energy=standin", "--format", "json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    (row,) = ran.json
    assert row["energy_low"] <= row["energy"] <= row["energy_high"]
    # Where the machine is busy, readings come late, and the integral of the power differs from the counter.
    assert row["energy_status"] in {"ok", "budget", "sensors disagree"}
    assert 1e-3 < row["energy"] < 10, "250 W for some tenths of a millisecond up to some on a slow machine"


def test_a_sensor_that_is_missing_ends_the_command_with_4(board: Board, shape_dnn: Callable[..., Any]) -> None:
    Path("standin.py").write_text(PLUGIN)
    board.set(mig=1)
    arguments: Any = ["--device", "cpu", "--plugin", "standin.py", "--meter", "energy=standin", "--format", "json"]
    ran = shape_dnn("--max-energy", "3J", *arguments)
    assert (ran.status, ran.out) == (4, "")
    assert "switch MIG off to measure" in ran.error
    ran = shape_dnn("measure", "--metrics", "energy", "--device", "cpu")
    assert ran.status == 4
    assert "the device is cpu; for processors and other devices see the package shape-dnn-zeus" in ran.error


def test_the_energy_of_a_network_that_takes_words_and_a_mask_is_measured(board: Board, quick: None) -> None:
    ((_, measured),) = StandIn(seconds=0.6, precision="bfloat16").measure(workload_of(*CASES["by name"]), [SHAPE])
    assert measured.value is not None
    assert measured.value > 0
