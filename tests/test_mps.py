"""NVIDIA's multi-process service, by a stand-in for the program that starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from worker_tasks import Environment, Where

from shape_dnn.builtin.executors import mps
from shape_dnn.builtin.executors.local import Local
from shape_dnn.errors import UnavailableError
from shape_dnn.work import Needs

SHARING, MEASURED = Needs("cuda:0", share=0.3), Needs("cuda:0", exclusive=True)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the stand-in where the program is looked for; return the file in which it says what it did."""
    monkeypatch.setenv("PATH", str(Path(__file__).parent / "standin"), prepend=os.pathsep)
    monkeypatch.setenv("STANDIN_LOG", str(tmp_path / "log"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "log"


@pytest.fixture
def executor() -> Iterator[Local]:
    made = Local(mps=True)
    yield made
    made.close()


def environments(executor: Local, *needs: Needs) -> list[dict[str, str]]:
    """Return the environments of tasks, one after the other."""
    outcomes = executor.run([Environment(each) for each in needs], 1, lambda *_: True)
    return [outcome.result for outcome in outcomes]  # type: ignore[misc]


def is_gone(number: int, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_what_shares_a_gpu_uses_one_service_and_nothing_else_does(log: Path, executor: Local) -> None:
    """What is measured has the GPU for itself, also in a worker that has trained before."""
    first, measured, of_processor, again = environments(executor, SHARING, MEASURED, Needs(), SHARING)
    assert first[mps.PIPES] == again[mps.PIPES]
    assert first[mps.LOGS] == again[mps.LOGS]
    assert not {mps.PIPES, mps.LOGS} & {*measured, *of_processor}
    (started,) = log.read_text().splitlines()
    executor.close()
    assert log.read_text().splitlines() == [started, "quit"]
    assert is_gone(int(started.split()[1]))
    assert not Path(first[mps.PIPES]).exists()


def test_workers_are_used_again_for_what_needs_the_same(log: Path, executor: Local) -> None:
    outcomes = list(executor.run([Where(SHARING)] * 3, 1, lambda *_: True))
    assert len({outcome.result for outcome in outcomes}) == 1, "each tells its process"


def test_no_service_is_started_unless_it_is_asked_for_and_of_use(log: Path, executor: Local) -> None:
    plain = Local()
    assert mps.PIPES not in environments(plain, SHARING)[0]
    plain.close()
    assert len(environments(executor, Needs(), MEASURED, Needs("cuda:0", gpus=0))) == 3
    assert not log.exists()


SEARCH = """
import sys, time
from shape_dnn.builtin.executors.mps import MultiProcessService
service = MultiProcessService()
print(service.environment["CUDA_MPS_PIPE_DIRECTORY"], flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_service_ends_with_the_search_however_that_ends(log: Path, how: signal.Signals) -> None:
    search = subprocess.Popen([sys.executable, "-c", SEARCH], stdout=subprocess.PIPE, text=True)
    assert search.stdout is not None
    place = Path(search.stdout.readline().strip()).parent
    started = int(log.read_text().split()[1])
    assert psutil.pid_exists(started)
    search.send_signal(how)
    search.communicate()
    assert is_gone(started)
    end = time.monotonic() + 60
    while place.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not place.exists()


def test_what_the_program_says_is_said(log: Path, executor: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN_FAILURE", "An instance of this daemon\nis already running")
    expected = "-o executor.mps: the service does not start: .* said 'An instance of this daemon is already running'"
    with pytest.raises(UnavailableError, match=expected):
        environments(executor, SHARING)


def test_a_machine_without_it_says_so(log: Path, executor: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    with pytest.raises(UnavailableError, match="there is no nvidia-cuda-mps-control, which comes with NVIDIA's driver"):
        environments(executor, SHARING)


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("CUDA_VISIBLE_DEVICES", "1", "name the GPUs in CUDA_VISIBLE_DEVICES by UUIDs, as 'nvidia-smi -L' lists them"),
        ("CUDA_VISIBLE_DEVICES", "GPU-1a,0", "not by 'GPU-1a,0'; the service counts those that it sees"),
        ("CUDA_MPS_PIPE_DIRECTORY", "/run/mps", "there is a service already, since CUDA_MPS_PIPE_DIRECTORY is set"),
    ],
)
def test_what_would_mean_other_gpus_or_another_service_is_refused(
    log: Path, executor: Local, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UnavailableError, match=problem):
        environments(executor, SHARING)
    assert not log.exists()


def test_gpus_named_by_uuids_are_those_of_the_service(
    log: Path, executor: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1a, MIG-2b")
    (found,) = environments(executor, SHARING)
    assert found[mps.PIPES]
    assert found["CUDA_VISIBLE_DEVICES"] == "GPU-1a, MIG-2b"
