"""What benchmarks do to the machine that they run on, and to what they compare with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import measuring
import pytest
import training

from shape_dnn import devices
from shape_dnn.training.preparing import Preparation
from shape_dnn.work import Needs


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_what_runs_after_the_stand_in_for_the_driver_finds_the_real_one(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for name in ("LD_LIBRARY_PATH", "STANDIN_NVML"):
        monkeypatch.setenv(name, before or "")
        if before is None:
            monkeypatch.delenv(name)

    def look(board: Path, settings: dict[str, float]) -> float:
        assert (Path(os.environ["LD_LIBRARY_PATH"]) / "libnvidia-ml.so.1").is_file()
        assert os.environ["STANDIN_NVML"] == str(board)
        seen.append(settings)
        return 0.0

    monkeypatch.setattr(measuring, "standin_error", look)
    measuring.estimator("cuda:0")
    assert len(seen) == 4
    assert os.environ.get("LD_LIBRARY_PATH") == os.environ.get("STANDIN_NVML") == before


@pytest.mark.parametrize(("device", "tried", "best"), [("cuda:0", [0, 2, 4, 8], "4"), ("cpu", [0, 2], "2")])
def test_the_plain_loop_has_as_many_processes_to_load_images_as_it_is_fastest_with(
    device: str, tried: list[int], best: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    seconds = {0: 5.0, 2: 4.0, 4: 2.0, 8: 3.0}
    asked: list[int] = []

    def alone(function: Any, argument: Any) -> Any:
        if function is training.most_memory:
            return 1e9
        asked.append(argument[1])
        return seconds[argument[1]], 90.0, 1e9

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the images are left
    monkeypatch.setattr(devices, "cores", lambda: 9)
    monkeypatch.setattr(training, "SHAPES", training.SHAPES[:1])
    monkeypatch.setattr(training, "fashion_mnist", lambda *_: {"dataset": "digits", "device": "cpu"})
    monkeypatch.setattr(training, "prepared", lambda _, own: (Preparation(None, {own.shape: Needs()}), own))
    monkeypatch.setattr(training, "ours", lambda _, jobs, workers: [SimpleNamespace(seconds=1.0) for _ in jobs])
    monkeypatch.setattr(training, "alone", alone)
    training.rates(device, 1, 32, 100)
    assert asked[: len(tried)] == tried
    header, row = (line[10:].split() for line in capsys.readouterr().out.splitlines()[-2:])
    assert dict(zip(header, row, strict=False))["loaders"] == best
