"""What the tests share: a place of their own to run in, and plugin packages made on the spot."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sshd_fixture import sshd  # noqa: F401 - a fixture

from shape_dnn.cli import main
from shape_dnn.devices import cores
from shape_dnn.testing.contract import tally

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for each other are slow where processors are shared

hypothesis.settings.register_profile("steady", deadline=None)  # a slow moment of the machine is no failure
hypothesis.settings.register_profile("nightly", deadline=20_000, max_examples=10_000)
hypothesis.settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    """Have the checks of contracts counted also where other processes run them."""
    tally(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run as many tests at once as this process may use cores, hyper-threads included."""
    return cores()


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have local time be five hours and a half ahead of UTC."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have what the user has in the cache directory, and who has this machine as a target, be without effect."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in an empty directory, untouched by the user's environment."""
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for name in ("SHAPE_DNN_PLUGINS", "SHAPE_DNN_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    return directory


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The last line on standard error, which must be the one line of the error message."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if "error:" in line]
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def shape_dnn(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process."""

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def run_pytest(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run tests of the working directory within this one, in this process, which has imported torch already."""

    def run(*arguments: str) -> Ran:
        capfd.readouterr()
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--import-mode=importlib"]
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            status = pytest.main([*options, *arguments])
        out, err = capfd.readouterr()
        return Ran(int(status), out, err)

    return run


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make an installed distribution: its metadata, its entry points and its modules, as pip leaves them."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules_before = set(sys.modules)

    def make(name: str, version: str, entry_points: Mapping[str, str], modules: Mapping[str, str]) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = "".join(f"{point} = {target}\n" for point, target in entry_points.items())
        (info / "entry_points.txt").write_text(f"[shape_dnn]\n{points}")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        return site

    yield make
    for name in set(sys.modules) - modules_before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]


TABLE = """# accuracies made by a formula: 100 - 8 / width - 40 / depth
depth,width,accuracy,size,latency
"""


@pytest.fixture
def table(own_directory: Path) -> Path:
    """A recorded table of 45 shapes without noise, on which every model of Equation 2 is exact."""
    rows = [
        f"{depth},{width},{100 - 8 / width - 40 / depth:.6f},{depth * width * width / 100},{depth / 10}"
        for width in (1, 2, 3, 4, 5)
        for depth in range(10, 60, 6)
    ]
    path = own_directory / "table.csv"
    path.write_text(TABLE + "\n".join(rows) + "\n")
    return path
