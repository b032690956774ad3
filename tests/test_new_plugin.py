"""A package that is generated installs, works, and passes its own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shape_dnn.api.new_plugin import files
from shape_dnn.plugins.table_of_kinds import KINDS

SEARCHED = ("sampler", "accuracy_model", "strategy", "architecture", "dataset", "executor")
"""Kinds of which a search uses one whatever it is asked for; a replay uses the first three."""


@pytest.mark.parametrize(
    "kinds",
    [("trainer",), ("executor", "terminator"), SEARCHED[:3], pytest.param(tuple(KINDS), marks=pytest.mark.nightly)],
    ids=len,
)
def test_a_package_of_every_kind_installs_and_passes_its_own_tests(
    shape_dnn: Callable[..., Any], kinds: tuple[str, ...], table: Path
) -> None:
    names = {kind: f"my-{kind.replace('_', '-')}2" for kind in kinds}
    for kind, name in names.items():
        ran = shape_dnn("new-plugin", name, "--kind", kind)
        assert ran.status == 0, ran.err
        assert f"shape-dnn-{name}" in ran.out
    packages = [f"./shape-dnn-{name}" for name in names.values()]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", "site", *packages]
    subprocess.run(install, check=True)
    places = [str(Path("site").resolve()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    tests = [f"{package}/tests" for package in packages]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *tests]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = re.search(r"(\d+) checks of (\d+) plugins ran", ran.stdout)
    assert told is not None
    assert int(told[2]) == len(kinds)
    assert ran.stdout.count("excepted: ") == 4 * ("executor" in kinds), (
        "an executor that works in the process of the search cannot do four things"
    )
    listed = subprocess.run(
        [sys.executable, "-m", "shape_dnn", "plugins"], capture_output=True, text=True, check=True, env=environment
    )
    for name in names.values():
        assert name in listed.stdout
    chosen = [word for kind in SEARCHED if kind in kinds for word in (f"--{KINDS[kind].flag}", names[kind])]
    if kinds == ("trainer",):
        chosen += ["--trainer", names["trainer"], "--goal", "loss"]
    elif "executor" in kinds:
        chosen += ["--epochs", "1", "--device", "cpu", "-o", "recipe.crop=0"]
        chosen += [] if "architecture" in kinds else ["--depth", "10:17:6", "--width", "1/4:3/4:1/4"]
    else:
        chosen += ["--replay", str(table)]
    searched = subprocess.run(
        [sys.executable, "-m", "shape_dnn", *chosen],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert searched.returncode == 0, searched.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_needs_pytest_for_its_tests_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    monkeypatch.delitem(sys.modules, "shape_dnn.testing")
    for path, code in files("mine", kind).items():
        if path.endswith(".py") and not path.startswith("tests/"):
            exec(compile(code, path, "exec"), {"__name__": path})  # noqa: S102


@pytest.mark.parametrize(
    ("name", "kind", "class_name"),
    [
        ("none", "sampler", "MyNone"),
        ("prediction", "accuracy_model", "MyPrediction"),
        ("outcome", "executor", "MyOutcome"),
    ],
)
def test_a_name_that_python_or_the_package_has_already_makes_another_class(
    name: str, kind: str, class_name: str
) -> None:
    code = files(name, kind)[f"shape_dnn_{name}/{kind}.py"]
    compile(code, kind, "exec")
    assert f"class {class_name}(" in code


def test_what_cannot_be_written_is_refused_and_nothing_is_overwritten(shape_dnn: Callable[..., Any]) -> None:
    for name in ("Mine", "-x", "two words", "1st", "../up"):
        ran = shape_dnn("new-plugin", "--kind", "sampler", "--", name)
        assert ran.status == 2
        assert "expected words of lower-case letters and digits" in ran.error
    assert "there is a package 'shape-dnn-timm' already" in shape_dnn("new-plugin", "timm", "--kind", "sampler").error
    assert "there is a sampler 'random' already" in shape_dnn("new-plugin", "random", "--kind", "sampler").error
    Path("shape-dnn-mine").mkdir()
    Path("shape-dnn-mine/notes").write_text("mine")
    assert "is there already; nothing was changed" in shape_dnn("new-plugin", "mine", "--kind", "goal").error
    assert [path.name for path in Path("shape-dnn-mine").iterdir()] == ["notes"]
    assert (
        "cannot write" in shape_dnn("new-plugin", "mine", "--kind", "goal", "--directory", "shape-dnn-mine/notes").error
    )
    assert "--kind: 'oracle' is not accepted: it should be" in shape_dnn("new-plugin", "mine", "--kind", "oracle").err
