"""What the pages say to install can be had without a compiler, on the oldest and the newest Python that is accepted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file())


def resolve(*flags: str, requirements: str) -> subprocess.CompletedProcess[str]:
    """Have uv choose the versions of packages for some requirements, as pip would."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *flags, "-"]
    return subprocess.run(command, input=requirements, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def package_index() -> None:
    if resolve("--refresh", requirements="pluggy").returncode != 0:
        pytest.skip("no index of packages can be reached")


@pytest.mark.nightly
@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_all_that_a_plugin_needs_has_wheels(plugin: str, python: str) -> None:
    places = {"shape-dnn": ROOT, plugin: ROOT / "plugins" / plugin}
    wanted = "".join(f"{name} @ {place.as_uri()}\n" for name, place in places.items())
    chosen = resolve("--python-version", python, requirements=wanted)
    assert chosen.returncode == 0, chosen.stderr
    elsewhere = re.sub(r"^shape-dnn.*\n", "", chosen.stdout, flags=re.MULTILINE)
    assert "torch==" in elsewhere
    wheels = resolve("--python-version", python, "--no-deps", "--only-binary", ":all:", requirements=elsewhere)
    assert wheels.returncode == 0, wheels.stderr
